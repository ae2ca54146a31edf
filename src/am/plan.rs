//! What a scan has to do, understood once, for memory and for pages alike.

use chronomind_core::postings::Filter;
use chronomind_core::score::{Batch, BlendOrder, Bounds, Nearest, Order as Score};

use super::query::ScoreQuery;
use super::request::{Order, Request};
use crate::error::Result;

/// Rows that a scan is expected to be asked for when nobody says.
const WANTED: usize = 10;

/// What a scan has to do, whatever it reads from.
pub struct Plan {
    /// The query vector's bytes, `None` for NULL.
    pub vector: Option<Vec<u8>>,
    /// What rows are ranked by.
    pub ordering: Ordering,
    /// What their attributes must be.
    pub filter: Filter,
    /// How many rows will probably be asked for.
    pub wanted: usize,
}

impl Plan {
    /// Understands what Postgres asks for.
    pub fn new(request: Request) -> Result<Plan> {
        let filter = request.filter;
        let (vector, ordering) = match request.order {
            Order::None => (None, Ordering::Unordered),
            Order::Null => (None, Ordering::Nearest(Nearest)),
            Order::Distance(vector) => (Some(vector), Ordering::Nearest(Nearest)),
            Order::Score(bytes) => {
                let query = ScoreQuery::decode(&bytes)?;
                let ordering = Ordering::Blend(query.order);
                // Postgres counts its own conditions as met.
                let filter = filter.and(query.filter);
                return Ok(Plan {
                    vector: query.vector,
                    ordering,
                    filter,
                    wanted: query.wanted,
                });
            }
        };
        Ok(Plan {
            vector,
            ordering,
            filter,
            wanted: WANTED,
        })
    }
}

/// What rows are ranked by.
#[derive(Debug, Clone, Copy)]
pub enum Ordering {
    /// Nothing: every order is right.
    Unordered,
    /// The distance.
    Nearest(Nearest),
    /// The standard blend.
    Blend(BlendOrder),
}

impl Score for Ordering {
    fn attributes(&self) -> u32 {
        match self {
            Ordering::Unordered => 0,
            Ordering::Nearest(order) => order.attributes(),
            Ordering::Blend(order) => order.attributes(),
        }
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        match self {
            Ordering::Unordered => ranks.fill(0),
            Ordering::Nearest(order) => order.ranks(rows, ranks),
            Ordering::Blend(order) => order.ranks(rows, ranks),
        }
    }

    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64 {
        match self {
            Ordering::Unordered => 0,
            Ordering::Nearest(order) => order.bound(nearest, zone),
            Ordering::Blend(order) => order.bound(nearest, zone),
        }
    }

    fn score(&self, rank: u64) -> Option<f64> {
        match self {
            Ordering::Unordered => None,
            Ordering::Nearest(order) => order.score(rank),
            Ordering::Blend(order) => order.score(rank),
        }
    }
}
