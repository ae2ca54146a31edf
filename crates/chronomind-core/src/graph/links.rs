//! One neighbour list, shared by everybody: how ids get into its slots without a lock.
//!
//! The problem: many inserters link back into the same popular nodes while readers walk them. A
//! list is a fixed array of words. A word is 0 (empty) or `id + 1`, with [`PRUNED`] set when the
//! heuristic (Malkov and Yashunin 2016, algorithm 4) would drop the neighbour and it is kept only
//! because there is room. Every change is one compare-and-swap of one word, so a reader sees valid
//! ids at any time, and a writer that loses looks again at this list only.
//!
//! Empty slots are taken from the front and never become empty again. Two writers that want to add
//! the same id therefore meet at the same first empty slot, and the loser sees the winner's id:
//! no list ever holds an id twice.

use crate::primitive::{AtomicU32, Ordering};

/// Marks a neighbour that the heuristic would drop.
pub const PRUNED: u32 = 1 << 31;
/// The most slots a list can have: twice the largest `m`.
pub const MAX_SLOTS: usize = 200;

/// The id in a slot word, if it is taken.
#[inline(always)]
pub fn id_of(word: u32) -> Option<u32> {
    (word & !PRUNED).checked_sub(1)
}

/// The word for a neighbour.
#[inline(always)]
pub fn word_of(id: u32, pruned: bool) -> u32 {
    (id + 1) | if pruned { PRUNED } else { 0 }
}

/// What became of an attempt to take an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    AlreadyThere,
    Full,
}

/// Puts a neighbour into the first empty slot.
pub(crate) fn add(slots: &[AtomicU32], id: u32, pruned: bool) -> Added {
    for slot in slots {
        // Acquire: pairs with the Release below, for the callers that go on to follow the id.
        let mut word = slot.load(Ordering::Acquire);
        if word == 0 {
            // Release: pairs with the Acquire of whoever reads the slot; the node behind the id
            // (its vector, its own links) was written before and must be seen by then.
            match slot.compare_exchange(
                0,
                word_of(id, pruned),
                Ordering::Release,
                Ordering::Acquire,
            ) {
                Ok(_) => return Added::Yes,
                Err(winner) => word = winner,
            }
        }
        if id_of(word) == Some(id) {
            return Added::AlreadyThere;
        }
    }
    Added::Full
}

/// Whom distances are measured from while a full list is judged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Side {
    /// The node whose list it is.
    Owner,
    /// The node that wants to get in.
    Newcomer,
}

/// Measures the distances from one of the two nodes to some ids; stops early when it has met one
/// below the limit, and then leaves the rest unmeasured. Returns whether it stopped.
pub(crate) trait Measure {
    fn measure(&mut self, side: Side, ids: &[u32], limit: &[f32], out: &mut [f32]) -> bool;
}

/// Links `id` back into a neighbour's list; `distance` is the one between the two.
///
/// A full list is pruned incrementally instead of running the heuristic again: the newcomer is
/// *diverse* unless a nearer diverse neighbour is nearer to it than the owner is; a diverse
/// newcomer marks the farther neighbours that it now stands in front of as pruned; and the
/// farthest pruned one gives its slot up. That is two passes of distances over the list.
pub(crate) fn link_back(
    slots: &[AtomicU32],
    id: u32,
    distance: f32,
    measure: &mut impl Measure,
) -> bool {
    loop {
        match add(slots, id, false) {
            Added::Yes | Added::AlreadyThere => return true,
            Added::Full => {}
        }
        let mut list = List::read(slots);
        let Some(choice) = list.judge(distance, measure) else {
            return false;
        };
        let word = word_of(id, !choice.diverse);
        // Release: as in `add`.
        let victim = &slots[choice.victim];
        if victim
            .compare_exchange(
                list.words[choice.victim],
                word,
                Ordering::Release,
                Ordering::Relaxed,
            )
            .is_err()
        {
            continue;
        }
        for &at in &choice.overshadowed[..choice.overshadowed_len] {
            let at = at as usize;
            // The mark is advice to later judges; if the slot has changed, it is another's advice.
            let _ = slots[at].compare_exchange(
                list.words[at],
                list.words[at] | PRUNED,
                Ordering::Release,
                Ordering::Relaxed,
            );
        }
        return true;
    }
}

struct Choice {
    victim: usize,
    diverse: bool,
    overshadowed: [u8; MAX_SLOTS],
    overshadowed_len: usize,
}

/// A copy of a full list.
struct List {
    len: usize,
    words: [u32; MAX_SLOTS],
    ids: [u32; MAX_SLOTS],
}

impl List {
    fn read(slots: &[AtomicU32]) -> List {
        let mut list = List {
            len: slots.len(),
            words: [0; MAX_SLOTS],
            ids: [0; MAX_SLOTS],
        };
        for (at, slot) in slots.iter().enumerate() {
            // Acquire: pairs with the Release that published the id; its vector is read next.
            let word = slot.load(Ordering::Acquire);
            list.words[at] = word;
            list.ids[at] = id_of(word).unwrap_or_default();
        }
        list
    }

    /// Who must go for the newcomer, or None when it is the newcomer that stays out.
    fn judge(&mut self, distance: f32, measure: &mut impl Measure) -> Option<Choice> {
        let mut to_owner = [0_f32; MAX_SLOTS];
        measure.measure(
            Side::Owner,
            &self.ids[..self.len],
            &[],
            &mut to_owner[..self.len],
        );
        let pruned = |at: usize| self.words[at] & PRUNED != 0;
        let farthest = |of_pruned: bool| {
            (0..self.len)
                .filter(|&at| pruned(at) == of_pruned)
                .max_by(|&a, &b| to_owner[a].total_cmp(&to_owner[b]))
        };
        let farthest_pruned = farthest(true);
        let farthest_kept = farthest(false);
        if farthest_pruned.is_none() && farthest_kept.is_none_or(|at| to_owner[at] <= distance) {
            return None;
        }

        // The second pass: only diverse neighbours matter, the nearer ones first.
        let (mut ids, mut at_of) = ([0_u32; MAX_SLOTS], [0_u8; MAX_SLOTS]);
        let mut gather = |nearer: bool| {
            let mut len = 0;
            for (at, &to_owner) in to_owner[..self.len].iter().enumerate() {
                if !pruned(at) && (to_owner < distance) == nearer {
                    ids[len] = self.ids[at];
                    at_of[len] = at as u8;
                    len += 1;
                }
            }
            (ids, at_of, len)
        };
        let mut to_newcomer = [0_f32; MAX_SLOTS];
        let limits = [distance; MAX_SLOTS];
        let (nearer, _, len) = gather(true);
        let diverse = !measure.measure(
            Side::Newcomer,
            &nearer[..len],
            &limits[..len],
            &mut to_newcomer[..len],
        );
        let mut choice = Choice {
            victim: 0,
            diverse,
            overshadowed: [0; MAX_SLOTS],
            overshadowed_len: 0,
        };
        if !diverse {
            choice.victim = farthest_pruned.filter(|&at| to_owner[at] > distance)?;
            return Some(choice);
        }
        let (farther, at_of, len) = gather(false);
        measure.measure(
            Side::Newcomer,
            &farther[..len],
            &[],
            &mut to_newcomer[..len],
        );
        for (index, &at) in at_of[..len].iter().enumerate() {
            if to_newcomer[index] < to_owner[at as usize] {
                choice.overshadowed[choice.overshadowed_len] = at;
                choice.overshadowed_len += 1;
            }
        }
        let overshadowed = choice.overshadowed[..choice.overshadowed_len]
            .iter()
            .map(|&at| at as usize)
            .max_by(|&a, &b| to_owner[a].total_cmp(&to_owner[b]));
        choice.victim = match (farthest_pruned, overshadowed) {
            (Some(a), Some(b)) => {
                if to_owner[a] >= to_owner[b] {
                    a
                } else {
                    b
                }
            }
            (Some(at), None) | (None, Some(at)) => at,
            (None, None) => farthest_kept.filter(|&at| to_owner[at] > distance)?,
        };
        let victim = choice.victim as u8;
        let mut kept = 0;
        for index in 0..choice.overshadowed_len {
            if choice.overshadowed[index] != victim {
                choice.overshadowed[kept] = choice.overshadowed[index];
                kept += 1;
            }
        }
        choice.overshadowed_len = kept;
        Some(choice)
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    /// Nodes on a line: ids are positions.
    struct Line {
        owner: f32,
        newcomer: f32,
    }

    impl Measure for Line {
        fn measure(&mut self, side: Side, ids: &[u32], limit: &[f32], out: &mut [f32]) -> bool {
            let here = if side == Side::Owner {
                self.owner
            } else {
                self.newcomer
            };
            for (at, &id) in ids.iter().enumerate() {
                out[at] = (here - id as f32).abs();
                if limit.get(at).is_some_and(|&limit| out[at] < limit) {
                    return true;
                }
            }
            false
        }
    }

    fn list(words: &[u32]) -> Vec<AtomicU32> {
        words.iter().map(|&word| AtomicU32::new(word)).collect()
    }

    fn words(slots: &[AtomicU32]) -> Vec<u32> {
        slots
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .collect()
    }

    #[test]
    fn empty_slots_fill_from_the_front_and_refuse_doubles() {
        let slots = list(&[0; 3]);
        assert_eq!(add(&slots, 7, false), Added::Yes);
        assert_eq!(add(&slots, 7, true), Added::AlreadyThere);
        assert_eq!(add(&slots, 8, true), Added::Yes);
        assert_eq!(add(&slots, 9, false), Added::Yes);
        assert_eq!(add(&slots, 10, false), Added::Full);
        assert_eq!(words(&slots), [8, 9 | PRUNED, 10]);
    }

    #[test]
    fn a_diverse_newcomer_takes_the_slot_of_the_farthest_pruned() {
        // Owner at 100; 110 is diverse; 130 and 120 stand behind it and are marked so.
        let slots = list(&[word_of(110, false), word_of(130, true), word_of(120, true)]);
        let mut line = Line {
            owner: 100.0,
            newcomer: 95.0,
        };
        assert!(link_back(&slots, 95, 5.0, &mut line));
        assert_eq!(
            words(&slots),
            [word_of(110, false), word_of(95, false), word_of(120, true)]
        );
    }

    #[test]
    fn a_newcomer_in_front_of_others_marks_them() {
        let slots = list(&[word_of(110, false), word_of(120, false), word_of(50, false)]);
        let mut line = Line {
            owner: 100.0,
            newcomer: 105.0,
        };
        assert!(link_back(&slots, 105, 5.0, &mut line));
        assert_eq!(
            words(&slots),
            [word_of(110, true), word_of(105, false), word_of(50, false)]
        );
    }

    #[test]
    fn a_newcomer_behind_a_nearer_neighbour_stays_out_or_replaces_a_farther_pruned() {
        let slots = list(&[word_of(110, false), word_of(90, false)]);
        let mut line = Line {
            owner: 100.0,
            newcomer: 115.0,
        };
        assert!(!link_back(&slots, 115, 15.0, &mut line));
        let slots = list(&[word_of(110, false), word_of(140, true)]);
        assert!(link_back(&slots, 115, 15.0, &mut line));
        assert_eq!(words(&slots), [word_of(110, false), word_of(115, true)]);
    }
}
