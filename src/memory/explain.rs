//! `chrono_explain`: what the scans of a query did, and the proof that they missed nothing.
//!
//! A search gives out a row when no row that it has not looked at can come before it. How much it
//! looked at, and what the bound of the rest was in the end, is in no plan; this tells it.

use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern, pg_sys::Oid};

use crate::am::recording::{Record, Recording};
use crate::error::OrRaise;
use crate::pg::{policies, statement};

/// Runs a SELECT and returns a row for each time that an index was scanned.
#[expect(clippy::type_complexity, reason = "the columns of the result")]
#[pg_extern(sql = false)]
fn chrono_explain(
    query: &[u8],
) -> TableIterator<
    'static,
    (
        name!(index, Oid),
        name!(rows_near, Option<i64>),
        name!(rows_in_zones, Option<i64>),
        name!(zones_visited, Option<i64>),
        name!(zones, Option<i64>),
        name!(rows_given, Option<i64>),
        name!(last_score, Option<f64>),
        name!(bound, Option<f64>),
    ),
> {
    let recording = Recording::start();
    statement::run_select(query).or_raise();
    let rows = recording.take().into_iter().map(|record: Record| {
        // A score gives away the vector of a row that may not be read, and so does a count of those that
        // are nearer to a query than the first that may.
        let open = policies::may_read_all(record.index);
        let count = |count: u64| open.then_some(count as i64);
        (
            record.index,
            count(record.near_rows),
            count(record.zone_rows),
            count(record.zones_visited),
            count(record.zones),
            count(record.given),
            record.last_score.filter(|_| open),
            record.bound.filter(|_| open),
        )
    });
    TableIterator::new(rows)
}
