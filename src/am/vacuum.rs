//! VACUUM.
//!
//! Marks the postings of rows that are gone, on their pages and in memory, before Postgres may give
//! the rows' places to others. At the end it makes room of what is gone, and brings the neighbour lists on the pages up to date, so
//! that the next start has little to link.

use chronomind_core::graph::State;
use chronomind_core::record::{NO_NODE, Tid};
use pgrx::pg_sys;

use super::links;
use super::reclaim::reclaim;
use crate::error::Result;
use crate::pages;
use crate::pages::links::LinkWriter;
use crate::pages::tombstone::sweep;
use crate::pg::relation::Relation;
use crate::recovery::{self, Memory, Opened};

/// One in so many nodes may be without lists on the pages before these are written anew.
const LAG: u32 = 16;

/// Marks the rows that are gone.
pub fn bulk_delete(
    index: Relation,
    is_dead: &mut dyn FnMut(Tid) -> bool,
    stats: &mut pg_sys::IndexBulkDeleteResult,
) -> Result<()> {
    // Loading first: somebody who loaded during the sweep could miss tombstones behind him.
    let opened = recovery::open(index)?;
    let swept = sweep(index, is_dead, |posting| {
        if let Opened::Memory(memory) = &opened {
            memory.index.postings().mark_dead(posting);
        }
    })?;
    if let Opened::Pages = opened {
        recovery::disown(index)?;
    }
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
    if let Opened::Memory(memory) = recovery::open(index)? {
        reclaim(index, &memory)?;
        write_links(index, &memory)?;
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

/// Writes the neighbour lists where too many nodes have none on the pages.
fn write_links(index: Relation, memory: &Memory) -> Result<()> {
    let graph = memory.index.graph();
    let written = pages::snapshot(index)?.meta.linked_nodes;
    // Nodes that are live now have all their links, in both directions; one that is being linked
    // might lack those back to it when the others are written, so the lists end before it.
    let live = (0..graph.len())
        .take_while(|&node| graph.state(node) == State::Live)
        .count() as u32;
    if live.saturating_sub(written) <= live / LAG {
        return Ok(());
    }
    let mut writer = LinkWriter::begin(index)?;
    links::write(&memory.index, live, &mut writer)?;
    writer.finish(graph.entry().map_or(NO_NODE, |entry| entry.id))
}
