//! One pass over an index's pages into memory.
//!
//! No distance is computed for nodes whose lists are on the pages, unless lists of different ages
//! disagree on a node's place in the graph's spanning tree: then it is given one. What was appended
//! after the lists were written, and whatever a crash left without a list, is linked as an insert would.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use chronomind_core::graph::{Graph, Inserter, State};
use chronomind_core::index::Index;
use chronomind_core::postings::{BLOCK, Place};
use chronomind_core::record::{Flags, Item, PostingView};
use chronomind_core::score::Row;

use super::{config, expect_incarnation, follow, reclaim};
use crate::error::{Error, Result};
use crate::pages;
use crate::pages::walk::walk;
use crate::pg::fault::{self, Point};
use crate::pg::relation::Relation;
use crate::pg::{interrupt, notice, settings, threads};
use crate::shmem;
use crate::shmem::level::KEPT;
use crate::shmem::registry::{Claim, Key};

/// Loads the claimed index and makes it ready, or unfit where memory is too small.
pub fn load(relation: Relation, key: &Key, claim: Claim) -> Result<()> {
    reclaim()?;
    let region = shmem::region()?;
    // Before the first page is read: what is replayed meanwhile may be missed.
    let level = follow::wanted_level();
    fault::at(Point::LoadClaimed);
    match fill(relation, key, &claim, level) {
        Ok(()) => {
            if claim.ready(level) {
                notice::fits_again(&relation.name());
            }
            Ok(())
        }
        Err(Filling::Failed(error)) => Err(error),
        Err(lack) => {
            let too_few = claim.too_few(region);
            fault::at(Point::LoadFull);
            let place = claim.unfit(region, too_few);
            if place.should_warn() {
                lack.tell(relation);
            }
            Ok(())
        }
    }
}

/// Why an index is not in memory.
pub(super) enum Filling {
    /// Memory is too small.
    Full,
    /// It has more records than memory has numbers for, however large it is.
    TooMany,
    /// Something else went wrong.
    Failed(Error),
}

impl Filling {
    /// What memory lacks, if that is why something failed.
    fn lack(error: &chronomind_core::Error) -> Option<Filling> {
        match error {
            chronomind_core::Error::OutOfMemory { .. } => Some(Filling::Full),
            chronomind_core::Error::TooManyRecords => Some(Filling::TooMany),
            _ => None,
        }
    }

    /// Warns that an index is searched on its pages.
    pub(super) fn tell(&self, index: Relation) {
        match self {
            Filling::Full => notice::does_not_fit(&index.name()),
            Filling::TooMany => notice::has_too_many_rows(&index.name()),
            Filling::Failed(_) => {}
        }
    }
}

impl From<Error> for Filling {
    fn from(error: Error) -> Filling {
        Filling::Failed(error)
    }
}

impl From<chronomind_core::Error> for Filling {
    fn from(error: chronomind_core::Error) -> Filling {
        Filling::lack(&error).unwrap_or_else(|| Filling::Failed(error.into()))
    }
}

fn fill(
    relation: Relation,
    key: &Key,
    claim: &Claim,
    level: u64,
) -> std::result::Result<(), Filling> {
    let snapshot = pages::snapshot(relation)?;
    expect_incarnation(relation, &snapshot, key.incarnation)?;
    let definition = &snapshot.meta.definition;
    let index = Index::create(shmem::region()?, config(definition))?;
    claim.set_root(&index);

    let graph = index.graph();
    let mut upper_lists: Vec<(u32, u32, Vec<u32>)> = Vec::new();
    let mut keys = vec![0; definition.attributes.len()];
    let mut lack = None;
    // Memory that has run out is noted, not raised: it is no error of the statement.
    let mut guard = |result: chronomind_core::Result<()>| -> Result<()> {
        lack = lack
            .take()
            .or(result.as_ref().err().and_then(Filling::lack));
        Ok(result?)
    };
    let walked = walk(relation, None, &snapshot, |item| match item {
        Item::Vector { node, bytes } => {
            guard(fault::claim(Point::LoadMemory))?;
            guard(graph.reserve(node).map(|upper| {
                graph.store(node, upper, bytes);
            }))
        }
        Item::Page {
            kind,
            sequence,
            block,
        } => guard(index.pages().add(pages::segment(kind), sequence, block)),
        // Its place may be given to another at any time.
        Item::Posting { id, posting } if level != KEPT && posting.flags().contains(Flags::DEAD) => {
            guard(index.postings().reserve(id))
        }
        Item::Posting { id, posting } => guard(publish(&index, id, posting, &mut keys)),
        Item::Links { node, slots } => guard(graph.reserve_record(node).map(|()| {
            graph.restore_list(node, 0, slots, snapshot.nodes);
        })),
        Item::Upper(upper) => {
            upper_lists.push((upper.node, upper.layer, upper.slots.to_vec()));
            Ok(())
        }
    });
    if let Some(lack) = lack {
        return Err(lack);
    }
    walked?;
    let postings = index.postings();
    // From the end, so that the first are given out first.
    (0..snapshot.postings / BLOCK as u32)
        .rev()
        .filter(|&number| postings.is_sparse(number))
        .for_each(|number| postings.free_block(number));
    let mut slots = Vec::new();
    for (node, layer, upper) in upper_lists {
        if node < snapshot.nodes && layer > 0 {
            // One without a list on layer 0 has taken the place of another.
            graph.copy_links(node, 0, &mut slots);
            if slots.iter().any(|&slot| slot != 0) {
                graph.restore_list(node, layer, &upper, snapshot.nodes);
            }
        }
    }
    let has_rows = |node: u32| postings.chain(graph.postings_of(node)).next().is_some();
    (0..snapshot.nodes)
        .rev()
        .filter(|&node| !has_rows(node))
        .for_each(|node| graph.vacate(node));
    let linked = snapshot.meta.linked_nodes.min(snapshot.nodes);
    let has_no_list = |&id: &u32| id >= linked || !graph.finish_restore(id);
    let unlinked: Vec<u32> = (0..snapshot.nodes)
        .filter(|&node| graph.state(node) == State::Stored)
        .filter(has_no_list)
        .collect();
    index.add_drift(unlinked.len() as u32);
    // First, because whoever is linked trusts the marks of the tree.
    reconnect(graph)?;
    fault::at(Point::LoadRestored);
    if level != KEPT {
        follow::forget_free_places(&index);
    }
    link(&index, &unlinked)?;
    fault::at(Point::LoadLinked);
    Ok(())
}

/// Adds a posting, whose node is in memory or will be.
pub(super) fn publish(
    index: &Index<'static>,
    id: u32,
    posting: PostingView<'_>,
    keys: &mut [u64],
) -> chronomind_core::Result<()> {
    index.postings().reserve(id)?;
    let flags = posting.flags();
    if flags.contains(Flags::DEAD) {
        // Its node may be another row's by now.
        index.postings().enter_dead(id);
        return Ok(());
    }
    let place = if posting.has_node() {
        index.graph().reserve_record(posting.node())?;
        index.place(posting.node())
    } else if flags.contains(Flags::NO_DISTANCE) {
        Place::NoDistance
    } else {
        Place::NullVector
    };
    keys.iter_mut()
        .zip(posting.keys())
        .for_each(|(slot, key)| *slot = key);
    let row = Row {
        keys,
        nulls: posting.nulls(),
    };
    let tid = posting.tid().pack();
    if !index.postings().publish(id, tid, place, &row) {
        return Err(chronomind_core::Error::Inconsistent {
            what: "a posting comes into a place that is taken",
            id,
        });
    }
    Ok(())
}

/// Links the nodes that have no lists, on threads where there are many.
pub(super) fn link(index: &Index<'static>, nodes: &[u32]) -> Result<()> {
    /// Below this the start of a thread is not worth it.
    const FEW: usize = 512;
    let graph = *index.graph();
    if nodes.len() < FEW {
        let mut inserter = Inserter::default();
        for &node in nodes {
            interrupt::check();
            graph.link(node, &mut inserter);
        }
        return Ok(());
    }
    let next = AtomicUsize::new(0);
    let work = |stop: &AtomicBool| {
        let mut inserter = Inserter::default();
        // Relaxed, both: a number to share out and a flag; threads are joined before anyone reads.
        while !stop.load(Ordering::Relaxed)
            && let Some(&node) = nodes.get(next.fetch_add(1, Ordering::Relaxed))
        {
            graph.link(node, &mut inserter);
        }
    };
    threads::run(settings::build_threads(), work, || ())
}

/// Mends what pages of different ages have torn.
fn reconnect(graph: &Graph<'_>) -> Result<()> {
    let mut inserter = Inserter::default();
    loop {
        match graph.reconnect(&mut inserter, &mut interrupt::is_pending) {
            Err(chronomind_core::Error::Stopped) => interrupt::check(),
            result => return Ok(result.map(drop)?),
        }
    }
}
