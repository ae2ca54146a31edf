//! Linking a stored node into the graph, beside any number of others doing the same.
//!
//! Order matters: the node's own lists are filled first, those of all layers, then links back lead
//! readers to it, then it is hung into the spanning tree, then it may become the entry point. Own slots
//! are taken by compare-and-swap too, because a concurrent inserter may already have linked back into a
//! node that is still being linked, and a plain store would erase that link.
//!
//! Whoever comes down to a node goes on from its list below. If that were still to be filled, the walk of
//! another newcomer would end there: it would have one neighbour, and be lost when that finds better ones.
//!
//! The parent (see [`links`](super::links)) is the nearest node that hangs in the tree itself, so that
//! no two newcomers can be each other's only hold, and that has few enough links of the tree for its
//! list to still serve as one. It need not be live: its hold on the tree is all that counts. Only a dead
//! one is no parent, nor any newcomer's neighbour, though newcomers walk through it. Who finds nobody
//! but the dead stays without a parent until they have left (see [`unlink`](super::unlink)).

use super::beam::Candidate;
use super::entry::{self, Entry};
use super::links::{self, List, Measure, PRUNED};
use super::neighbours::Neighbour;
use super::node::State;
use super::search::Walk;
use super::{Graph, Probe};

/// Buffers of one inserter.
#[derive(Default)]
pub struct Inserter {
    pub(super) walk: Walk,
    pub(super) probe: Probe,
    pub(super) other: Probe,
    pub(super) chosen: Vec<Neighbour>,
    /// Those chosen on each layer, the highest first, that are still to be linked back from.
    filled: Vec<Vec<Neighbour>>,
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
        if let Some(entry) = entry::load_or_first(self.entry_word(), Entry { id, layer }) {
            self.approach_as_newcomer(entry, layer, inserter);
            let states = [State::Linking, State::Live];
            let top = layer.min(entry.layer);
            for at in (0..=top).rev() {
                self.gather(id, at, inserter);
                self.fill(id, at, &states, inserter);
                inserter.filled.push(std::mem::take(&mut inserter.chosen));
            }
            for at in 0..=top {
                inserter.chosen = inserter.filled.pop().unwrap_or_default();
                self.link_back(id, at, |_| true, inserter);
            }
            // Who finds none gets one when the dead have left.
            let _ = self.find_parent(id, inserter);
            // Searches start where everybody is reached from.
            if self.is_hung(id) {
                entry::raise(self.entry_word(), Entry { id, layer });
            }
        }
        node.finish_linking();
    }

    /// Makes `inserter.starts` the nodes from which a walk of a layer for its probe begins.
    pub(super) fn approach_as_newcomer(&self, entry: Entry, layer: u32, inserter: &mut Inserter) {
        let Inserter {
            walk,
            probe,
            starts,
            ..
        } = inserter;
        let ef = self.config.ef_construction as usize;
        self.approach(walk, probe, entry, layer, ef, starts);
    }

    /// Adds to `inserter.starts`, from nearest to farthest, the nodes nearest to `id` that can be reached
    /// from them.
    ///
    /// The starts stay because a list needs some neighbours that are not so near: the nearest may all be of
    /// one dense group, which nobody would find out of.
    pub(super) fn gather(&self, id: u32, layer: u32, inserter: &mut Inserter) {
        let Inserter {
            walk,
            probe,
            starts,
            ..
        } = inserter;
        let ef = self.config.ef_construction as usize;
        starts.retain(|start| start.id() != id);
        walk.begin(ef, false, starts.iter().copied());
        // The node itself may be met through a link that a concurrent inserter has made.
        walk.visited.insert(id);
        // Never stopped: a half-linked node would be nobody's to finish.
        let _ = self.expand(walk, probe, layer, &mut || false);
        starts.extend(walk.found());
        starts.sort_unstable();
        starts.dedup_by_key(|start| start.id());
    }

    /// Fills a list of a node with the best of `inserter.starts` that are in one of the given states,
    /// and links back.
    pub(super) fn connect(&self, id: u32, layer: u32, states: &[State], inserter: &mut Inserter) {
        self.fill(id, layer, states, inserter);
        self.link_back(id, layer, |_| true, inserter);
    }

    /// Fills a list of a node, and leaves in `inserter.chosen` with whom.
    fn fill(&self, id: u32, layer: u32, states: &[State], inserter: &mut Inserter) {
        let Inserter {
            other,
            chosen,
            starts,
            ..
        } = inserter;
        let own = self.list(id, layer);
        self.choose(starts, states, own.len(), other, chosen);
        for neighbour in chosen.iter() {
            let marks = if neighbour.pruned { PRUNED } else { 0 };
            links::add(own, neighbour.id, marks, neighbour.key);
        }
    }

    /// Links back from those of `inserter.chosen` that satisfy a condition.
    pub(super) fn link_back(
        &self,
        id: u32,
        layer: u32,
        condition: impl Fn(u32) -> bool,
        inserter: &mut Inserter,
    ) {
        let Inserter {
            probe,
            other,
            chosen,
            list,
            ..
        } = inserter;
        for neighbour in chosen.iter().filter(|chosen| condition(chosen.id)) {
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
    /// else, when none of them has room, under somebody farther along the tree. To be called when all
    /// other links of the node on layer 0 are written. False when there is nobody but the dead, or when
    /// the node has no room for a parent.
    pub(super) fn find_parent(&self, id: u32, inserter: &mut Inserter) -> bool {
        let mut nearest = None;
        for at in 0..inserter.starts.len() {
            let candidate = inserter.starts[at];
            if !self.is_hung(candidate.id()) || self.is_dead(candidate.id()) {
                continue;
            }
            if self.adopt(candidate.id(), candidate.key(), id, inserter) {
                return true;
            }
            nearest = nearest.or(Some(candidate.id()));
        }
        let from = nearest.or_else(|| Some(self.entry()?.id));
        from.is_some_and(|from| self.wander(from, id, inserter))
    }

    /// Walks the tree without turning back until somebody adopts `id`. The walk ends at a leaf at the
    /// latest, which has room. All on the way have none, so at each it parts into two ways or more,
    /// and taking any of them with the same chance makes it about as short as the tree is high when
    /// it is balanced, whatever its shape.
    fn wander(&self, mut at: u32, id: u32, inserter: &mut Inserter) -> bool {
        let (mut before, mut random) = (id, id);
        // The limit is for a tree whose marks on pages nobody has looked through.
        for _ in 0..self.len() {
            let key = self.key(&inserter.probe, at);
            if self.adopt(at, key, id, inserter) {
                return true;
            }
            let ways = || self.kin(at).filter(|kin| ![before, id].contains(kin));
            // Knuth's linear congruential generator, of which the high bits are good.
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let any = (u64::from(random) * ways().count() as u64) >> 32;
            let Some(next) = ways().nth(any as usize) else {
                return false;
            };
            // Who was hung just now may not hold its parent yet, and would lead its children nowhere.
            if !self.is_dead(at) {
                links::hold_parent(self.list(next, 0), at, f32::NAN, &mut inserter.list);
            }
            (before, at) = (at, next);
        }
        false
    }

    /// Whether a node has its place in the tree. A node holds its parent before any child, and the
    /// first one, which has none, is the entry point until another hangs under it.
    fn is_hung(&self, id: u32) -> bool {
        self.kin(id).next().is_some() || self.entry().is_some_and(|entry| entry.id == id)
    }

    /// Links of the tree after which a node adopts nobody: half of its list. With two, the least that
    /// m allows, the tree would be a thread with room at its ends only.
    pub(super) fn most_kin(&self) -> usize {
        (self.shape.slots / 2).max(3)
    }

    /// Makes a node that is hung the parent of one that is not. False when it is dead or has children
    /// enough, or when the other has so many that there is no room for a parent.
    ///
    /// A newcomer has none. But one that has lost its parent may get several at the same time, each of
    /// which found it with room for one more, and where m is 2 or 3 they can fill its list.
    pub(super) fn adopt(&self, parent: u32, key: f32, id: u32, inserter: &mut Inserter) -> bool {
        let list = &mut inserter.list;
        let slots = self.list(parent, 0);
        if self.is_dead(parent)
            || self.kin(parent).count() >= self.most_kin()
            || !links::hold_child(slots, id, key, list)
        {
            return false;
        }
        let is_held = links::hold_parent(self.list(id, 0), parent, key, list);
        if !is_held {
            // A list that is full of links of the tree stays so: nobody else can make it hold this parent.
            links::let_child_go(slots, id);
        }
        is_held
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::HeapRegion;
    use crate::distance::{Element, Metric};
    use crate::graph::GraphConfig;
    use crate::index::{Index, IndexConfig};
    use std::sync::atomic::{AtomicBool, Ordering};

    fn config(dimensions: u32, m: u32) -> IndexConfig {
        let graph = GraphConfig {
            metric: Metric::L2,
            element: Element::F32,
            dimensions,
            m,
            ef_construction: 8 * m,
            seed: 1,
        };
        IndexConfig {
            graph,
            attributes: 0,
        }
    }

    fn store(graph: &Graph<'_>, id: u32, vector: &[f32]) {
        let upper = graph.reserve(id).unwrap();
        let bytes: Vec<u8> = vector.iter().flat_map(|x| x.to_ne_bytes()).collect();
        assert!(graph.store(id, upper, &bytes));
    }

    /// However far its inserter has got: nobody who comes down to it ends there.
    #[test]
    fn a_node_that_is_met_on_an_upper_layer_has_neighbours_below() {
        const NODES: u32 = 6_000;
        let heap = HeapRegion::new(16 << 20);
        let config = config(3, 4);
        let index = Index::create(heap.region(), config).unwrap();
        let graph = index.graph();
        for id in 0..NODES {
            let x = id as f32;
            store(graph, id, &[x.sin(), (2.0 * x).cos(), (3.0 * x).sin()]);
        }
        let linking = AtomicBool::new(true);
        let neighbours = |id, layer| {
            let slots = graph.list(id, layer).iter();
            slots.filter_map(|slot| links::id_of(slot.load(Ordering::Acquire)))
        };
        let look = || {
            while linking.load(Ordering::Relaxed) {
                for id in (0..NODES).filter(|&id| graph.state(id) == State::Live) {
                    for layer in 1..=config.graph.layer_of(id) {
                        for met in neighbours(id, layer) {
                            assert!(neighbours(met, layer - 1).next().is_some());
                        }
                    }
                }
            }
        };
        std::thread::scope(|scope| {
            let looking = scope.spawn(look);
            let mut inserter = Inserter::default();
            (0..NODES).for_each(|id| graph.link(id, &mut inserter));
            linking.store(false, Ordering::Relaxed);
            looking.join().unwrap();
        });
    }

    /// Processes died after the first node held theirs and before theirs held the first node.
    #[test]
    fn children_of_the_dead_hold_on_to_the_tree() {
        let heap = HeapRegion::new(4 << 20);
        let index = Index::create(heap.region(), config(1, 2)).unwrap();
        let graph = index.graph();
        let mut inserter = Inserter::default();
        let store = |id: u32| store(graph, id, &[id as f32]);
        store(0);
        graph.link(0, &mut inserter);
        for dead in 1..=4 {
            store(dead);
            assert!(graph.node(dead).begin(State::Stored, State::Linking));
            let slots = graph.list(0, 0);
            assert!(links::hold_child(
                slots,
                dead,
                dead as f32,
                &mut inserter.list
            ));
        }
        for id in 5..100 {
            store(id);
            graph.link(id, &mut inserter);
            // Wherever the entry point is now.
            assert_eq!(graph.check(&mut || false).unwrap().live, id - 3);
        }
        assert!(graph.entry().unwrap().id != 0);
    }
}
