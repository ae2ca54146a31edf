//! Linking a stored node into the graph, beside any number of others doing the same.
//!
//! Order matters: the node's own lists are filled first, then links back lead readers to it, then
//! it may become the entry point. Own slots are taken by compare-and-swap too, because a concurrent
//! inserter may already have linked back into a node that is still being linked, and a plain store
//! would erase that link.
//!
//! On layer 0 the first link back is the parent's (see [`links`](super::links)). The parent is the
//! nearest node that may adopt: one that has a parent itself, so that no two newcomers can be each
//! other's only hold, and few enough links of the tree that its list still serves as a list.

use super::beam::Candidate;
use super::entry::{self, Entry};
use super::links::{self, List, Measure, PRUNED};
use super::neighbours::Neighbour;
use super::node::State;
use super::search::Walk;
use super::{Graph, Probe};
use std::collections::{HashSet, VecDeque};

/// Buffers of one inserter.
#[derive(Default)]
pub struct Inserter {
    walk: Walk,
    pub(super) probe: Probe,
    other: Probe,
    chosen: Vec<Neighbour>,
    pub(super) starts: Vec<Candidate>,
    list: List,
}

impl Graph<'_> {
    /// Links node `id`, which must be stored. Does nothing when somebody else has begun to.
    /// Cannot fail and does not allocate in the region.
    pub fn link(&self, id: u32, inserter: &mut Inserter) {
        let node = self.node(id);
        if !node.begin(State::Stored, State::Linking) {
            return;
        }
        let layer = node.layer();
        self.probe_node(id, &mut inserter.probe);
        if let Some(entry) = self.entry_or_first(Entry { id, layer }) {
            let nearest = self.descend(&inserter.probe, entry, layer);
            inserter.starts.clear();
            inserter.starts.push(nearest);
            for at in (0..=layer.min(entry.layer)).rev() {
                self.link_layer(id, at, inserter);
            }
            entry::raise(self.entry_word(), Entry { id, layer });
        }
        node.finish_linking();
    }

    /// The entry point, or None when `first` has just become it in an empty graph.
    fn entry_or_first(&self, first: Entry) -> Option<Entry> {
        loop {
            if let Some(entry) = self.entry() {
                return Some(entry);
            }
            if entry::raise(self.entry_word(), first) {
                return None;
            }
        }
    }

    /// Replaces `inserter.starts` by the nodes nearest to `id` that can be reached from them.
    pub(super) fn gather(&self, id: u32, layer: u32, inserter: &mut Inserter) {
        let Inserter {
            walk,
            probe,
            starts,
            ..
        } = inserter;
        walk.beam.reset(self.config.ef_construction as usize, false);
        walk.visited.clear();
        // The node itself may be met through a link that a concurrent inserter has made.
        walk.visited.insert(id);
        for start in starts.iter() {
            if walk.visited.insert(start.id()) {
                walk.beam.push(*start);
            }
        }
        // Never stopped: a half-linked node would be nobody's to finish.
        let _ = self.expand(walk, probe, layer, &mut || false);
        starts.clear();
        starts.extend(
            walk.beam
                .nearest()
                .iter()
                .map(|c| Candidate::new(c.id(), c.key())),
        );
    }

    fn link_layer(&self, id: u32, layer: u32, inserter: &mut Inserter) {
        self.gather(id, layer, inserter);
        let Inserter {
            other,
            chosen,
            starts,
            ..
        } = inserter;
        let own = self.list(id, layer);
        self.choose(starts, own.len(), other, chosen);
        for neighbour in chosen.iter() {
            let marks = if neighbour.pruned { PRUNED } else { 0 };
            links::add(own, neighbour.id, marks, neighbour.key);
        }
        if layer == 0 {
            self.find_parent(id, inserter);
        }
        let Inserter {
            probe,
            other,
            chosen,
            list,
            ..
        } = inserter;
        for neighbour in chosen.iter() {
            let slots = self.list(neighbour.id, layer);
            let mut judge = Judge {
                graph: self,
                owner: neighbour.id,
                newcomer: probe,
                other,
            };
            links::link_back(slots, id, neighbour.key, &mut judge, list);
        }
    }

    /// Hangs a node into the spanning tree: under the first of `inserter.starts` that adopts it,
    /// else, when their lists have no room, under the first on a walk of the tree.
    pub(super) fn find_parent(&self, id: u32, inserter: &mut Inserter) {
        for at in 0..inserter.starts.len() {
            let candidate = inserter.starts[at];
            if self.adopt(candidate.id(), id, candidate.key(), inserter) {
                return;
            }
        }
        // A tree has leaves, and a leaf has room, so this ends.
        let mut queue: VecDeque<u32> = self.entry().map(|entry| entry.id).into_iter().collect();
        let mut met = HashSet::from([id]);
        while let Some(parent) = queue.pop_front() {
            if !met.insert(parent) {
                continue;
            }
            if self.adopt(parent, id, self.key(&inserter.probe, parent), inserter) {
                return;
            }
            queue.extend(self.kin(parent));
        }
    }

    /// Makes one node the parent of another. False when it may not be, or has children enough.
    fn adopt(&self, parent: u32, id: u32, key: f32, inserter: &mut Inserter) -> bool {
        // The entry point is raised when it has a parent, or is the root.
        let anchored = self.state(parent) == State::Live
            || self.entry().is_some_and(|entry| entry.id == parent);
        let Inserter {
            probe, other, list, ..
        } = inserter;
        let mut judge = Judge {
            graph: self,
            owner: parent,
            newcomer: probe,
            other,
        };
        let slots = self.list(parent, 0);
        anchored && links::adopt(slots, id, key, slots.len() / 2, &mut judge, list) && {
            // Nobody hangs under a node that is being linked, so there is room for this one.
            links::hold(self.list(id, 0), parent, key, list)
        }
    }
}

/// Measures for [`links::link_back`].
struct Judge<'a, 'r> {
    graph: &'a Graph<'r>,
    owner: u32,
    newcomer: &'a Probe,
    other: &'a mut Probe,
}

impl Measure for Judge<'_, '_> {
    fn owner_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>) {
        self.graph.probe_node(self.owner, self.other);
        keys.clear();
        self.graph.keys(self.other, ids, |_, key| keys.push(key));
    }

    fn newcomer_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>) {
        keys.clear();
        self.graph.keys(self.newcomer, ids, |_, key| keys.push(key));
    }

    fn any_nearer(&mut self, ids: &[u32], key: f32) -> bool {
        self.graph.any_nearer(self.newcomer, ids, key)
    }
}
