//! One neighbour list, shared by everybody: how ids get into its slots without a lock.
//!
//! The problem: many inserters link back into the same popular nodes while readers walk them. A
//! list is a fixed array of words, each 0 (empty) or a link:
//!
//! | bits | what |
//! |---|---|
//! | 0..30 | id + 1 |
//! | 30 | [`SPANNING`]: the link is one of the tree that holds the graph together, and is never replaced |
//! | 31 | [`PRUNED`]: the heuristic (Malkov and Yashunin 2016, algorithm 4) would drop the neighbour and it is kept only because there is room |
//! | 32..64 | the key of the distance between the two nodes, a float; NaN while unknown |
//!
//! Every change is one compare-and-swap of one word, so a reader sees valid ids at any time, and a
//! writer that loses looks again at this list only. The distance is kept because every newcomer to a
//! full list is compared with all of its neighbours: measuring them again would be two fifths of the
//! distances that an insert computes.
//!
//! Empty slots are taken from the front. Two writers that want to add the same id therefore meet at
//! the same first empty slot, and the loser sees the winner's id: no list ever holds an id twice.
//!
//! # Neighbours that are gone
//!
//! Dead nodes leave the lists of the others by [`supplant`], which puts live ones in their slots and
//! empties a slot only where there are too few. The argument above survives that, because the lists
//! that it touches are those of linked nodes: into them an id comes from one hand at a time, that of its
//! own inserter while it is being linked, that of the one who unlinks the dead when it is live. One
//! hand looks whether the id is there before it takes an empty slot, and finds out the truth. Where two
//! do add the same id, the list is that of a node which is being linked; it names no dead node, and its
//! slots stay taken.
//!
//! # The spanning tree
//!
//! The heuristic alone loses nodes: a newcomer at the edge of a dense group may be refused by every
//! list it links back to, and a list that had the only link to a node may give its slot away. So each
//! node but the first has a *parent*, and the two links between them are never replaced. Whatever
//! else happens to the lists, every node can be reached from every other.
//!
//! A node is *hung* once its parent holds it, and does so itself only when it has written its last
//! other link of layer 0. Therefore a parent and a child add each other by one hand at a time, and
//! no two slots of a list are taken for the same id.

use crate::primitive::{AtomicU64, Ordering};

/// Marks a neighbour that the heuristic would drop.
pub const PRUNED: u32 = 1 << 31;
/// Marks a link of the spanning tree.
pub const SPANNING: u32 = 1 << 30;
/// Ids that a word has room for.
pub const MAX_IDS: u32 = SPANNING - 1;

/// The id in a slot word, if it is taken.
#[inline(always)]
pub fn id_of(word: u64) -> Option<u32> {
    (word as u32 & !(PRUNED | SPANNING)).checked_sub(1)
}

/// The word for a neighbour with any of the marks.
#[inline(always)]
pub fn word_of(id: u32, marks: u32, key: f32) -> u64 {
    u64::from(key.to_bits()) << 32 | u64::from((id + 1) | marks)
}

/// The marks in a slot word.
pub fn marks_of(word: u64) -> u32 {
    word as u32 & (PRUNED | SPANNING)
}

/// Whether the neighbour in a slot word is kept only because there is room.
pub fn is_pruned(word: u64) -> bool {
    word as u32 & PRUNED != 0
}

/// Whether the link in a slot word is one of the spanning tree.
pub fn is_spanning(word: u64) -> bool {
    word as u32 & SPANNING != 0
}

/// The key of the distance in a slot word, NaN while unknown.
pub(crate) fn key_of(word: u64) -> f32 {
    f32::from_bits((word >> 32) as u32)
}

/// What became of an attempt to take an empty slot.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Added {
    Yes,
    AlreadyThere,
    Full,
}

/// Whether a list names a node.
pub(crate) fn names(slots: &[AtomicU64], id: u32) -> bool {
    slots
        .iter()
        // Acquire: pairs with the Release in `add`, for the callers that go on to follow the id.
        .any(|slot| id_of(slot.load(Ordering::Acquire)) == Some(id))
}

/// Puts a neighbour into the first empty slot.
pub(crate) fn add(slots: &[AtomicU64], id: u32, marks: u32, key: f32) -> Added {
    // It may stand behind a slot that has become empty.
    if names(slots, id) {
        return Added::AlreadyThere;
    }
    for slot in slots {
        // Acquire: pairs with the Release below, for the callers that go on to follow the id.
        let mut word = slot.load(Ordering::Acquire);
        if word == 0 {
            // Release: pairs with the Acquire of whoever reads the slot; the node behind the id
            // (its vector, its own links) was written before and must be seen by then.
            match slot.compare_exchange(
                0,
                word_of(id, marks, key),
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
        match add(slots, id, 0, key) {
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
        if list.enter(slots, victim, id, key, diverse) {
            return true;
        }
    }
}

/// Makes sure that a parent's list holds its child for good, in the place of whatever is least
/// needed. Fails only when every link there is one of the tree.
pub(crate) fn hold_child(slots: &[AtomicU64], id: u32, key: f32, list: &mut List) -> bool {
    hold(slots, id, key, List::least_needed, list)
}

/// Takes back that a list holds a child: of one that does not hold the parent. The link stays as one that
/// may be replaced.
pub(crate) fn let_child_go(slots: &[AtomicU64], id: u32) {
    for slot in slots {
        let mut word = slot.load(Ordering::Relaxed);
        while id_of(word) == Some(id) && is_spanning(word) {
            let free = word & !u64::from(SPANNING);
            // Release: as in `add`.
            match slot.compare_exchange(word, free, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => break,
                Err(now) => word = now,
            }
        }
    }
}

/// Makes sure that a child's list holds its parent for good. Fails only when every link there is one
/// of the tree, which the list of a node that has no parent yet is far from.
///
/// Others may do so for the child at the same time. They take the place of the same link, the last:
/// with a slot of each one's choice the list would hold the parent twice.
pub(crate) fn hold_parent(slots: &[AtomicU64], id: u32, key: f32, list: &mut List) -> bool {
    hold(slots, id, key, List::last, list)
}

fn hold(
    slots: &[AtomicU64],
    id: u32,
    key: f32,
    victim: impl Fn(&List) -> Option<usize>,
    list: &mut List,
) -> bool {
    loop {
        if add(slots, id, SPANNING, key) == Added::Yes {
            return true;
        }
        list.read(slots);
        let there = list.words.iter().position(|&word| id_of(word) == Some(id));
        let (at, word) = match there {
            Some(at) if is_spanning(list.words[at]) => return true,
            Some(at) => (at, list.words[at] | u64::from(SPANNING)),
            None => match victim(list) {
                // It has been refused, or nobody has asked for it.
                Some(at) => (at, word_of(id, SPANNING | PRUNED, key)),
                None => return false,
            },
        };
        if list.replace(slots, at, word) {
            return true;
        }
    }
}

/// Puts others in the slots of neighbours that are gone and in empty ones, as far as there are any, and
/// empties the rest of the former. The others must be live, and the list that of a node which is linked.
pub(crate) fn supplant(
    slots: &[AtomicU64],
    is_gone: impl Fn(u32) -> bool,
    others: impl IntoIterator<Item = u64>,
) {
    let mut others = others.into_iter();
    let mut next = None;
    for slot in slots {
        let mut word = slot.load(Ordering::Relaxed);
        while id_of(word).is_none_or(&is_gone) {
            // Who linked back before it became live is seen here.
            let is_new = |other: &u64| id_of(*other).is_some_and(|id| !names(slots, id));
            next = next.filter(is_new).or_else(|| others.by_ref().find(is_new));
            let new = next.unwrap_or(0);
            if new == word {
                break;
            }
            // Release: as in `add`.
            match slot.compare_exchange(word, new, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => {
                    next = None;
                    break;
                }
                Err(now) => word = now,
            }
        }
    }
}

/// Says whether the heuristic would drop a neighbour, for the judges to come.
pub(crate) fn mark(slots: &[AtomicU64], id: u32, pruned: bool) {
    for slot in slots {
        let word = slot.load(Ordering::Relaxed);
        if id_of(word) == Some(id) && is_pruned(word) != pruned {
            let marked = word ^ u64::from(PRUNED);
            // Advice: if the slot has changed, it is another's. Release: as in `add`.
            let _ = slot.compare_exchange(word, marked, Ordering::Release, Ordering::Relaxed);
        }
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
            let marks = marks_of(self.words[at]);
            self.replace(slots, at, word_of(self.ids[index], marks, self.keys[index]))
        })
    }

    fn farthest(&self, slots: impl Iterator<Item = usize>) -> Option<usize> {
        slots.max_by(|&a, &b| key_of(self.words[a]).total_cmp(&key_of(self.words[b])))
    }

    /// The slot that a list is better without than any other: the farthest pruned one, else the
    /// farthest. None when all links are of the tree.
    fn least_needed(&self) -> Option<usize> {
        let of = |pruned| self.replaceable(pruned);
        self.farthest(of(true)).or_else(|| self.farthest(of(false)))
    }

    /// The last slot that may be given away.
    fn last(&self) -> Option<usize> {
        self.words.iter().rposition(|&word| !is_spanning(word))
    }

    /// The slots that may be given away, of the neighbours that are pruned or not.
    fn replaceable(&self, pruned: bool) -> impl Iterator<Item = usize> {
        (0..self.words.len())
            .filter(move |&at| is_pruned(self.words[at]) == pruned && !is_spanning(self.words[at]))
    }

    /// Gives a slot to a newcomer and marks the selected ones, which it stands in front of. False
    /// when the slot has changed since it was read.
    fn enter(
        &mut self,
        slots: &[AtomicU64],
        victim: usize,
        id: u32,
        key: f32,
        diverse: bool,
    ) -> bool {
        let marks = if diverse { 0 } else { PRUNED };
        if !self.replace(slots, victim, word_of(id, marks, key)) {
            return false;
        }
        // The mark is advice to later judges; if a slot has changed, it is another's advice.
        for index in 0..self.selected.len() {
            let at = self.selected[index];
            self.replace(slots, at, self.words[at] | u64::from(PRUNED));
        }
        true
    }

    /// Which slot goes to a newcomer and whether that one is diverse, or None when it stays out.
    /// Leaves the other slots that the newcomer stands in front of selected.
    fn judge(&mut self, key: f32, measure: &mut impl Measure) -> Option<(usize, bool)> {
        let pruned = self.farthest(self.replaceable(true));
        let kept = self.farthest(self.replaceable(false));
        let beyond = |at: &usize| key_of(self.words[*at]) > key;
        let (pruned_beyond, kept_beyond) = (pruned.filter(beyond), kept.filter(beyond));
        if pruned.is_none() && kept_beyond.is_none() {
            self.selected.clear();
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
        let replaceable = |at: &usize| !is_spanning(self.words[*at]);
        let overshadowed = self.farthest(self.selected.iter().copied().filter(replaceable));
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

    fn mark(pruned: bool) -> u32 {
        if pruned { PRUNED } else { 0 }
    }

    /// The list of an owner at 100.
    fn list(links: &[(u32, bool)]) -> Vec<AtomicU64> {
        let word = |&(id, pruned)| word_of(id, mark(pruned), (100.0 - id as f32).abs());
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
        assert_eq!(add(&slots, 7, 0, 0.5), Added::Yes);
        assert_eq!(add(&slots, 7, PRUNED, 0.5), Added::AlreadyThere);
        assert_eq!(add(&slots, 8, PRUNED, -0.5), Added::Yes);
        assert_eq!(add(&slots, 9, 0, 0.5), Added::Yes);
        assert_eq!(add(&slots, 10, 0, 0.5), Added::Full);
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
            .map(|(id, pruned)| AtomicU64::new(word_of(id, mark(pruned), f32::NAN)));
        let (owner, newcomer) = (100.0, 105.0);
        assert!(Line { owner, newcomer }.link_back(&slots));
        assert_eq!(links(&slots), [(110, true), (105, false), (50, false)]);
        let keys = slots.map(|slot| key_of(slot.load(Ordering::Relaxed)));
        assert_eq!(keys, [10.0, 5.0, 50.0]);
    }

    fn key(id: u32) -> f32 {
        (100.0 - id as f32).abs()
    }

    fn hold_child_in(slots: &[AtomicU64], id: u32) -> bool {
        hold_child(slots, id, key(id), &mut List::default())
    }

    fn hold_parent_in(slots: &[AtomicU64], id: u32) -> bool {
        hold_parent(slots, id, key(id), &mut List::default())
    }

    fn tree(slots: &[AtomicU64]) -> Vec<u32> {
        let words = slots.iter().map(|slot| slot.load(Ordering::Relaxed));
        words
            .filter(|&word| is_spanning(word))
            .filter_map(id_of)
            .collect()
    }

    #[test]
    fn a_parent_takes_whom_it_would_refuse() {
        let (owner, newcomer) = (100.0, 150.0);
        let slots = list(&[(99, false), (101, false), (98, true)]);
        assert!(!Line { owner, newcomer }.link_back(&slots));
        assert!(hold_child_in(&slots, 150));
        assert_eq!(links(&slots), [(99, false), (101, false), (150, true)]);
        assert!(hold_child_in(&slots, 160));
        assert_eq!(tree(&slots), [160, 150]);
    }

    #[test]
    fn a_child_holds_its_parent_where_the_last_was() {
        let slots = list(&[(120, true), (110, false), (101, false)]);
        assert!(hold_parent_in(&slots, 150) && hold_parent_in(&slots, 150));
        assert_eq!(links(&slots), [(120, true), (110, false), (150, true)]);
        assert_eq!(tree(&slots), [150]);
    }

    #[test]
    fn links_of_the_tree_are_never_replaced() {
        let slots = list(&[(120, false), (130, true)]);
        assert!(hold_child_in(&slots, 130));
        let owner = 100.0;
        let link_back = |newcomer| Line { owner, newcomer }.link_back(&slots);
        assert!(link_back(105.0));
        assert_eq!(links(&slots), [(105, false), (130, true)]);
        assert!(hold_child_in(&slots, 7));
        assert_eq!(tree(&slots), [7, 130]);
        assert!(!link_back(101.0));
        assert!(!hold_child_in(&slots, 8) && !hold_parent_in(&slots, 8));
    }

    #[test]
    fn a_link_that_is_there_becomes_one_of_the_tree_once() {
        let slots = list(&[(120, true), (130, false)]);
        assert!(hold_child_in(&slots, 120) && hold_child_in(&slots, 120));
        assert!(hold_parent_in(&slots, 130));
        assert_eq!(links(&slots), [(120, true), (130, false)]);
        assert_eq!(tree(&slots), [120, 130]);
    }
}
