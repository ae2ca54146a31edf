//! VACUUM.
//!
//! Marks the postings of rows that are gone, on their pages and in memory, before Postgres may give
//! the rows' places to others. At the end it makes room of what is gone, and brings the neighbour lists on the pages up to date, so
//! that the next start has little to link.

use chronomind_core::record::{Kind, NO_NODE, PAYLOAD, Tid};
use pgrx::pg_sys;

use super::links;
use super::reclaim::reclaim;
use crate::error::Result;
use crate::pages;
use crate::pages::links::LinkWriter;
use crate::pages::tombstone::sweep;
use crate::pg::fault::{self, Point};
use crate::pg::relation::Relation;
use crate::recovery::{self, Memory, Opened, Others};

/// One in so many nodes may have come or gone before the lists on the pages are written anew.
const LAG: u32 = 16;

/// Marks the rows that are gone.
pub fn bulk_delete(
    index: Relation,
    is_dead: &mut dyn FnMut(Tid) -> bool,
    stats: &mut pg_sys::IndexBulkDeleteResult,
) -> Result<()> {
    // Loading first: what somebody loads during the sweep lacks the tombstones behind him.
    recovery::hurry(index)?;
    let opened = recovery::open(index)?;
    let others = Others::of(index)?;
    let swept = sweep(index, is_dead, |postings| match &opened {
        Opened::Memory(memory) if !memory.is_retired() => {
            let all = memory.index.postings();
            for &posting in postings {
                all.mark_dead(posting);
            }
        }
        // At once, since the vacuum may be cancelled before its end.
        Opened::Memory(_) | Opened::Pages => others.have_missed(),
    })?;
    fault::at(Point::SweepDone);
    // An index that has become unfit meanwhile is loaded again at the end, if nobody has its memory in use.
    recovery::let_go_of(index)?;
    stats.num_index_tuples = swept.live as f64;
    stats.tuples_removed += swept.buried as f64;
    Ok(())
}

/// Ends a vacuum.
pub fn cleanup(
    index: Relation,
    was_swept: bool,
    stats: &mut pg_sys::IndexBulkDeleteResult,
) -> Result<()> {
    recovery::hurry(index)?;
    if let Opened::Memory(memory) = recovery::open(index)? {
        reclaim(index, &memory)?;
        write_links(index, &memory)?;
        stats.pages_free = free_pages(index, &memory)?;
        if !was_swept {
            let (published, dead) = memory.index.postings().counts();
            stats.num_index_tuples = (published - dead) as f64;
        }
    } else if !was_swept {
        stats.estimated_count = true;
        stats.num_index_tuples = f64::from(pages::snapshot(index)?.postings);
    }
    stats.num_pages = index.blocks();
    Ok(())
}

/// How many pages the places would fill that are free.
fn free_pages(index: Relation, memory: &Memory) -> Result<u32> {
    let snapshot = pages::snapshot(index)?;
    let (published, _) = memory.index.postings().counts();
    let postings = u64::from(snapshot.postings).saturating_sub(published);
    let nodes = u64::from(memory.index.graph().free_nodes());
    let layout = &snapshot.layout;
    let bytes = nodes * layout.vector_bytes() as u64
        + postings * layout.record_bytes(Kind::Postings) as u64;
    Ok((bytes / PAYLOAD as u64) as u32)
}

/// Writes the neighbour lists where too many nodes have come or gone since the last time.
fn write_links(index: Relation, memory: &Memory) -> Result<()> {
    let graph = memory.index.graph();
    let (nodes, drift) = (graph.len(), memory.index.drift());
    if drift <= nodes / LAG {
        return Ok(());
    }
    let mut writer = LinkWriter::begin(index)?;
    links::write(&memory.index, nodes, &mut writer)?;
    writer.finish(graph.entry().map_or(NO_NODE, |entry| entry.id))?;
    memory.index.end_drift(drift);
    Ok(())
}
