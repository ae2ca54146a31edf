//! The door of `chrono_stats`.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{direct_function_call, name, pg_extern};

use super::checking::open_index;
use super::open;
use crate::am::hook_watch;
use crate::am::stats::{self, State, Stats};
use crate::error::{OrRaise, Result};
use crate::pg::{replay, shards};

#[pg_extern(sql = false)]
#[expect(clippy::type_complexity, reason = "the columns of its table")]
fn chrono_stats(
    index: Oid,
) -> TableIterator<
    'static,
    (
        name!(state, &'static str),
        name!(rows, Option<i64>),
        name!(dead_rows, Option<i64>),
        name!(vectors, Option<i64>),
        name!(free_vectors, Option<i64>),
        name!(layers, Option<i32>),
        name!(memory_bytes, i64),
        name!(disk_bytes, i64),
        name!(scans, i64),
        name!(planner_asks, bool),
    ),
> {
    let found = of_index(index).or_raise();
    TableIterator::new(found.into_iter().map(move |(stats, blocks)| {
        let counts = stats.counts;
        let number = Some(Datum::from(index));
        // SAFETY: a function of one identifier, which is 0 for one that has not been scanned.
        let scans = unsafe { direct_function_call::<i64>(pg_sys::pg_stat_get_numscans, &[number]) };
        (
            stats.state.name(),
            counts.map(|counts| counts.rows as i64),
            counts.map(|counts| counts.dead_rows as i64),
            counts.map(|counts| i64::from(counts.vectors)),
            counts.map(|counts| i64::from(counts.free_vectors)),
            counts.map(|counts| counts.layers as i32),
            stats.memory_bytes as i64,
            i64::from(blocks) * i64::from(pg_sys::BLCKSZ),
            scans.unwrap_or_default(),
            // Not before version 0.3.0.
            !hook_watch::is_replaced(),
        )
    }))
}

/// What an index is made of, and how many blocks it has on disk. `None` for one that has just been dropped.
fn of_index(index: Oid) -> Result<Option<(Stats, u32)>> {
    // SAFETY: the index is open and locked. The table need not be locked first, because nothing is locked
    // after the index.
    unsafe {
        let Some(raw) = open_index(index)? else {
            return Ok(None);
        };
        let (relation, _) = open(raw)?;
        let is_unlogged = (*(*raw).rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_UNLOGGED;
        let has_pages = !(is_unlogged && replay::is_in_progress());
        let nothing = |state| Stats {
            state,
            counts: None,
            memory_bytes: 0,
        };
        let form = &*(*raw).rd_index;
        let stats = if shards::has_shards(form.indrelid) {
            nothing(State::InShards)
        } else if form.indisready && has_pages {
            stats::stats(relation)?
        } else {
            nothing(State::Unbuilt)
        };
        let blocks = if has_pages { relation.blocks() } else { 0 };
        pg_sys::relation_close(raw, pg_sys::AccessShareLock as i32);
        Ok(Some((stats, blocks)))
    }
}
