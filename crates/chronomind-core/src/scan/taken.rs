//! Which postings have been scored, so that the two streams never give out the same row twice.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};

/// A set of postings, as a mask for each block that has any.
#[derive(Default)]
pub(super) struct Taken {
    blocks: HashMap<u32, u64, BuildHasherDefault<BlockHasher>>,
}

impl Taken {
    /// Adds a posting. False when it was there already.
    pub(super) fn insert(&mut self, block: u32, slot: usize) -> bool {
        let mask = self.blocks.entry(block).or_default();
        let new = *mask >> slot & 1 == 0;
        *mask |= 1 << slot;
        new
    }

    /// Adds postings of one block.
    pub(super) fn insert_all(&mut self, block: u32, slots: u64) {
        *self.blocks.entry(block).or_default() |= slots;
    }

    /// Takes a posting out.
    pub(super) fn remove(&mut self, block: u32, slot: usize) {
        if let Some(mask) = self.blocks.get_mut(&block) {
            *mask &= !(1 << slot);
        }
    }

    /// The postings of a block that are in the set.
    pub(super) fn of(&self, block: u32) -> u64 {
        self.blocks.get(&block).copied().unwrap_or_default()
    }

    /// Lets go of the memory of blocks that have no posting in the set any more.
    pub(super) fn shrink(&mut self) {
        self.blocks.retain(|_, mask| *mask != 0);
        self.blocks.shrink_to_fit();
    }

    pub(super) fn bytes(&self) -> usize {
        // One control byte an entry, as in every SwissTable.
        self.blocks.capacity() * (size_of::<(u32, u64)>() + 1)
    }
}

/// Multiplicative hashing (Knuth, The Art of Computer Programming, 6.4): block numbers are dense
/// and nobody chooses them to collide.
#[derive(Default)]
struct BlockHasher(u64);

impl Hasher for BlockHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u32(u32::from(byte));
        }
    }

    fn write_u32(&mut self, number: u32) {
        // The table takes its index from the low bits and its tag from the high ones.
        let product = (self.0 ^ u64::from(number)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.0 = product ^ product >> 32;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_posting_is_new_once() {
        let mut taken = Taken::default();
        assert!(taken.insert(7, 3));
        assert!(!taken.insert(7, 3));
        assert!(taken.insert(8, 3));
        taken.insert_all(7, 0b11);
        assert_eq!((taken.of(7), taken.of(8), taken.of(9)), (0b1011, 0b1000, 0));
        assert!(!taken.insert(7, 0));
        taken.remove(7, 1);
        assert_eq!(taken.of(7), 0b1001);
        taken.remove(8, 3);
        taken.shrink();
        assert_eq!((taken.of(7), taken.blocks.len()), (0b1001, 1));
    }
}
