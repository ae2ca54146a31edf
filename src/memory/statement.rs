//! A search as a statement, for tables whose policies decide which rows the caller sees.
//!
//! Postgres alone applies policies, when it plans a statement. So where they apply, the search is written
//! as SQL: the planner puts the policies in, makes an index scan of it as of any order by `chrono_score`,
//! and checks in the index what it can of policies and conditions. What is asked for is what the direct
//! search asks its index for.
//!
//! The statement is parsed under the caller's search path. So every function, operator and type in it has
//! its schema, save for what the grammar itself ties to `pg_catalog`: `CAST` to `double precision` and
//! the like, `GREATEST`, `IS NULL`.

use std::fmt::Write;

use pgrx::pg_sys::{self, Datum};

use super::context::ContextValue;
use super::roles::Part;
use super::search::Search;
use crate::am::callbacks::ORDER_BY_DISTANCE;
use crate::error::{Error, Result};
use crate::pg::call::Call;
use crate::pg::cursor::Parameters;
use crate::pg::names::{self, Schemas};
use crate::pg::table::{Column, Table};

/// The number of the argument that is the context.
const CONTEXT: usize = 3;
const FLOAT: &str = "double precision";
const TIME: &str = "timestamp with time zone";

/// The statement, and what stands for its parameters: rows, scores and distances, best first.
pub fn make(search: &Search, table: &Table, call: Call) -> Result<(String, Parameters)> {
    // Expressions of the index name the table by its own name.
    let alias = names::identifier(&table.name())?;
    let mut writer = Writer {
        search,
        alias: &alias,
        parameters: Parameters::default(),
    };
    let distance = writer.distance(call)?;
    let score = writer.score(&distance)?;
    let conditions = writer.conditions(call)?;
    let name = table.qualified_name();
    // The type of its rows has its name.
    let mut text = format!(
        "SELECT CAST({alias}.* AS {name}), {score}, {distance} FROM ONLY {name} AS {alias}"
    );
    for (place, condition) in conditions.iter().enumerate() {
        let word = if place == 0 { "WHERE" } else { "AND" };
        write!(text, " {word} {condition}").map_err(unwritten)?;
    }
    // Without a query no row has a score, and one is as good as the other.
    if call.datum(1).is_some() {
        text.push_str(" ORDER BY 2");
    }
    write!(text, " LIMIT {}", search.arguments.wanted()).map_err(unwritten)?;
    Ok((text, writer.parameters))
}

fn unwritten(error: std::fmt::Error) -> Error {
    Error::bug(error.to_string())
}

struct Writer<'s> {
    search: &'s Search,
    /// The table, as the statement names it.
    alias: &'s str,
    parameters: Parameters,
}

impl Writer<'_> {
    /// The index's distance to the query.
    fn distance(&mut self, call: Call) -> Result<String> {
        let index = &self.search.index;
        let (operator, kind) = index
            .vector_operator(ORDER_BY_DISTANCE)
            .ok_or_else(|| Error::bug("a chrono index without a distance"))?;
        let vector = match index.columns.first() {
            Some(column) if column.number > 0 => self.of_table(column)?,
            // As the server writes it for the same search path.
            _ => index.expression(1)?,
        };
        let query = self.parameters.add_datum(call.type_of(1), call.datum(1));
        // A query for an index on another type is rounded to it.
        let (operator, kind) = (names::operator(operator)?, names::type_of(kind));
        Ok(format!("({vector} {operator} CAST({query} AS {kind}))"))
    }

    /// `chrono_score` of the parts.
    fn score(&mut self, distance: &str) -> Result<String> {
        let (search, parts) = (self.search, &self.search.parts);
        let schemas = Schemas::of(search.index.own_function());
        let (float, time) = (pg_sys::FLOAT8OID, pg_sys::TIMESTAMPTZOID);
        let function = |name, types: &[_]| {
            let found = schemas.function(name, types).ok_or_else(outdated)?;
            names::function(found)
        };
        let null = format!("CAST(NULL AS {FLOAT})");
        // A rate below 0 stands for the base rate, as 0 does.
        let rate = match parts.decay_rate {
            Some(part) => format!("GREATEST({}, CAST(0 AS {FLOAT}))", self.cast(part, FLOAT)?),
            None => null.clone(),
        };
        let as_of = self.moment(search.blend.as_of);
        let created_at = match parts.created_at {
            Some(part) => self.cast(part, TIME)?,
            // No row ages.
            None => self.moment(i64::MAX),
        };
        let importance = match (parts.importance, parts.importance_at) {
            (None, _) => null,
            (Some(part), None) => self.cast(part, FLOAT)?,
            (Some(part), Some(stated_at)) => format!(
                "{}({}, {}, {rate}, {as_of})",
                function(c"chrono_importance", &[float, time, float, time])?,
                self.cast(part, FLOAT)?,
                self.cast(stated_at, TIME)?
            ),
        };
        let recency_weight = self.parameters.add(search.blend.recency_weight);
        let importance_weight = self.parameters.add(search.blend.importance_weight);
        Ok(format!(
            "{}({distance}, {created_at}, {importance}, {rate}, {recency_weight}, {importance_weight}, {as_of})",
            function(
                c"chrono_score",
                &[float, time, float, float, float, float, time]
            )?
        ))
    }

    /// What rows must be.
    fn conditions(&mut self, call: Call) -> Result<Vec<String>> {
        let (search, arguments) = (self.search, &self.search.arguments);
        let mut conditions = Vec::new();
        if let Some(context) = &search.context {
            let value = match &context.value {
                ContextValue::Text(_) => self
                    .parameters
                    .add_datum(pg_sys::TEXTOID, call.datum(CONTEXT)),
                ContextValue::Uuid(uuid) => self.parameters.add(*uuid),
            };
            let column = self.column(context.part)?;
            conditions.push(format!("{column} OPERATOR(pg_catalog.=) {value}"));
        }
        let bounds = [
            (">=", arguments.since),
            ("<", arguments.until),
            ("<=", arguments.as_of),
        ];
        for (operator, bound) in bounds {
            if let (Some(bound), Some(part)) = (bound, search.parts.created_at) {
                let (column, bound) = (self.column(part)?, self.moment(bound));
                conditions.push(format!("{column} OPERATOR(pg_catalog.{operator}) {bound}"));
            }
        }
        let validity = &search.validity;
        for (operator, end) in [("<=", &validity.from), (">", &validity.to)] {
            if let Some(end) = end {
                let (end, at) = (self.of_table(end)?, self.moment(validity.at));
                let holds = format!("{end} OPERATOR(pg_catalog.{operator}) {at}");
                conditions.push(format!("({end} IS NULL OR {holds})"));
            }
        }
        Ok(conditions)
    }

    fn of_table(&self, column: &Column) -> Result<String> {
        Ok(format!(
            "{}.{}",
            self.alias,
            names::identifier(&column.name)?
        ))
    }

    fn column(&self, part: Part) -> Result<String> {
        // The vector comes first.
        let column = self.search.index.columns.get(part.attribute + 1);
        self.of_table(column.ok_or_else(|| Error::bug("a part that no column plays"))?)
    }

    fn cast(&self, part: Part, kind: &str) -> Result<String> {
        Ok(format!("CAST({} AS {kind})", self.column(part)?))
    }

    fn moment(&mut self, microseconds: i64) -> String {
        let kind = pg_sys::TIMESTAMPTZOID;
        self.parameters
            .add_datum(kind, Some(Datum::from(microseconds)))
    }
}

fn outdated() -> Error {
    Error::mistake(
        pgrx::PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "the extension in this database is older than its library",
    )
    .hint("ALTER EXTENSION chronomind UPDATE.")
}
