//! `chrono_check`: is the index what its table and its pages say?
//!
//! Three things must agree: the table, the pages, and shared memory where the index is in it. The
//! graph is checked by its own rules; every vector and posting on the pages is compared with memory;
//! and every row that the statement's snapshot sees must have one posting, with its vector and its
//! attributes. It may run beside writers and vacuum: what it calls damaged is damaged.

use std::cell::OnceCell;
use std::collections::HashMap;
use std::collections::hash_map::Entry;

use chronomind_core::distance;
use chronomind_core::graph::Report;
use chronomind_core::index::{Index, Published};
use chronomind_core::postings::split;
use chronomind_core::record::{Definition, Flags, Item, PostingView, Tid};
use chronomind_core::score::Row;

use super::row::HeapRow;
use crate::error::{Error, Result};
use crate::pages::append::Standstill;
use crate::pages::exact::{self, ExactReader};
use crate::pages::walk::walk;
use crate::pages::{self, Snapshot};
use crate::pg::relation::Relation;
use crate::pg::{interrupt, settings};
use crate::recovery::{self, Opened, follow};

/// What a check went through.
#[derive(Debug, Clone, Copy, Default)]
pub struct Checked {
    /// Rows of the table that were looked up.
    pub heap_rows: u64,
    /// Postings that are not dead.
    pub live_postings: u64,
    /// Postings that are.
    pub dead_postings: u64,
    /// Distinct vectors that have rows.
    pub nodes: u64,
}

/// Gives every row of the table that the index has to have, and raises what its taker returns.
pub type HeapScan<'a> = dyn FnMut(&mut dyn FnMut(HeapRow) -> Result<()>) + 'a;

/// Checks an index. Fails with the first thing that is wrong.
pub fn check(index: Relation, scan: &mut HeapScan<'_>) -> Result<Checked> {
    loop {
        let level = follow::wanted_level();
        let opened = recovery::open(index)?;
        let result = check_once(index, &opened, scan);
        // What replay has changed meanwhile need not be the same in memory, nor what memory has missed that
        // nobody searches any more.
        let is_stale = match &opened {
            Opened::Memory(memory) => !memory.is_complete(),
            Opened::Pages => false,
        };
        if result.is_ok() || !is_stale && follow::wanted_level() == level {
            return result;
        }
        interrupt::check();
    }
}

fn check_once(index: Relation, opened: &Opened, scan: &mut HeapScan<'_>) -> Result<Checked> {
    let snapshot = pages::snapshot(index)?;
    let mut checked = Checked::default();
    let source = match opened {
        Opened::Memory(memory) => {
            let graph = check_graph(index, &memory.index)?;
            checked.nodes = u64::from(graph.live) + u64::from(graph.unlinked);
            compare_with_pages(index, &snapshot, &memory.index)?;
            Source::Memory(&memory.index)
        }
        Opened::Pages => {
            checked.nodes = count_nodes(index, &snapshot)?;
            Source::Pages(ExactReader::open(index, &snapshot)?, &snapshot)
        }
    };
    let passes = passes(u64::from(snapshot.postings));
    for pass in 0..passes {
        let mut part = Part {
            index,
            definition: &snapshot.meta.definition,
            source: &source,
            of: (pass, passes),
            postings: HashMap::new(),
            vector: vec![0; snapshot.layout.vector_bytes()],
        };
        let dead = part.collect()?;
        checked.live_postings += part.postings.len() as u64;
        checked.dead_postings += dead;
        scan(&mut |row| {
            checked.heap_rows += u64::from(part.has(row.tid.pack()));
            part.look_up(&row)
        });
    }
    Ok(checked)
}

/// How many times the table is read, so that the postings of each time fit `maintenance_work_mem`.
fn passes(postings: u64) -> u64 {
    const BYTES: u64 = 2 * size_of::<(u64, Known)>() as u64;
    (postings * BYTES)
        .div_ceil(settings::maintenance_memory() as u64)
        .max(1)
}

fn check_graph(index: Relation, memory: &Index<'static>) -> Result<Report> {
    loop {
        match memory.graph().check(&mut interrupt::is_pending) {
            Ok(report) => return Ok(report),
            Err(chronomind_core::Error::Stopped) => interrupt::check(),
            Err(error) => return Err(Error::corruption(&index.name(), error.to_string())),
        }
    }
}

/// Nodes that have rows.
fn count_nodes(index: Relation, snapshot: &Snapshot) -> Result<u64> {
    let mut has_rows = vec![false; snapshot.nodes as usize];
    exact::postings(index, snapshot, |_, posting| {
        if !posting.flags().contains(Flags::DEAD)
            && let Some(seen) = has_rows.get_mut(posting.node() as usize)
        {
            *seen = true;
        }
        Ok(())
    })?;
    Ok(has_rows.iter().filter(|seen| **seen).count() as u64)
}

/// Every vector and posting on the pages must be the same in memory, unless its inserter has only
/// logged it and is about to show it. A row that a snapshot sees is past that: it is looked up in
/// memory afterwards.
///
/// What differs is looked at again while nobody appends, as it may just have been used again.
fn compare_with_pages(index: Relation, pages: &Snapshot, memory: &Index<'static>) -> Result<()> {
    let reader = OnceCell::new();
    let reader = || match reader.get() {
        Some(reader) => Ok(reader),
        None => ExactReader::open(index, pages).map(|opened| reader.get_or_init(|| opened)),
    };
    let differs = |what: String| {
        Err(Error::corruption(
            &index.name(),
            format!("{what} is not the same in memory and on the pages"),
        ))
    };
    let mut keys = vec![0; memory.postings().attributes()];
    walk(index, None, pages, |item| match item {
        Item::Vector { node, bytes } => {
            // That of a node without rows does not matter, and may be on its way out of a graph that
            // follows replay.
            let is_same = |bytes: &[u8]| match memory.graph().vector(node) {
                Some(held) => held == bytes || !has_rows(memory, node),
                None => true,
            };
            if is_same(bytes) {
                return Ok(());
            }
            let mut now = vec![0; bytes.len()];
            let reader = reader()?;
            let _still = Standstill::begin(index);
            reader.vector(node, &mut now)?;
            if is_same(&now) {
                return Ok(());
            }
            differs(format!("the vector of node {node}"))
        }
        Item::Posting { id, posting } => {
            let mut is_same =
                |posting: PostingView<'_>| is_same_in_memory(memory, id, posting, &mut keys);
            if is_same(posting) {
                return Ok(());
            }
            let reader = reader()?;
            let _still = Standstill::begin(index);
            if reader.posting(id, is_same)? {
                return Ok(());
            }
            differs(format!("posting {id}"))
        }
        Item::Page { .. } | Item::Links { .. } | Item::Upper(_) => Ok(()),
    })
}

fn has_rows(memory: &Index<'static>, node: u32) -> bool {
    let postings = memory.postings();
    let mut chain = postings.chain(memory.graph().postings_of(node));
    chain.any(|posting| postings.live(posting).is_some())
}

fn is_same_in_memory(
    memory: &Index<'static>,
    id: u32,
    posting: PostingView<'_>,
    keys: &mut [u64],
) -> bool {
    let (number, slot) = split(id);
    let Some(block) = memory.postings().block(number) else {
        return true;
    };
    let (is_ready, is_live) = (
        block.ready() >> slot & 1 != 0,
        block.live() >> slot & 1 != 0,
    );
    if posting.flags().contains(Flags::DEAD) || !is_live {
        // Vacuum marks both while it holds the page. Nothing else matters of the dead.
        return !is_live && (posting.flags().contains(Flags::DEAD) || !is_ready);
    }
    let all = ((1_u64 << keys.len()) - 1) as u32;
    let row = block.row(slot, all, keys);
    block.tid(slot) == posting.tid().pack()
        && block.node(slot) == posting.has_node().then(|| posting.node())
        && same(&row, posting.nulls(), posting.keys())
}

/// Whether attributes are the same; what stands for a NULL does not count.
fn same(row: &Row<'_>, nulls: u32, keys: impl ExactSizeIterator<Item = u64>) -> bool {
    row.nulls == nulls
        && row.keys.len() == keys.len()
        && keys
            .enumerate()
            .all(|(at, key)| row.key(at).is_none_or(|own| own == key))
}

/// Where postings and vectors are looked up.
enum Source<'s> {
    Memory(&'s Index<'static>),
    Pages(ExactReader<'s>, &'s Snapshot),
}

/// What is known of a row's posting.
#[derive(Clone, Copy)]
struct Known {
    posting: u32,
    vector: Vector,
    attributes: u64,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Vector {
    Null,
    NoDistance,
    Node(u32),
}

/// The postings of a share of the table's rows.
struct Part<'s> {
    index: Relation,
    definition: &'s Definition,
    source: &'s Source<'s>,
    /// Which of how many.
    of: (u64, u64),
    postings: HashMap<u64, Known>,
    vector: Vec<u8>,
}

impl Part<'_> {
    fn has(&self, tid: u64) -> bool {
        tid % self.of.1 == self.of.0
    }

    /// Learns the live postings, and counts the dead.
    fn collect(&mut self) -> Result<u64> {
        let mut dead = 0;
        match self.source {
            Source::Memory(memory) => memory.each_posting(|posting| {
                if posting.id.is_multiple_of(4096) {
                    interrupt::check();
                }
                dead += u64::from(posting.dead && self.has(posting.tid));
                self.learn(posting.dead, posting.tid, Known::of(&posting))
            })?,
            Source::Pages(_, snapshot) => {
                let mut keys = Vec::new();
                exact::postings(self.index, snapshot, |id, posting| {
                    let is_dead = posting.flags().contains(Flags::DEAD);
                    let tid = posting.tid().pack();
                    dead += u64::from(is_dead && self.has(tid));
                    keys.clear();
                    keys.extend(posting.keys());
                    self.learn(is_dead, tid, Known::on_page(id, posting, &keys))
                })?;
            }
        }
        Ok(dead)
    }

    fn learn(&mut self, dead: bool, tid: u64, known: Known) -> Result<()> {
        if dead || !self.has(tid) {
            return Ok(());
        }
        match self.postings.entry(tid) {
            Entry::Vacant(slot) => {
                slot.insert(known);
            }
            Entry::Occupied(mut slot) => {
                let (first, second) = (slot.get().posting, known.posting);
                // The row's place may have been given to another since the first was read, and the
                // second may have been used again.
                if !still_has(self.source, second, tid)? {
                    return Ok(());
                }
                if still_has(self.source, first, tid)? {
                    let what = format!("{} has postings {first} and {second}", named(tid));
                    return Err(Error::corruption(&self.index.name(), what));
                }
                slot.insert(known);
            }
        }
        Ok(())
    }

    /// Looks a row of the table up.
    fn look_up(&mut self, row: &HeapRow<'_>) -> Result<()> {
        let tid = row.tid.pack();
        if !self.has(tid) {
            return Ok(());
        }
        let damaged = |what: &str| {
            let what = format!("{} {what}", named(tid));
            Err(Error::corruption(&self.index.name(), what))
        };
        let Some(known) = self.postings.get(&tid) else {
            return damaged("is not in it");
        };
        if known.attributes != fingerprint(&row.attributes) {
            return damaged("has other attributes in it");
        }
        let same = match (known.vector, row.vector) {
            (Vector::Null, vector) => vector.is_none(),
            (_, None) => false,
            (Vector::NoDistance, Some(vector)) => {
                let Definition {
                    metric, element, ..
                } = *self.definition;
                distance::scale(metric, element, vector).is_none()
            }
            (Vector::Node(node), Some(vector)) => match self.source {
                Source::Memory(memory) => memory.graph().vector(node) == Some(vector),
                Source::Pages(reader, _) => {
                    reader.vector(node, &mut self.vector)?;
                    self.vector == vector
                }
            },
        };
        if !same {
            return damaged("has another vector in it");
        }
        Ok(())
    }
}

/// Whether a posting is one of the row at that place.
fn still_has(source: &Source<'_>, posting: u32, tid: u64) -> Result<bool> {
    match source {
        Source::Memory(memory) => {
            let live = memory.postings().live(posting);
            Ok(live.is_some_and(|(block, slot)| block.tid(slot) == tid))
        }
        Source::Pages(reader, _) => reader.posting(posting, |posting| {
            !posting.flags().contains(Flags::DEAD) && posting.tid().pack() == tid
        }),
    }
}

impl Known {
    fn of(posting: &Published<'_>) -> Known {
        Known {
            posting: posting.id,
            vector: match posting.node {
                Some(node) => Vector::Node(node),
                None if posting.has_distance => Vector::Null,
                None => Vector::NoDistance,
            },
            attributes: fingerprint(&posting.row),
        }
    }

    fn on_page(id: u32, posting: PostingView<'_>, keys: &[u64]) -> Known {
        let row = Row {
            keys,
            nulls: posting.nulls(),
        };
        Known {
            posting: id,
            vector: if posting.has_node() {
                Vector::Node(posting.node())
            } else if posting.flags().contains(Flags::NO_DISTANCE) {
                Vector::NoDistance
            } else {
                Vector::Null
            },
            attributes: fingerprint(&row),
        }
    }
}

/// A hash of a row's attributes.
fn fingerprint(row: &Row<'_>) -> u64 {
    use std::hash::{BuildHasher, Hasher};
    let mut hasher = foldhash::fast::FixedState::default().build_hasher();
    for attribute in 0..row.keys.len() {
        match row.key(attribute) {
            Some(key) => hasher.write_u64(key),
            None => hasher.write_u8(0),
        }
    }
    hasher.finish()
}

/// A row, as `ctid` names it.
fn named(tid: u64) -> String {
    let Tid { block, offset } = Tid::unpack(tid);
    format!("row ({block},{offset})")
}
