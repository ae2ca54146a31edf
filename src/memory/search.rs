//! `chrono_search`: the rows that matter most now, with every term that made their score.

use chronomind_core::postings::{Condition, Filter, Test};
use chronomind_core::scan::Found;
use chronomind_core::score::{AttributeKind, Blend, Expr, encode_int};
use pgrx::PgSqlErrorCode;
use pgrx::datum::{TimestampWithTimeZone, Uuid};
use pgrx::pg_sys::{Datum, Oid};
use std::ops::Bound;

use super::diversity::{self, Likeness, Offer, Selection};
use super::roles::{Names, Part, Parts};
use super::score::blend;
use super::validity::Validity;
use crate::am::callbacks::{self, OrderedScan};
use crate::am::columns::Columns;
use crate::am::query::ScoreQuery;
use crate::am::text::QueryText;
use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::call::Call;
use crate::pg::table::{Table, TableIndex};
use crate::pg::{datum, interrupt, policies};
use crate::preload;

/// What to do about a wrong k.
const K: &str = "k is the number of rows to return.";

/// The arguments, in the order of the SQL declaration.
struct Arguments {
    k: i32,
    context: Option<String>,
    since: Option<i64>,
    until: Option<i64>,
    as_of: Option<i64>,
    recency_weight: Option<f64>,
    importance_weight: Option<f64>,
    index: Option<Oid>,
    names: Names,
    diversity: Option<f64>,
}

impl Arguments {
    fn of(call: Call) -> Result<Arguments> {
        let time = |number| {
            call.argument::<TimestampWithTimeZone>(number)
                .map(i64::from)
        };
        let k: i32 = call
            .argument(2)
            .ok_or_else(|| Error::invalid("k must not be NULL").hint(K))?;
        if k < 1 {
            return Err(Error::invalid("k must be at least 1")
                .detail(format!("It is {k}."))
                .hint(K));
        }
        let diversity = call.argument(17);
        check_diversity(diversity, k)?;
        Ok(Arguments {
            k,
            context: call.argument(3),
            since: time(4),
            until: time(5),
            as_of: time(6),
            recency_weight: call.argument(7),
            importance_weight: call.argument(8),
            index: call.argument(9),
            names: Names {
                created_at: call.argument(10),
                importance: call.argument(11),
                decay_rate: call.argument(12),
                context: call.argument(13),
                // Not before version 0.2.0.
                importance_at: call.argument(14),
                valid_from: call.argument(15),
                valid_to: call.argument(16),
            },
            diversity,
        })
    }

    /// How many rows the scan should expect to give.
    fn wanted(&self) -> usize {
        // k is positive.
        let k = self.k as usize;
        self.diversity.map_or(k, |_| diversity::pool(k))
    }
}

fn check_diversity(diversity: Option<f64>, k: i32) -> Result<()> {
    let Some(share) = diversity else {
        return Ok(());
    };
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::invalid("diversity must be between 0 and 1")
            .detail(format!("It is {share}."))
            .hint("It is a share: 0 asks for the best rows alone, 1 for rows unlike each other."));
    }
    if k > diversity::MOST_ROWS {
        return Err(Error::invalid(format!(
            "k must be at most {} with diversity",
            diversity::MOST_ROWS
        ))
        .detail(format!(
            "It is {k}, and every row is compared with all candidates."
        ))
        .hint(K));
    }
    Ok(())
}

/// Answers a call of the SQL function.
pub fn search(call: Call) -> Result<()> {
    preload::require()?;
    let arguments = Arguments::of(call)?;
    let mut rows = call.rows();
    let table = Table::of_row_type(call.type_of(0))?;
    table.check_readable()?;
    let policies = table
        .has_row_security()
        .then(|| policies::Probe::new(table.qualified_name()));

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
    let text = QueryText {
        score: parts.score(&columns, &blend),
        descending: false,
        nulls_first: false,
        predicate: validity.predicate(&index),
        wanted: Some(Expr::from(arguments.wanted() as f64)),
    };
    let query = ScoreQuery {
        vector: callbacks::query_vector(call, 1, &columns)?,
        text: text.to_string(),
        parameters: Vec::new(),
        filter: filter(&arguments, &parts, context.as_ref())?,
    };

    let mut answers = Answers {
        scan: OrderedScan::begin(&table, &index, &query)?,
        parts,
        blend,
        validity,
        context,
        policies,
    };
    let Some(diversity) = arguments.diversity else {
        for _ in 0..arguments.k {
            let Some(answer) = answers.next() else { break };
            rows.add(answer.memory, answer.terms);
        }
        return Ok(());
    };
    let vector = vector_column(&index)?;
    let likeness = Likeness::new(columns.metric, columns.element);
    let mut selection = Selection::new(diversity, likeness, arguments.k as usize);
    for _ in 0..arguments.k {
        interrupt::check();
        let chosen = selection.next(|| {
            let Some(answer) = answers.next() else {
                return Ok(None);
            };
            Ok(Some(Offer {
                score: answer.terms[0],
                vector: answers.scan.vector(vector, columns.element)?,
                row: answer,
            }))
        });
        let Some(answer) = chosen? else { break };
        rows.add(answer.memory, answer.terms);
    }
    Ok(())
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

/// A row of the answer: the score and its terms follow it.
struct Answer {
    memory: Datum,
    terms: [Option<f64>; 4],
}

/// The rows of a search that the caller asked for and may see, best score first.
struct Answers<'t> {
    scan: OrderedScan<'t>,
    parts: Parts,
    blend: Blend,
    validity: Validity,
    context: Option<Context>,
    policies: Option<policies::Probe>,
}

impl Answers<'_> {
    fn next(&mut self) -> Option<Answer> {
        loop {
            interrupt::check();
            let found = self.scan.next_row()?;
            if self.is_wanted() {
                return Some(self.answer(found));
            }
        }
    }

    fn is_wanted(&self) -> bool {
        let (scan, context, policies) = (&self.scan, &self.context, &self.policies);
        self.validity.holds(scan)
            && context.as_ref().is_none_or(|context| context.is_in(scan))
            && policies
                .as_ref()
                .is_none_or(|policies| policies.lets_see(scan.tid()))
    }

    fn answer(&self, found: Found) -> Answer {
        let (scan, parts) = (&self.scan, &self.parts);
        let rate = parts.decay_rate.and_then(|part| float(scan, part));
        let importance = parts.importance.and_then(|part| float(scan, part));
        let stated_at = parts.importance_at.and_then(|part| time(scan, part));
        let terms = self.blend.terms(
            found.distance,
            match parts.created_at {
                Some(part) => time(scan, part),
                None => Some(i64::MAX),
            },
            self.blend.faded(importance, stated_at, rate),
            rate,
        );
        Answer {
            memory: scan.row(),
            terms: [
                found.score,
                found.distance,
                terms.recency,
                Some(terms.importance),
            ],
        }
    }
}

fn float(scan: &OrderedScan<'_>, part: Part) -> Option<f64> {
    match part.kind {
        AttributeType::Float4 => scan.column::<f32>(part.number).map(f64::from),
        _ => scan.column(part.number),
    }
}

fn time(scan: &OrderedScan<'_>, part: Part) -> Option<i64> {
    scan.column::<TimestampWithTimeZone>(part.number)
        .map(i64::from)
}

/// The index to search: the one that is named, or the oldest.
fn choose(table: &Table, named: Option<Oid>) -> Result<(TableIndex, Columns)> {
    let mut indexes = table.indexes().into_iter();
    if let Some(index) = indexes.find(|index| named.is_none_or(|named| named == index.oid())) {
        let columns = callbacks::columns_of(&index)?;
        return Ok((index, columns));
    }
    let which = if named.is_some() {
        "such chrono"
    } else {
        "chrono"
    };
    Err(Error::mistake(
        PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
        format!("table \"{}\" has no {which} index", table.name()),
    )
    .detail("An index counts when it is valid, has no WHERE clause, and is not too young for a transaction that began before it.")
    .hint(format!(
        "CREATE INDEX ON {} USING chrono (embedding vector_cosine_ops, created_at, ...) makes one.",
        table.qualified_name()
    )))
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

/// The context that rows must be of. The index knows its hash; the rows themselves have the last
/// word.
struct Context {
    part: Part,
    key: u64,
    value: ContextValue,
}

enum ContextValue {
    Text(String),
    Uuid(Uuid),
}

impl Context {
    fn new(arguments: &Arguments, parts: &Parts) -> Result<Option<Context>> {
        let Some(text) = &arguments.context else {
            return Ok(None);
        };
        let part = parts.context.ok_or_else(|| {
            Error::mistake(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                "the chrono index has no column for the context",
            )
            .hint("Add a text or uuid column to the index, or search without a context.")
        })?;
        debug_assert_eq!(part.kind.kind(), AttributeKind::Hash);
        let (key, value) = match part.kind {
            AttributeType::Uuid => {
                let uuid = datum::parse_uuid(text);
                (datum::hash(uuid.as_bytes()), ContextValue::Uuid(uuid))
            }
            _ => (
                datum::hash(text.as_bytes()),
                ContextValue::Text(text.clone()),
            ),
        };
        Ok(Some(Context { part, key, value }))
    }

    fn is_in(&self, scan: &OrderedScan<'_>) -> bool {
        match &self.value {
            ContextValue::Text(text) => {
                scan.column::<String>(self.part.number).as_ref() == Some(text)
            }
            ContextValue::Uuid(uuid) => {
                scan.column::<Uuid>(self.part.number).as_ref() == Some(uuid)
            }
        }
    }
}
