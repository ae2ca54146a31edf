//! How dead nodes leave the graph while others search it and insert.
//!
//! Between three grace periods, each the time until every pin that was there at its beginning is gone:
//!
//! 1. *Nobody links to the dead any more.* Inserters look at the state of a node before they link to it
//!    or hang under it, so those who began before its death are waited for.
//! 2. *Nobody has them in a list any more.* The entry point is given to a live node, and each list that
//!    names a dead one is [repaired](super::repair). After the second grace period everybody who walks
//!    the graph has entered it when this was so: meets live nodes only, and hangs under them. Now those
//!    that have lost their hold on the spanning tree get [another](super::forest), and those who found
//!    nobody but the dead to link to are linked.
//! 3. *Nobody can come back to them.* A search that is continued under another pin may still hold the
//!    id of a dead node, and go on to its neighbours from there. So the lists of the dead are emptied
//!    before the third grace period, and only after it are they free.
//!
//! A search may therefore hold the id of a node that is used again, and that is harmless. It reads
//! the vectors of nodes that it meets under its pin, which are not free, and of held ones that are alive
//! under its pin, which outlive it. What it reads of others is their list, empty or that of the new node,
//! whose ids are as good as any, and their postings, which belong to rows that came after the search
//! began: no snapshot it serves sees them. Each id is met once, so it ends. Where it comes to an end
//! because all that it held has left, it begins again ([`GraphNear`](super::GraphNear)).
//!
//! One call at a time: vacuum is alone on its table. It is the only one that frees nodes, so it needs
//! no pin itself. When it is stopped, or gives up waiting for somebody who stands still under a pin, the
//! dead are dead still, and the next call begins again.

use super::Graph;
use super::entry::{self, Entry};
use super::insert::Inserter;
use super::links::id_of;
use super::node::State;
use crate::epoch::Epochs;
use crate::error::{Error, Interrupt, Pause, Result};
use crate::primitive::Ordering;

/// The dead that leave together.
pub(super) struct Batch {
    ids: Vec<u32>,
    /// A bit for each node.
    marks: Vec<u64>,
}

impl Batch {
    fn of(graph: &Graph<'_>) -> Batch {
        let len = graph.len();
        let mut batch = Batch {
            ids: Vec::new(),
            marks: vec![0; len.div_ceil(64) as usize],
        };
        // Nobody dies meanwhile.
        for (id, state) in graph.nodes().take_while(|&(id, _)| id < len) {
            if state == State::Dead {
                batch.ids.push(id);
                batch.marks[id as usize / 64] |= 1 << (id % 64);
            }
        }
        batch
    }

    pub(super) fn contains(&self, id: u32) -> bool {
        let word = self.marks.get(id as usize / 64);
        word.is_some_and(|word| word >> (id % 64) & 1 != 0)
    }

    /// Whether a slot word names one of them.
    pub(super) fn is_named(&self, word: u64) -> bool {
        id_of(word).is_some_and(|id| self.contains(id))
    }
}

impl Graph<'_> {
    /// Takes all dead nodes out of the graph and makes their places free. Returns how many there were, 0
    /// too where they are left to the next call. For vacuum, which is alone on its table and must not hold
    /// a pin. The interrupt check, which is asked under no pin either, may take its time. `pause` passes
    /// some, while a grace period is not over, and says whether to go on waiting.
    ///
    /// Costs a pass over all links, and for each list that names dead nodes the distances to the
    /// neighbours of these.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so. The graph is sound, the nodes that are still
    /// dead are left to the next call.
    pub fn unlink(
        &self,
        epochs: Epochs<'_>,
        inserter: &mut Inserter,
        interrupt: &mut Interrupt<'_>,
        pause: &mut Pause<'_>,
    ) -> Result<u32> {
        let dead = Batch::of(self);
        if dead.ids.is_empty() || !wait(epochs, interrupt, pause)? {
            return Ok(0);
        }
        self.replace_entry(&dead);
        for (id, state) in self.nodes() {
            look(interrupt)?;
            if matches!(state, State::Linking | State::Live) {
                self.repair(id, &dead, inserter);
            }
        }
        if !wait(epochs, interrupt, pause)? {
            return Ok(0);
        }
        for id in self.live() {
            look(interrupt)?;
            self.refill(id, inserter);
        }
        if !self.rejoin(inserter, interrupt)? {
            return Ok(0);
        }
        self.header.departures.fetch_add(1, Ordering::Relaxed);
        // Backwards: newer nodes are nearer to the front of a bucket, so that many with the same vector
        // are not passed for each other.
        for &id in dead.ids.iter().rev() {
            look(interrupt)?;
            self.empty(id);
            self.strike_off(id);
        }
        if !wait(epochs, interrupt, pause)? {
            return Ok(0);
        }
        for &id in &dead.ids {
            let node = self.node(id);
            self.forget_length(&node);
            node.finish();
            self.give_free(id);
        }
        let count = dead.ids.len() as u32;
        // Release: who sees that no node is dead any more finds their places free.
        self.header.freed.fetch_add(count, Ordering::Release);
        Ok(count)
    }

    /// Lets searches start at a live node of the highest layer, when they start at a dead one.
    fn replace_entry(&self, dead: &Batch) {
        while let Some(entry) = self.entry().filter(|entry| dead.contains(entry.id)) {
            let heir = self
                .live()
                .map(|id| Entry {
                    id,
                    layer: self.node(id).layer(),
                })
                .max_by_key(|entry| entry.layer);
            entry::inherit(self.entry_word(), entry, heir);
        }
    }
}

/// Looks whether the work is to stop.
pub(super) fn look(interrupt: &mut Interrupt<'_>) -> Result<()> {
    if interrupt() {
        return Err(Error::Stopped);
    }
    Ok(())
}

/// Waits for a grace period. False when it is not over and nobody wants to wait any longer.
fn wait(epochs: Epochs<'_>, interrupt: &mut Interrupt<'_>, pause: &mut Pause<'_>) -> Result<bool> {
    let stamp = epochs.stamp();
    while !epochs.is_safe(stamp) {
        if !epochs.try_advance() {
            look(interrupt)?;
            if !pause() {
                return Ok(false);
            }
        }
    }
    Ok(true)
}
