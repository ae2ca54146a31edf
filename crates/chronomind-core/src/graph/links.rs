//! One neighbour list, shared by everybody: how ids get into its slots without a lock.
//!
//! The problem: many inserters link back into the same popular nodes while readers walk them. A
//! list is a fixed array of words, each 0 (empty) or a link:
//!
//! | bits | what |
//! |---|---|
//! | 0..31 | id + 1 |
//! | 31 | [`PRUNED`]: the heuristic (Malkov and Yashunin 2016, algorithm 4) would drop the neighbour and it is kept only because there is room |
//! | 32..64 | the key of the distance between the two nodes, a float; NaN while unknown |
//!
//! Every change is one compare-and-swap of one word, so a reader sees valid ids at any time, and a
//! writer that loses looks again at this list only. The distance is kept because every newcomer to a
//! full list is compared with all of its neighbours: measuring them again would be two fifths of the
//! distances that an insert computes.
//!
//! Empty slots are taken from the front and never become empty again. Two writers that want to add
//! the same id therefore meet at the same first empty slot, and the loser sees the winner's id:
//! no list ever holds an id twice.

use crate::primitive::{AtomicU64, Ordering};

/// Marks a neighbour that the heuristic would drop.
pub const PRUNED: u32 = 1 << 31;

/// The id in a slot word, if it is taken.
#[inline(always)]
pub fn id_of(word: u64) -> Option<u32> {
    (word as u32 & !PRUNED).checked_sub(1)
}

/// The word for a neighbour.
#[inline(always)]
pub fn word_of(id: u32, pruned: bool, key: f32) -> u64 {
    let link = (id + 1) | if pruned { PRUNED } else { 0 };
    u64::from(key.to_bits()) << 32 | u64::from(link)
}

/// Whether the neighbour in a slot word is kept only because there is room.
pub fn is_pruned(word: u64) -> bool {
    word as u32 & PRUNED != 0
}

fn key_of(word: u64) -> f32 {
    f32::from_bits((word >> 32) as u32)
}

/// What became of an attempt to take an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    AlreadyThere,
    Full,
}

/// Puts a neighbour into the first empty slot.
pub(crate) fn add(slots: &[AtomicU64], id: u32, pruned: bool, key: f32) -> Added {
    for slot in slots {
        // Acquire: pairs with the Release below, for the callers that go on to follow the id.
        let mut word = slot.load(Ordering::Acquire);
        if word == 0 {
            // Release: pairs with the Acquire of whoever reads the slot; the node behind the id
            // (its vector, its own links) was written before and must be seen by then.
            match slot.compare_exchange(
                0,
                word_of(id, pruned, key),
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

/// Measures distances while a full list is judged.
pub(crate) trait Measure {
    /// The keys of some ids from the node whose list it is, in order.
    fn owner_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>);
    /// The keys of some ids from the node that wants to get in, in order.
    fn newcomer_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>);
    /// Whether one of the ids is nearer to the newcomer than `key`; may stop at the first.
    fn any_nearer(&mut self, ids: &[u32], key: f32) -> bool;
}

/// Links `id` back into a neighbour's list; `key` is that of the distance between the two.
///
/// A full list is pruned incrementally instead of running the heuristic again: the newcomer is
/// *diverse* unless a nearer diverse neighbour is nearer to it than the owner is; a diverse
/// newcomer marks the farther neighbours that it now stands in front of as pruned; and the
/// farthest pruned one gives its slot up. That is one pass of distances over the list at most.
pub(crate) fn link_back(
    slots: &[AtomicU64],
    id: u32,
    key: f32,
    measure: &mut impl Measure,
    list: &mut List,
) -> bool {
    loop {
        match add(slots, id, false, key) {
            Added::Yes | Added::AlreadyThere => return true,
            Added::Full => {}
        }
        list.read(slots);
        if !list.learn(slots, measure) {
            continue;
        }
        let Some((victim, diverse)) = list.judge(key, measure) else {
            return false;
        };
        if !list.replace(slots, victim, word_of(id, !diverse, key)) {
            continue;
        }
        // The mark is advice to later judges; if a slot has changed, it is another's advice.
        for index in 0..list.selected.len() {
            let at = list.selected[index];
            list.replace(slots, at, list.words[at] | u64::from(PRUNED));
        }
        return true;
    }
}

/// A copy of a full list with the buffers for judging it, kept from one list to the next.
#[derive(Default)]
pub(crate) struct List {
    words: Vec<u64>,
    /// The slots that are looked at, and the ids in them.
    selected: Vec<usize>,
    ids: Vec<u32>,
    keys: Vec<f32>,
}

impl List {
    fn read(&mut self, slots: &[AtomicU64]) {
        self.words.clear();
        // Acquire: pairs with the Release that published the id; its vector is read next.
        let words = slots.iter().map(|slot| slot.load(Ordering::Acquire));
        self.words.extend(words);
    }

    /// Changes one slot, unless somebody has done so since it was read.
    fn replace(&mut self, slots: &[AtomicU64], at: usize, word: u64) -> bool {
        // Release: as in `add`.
        let changed =
            slots[at].compare_exchange(self.words[at], word, Ordering::Release, Ordering::Relaxed);
        if changed.is_ok() {
            self.words[at] = word;
        }
        changed.is_ok()
    }

    /// Selects the slots whose words satisfy a condition.
    fn select(&mut self, condition: impl Fn(u64) -> bool) {
        self.selected.clear();
        self.ids.clear();
        for (at, &word) in self.words.iter().enumerate() {
            if condition(word)
                && let Some(id) = id_of(word)
            {
                self.selected.push(at);
                self.ids.push(id);
            }
        }
    }

    /// Measures the distances that are not known, which are those of links that came from pages.
    /// False when the list has changed meanwhile.
    fn learn(&mut self, slots: &[AtomicU64], measure: &mut impl Measure) -> bool {
        self.select(|word| key_of(word).is_nan());
        if self.ids.is_empty() {
            return true;
        }
        measure.owner_keys(&self.ids, &mut self.keys);
        (0..self.ids.len()).all(|index| {
            let at = self.selected[index];
            let pruned = is_pruned(self.words[at]);
            self.replace(
                slots,
                at,
                word_of(self.ids[index], pruned, self.keys[index]),
            )
        })
    }

    fn farthest(&self, slots: impl Iterator<Item = usize>) -> Option<usize> {
        slots.max_by(|&a, &b| key_of(self.words[a]).total_cmp(&key_of(self.words[b])))
    }

    /// Which slot goes to a newcomer and whether that one is diverse, or None when it stays out.
    /// Leaves the other slots that the newcomer stands in front of selected.
    fn judge(&mut self, key: f32, measure: &mut impl Measure) -> Option<(usize, bool)> {
        let words = &self.words;
        let of = |pruned| {
            let slots = 0..words.len();
            slots.filter(move |&at| is_pruned(words[at]) == pruned)
        };
        let pruned = self.farthest(of(true));
        let kept = self.farthest(of(false));
        let beyond = |at: &usize| key_of(self.words[*at]) > key;
        let (pruned_beyond, kept_beyond) = (pruned.filter(beyond), kept.filter(beyond));
        if pruned.is_none() && kept_beyond.is_none() {
            return None;
        }

        self.select(|word| !is_pruned(word) && key_of(word) < key);
        if measure.any_nearer(&self.ids, key) {
            self.selected.clear();
            return pruned_beyond.map(|at| (at, false));
        }

        self.select(|word| !is_pruned(word) && key_of(word) >= key);
        measure.newcomer_keys(&self.ids, &mut self.keys);
        let mut keys = self.keys.iter();
        let words = &self.words;
        self.selected
            .retain(|&at| keys.next().is_some_and(|&key| key < key_of(words[at])));
        let overshadowed = self.farthest(self.selected.iter().copied());
        // Of two equally far ones the last is taken: the one that was pruned before.
        let victim = self
            .farthest(overshadowed.into_iter().chain(pruned))
            .or(kept_beyond)?;
        self.selected.retain(|&at| at != victim);
        Some((victim, true))
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;
    use crate::graph::line::Line;

    /// The list of an owner at 100.
    fn list(links: &[(u32, bool)]) -> Vec<AtomicU64> {
        let word = |&(id, pruned)| word_of(id, pruned, (100.0 - id as f32).abs());
        links.iter().map(word).map(AtomicU64::new).collect()
    }

    fn links(slots: &[AtomicU64]) -> Vec<(u32, bool)> {
        slots
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .map(|word| (id_of(word).unwrap(), is_pruned(word)))
            .collect()
    }

    #[test]
    fn empty_slots_fill_from_the_front_and_refuse_doubles() {
        let slots: [_; 3] = std::array::from_fn(|_| AtomicU64::new(0));
        assert_eq!(add(&slots, 7, false, 0.5), Added::Yes);
        assert_eq!(add(&slots, 7, true, 0.5), Added::AlreadyThere);
        assert_eq!(add(&slots, 8, true, -0.5), Added::Yes);
        assert_eq!(add(&slots, 9, false, 0.5), Added::Yes);
        assert_eq!(add(&slots, 10, false, 0.5), Added::Full);
        assert_eq!(links(&slots), [(7, false), (8, true), (9, false)]);
        assert_eq!(key_of(slots[1].load(Ordering::Relaxed)), -0.5);
    }

    #[test]
    fn a_diverse_newcomer_takes_the_slot_of_the_farthest_pruned() {
        // 110 is diverse; 130 and 120 stand behind it and are marked so.
        let slots = list(&[(110, false), (130, true), (120, true)]);
        let (owner, newcomer) = (100.0, 95.0);
        assert!(Line { owner, newcomer }.link_back(&slots));
        assert_eq!(links(&slots), [(110, false), (95, false), (120, true)]);
    }

    #[test]
    fn a_newcomer_in_front_of_others_marks_them() {
        let slots = list(&[(110, false), (120, false), (50, false)]);
        let (owner, newcomer) = (100.0, 105.0);
        assert!(Line { owner, newcomer }.link_back(&slots));
        assert_eq!(links(&slots), [(110, true), (105, false), (50, false)]);
    }

    #[test]
    fn a_newcomer_behind_a_nearer_neighbour_stays_out_or_replaces_a_farther_pruned() {
        let (owner, newcomer) = (100.0, 115.0);
        let slots = list(&[(110, false), (90, false)]);
        assert!(!Line { owner, newcomer }.link_back(&slots));
        let slots = list(&[(110, false), (140, true)]);
        assert!(Line { owner, newcomer }.link_back(&slots));
        assert_eq!(links(&slots), [(110, false), (115, true)]);
    }

    #[test]
    fn distances_that_pages_do_not_keep_are_measured_once() {
        let slots = [(110, false), (120, false), (50, false)]
            .map(|(id, pruned)| AtomicU64::new(word_of(id, pruned, f32::NAN)));
        let (owner, newcomer) = (100.0, 105.0);
        assert!(Line { owner, newcomer }.link_back(&slots));
        assert_eq!(links(&slots), [(110, true), (105, false), (50, false)]);
        let keys = slots.map(|slot| key_of(slot.load(Ordering::Relaxed)));
        assert_eq!(keys, [10.0, 5.0, 50.0]);
    }
}
