//! The spanning tree as a whole: whom it connects, and how it is made whole again.
//!
//! While a graph is in memory, every insert keeps the tree (see [`links`](super::links)). Lists that
//! come from pages may be older than each other, so that a child knows a parent that does not know
//! the child. A loader therefore follows the tree once and gives those it misses new parents.

use super::Graph;
use super::beam::Candidate;
use super::insert::Inserter;
use super::links::{id_of, is_spanning};
use super::node::State;
use crate::error::{Error, Interrupt, Result};
use crate::primitive::Ordering;

/// Nodes between two looks at the interrupt check.
const STRIDE: u32 = 4_096;

/// The nodes that the tree connects with the entry point.
pub(super) struct Reached(Vec<bool>);

impl Reached {
    pub(super) fn contains(&self, id: u32) -> bool {
        self.0.get(id as usize).is_some_and(|met| *met)
    }

    /// Follows the tree from a node.
    fn spread(
        &mut self,
        graph: &Graph<'_>,
        from: u32,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<()> {
        let mut stack = vec![from];
        let mut count = 0_u32;
        while let Some(id) = stack.pop() {
            let at = id as usize;
            // Writers may have added nodes since, and a node's parent may have a higher id.
            if at >= self.0.len() {
                self.0.resize(at + 1, false);
            }
            if std::mem::replace(&mut self.0[at], true) {
                continue;
            }
            count += 1;
            if count.is_multiple_of(STRIDE) && interrupt() {
                return Err(Error::Stopped);
            }
            stack.extend(graph.kin(id));
        }
        Ok(())
    }
}

impl Graph<'_> {
    /// Parent and children of a node.
    pub(super) fn kin(&self, id: u32) -> impl Iterator<Item = u32> {
        let slots = self.list(id, 0).iter();
        // Acquire: pairs with the Release that published the id; its list may be read next.
        slots
            .map(|slot| slot.load(Ordering::Acquire))
            .filter(|&word| is_spanning(word))
            .filter_map(id_of)
    }

    pub(super) fn reached(&self, interrupt: &mut Interrupt<'_>) -> Result<Reached> {
        let mut reached = Reached(vec![false; self.len() as usize]);
        if let Some(entry) = self.entry() {
            reached.spread(self, entry.id, interrupt)?;
        }
        Ok(reached)
    }

    /// Finds parents for all nodes that the tree does not connect with the entry point, and returns
    /// how many there were to find. For a loader, when everything is linked and before anybody
    /// searches.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so.
    pub fn reconnect(&self, inserter: &mut Inserter, interrupt: &mut Interrupt<'_>) -> Result<u32> {
        let mut reached = self.reached(interrupt)?;
        let mut found = 0;
        for id in 0..self.len() {
            if reached.contains(id) || self.state(id) != State::Live {
                continue;
            }
            self.nearest_reached(id, &reached, inserter);
            self.find_parent(id, inserter);
            reached.spread(self, id, interrupt)?;
            found += 1;
        }
        Ok(found)
    }

    /// Makes the nodes near `id` that can be reached those that may become its parent.
    fn nearest_reached(&self, id: u32, reached: &Reached, inserter: &mut Inserter) {
        self.probe_node(id, &mut inserter.probe);
        inserter.starts.clear();
        if let Some(entry) = self.entry() {
            let nearest = self.descend(&inserter.probe, entry, 0);
            let first = Candidate::new(entry.id, self.key(&inserter.probe, entry.id));
            inserter.starts.extend([nearest, first]);
        }
        self.gather(id, 0, inserter);
        inserter
            .starts
            .retain(|candidate| reached.contains(candidate.id()));
    }
}
