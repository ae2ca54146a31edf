//! The lists of live nodes, where they name dead ones.
//!
//! The neighbours of a dead neighbour are what a list has lost by its death, so they are the candidates
//! for its slot, beside those that the list keeps, and the heuristic decides (Singh et al. 2021,
//! "FreshDiskANN", algorithm 4, for a graph with layers). New neighbours are linked back from, as by an
//! insert, or nodes would lose more links to them than they get. Where a whole neighbourhood has died, its
//! dead are followed until live nodes come in sight; a list that finds too few is left thin, and its
//! node is linked like a newcomer when the dead are out of the way.

use super::Graph;
use super::beam::Candidate;
use super::insert::Inserter;
use super::links::{self, PRUNED, id_of, key_of};
use super::node::State;
use super::unlink::Batch;
use crate::primitive::Ordering;

impl Graph<'_> {
    /// Takes the dead out of the lists of a node that is linked.
    pub(super) fn repair(&self, id: u32, dead: &Batch, inserter: &mut Inserter) {
        for layer in 0..=self.node(id).layer() {
            let mut slots = self.list(id, layer).iter();
            // Relaxed: the ids are only compared.
            if slots.any(|slot| dead.is_named(slot.load(Ordering::Relaxed))) {
                self.repair_list(id, layer, dead, inserter);
            }
        }
    }

    fn repair_list(&self, id: u32, layer: u32, dead: &Batch, inserter: &mut Inserter) {
        self.gather_around(id, layer, dead, inserter);
        let Inserter {
            other,
            chosen,
            starts,
            ..
        } = inserter;
        let slots = self.list(id, layer);
        self.choose(starts, &[State::Live], slots.len(), other, chosen);
        let words = chosen.iter().map(|neighbour| {
            let marks = if neighbour.pruned { PRUNED } else { 0 };
            links::word_of(neighbour.id, marks, neighbour.key)
        });
        // Relaxed: the ids are only compared.
        let ids = slots.iter().map(|slot| id_of(slot.load(Ordering::Relaxed)));
        let before: Vec<u32> = ids.flatten().collect();
        links::supplant(slots, |id| dead.contains(id), words);
        for neighbour in chosen.iter() {
            // Whoever stood behind a dead neighbour does so no more.
            links::mark(slots, neighbour.id, neighbour.pruned);
        }
        self.link_back(id, layer, |other| !before.contains(&other), inserter);
    }

    /// Makes the live neighbours of a node and those of its dead neighbours `inserter.starts`, as many of
    /// the nearest as an insert's beam holds.
    fn gather_around(&self, id: u32, layer: u32, dead: &Batch, inserter: &mut Inserter) {
        let Inserter {
            walk,
            probe,
            starts,
            ..
        } = inserter;
        let most = self.config.ef_construction as usize;
        let (mut around, mut gone) = (Vec::new(), Vec::new());
        walk.visited.clear();
        walk.visited.insert(id);
        starts.clear();
        let own = self.list(id, layer);
        for slot in own {
            // Acquire, here and below: pairs with the Release that published the id.
            let word = slot.load(Ordering::Acquire);
            let Some(neighbour) = id_of(word) else {
                continue;
            };
            walk.visited.insert(neighbour);
            if dead.contains(neighbour) {
                gone.push(neighbour);
            } else if key_of(word).is_nan() {
                around.push(neighbour);
            } else {
                starts.push(Candidate::new(neighbour, key_of(word)));
            }
        }
        let (neighbours, mut at) = (gone.len(), 0);
        while at < gone.len().min(most)
            && (at < neighbours || starts.len() + around.len() < own.len())
        {
            for slot in self.list(gone[at], layer) {
                let Some(other) = id_of(slot.load(Ordering::Acquire)) else {
                    continue;
                };
                if walk.visited.insert(other) {
                    let met = if dead.contains(other) {
                        &mut gone
                    } else {
                        &mut around
                    };
                    met.push(other);
                }
            }
            at += 1;
        }
        self.probe_node(id, probe);
        self.keys(probe, &around, |id, key| {
            starts.push(Candidate::new(id, key));
        });
        starts.sort_unstable();
        starts.truncate(most);
    }

    /// Links a live node once more where its lists are thin, as if it were new.
    pub(super) fn refill(&self, id: u32, inserter: &mut Inserter) {
        let Some(entry) = self.entry() else {
            return;
        };
        let top = self.node(id).layer().min(entry.layer);
        if !(0..=top).any(|layer| self.is_thin(id, layer)) {
            return;
        }
        self.probe_node(id, &mut inserter.probe);
        self.approach_as_newcomer(entry, top, inserter);
        let first = Candidate::new(entry.id, self.key(&inserter.probe, entry.id));
        for layer in (0..=top).rev() {
            // There may be no other but the node itself.
            inserter.starts.push(first);
            self.gather(id, layer, inserter);
            if self.is_thin(id, layer) {
                self.connect(id, layer, &[State::Live], inserter);
            }
        }
    }

    /// Whether a list has lost so many neighbours that its node is hard to find: most on layer 0, all on
    /// another.
    fn is_thin(&self, id: u32, layer: u32) -> bool {
        let slots = self.list(id, layer);
        let least = if layer == 0 { slots.len() / 2 } else { 1 };
        // Relaxed: only counted.
        let taken = slots
            .iter()
            .filter(|slot| slot.load(Ordering::Relaxed) != 0);
        taken.count() < least
    }
}
