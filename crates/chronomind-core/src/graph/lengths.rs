//! How long the vectors of a graph are, at most.
//!
//! A search whose products with some vector may overflow ranks every row, see
//! [`GraphNear`](super::GraphNear). So that one vector of extreme length does not slow searches down for
//! longer than it is there, nodes are counted by the binary exponent of their length, from before their
//! vector is stored until their place is free.

use crate::primitive::{AtomicU32, Ordering};

/// Exponents of floats that are not negative, infinity's among them.
const CLASSES: usize = 256;

/// Bits of a float behind its exponent.
const FRACTION: u32 = 23;

/// The counts; zeroed memory is those of no nodes.
#[repr(C)]
pub(super) struct Lengths {
    counts: [AtomicU32; CLASSES],
}

impl Lengths {
    /// Counts a vector that is about to be stored.
    pub(super) fn enter(&self, length: f32) {
        // Relaxed, all of these: a search has to know of the vectors whose rows its snapshot has, and
        // taking that synchronised with the commits of those who stored them. A count is changed by
        // read-modify-writes and each vector leaves after it came, so no count falls short.
        self.counts[class(length)].fetch_add(1, Ordering::Relaxed);
    }

    /// Takes back a vector that was not stored, or that nobody can meet any more.
    pub(super) fn leave(&self, length: f32) {
        self.counts[class(length)].fetch_sub(1, Ordering::Relaxed);
    }

    /// No vector is longer than this; the longest is at least half as long.
    pub(super) fn most(&self) -> f32 {
        let is_taken = |count: &AtomicU32| count.load(Ordering::Relaxed) > 0;
        match self.counts.iter().rposition(is_taken) {
            None => 0.0,
            Some(class) if class + 1 == CLASSES => f32::INFINITY,
            Some(class) => f32::from_bits(((class as u32 + 1) << FRACTION) - 1),
        }
    }
}

/// The exponent of a length, which is no NaN and not negative.
fn class(length: f32) -> usize {
    (length.abs().to_bits() >> FRACTION) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_most_is_that_of_the_longest_that_is_left() {
        let lengths = Lengths {
            counts: [const { AtomicU32::new(0) }; CLASSES],
        };
        assert_eq!(lengths.most(), 0.0);
        let all = [
            0.0,
            1e-40,
            1e-20,
            0.5,
            1.0,
            1.9,
            2.0,
            1e30,
            f32::MAX,
            f32::INFINITY,
        ];
        for length in all {
            lengths.enter(length);
            assert!(lengths.most() >= length);
        }
        lengths.enter(1.5);
        for (at, &length) in all.iter().enumerate().rev() {
            lengths.leave(length);
            let left = all[..at].iter().copied().fold(1.5_f32, f32::max);
            assert!(lengths.most() >= left && lengths.most() <= 2.0 * left);
        }
        lengths.leave(1.5);
        assert_eq!(lengths.most(), 0.0);
    }
}
