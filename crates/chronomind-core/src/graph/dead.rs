//! Nodes without rows: how they die, and how their places are used again.
//!
//! A node dies ([`Graph::retire`]), leaves the graph ([`Graph::unlink`]) and is free. A free node keeps
//! its id, its layers and its memory, and is taken for another vector by [`Graph::take_free`],
//! [`Graph::reserve`], [`Graph::store`] and [`Graph::link`] as a new one is.
//!
//! Who takes a free node makes its row durable and stores the vector then, or gives the place back where
//! the row cannot be logged. If a process dies in between, memory is loaded anew from pages.

use super::node::State;
use super::{Graph, links};
use crate::primitive::Ordering;

impl Graph<'_> {
    /// Says that node `id` has no rows any more, also one whose inserter has failed while it linked. No
    /// inserter that begins after this links to it; searches pass through it until [`Graph::unlink`] is done.
    /// False when it has no vector, is dead, or is a place without memory.
    ///
    /// For vacuum, under the lock that orders appends: no posting of the node may be on its way, and
    /// none may become one of it afterwards (see [`Graph::holds`]). So nobody is linking it either: whoever
    /// does has a posting of it. Not while [`Graph::unlink`] runs.
    pub fn retire(&self, id: u32) -> bool {
        let Some(node) = self.known(id) else {
            return false;
        };
        let retired = [State::Live, State::Stored, State::Linking]
            .into_iter()
            .any(|state| node.begin(state, State::Dead));
        if retired {
            self.header.retired.fetch_add(1, Ordering::Relaxed);
        }
        retired
    }

    /// Nodes that have died and are still in the graph.
    pub fn dead_nodes(&self) -> u32 {
        let freed = self.header.freed.load(Ordering::Relaxed);
        self.header
            .retired
            .load(Ordering::Relaxed)
            .wrapping_sub(freed)
    }

    /// Nodes whose place is free, about.
    pub fn free_nodes(&self) -> u32 {
        self.header.free.count()
    }

    /// A node whose place is free: the one that [`Graph::take_free`] takes, if none is given back
    /// meanwhile. Under the lock that orders appends.
    pub fn peek_free(&self) -> Option<u32> {
        self.header.free.top()
    }

    /// Takes a node whose place is free; nobody else will find it. Under the lock that orders appends.
    pub fn take_free(&self) -> Option<u32> {
        let next = |id| &self.node(id).header.next_free;
        self.header.free.pop(next)
    }

    /// Gives a place back: of a node that was taken and not stored.
    pub fn give_free(&self, id: u32) {
        let next = &self.node(id).header.next_free;
        self.header.free.push(id, next);
    }

    /// Says that node `id`, which has a record, has no rows on the index's pages: its place is free,
    /// whatever has been restored of it. For a loader, when all lists are and before
    /// [`Graph::finish_restore`] is called for any node.
    pub fn vacate(&self, id: u32) {
        self.empty(id);
        let node = self.node(id);
        if node.state() != State::Free {
            self.strike_off(id);
            self.forget_length(&node);
        }
        node.finish();
        // Release: pairs with the Acquire in `len`.
        self.header.len.fetch_max(id + 1, Ordering::Release);
        self.give_free(id);
    }

    /// How often dead nodes have left the graph; wraps.
    pub(super) fn departures(&self) -> u32 {
        self.header.departures.load(Ordering::Relaxed)
    }

    /// Whether a node may have rows that somebody still has to see. If so, its vector stays as it is
    /// while the caller is pinned, also where the node was met under another pin.
    pub(super) fn has_rows(&self, id: u32) -> bool {
        matches!(self.state(id), State::Stored | State::Linking | State::Live)
    }

    pub(super) fn is_dead(&self, id: u32) -> bool {
        self.node(id).state() == State::Dead
    }

    /// Empties the lists of a node.
    pub(super) fn empty(&self, id: u32) {
        for layer in 0..=self.node(id).layer() {
            for slot in self.list(id, layer) {
                // Release: pairs with the Acquire of those who still read the list, and may see
                // either; who finds it empty finds the departure counted.
                slot.store(0, Ordering::Release);
            }
        }
    }

    /// Drops the names of nodes without a vector from the lists of a node. For a loader.
    pub(super) fn drop_free(&self, id: u32) {
        let is_free = |other: u32| matches!(self.state(other), State::Free | State::Filling);
        for layer in 0..=self.node(id).layer() {
            links::supplant(self.list(id, layer), is_free, []);
        }
    }
}
