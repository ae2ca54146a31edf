//! `chrono_search`: the rows that matter most now, with every term that made their score.

use chronomind_core::postings::{Condition, Filter, Test};
use chronomind_core::score::{Blend, Expr, encode_int};
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::Oid;
use std::ops::Bound;

use super::arguments::Arguments;
use super::context::Context;
use super::diversity::{Likeness, Offer, Selection};
use super::roles::{Part, Parts};
use super::score::blend;
use super::statement;
use super::validity::Validity;
use crate::am::callbacks::{self, OrderedScan};
use crate::am::columns::Columns;
use crate::am::query::ScoreQuery;
use crate::am::text::QueryText;
use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::call::{Call, Rows};
use crate::pg::cursor::{self, Cursor};
use crate::pg::interrupt;
use crate::pg::row::{RowMemory, RowValue, TableRow};
use crate::pg::table::{Table, TableIndex};
use crate::preload;

/// Answers a call of the SQL function.
pub fn search(call: Call) -> Result<()> {
    preload::require()?;
    let arguments = Arguments::of(call)?;
    let mut rows = call.rows();
    let table = Table::of_row_type(call.type_of(0))?;
    table.check_readable()?;
    let is_policed = table.has_row_security();

    let (index, columns) = choose(&table, arguments.index)?;
    let parts = Parts::new(&columns, &index.columns, &arguments.names)?;
    let blend = blend(
        arguments.recency_weight,
        arguments.importance_weight,
        arguments.as_of,
    )?;
    check_parts(&blend, &parts)?;
    let context = Context::new(&arguments, &parts)?;
    let validity = Validity::new(&table, &arguments.names, blend.as_of)?;
    let filter = filter(&arguments, &parts, context.as_ref())?;
    let vector = callbacks::query_vector(call, 1, &columns)?;
    let search = Search {
        arguments,
        index,
        columns,
        parts,
        blend,
        validity,
        context,
    };
    if is_policed {
        // The planner puts the policies in.
        let (statement, parameters) = statement::make(&search, &table, call)?;
        return cursor::with_rows(&table, &statement, parameters, |found| {
            search.give(found, &mut rows)
        });
    }
    let text = QueryText {
        score: parts.score(&search.columns, &blend),
        descending: false,
        nulls_first: false,
        predicate: search.validity.predicate(&search.index, &search.columns),
        wanted: Some(Expr::from(search.arguments.wanted() as f64)),
    };
    let query = ScoreQuery {
        vector,
        text: text.to_string(),
        parameters: Vec::new(),
        filter,
    };
    let found = OrderedScan::begin(&table, &search.index, &query)?;
    search.give(found, &mut rows)
}

/// A search, understood.
pub struct Search {
    /// What was asked for.
    pub arguments: Arguments,
    /// The index whose columns play the parts.
    pub index: TableIndex,
    /// What it is made of.
    pub columns: Columns,
    /// Which column plays which part.
    pub parts: Parts,
    /// Weights and clock.
    pub blend: Blend,
    /// When rows must hold.
    pub validity: Validity,
    /// What they must be of.
    pub context: Option<Context>,
}

impl Search {
    /// Gives out the best of the rows found.
    fn give(&self, found: impl Source, rows: &mut Rows) -> Result<()> {
        let mut answers = Answers {
            search: self,
            found,
            memory: RowMemory::default(),
        };
        let arguments = &self.arguments;
        let Some(diversity) = arguments.diversity else {
            for _ in 0..arguments.k {
                let Some(answer) = answers.next()? else { break };
                rows.add(answer.memory.datum(), answer.terms);
            }
            return Ok(());
        };
        let vector = vector_column(&self.index)?;
        let element = self.columns.element;
        let likeness = Likeness::new(self.columns.metric, element);
        let mut selection = Selection::new(diversity, likeness, arguments.k as usize);
        for _ in 0..arguments.k {
            interrupt::check();
            let chosen = selection.next(|| {
                let Some(answer) = answers.next()? else {
                    return Ok(None);
                };
                Ok(Some(Offer {
                    score: answer.terms[0],
                    vector: answers.found.row().vector(vector, element)?,
                    row: answer,
                }))
            });
            let Some(answer) = chosen? else { break };
            rows.add(answer.memory.datum(), answer.terms);
        }
        Ok(())
    }
}

/// The column with the vectors that the index has.
fn vector_column(index: &TableIndex) -> Result<i16> {
    match index.columns.first() {
        Some(column) if column.number > 0 => Ok(column.number),
        _ => Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
            "diversity needs an index on a vector column",
        )
        .detail("The index is on an expression, and rows are compared by their columns.")
        .hint("Search without diversity, or name another index.")),
    }
}

/// Where the rows of a search come from, best score first.
pub trait Source {
    /// Goes to the next row: its score and its distance.
    fn next(&mut self) -> Result<Option<[Option<f64>; 2]>>;
    /// The row.
    fn row(&self) -> &TableRow;
}

impl Source for OrderedScan<'_> {
    fn next(&mut self) -> Result<Option<[Option<f64>; 2]>> {
        Ok(self.next_row().map(|found| [found.score, found.distance]))
    }

    fn row(&self) -> &TableRow {
        OrderedScan::row(self)
    }
}

impl Source for Cursor {
    fn next(&mut self) -> Result<Option<[Option<f64>; 2]>> {
        self.next_row()
    }

    fn row(&self) -> &TableRow {
        Cursor::row(self)
    }
}

/// A row of the answer: the score and its terms follow it, and the similarity.
struct Answer {
    memory: RowValue,
    terms: [Option<f64>; 5],
}

/// The rows of a search that the caller asked for, best score first.
struct Answers<'s, S> {
    search: &'s Search,
    found: S,
    memory: RowMemory,
}

impl<S: Source> Answers<'_, S> {
    fn next(&mut self) -> Result<Option<Answer>> {
        loop {
            interrupt::check();
            let Some(numbers) = self.found.next()? else {
                return Ok(None);
            };
            let (search, row) = (self.search, self.found.row());
            if self.memory.within(|| search.asks_for(row)) {
                return Ok(Some(search.answer(numbers, row)));
            }
        }
    }
}

impl Search {
    fn asks_for(&self, row: &TableRow) -> bool {
        self.validity.holds(row)
            && self
                .context
                .as_ref()
                .is_none_or(|context| context.is_in(row))
    }

    fn answer(&self, [score, distance]: [Option<f64>; 2], row: &TableRow) -> Answer {
        let parts = &self.parts;
        let rate = parts.decay_rate.and_then(|part| float(row, part));
        let importance = parts.importance.and_then(|part| float(row, part));
        let stated_at = parts.importance_at.and_then(|part| time(row, part));
        let terms = self.blend.terms(
            distance,
            match parts.created_at {
                Some(part) => time(row, part),
                None => Some(i64::MAX),
            },
            self.blend.faded(importance, stated_at, rate),
            rate,
        );
        Answer {
            memory: row.value(),
            terms: [
                score,
                distance,
                terms.recency,
                Some(terms.importance),
                // Not before version 0.3.0.
                distance.map(|distance| self.columns.metric.similarity(distance)),
            ],
        }
    }
}

fn float(row: &TableRow, part: Part) -> Option<f64> {
    match part.kind {
        AttributeType::Float4 => row.column::<f32>(part.number).map(f64::from),
        _ => row.column(part.number),
    }
}

fn time(row: &TableRow, part: Part) -> Option<i64> {
    row.column::<TimestampWithTimeZone>(part.number)
        .map(i64::from)
}

/// The index to search: the one that is named, or the oldest.
fn choose(table: &Table, named: Option<Oid>) -> Result<(TableIndex, Columns)> {
    let mut indexes = table.indexes().into_iter();
    if let Some(index) = indexes.find(|index| named.is_none_or(|named| named == index.oid())) {
        let columns = callbacks::columns_of(&index)?;
        return Ok((index, columns));
    }
    Err(table.no_index(named))
}

/// Fails where a weight has no column to weigh.
fn check_parts(blend: &Blend, parts: &Parts) -> Result<()> {
    let missing = |what: &str, weight: &str| {
        Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("the chrono index has no column for the {what}"),
        )
        .hint(format!(
            "Add one to the index, or search with {weight} => 0."
        )))
    };
    if blend.recency_weight > 0.0 && parts.created_at.is_none() {
        return missing("creation time", "recency_weight");
    }
    if blend.importance_weight > 0.0 && parts.importance.is_none() {
        return missing("importance", "importance_weight");
    }
    Ok(())
}

fn filter(arguments: &Arguments, parts: &Parts, context: Option<&Context>) -> Result<Filter> {
    let mut conditions = Vec::new();
    if let Some(context) = context {
        let attribute = context.part.attribute;
        conditions.push(Condition {
            attribute,
            test: Test::equal(context.key),
        });
    }
    let bounds = [
        arguments
            .since
            .map(|since| (Bound::Included(encode_int(since)), Bound::Unbounded)),
        arguments
            .until
            .map(|until| (Bound::Unbounded, Bound::Excluded(encode_int(until)))),
        arguments
            .as_of
            .map(|as_of| (Bound::Unbounded, Bound::Included(encode_int(as_of)))),
    ];
    for (low, high) in bounds.into_iter().flatten() {
        let Some(part) = parts.created_at else {
            return Err(Error::mistake(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                "the chrono index has no column for the creation time",
            )
            .detail("since, until and as_of are about the creation time.")
            .hint("Add a column of type timestamp with time zone to the index."));
        };
        conditions.push(Condition {
            attribute: part.attribute,
            test: Test::range(low, high),
        });
    }
    Ok(conditions.into_iter().collect())
}
