//! What a scan has to do, understood once, for memory and for pages alike.

use chronomind_core::distance::{Metric, decode};
use chronomind_core::postings::Filter;
use chronomind_core::score::{
    Batch, Bounds, Boxes, CompileError, Distances, Expr, Nearest, Order as Score, Parts, Program,
    Ranking,
};

use super::columns::Columns;
use super::generous::{generous_by, inner_product_error};
use super::query::ScoreQuery;
use super::request::{Order, Request};
use super::text::QueryText;
use crate::error::{Error, Result};

/// Rows that a scan is expected to be asked for when nobody says.
const WANTED: usize = 10;

/// Whoever asks for more rows than these asks for all.
const MAX_WANTED: usize = u32::MAX as usize;

/// A box without attributes.
const ANYWHERE: Bounds<'static> = Bounds {
    low: &[],
    high: &[],
    nulls: 0,
    null_distance: false,
    nan_distance: false,
};

/// What a scan has to do, whatever it reads from.
pub struct Plan {
    /// The query vector's bytes, `None` for NULL.
    pub vector: Option<Vec<u8>>,
    /// What rows are ranked by.
    pub ordering: Ordering,
    /// What their attributes must be.
    pub filter: Filter,
    /// What is true of the rows, distance included. Postgres looks at it again, so that a scan may
    /// ignore it.
    pub condition: Option<Program>,
    /// How many rows will probably be asked for; those of an index that has no more are given out in full.
    pub wanted: usize,
}

impl Plan {
    /// Understands what Postgres asks for, of an index with these columns and vectors of that length at
    /// most. Fails where a query vector or a score does not fit them.
    pub fn new(request: Request, columns: &Columns, longest: f32) -> Result<Plan> {
        let (vector, ordering) = match request.order {
            Order::None => (None, Ordering::Unordered),
            Order::Null => (None, Ordering::Nearest(Nearest)),
            Order::Distance(vector) => (Some(vector), Ordering::Nearest(Nearest)),
            Order::Score(bytes) => {
                let query = ScoreQuery::decode(&bytes)?;
                return Plan::of_score(query, request.filter, request.rows, columns, longest);
            }
        };
        Ok(Plan {
            vector,
            ordering,
            filter: request.filter,
            condition: None,
            wanted: request.rows.unwrap_or(WANTED),
        })
    }

    fn of_score(
        query: ScoreQuery,
        filter: Filter,
        rows: Option<usize>,
        columns: &Columns,
        longest: f32,
    ) -> Result<Plan> {
        if let Some(vector) = &query.vector {
            columns.check_bytes(vector)?;
        }
        let text: QueryText = query.text.parse()?;
        let resolve = |name: &str| {
            let attribute = columns.names.iter().position(|known| known == name)?;
            Some((attribute, columns.attributes[attribute].kind()))
        };
        let compile = |expr: &Expr| {
            Program::compile(expr, columns.metric, resolve, &query.parameters).map_err(unfit)
        };
        let wanted = match (rows, &text.wanted) {
            (Some(rows), _) => rows,
            (None, Some(wanted)) => {
                // The same for every row, so that no attribute is known.
                let rows = Program::compile(wanted, columns.metric, |_| None, &query.parameters)
                    .map_err(unfit)?
                    .range(0.0, &ANYWHERE);
                if rows.has_numbers() {
                    (rows.low as usize).min(MAX_WANTED)
                } else {
                    WANTED
                }
            }
            (None, None) => WANTED,
        };
        let ranking = Ranking {
            program: compile(&text.score)?,
            descending: text.descending,
            nulls_first: text.nulls_first,
        };
        let predicate = match (columns.metric, &query.vector) {
            (Metric::InnerProduct, Some(vector)) => {
                let mut elements = vec![0.0; columns.dimensions as usize];
                decode(columns.element, vector, &mut elements);
                let error = inner_product_error(&elements, longest);
                text.predicate.and_then(|all| generous_by(&all, error))
            }
            _ => text.predicate,
        };
        Ok(Plan {
            ordering: Ordering::Score(Box::new(ranking)),
            filter: filter.and(query.filter),
            condition: predicate.as_ref().map(compile).transpose()?,
            vector: query.vector,
            wanted,
        })
    }
}

fn unfit(error: CompileError) -> Error {
    Error::invalid(error.to_string())
}

/// What rows are ranked by.
#[derive(Debug, Clone)]
pub enum Ordering {
    /// Nothing: every order is right.
    Unordered,
    /// The distance.
    Nearest(Nearest),
    /// A score.
    Score(Box<Ranking>),
}

impl Score for Ordering {
    fn attributes(&self) -> u32 {
        match self {
            Ordering::Unordered => 0,
            Ordering::Nearest(order) => order.attributes(),
            Ordering::Score(order) => order.attributes(),
        }
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        match self {
            Ordering::Unordered => ranks.fill(0),
            Ordering::Nearest(order) => order.ranks(rows, ranks),
            Ordering::Score(order) => order.ranks(rows, ranks),
        }
    }

    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64 {
        match self {
            Ordering::Unordered => 0,
            Ordering::Nearest(order) => order.bound(nearest, zone),
            Ordering::Score(order) => order.bound(nearest, zone),
        }
    }

    fn parts(&self, boxes: &Boxes<'_>, parts: &mut Parts) {
        if let Ordering::Score(order) = self {
            order.parts(boxes, parts);
        }
    }

    fn parts_of_rows(&self, rows: &Batch<'_>, parts: &mut Parts) {
        if let Ordering::Score(order) = self {
            order.parts_of_rows(rows, parts);
        }
    }

    fn bounds(&self, parts: &Parts, distances: &Distances<'_>, bounds: &mut [u64]) {
        match self {
            Ordering::Unordered => bounds.fill(0),
            Ordering::Nearest(order) => order.bounds(parts, distances, bounds),
            Ordering::Score(order) => order.bounds(parts, distances, bounds),
        }
    }

    fn score(&self, rank: u64) -> Option<f64> {
        match self {
            Ordering::Unordered => None,
            Ordering::Nearest(order) => order.score(rank),
            Ordering::Score(order) => order.score(rank),
        }
    }
}
