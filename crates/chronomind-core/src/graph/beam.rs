//! The candidates of a search in order of distance, and the ids it has met.
//!
//! A sorted array of words beats two heaps at the widths that searches have: an insertion is one
//! short move, and the next candidate is found by a cursor. A search that goes on has no width any more:
//! it holds hundreds of candidates, and takes them from a heap. A word is `order(key) << 32 | id << 1 |
//! expanded`, so that comparing words compares distances.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A candidate's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate(u64);

impl Candidate {
    #[inline(always)]
    pub(crate) fn new(id: u32, key: f32) -> Candidate {
        Candidate(u64::from(order(key)) << 32 | u64::from(id) << 1)
    }

    #[inline(always)]
    pub(crate) fn id(self) -> u32 {
        (self.0 as u32) >> 1
    }

    #[inline(always)]
    pub(crate) fn key(self) -> f32 {
        unorder((self.0 >> 32) as u32)
    }

    #[inline(always)]
    fn expanded(self) -> bool {
        self.0 & 1 != 0
    }
}

/// A u32 that orders as the float does; NaN after everything.
#[inline(always)]
fn order(key: f32) -> u32 {
    // A NaN may have a sign.
    let bits = if key.is_nan() { f32::NAN } else { key }.to_bits();
    bits ^ (((bits as i32) >> 31) as u32 | 1 << 31)
}

#[inline(always)]
fn unorder(word: u32) -> f32 {
    f32::from_bits(word ^ (((!word as i32) >> 31) as u32 | 1 << 31))
}

/// The nearest candidates met so far, at most `capacity`; what falls off is kept aside when a
/// search may have to go on.
#[derive(Default)]
pub(crate) struct Beam {
    nearest: Vec<Candidate>,
    capacity: usize,
    /// No unexpanded candidate lies before this.
    cursor: usize,
    keeps_spill: bool,
    spill: Vec<Reverse<Candidate>>,
    /// All that are not expanded, once the beam is open.
    rest: BinaryHeap<Reverse<Candidate>>,
    is_open: bool,
}

impl Beam {
    /// Empties the beam for a new search.
    pub(crate) fn reset(&mut self, capacity: usize, keeps_spill: bool) {
        self.nearest.clear();
        self.spill.clear();
        self.rest.clear();
        self.is_open = false;
        self.capacity = capacity;
        self.cursor = 0;
        self.keeps_spill = keeps_spill;
    }

    /// Once all in the beam are expanded: takes back those that fell off before they were, and holds
    /// however many come from now on. False when there are none.
    pub(crate) fn open(&mut self) -> bool {
        debug_assert!(self.peek().is_none());
        self.nearest.clear();
        self.cursor = 0;
        let mut spill = std::mem::take(&mut self.spill);
        spill.retain(|Reverse(candidate)| !candidate.expanded());
        self.rest = BinaryHeap::from(spill);
        self.is_open = true;
        !self.rest.is_empty()
    }

    #[inline(always)]
    pub(crate) fn push(&mut self, candidate: Candidate) {
        if self.is_open {
            self.rest.push(Reverse(candidate));
            return;
        }
        if self.nearest.len() == self.capacity {
            let at = self.nearest.len() - 1;
            let worst = self.nearest[at];
            if candidate >= worst {
                if self.keeps_spill {
                    self.spill.push(Reverse(candidate));
                }
                return;
            }
            if self.keeps_spill {
                self.spill.push(Reverse(worst));
            }
            self.nearest.truncate(at);
        }
        let at = self.nearest.partition_point(|held| *held < candidate);
        self.nearest.insert(at, candidate);
        self.cursor = self.cursor.min(at);
    }

    /// Takes the nearest unexpanded candidate and marks it expanded.
    #[inline(always)]
    pub(crate) fn next(&mut self) -> Option<Candidate> {
        if self.is_open {
            return self.rest.pop().map(|Reverse(candidate)| candidate);
        }
        while let Some(candidate) = self.nearest.get_mut(self.cursor) {
            if !candidate.expanded() {
                let taken = *candidate;
                candidate.0 |= 1;
                return Some(taken);
            }
            self.cursor += 1;
        }
        None
    }

    /// The candidate that [`Beam::next`] would take if nothing nearer came.
    #[inline(always)]
    pub(crate) fn peek(&self) -> Option<Candidate> {
        if self.is_open {
            return self.rest.peek().map(|Reverse(candidate)| *candidate);
        }
        self.nearest[self.cursor..]
            .iter()
            .copied()
            .find(|candidate| !candidate.expanded())
    }

    pub(crate) fn nearest(&self) -> &[Candidate] {
        &self.nearest
    }

    pub(crate) fn bytes(&self) -> usize {
        (self.nearest.capacity() + self.spill.capacity() + self.rest.capacity())
            * size_of::<Candidate>()
    }
}

/// A set of ids by open addressing: its memory follows what a search meets, not the graph's size.
pub(crate) struct Visited {
    table: Vec<u32>,
    len: usize,
    shift: u32,
}

/// Slots of an empty set; a search of usual width never outgrows half of it.
const TABLE_BITS: u32 = 13;

impl Default for Visited {
    fn default() -> Visited {
        Visited {
            table: vec![0; 1 << TABLE_BITS],
            len: 0,
            shift: 32 - TABLE_BITS,
        }
    }
}

impl Visited {
    pub(crate) fn clear(&mut self) {
        if self.table.len() > 1 << TABLE_BITS {
            *self = Visited::default();
        } else {
            self.table.fill(0);
            self.len = 0;
        }
    }

    /// Adds an id; false when it was there.
    #[inline(always)]
    pub(crate) fn insert(&mut self, id: u32) -> bool {
        let mask = self.table.len() - 1;
        let mut at = (id.wrapping_mul(0x9e37_79b1) >> self.shift) as usize;
        loop {
            match self.table[at & mask] {
                0 => break,
                held if held == id + 1 => return false,
                _ => at += 1,
            }
        }
        self.table[at & mask] = id + 1;
        self.len += 1;
        if self.len * 2 > self.table.len() {
            self.grow();
        }
        true
    }

    #[cold]
    fn grow(&mut self) {
        let doubled = vec![0; self.table.len() * 2];
        let old = std::mem::replace(&mut self.table, doubled);
        self.shift -= 1;
        self.len = 0;
        for word in old {
            if word != 0 {
                self.insert(word - 1);
            }
        }
    }

    pub(crate) fn bytes(&self) -> usize {
        self.table.capacity() * size_of::<u32>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn words_order_as_keys_and_give_them_back() {
        let keys = [
            f32::NEG_INFINITY,
            -2.5,
            -1.0,
            -1e-40,
            0.0,
            1e-40,
            0.5,
            3.0,
            f32::INFINITY,
        ];
        for pair in keys.windows(2) {
            assert!(Candidate::new(9, pair[0]) < Candidate::new(0, pair[1]));
        }
        for key in keys {
            assert_eq!(Candidate::new(5, key).key(), key);
            assert_eq!(Candidate::new((1 << 31) - 2, key).id(), (1 << 31) - 2);
        }
        for nan in [f32::NAN, -f32::NAN] {
            assert!(Candidate::new(0, nan) > Candidate::new(7, f32::INFINITY));
        }
    }

    #[test]
    fn a_beam_keeps_the_nearest_until_it_is_opened() {
        let mut beam = Beam::default();
        beam.reset(3, true);
        for (id, key) in [5.0, 1.0, 4.0, 2.0, 3.0, 6.0].into_iter().enumerate() {
            beam.push(Candidate::new(id as u32, key));
        }
        let keys = |beam: &Beam| beam.nearest().iter().map(|c| c.key()).collect::<Vec<_>>();
        assert_eq!(keys(&beam), [1.0, 2.0, 3.0]);
        assert_eq!(beam.next().map(Candidate::id), Some(1));
        assert_eq!(beam.peek().map(Candidate::id), Some(3));
        beam.push(Candidate::new(9, 0.5));
        assert_eq!(beam.next().map(Candidate::id), Some(9));
        for (id, key) in [(10, 0.1), (11, 0.2)] {
            beam.push(Candidate::new(id, key));
        }
        let rest = |beam: &mut Beam| {
            std::iter::from_fn(|| beam.next())
                .map(Candidate::id)
                .collect::<Vec<u32>>()
        };
        assert_eq!(rest(&mut beam), [10, 11]);
        // What was expanded before it fell off does not come again.
        assert!(beam.open());
        assert_eq!(beam.peek().map(Candidate::id), Some(3));
        beam.push(Candidate::new(8, 2.5));
        beam.push(Candidate::new(12, 7.0));
        assert_eq!(rest(&mut beam), [3, 8, 4, 2, 0, 5, 12]);
        assert!(!beam.open());
        beam.reset(1, true);
        assert_eq!(beam.peek(), None);
    }

    #[test]
    fn visited_is_a_set() {
        let mut visited = Visited::default();
        let mut model = HashSet::new();
        let mut random = 3_u32;
        for _ in 0..50_000 {
            random = random.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            let id = random >> 16;
            assert_eq!(visited.insert(id), model.insert(id));
        }
        visited.clear();
        assert!(visited.insert(1));
    }
}
