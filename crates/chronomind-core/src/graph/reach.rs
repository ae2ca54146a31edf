//! The spanning tree as a whole: whom it connects, and how it is made whole again.
//!
//! While a graph is in memory, every insert keeps the tree (see [`links`](super::links)). Lists that
//! come from pages may be older than each other, so that a child knows a parent that does not know
//! the child. A loader therefore follows the tree once and gives those it misses new parents.
//!
//! Such lists also name nodes that came while they were written, whose own are not on pages. Until these
//! are linked, a walk that came down to one of them would end there, and whoever is linked by that walk
//! would have no other neighbour. So the loader takes their names away first.

use super::Graph;
use super::beam::Candidate;
use super::insert::Inserter;
use super::links::{self, SPANNING, id_of, is_spanning};
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

    /// Adds a node. False when it is there.
    fn insert(&mut self, id: u32) -> bool {
        let at = id as usize;
        // Writers may have added nodes since, and a node's parent may have a higher id.
        if at >= self.0.len() {
            self.0.resize(at + 1, false);
        }
        !std::mem::replace(&mut self.0[at], true)
    }

    /// Follows the tree from a node. To `mend` it is to take the mark from every link that the other
    /// end does not know, that leads back to where the walk has been, or that is one too many.
    fn spread(
        &mut self,
        graph: &Graph<'_>,
        from: u32,
        mend: bool,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<()> {
        self.insert(from);
        let mut stack = vec![(from, from)];
        let mut count = 0_u32;
        while let Some((id, before)) = stack.pop() {
            count += 1;
            if count.is_multiple_of(STRIDE) && interrupt() {
                return Err(Error::Stopped);
            }
            // One is the parent's, also where that is still to be found.
            let is_entry = graph.entry().is_some_and(|entry| entry.id == id);
            let mut room = graph.most_kin() - usize::from(!is_entry);
            for slot in graph.list(id, 0) {
                // Acquire: pairs with the Release that published the id; its list is read next.
                let word = slot.load(Ordering::Acquire);
                let Some(kin) = id_of(word).filter(|&kin| is_spanning(word) && kin != before)
                else {
                    continue;
                };
                let good = !mend || room > 0 && graph.kin(kin).any(|back| back == id);
                if good && self.insert(kin) {
                    room = room.saturating_sub(1);
                    stack.push((kin, id));
                } else if mend {
                    // Relaxed: the loader's alone.
                    slot.store(word & !u64::from(SPANNING), Ordering::Relaxed);
                }
            }
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

    pub(super) fn reached(&self, mend: bool, interrupt: &mut Interrupt<'_>) -> Result<Reached> {
        let mut reached = Reached(vec![false; self.len() as usize]);
        if let Some(entry) = self.entry() {
            reached.spread(self, entry.id, mend, interrupt)?;
        }
        Ok(reached)
    }

    /// Makes a tree of what the pages say is one: drops the names of nodes that are still to be linked,
    /// takes the marks back that do not belong to the tree, and finds parents for all live nodes that
    /// it does not connect with the entry point. Returns how many there were to find. For a loader, when
    /// all lists are restored and before anybody links or searches.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so; to be called again.
    pub fn reconnect(&self, inserter: &mut Inserter, interrupt: &mut Interrupt<'_>) -> Result<u32> {
        self.drop_unlinked(interrupt)?;
        let mut reached = self.reached(true, interrupt)?;
        let mut found = 0;
        for id in self.live() {
            if reached.contains(id) {
                continue;
            }
            if interrupt() {
                return Err(Error::Stopped);
            }
            self.gather_among(id, |other| reached.contains(other), inserter);
            reached.spread(self, id, true, interrupt)?;
            // One slot was left to it.
            let is_hung = self.find_parent(id, inserter);
            debug_assert!(is_hung, "node {id} finds no parent");
            found += 1;
        }
        Ok(found)
    }

    /// Drops the names of nodes that are still to be linked from all lists.
    fn drop_unlinked(&self, interrupt: &mut Interrupt<'_>) -> Result<()> {
        let mut unlinked = vec![false; self.len() as usize];
        for (id, state) in self.nodes() {
            if let Some(unlinked) = unlinked.get_mut(id as usize) {
                *unlinked = state == State::Stored;
            }
        }
        if !unlinked.contains(&true) {
            return Ok(());
        }
        let is_unlinked = |id: u32| unlinked.get(id as usize) == Some(&true);
        for (id, state) in self.nodes() {
            if id.is_multiple_of(STRIDE) && interrupt() {
                return Err(Error::Stopped);
            }
            // Those to be linked may have lists of upper layers from the pages.
            if matches!(state, State::Free | State::Filling) {
                continue;
            }
            for layer in 0..=self.node(id).layer() {
                links::supplant(self.list(id, layer), is_unlinked, []);
            }
        }
        Ok(())
    }

    /// Makes those nodes near `id` its candidates for a parent that satisfy a condition.
    pub(super) fn gather_among(
        &self,
        id: u32,
        mut condition: impl FnMut(u32) -> bool,
        inserter: &mut Inserter,
    ) {
        self.probe_node(id, &mut inserter.probe);
        inserter.starts.clear();
        if let Some(entry) = self.entry() {
            self.approach_as_newcomer(entry, 0, inserter);
            let first = Candidate::new(entry.id, self.key(&inserter.probe, entry.id));
            inserter.starts.push(first);
        }
        self.gather(id, 0, inserter);
        inserter
            .starts
            .retain(|candidate| condition(candidate.id()));
    }
}
