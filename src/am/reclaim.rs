//! What vacuum gives back: the room of rows that are gone.
//!
//! All of it is done in memory, under the meta page's lock where an insert must not come between, a
//! few nodes or blocks at a time. Nothing remembers how far it came: which postings are dead says what
//! is still to be done, so that the next vacuum goes on where a cancelled one stopped.

use chronomind_core::epoch::Epochs;
use chronomind_core::graph::Inserter;
use chronomind_core::index::Index;
use chronomind_core::postings::bits;

use crate::error::Result;
use crate::pages::append::while_nobody_appends;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::Relation;
use crate::pg::wait::patience;
use crate::recovery::Memory;
use crate::shmem;

/// Nodes, or blocks, done under one lock.
const BATCH: usize = 64;

/// Makes room of what is dead.
pub fn reclaim(index: Relation, memory: &Memory) -> Result<()> {
    let (graph, postings) = (memory.index.graph(), memory.index.postings());
    retire(index, memory);
    postings.count_cut();
    let mut interrupt = || {
        interrupt::vacuum_delay();
        fault::at(Point::ReclaimUnlinking);
        false
    };
    let freed = graph.unlink(
        shmem::epochs()?,
        &mut Inserter::default(),
        &mut interrupt,
        &mut patience(),
    )?;
    memory.index.add_drift(freed);
    fault::at(Point::ReclaimUnlinked);
    let sparse = sparse_blocks(memory);
    if !sparse.is_empty() && has_passed(shmem::epochs()?) {
        for batch in sparse.chunks(BATCH) {
            interrupt::vacuum_delay();
            while_nobody_appends(index, || {
                batch.iter().for_each(|&number| postings.free_block(number));
            });
            fault::at(Point::ReclaimFreed);
        }
    }
    Ok(())
}

/// Blocks that have memory, in order.
fn blocks(index: &Index<'static>) -> u32 {
    let postings = index.postings();
    (0..)
        .take_while(|&number| postings.block(number).is_some())
        .count() as u32
}

/// Takes the dead out of the chains of their nodes, and the life of those that have no rows left.
fn retire(index: Relation, memory: &Memory) {
    let (graph, postings) = (memory.index.graph(), memory.index.postings());
    let mut nodes = Vec::new();
    let cut = |nodes: &mut Vec<u32>| {
        interrupt::vacuum_delay();
        nodes.sort_unstable();
        nodes.dedup();
        while_nobody_appends(index, || {
            for &node in nodes.iter() {
                // A row that memory lacks may be one of the node.
                if postings.cut(graph.postings_of(node)) && memory.is_complete() {
                    graph.retire(node);
                }
            }
        });
        nodes.clear();
        fault::at(Point::ReclaimCut);
    };
    for number in 0..blocks(&memory.index) {
        let Some(block) = postings.block(number) else {
            break;
        };
        nodes.extend(bits(block.dead()).filter_map(|slot| block.node(slot)));
        if nodes.len() >= BATCH {
            cut(&mut nodes);
        }
    }
    cut(&mut nodes);
}

/// Waits until nobody looks at what was out of reach before. False when somebody does not stop.
fn has_passed(epochs: Epochs<'static>) -> bool {
    let stamp = epochs.stamp();
    let mut pause = patience();
    loop {
        epochs.try_advance();
        epochs.try_advance();
        if epochs.is_safe(stamp) {
            return true;
        }
        if !pause() {
            return false;
        }
    }
}

/// The blocks of which half of the postings are dead, or more. From the end, so that the first are given out first.
fn sparse_blocks(memory: &Memory) -> Vec<u32> {
    let postings = memory.index.postings();
    let all = (0..blocks(&memory.index)).rev();
    all.filter(|&number| postings.is_sparse(number)).collect()
}
