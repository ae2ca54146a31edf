//! The spanning tree, when nodes were taken out of it: a forest that becomes a tree again.
//!
//! Which live nodes still hang together is kept in a disjoint-set forest (Tarjan 1975). Each part but
//! that of the entry point looks for a neighbour of one of its nodes that is in another part, and
//! hangs there, as in Boruvka's algorithm. Neighbours are taken from the lists at hand, so it costs no
//! distance; only a part all of whose neighbours are its own is searched a parent for.
//!
//! Inserters go on hanging newcomers under nodes of any part. A newcomer hangs under one node, so it
//! connects no two parts, and need not be looked at.

use super::Graph;
use super::entry::{self, Entry};
use super::insert::Inserter;
use super::links::{id_of, key_of};
use super::node::State;
use super::unlink::look;
use crate::error::{Interrupt, Result};
use crate::primitive::Ordering;

/// No part: of a node that is not linked.
const NONE: u32 = u32::MAX;

/// Which nodes hang together.
struct Forest {
    /// For each node another one of its part that is nearer to the root of it.
    up: Vec<u32>,
}

impl Forest {
    /// The root of the part that a node is in.
    fn find(&mut self, mut id: u32) -> Option<u32> {
        let up = &mut self.up;
        if *up.get(id as usize)? == NONE {
            return None;
        }
        while up[id as usize] != id {
            up[id as usize] = up[up[id as usize] as usize];
            id = up[id as usize];
        }
        Some(id)
    }

    fn unite(&mut self, a: u32, b: u32) {
        if let (Some(a), Some(b)) = (self.find(a), self.find(b)) {
            self.up[a as usize] = b;
        }
    }
}

impl Graph<'_> {
    /// Makes one tree of the parts that are left of it. For [`Graph::unlink`], when no list names a dead
    /// node and nobody who links began before that. False when a part could not be joined: newcomers may
    /// take all the room that it has, time and again.
    pub(super) fn rejoin(
        &self,
        inserter: &mut Inserter,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<bool> {
        /// They would have to fill all leaves of a part so often while it looks for a parent.
        const TRIES: usize = 8;
        for _ in 0..TRIES {
            if self.rejoin_once(inserter, interrupt)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn rejoin_once(&self, inserter: &mut Inserter, interrupt: &mut Interrupt<'_>) -> Result<bool> {
        let live: Vec<u32> = self.live().collect();
        let Some(root) = self.root(&live) else {
            return Ok(true);
        };
        let mut forest = self.forest();
        let mut apart = live.clone();
        let mut is_joined = true;
        while is_joined {
            apart.retain(|&id| forest.find(id) != forest.find(root));
            is_joined = false;
            for &id in &apart {
                look(interrupt)?;
                if forest.find(id) != forest.find(root) {
                    is_joined |= self.join_neighbour(id, &live, &mut forest, inserter);
                }
            }
        }
        for &id in &apart {
            look(interrupt)?;
            // A part is a tree and has a leaf, which has room.
            if forest.find(id) != forest.find(root) && self.has_room(id) {
                let among = |other| forest.find(other) == forest.find(root);
                self.gather_among(id, among, inserter);
                if self.find_parent(id, inserter) {
                    forest.unite(id, root);
                }
            }
        }
        let is_whole = apart.iter().all(|&id| forest.find(id) == forest.find(root));
        let mut of_root = |id: &u32| forest.find(*id) == forest.find(root);
        for id in live.into_iter().filter(&mut of_root) {
            // Who became live while the entry point was dead may be higher than its heir.
            let layer = self.node(id).layer();
            entry::raise(self.entry_word(), Entry { id, layer });
        }
        Ok(is_whole)
    }

    /// The entry point, which is one of the live nodes if there was none.
    fn root(&self, live: &[u32]) -> Option<u32> {
        let entry = self.entry().or_else(|| {
            let id = *live.first()?;
            let layer = self.node(id).layer();
            let first = Entry { id, layer };
            Some(entry::load_or_first(self.entry_word(), first).unwrap_or(first))
        });
        entry.map(|entry| entry.id)
    }

    /// The linked nodes in the parts that they are in.
    fn forest(&self) -> Forest {
        let mut forest = Forest {
            up: vec![NONE; self.len() as usize],
        };
        for (id, state) in self.nodes() {
            if matches!(state, State::Linking | State::Live)
                && let Some(up) = forest.up.get_mut(id as usize)
            {
                *up = id;
            }
        }
        for id in 0..forest.up.len() as u32 {
            if forest.up[id as usize] != NONE {
                for kin in self.kin(id) {
                    forest.unite(kin, id);
                }
            }
        }
        forest
    }

    fn has_room(&self, id: u32) -> bool {
        self.kin(id).count() < self.most_kin()
    }

    /// Hangs a node under the nearest of its neighbours that is in another part and has room. The
    /// neighbour must have been live before the parts were looked at, or it might be in one by now.
    fn join_neighbour(
        &self,
        id: u32,
        live: &[u32],
        forest: &mut Forest,
        inserter: &mut Inserter,
    ) -> bool {
        if !self.has_room(id) {
            return false;
        }
        let part = forest.find(id);
        let nearest = self
            .list(id, 0)
            .iter()
            // Acquire: pairs with the Release that published the id; its list is read next.
            .filter_map(|slot| {
                let word = slot.load(Ordering::Acquire);
                Some((id_of(word)?, key_of(word)))
            })
            .filter(|&(other, _)| {
                let other_part = forest.find(other);
                other_part.is_some() && other_part != part && live.binary_search(&other).is_ok()
            })
            .filter(|&(other, _)| self.has_room(other))
            .min_by(|a, b| a.1.total_cmp(&b.1));
        let Some((parent, key)) = nearest else {
            return false;
        };
        let is_joined = self.adopt(parent, key, id, inserter);
        if is_joined {
            forest.unite(id, parent);
        }
        is_joined
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::HeapRegion;
    use crate::distance::{Element, Metric};
    use crate::graph::GraphConfig;
    use crate::graph::links::{self, List};
    use crate::index::{Index, IndexConfig};

    /// A graph with the least lists there are, whose node 0 is linked, and nodes 1 to 5, which are live and
    /// hang together: 1 is the parent of the others, as many as its list names.
    fn torn(heap: &HeapRegion) -> Graph<'_> {
        let graph = GraphConfig {
            metric: Metric::L2,
            element: Element::F32,
            dimensions: 1,
            m: 2,
            ef_construction: 16,
            seed: 1,
        };
        let config = IndexConfig {
            graph,
            attributes: 0,
        };
        let graph = *Index::create(heap.region(), config).unwrap().graph();
        for id in 0..6 {
            let upper = graph.reserve(id).unwrap();
            assert!(graph.store(id, upper, &(id as f32).to_ne_bytes()));
        }
        graph.link(0, &mut Inserter::default());
        let list = &mut List::default();
        for child in 2..6 {
            assert!(links::hold_child(graph.list(1, 0), child, 1.0, list));
            assert!(links::hold_parent(graph.list(child, 0), 1, 1.0, list));
        }
        for id in 1..6 {
            assert!(graph.node(id).begin(State::Stored, State::Linking));
            graph.node(id).finish_linking();
        }
        graph
    }

    #[test]
    fn a_node_without_room_for_a_parent_is_nobodys_child() {
        let heap = HeapRegion::new(4 << 20);
        let graph = torn(&heap);
        let mut inserter = Inserter::default();
        assert!(!graph.adopt(0, 1.0, 1, &mut inserter));
        assert_eq!(graph.kin(0).count(), 0);
        assert!(links::names(graph.list(0, 0), 1));
        // One of its children has room.
        assert!(graph.adopt(0, 1.0, 3, &mut inserter));
        assert!(graph.kin(0).eq([3]) && graph.kin(3).eq([1, 0]));
        assert_eq!(graph.check(&mut || false).unwrap().live, 6);
    }

    #[test]
    fn a_part_whose_root_has_no_room_is_joined_by_a_leaf() {
        let heap = HeapRegion::new(4 << 20);
        let graph = torn(&heap);
        assert_eq!(
            graph.rejoin(&mut Inserter::default(), &mut || false),
            Ok(true)
        );
        assert_eq!(graph.check(&mut || false).unwrap().live, 6);
    }
}
