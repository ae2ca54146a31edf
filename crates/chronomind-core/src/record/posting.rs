//! A posting: one heap row version, the keys of its attributes, and the node of its vector.
//!
//! ```text
//! 0  heap block u32 | 4  offset u16 | 6  flags u16 | 8  node u32 | 12  null mask u32 | 16  keys u64 * n
//! ```

use std::ops::{BitOr, BitOrAssign, RangeInclusive};

use super::page::Damage;
use super::{NO_BLOCK, NO_NODE, u16_at, u32_at};

/// Bytes of a posting before its keys.
pub(super) const POSTING_HEAD: usize = 16;

const FLAGS: usize = 6;
const NODE: usize = 8;
const NULLS: usize = 12;

const _: () = assert!(NULLS + 4 == POSTING_HEAD);

/// The place of a row version in its table: block and line pointer.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Tid {
    /// Heap block.
    pub block: u32,
    /// Line pointer in the block, from 1.
    pub offset: u16,
}

impl Tid {
    /// Line pointers that Postgres allows in a block.
    const OFFSETS: RangeInclusive<u16> = 1..=2048;

    /// Whether a row can be there.
    fn is_possible(self) -> bool {
        self.block != NO_BLOCK && Self::OFFSETS.contains(&self.offset)
    }

    /// Both numbers in one word.
    pub fn pack(self) -> u64 {
        u64::from(self.block) << 16 | u64::from(self.offset)
    }

    /// What [`Tid::pack`] packed.
    pub fn unpack(word: u64) -> Tid {
        Tid {
            block: (word >> 16) as u32,
            offset: word as u16,
        }
    }
}

/// What else is known of a posting.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Flags(u16);

impl Flags {
    /// The row is gone: vacuum was told so, and its TID may belong to another row by now.
    pub const DEAD: Flags = Flags(1);
    /// The vector is NULL.
    pub const NULL_VECTOR: Flags = Flags(2);
    /// The vector has no distance to any other: zero under cosine.
    pub const NO_DISTANCE: Flags = Flags(4);

    const ALL: u16 = Self::DEAD.0 | Self::NULL_VECTOR.0 | Self::NO_DISTANCE.0;

    /// Whether all of `other` are set.
    pub fn contains(self, other: Flags) -> bool {
        self.0 & other.0 == other.0
    }

    /// The bits, for a form elsewhere that keeps them.
    pub fn bits(self) -> u16 {
        self.0
    }
}

impl BitOr for Flags {
    type Output = Flags;

    fn bitor(self, other: Flags) -> Flags {
        Flags(self.0 | other.0)
    }
}

impl BitOrAssign for Flags {
    fn bitor_assign(&mut self, other: Flags) {
        *self = *self | other;
    }
}

/// A posting to be written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Posting<'a> {
    /// The row version.
    pub tid: Tid,
    /// What else is known of it.
    pub flags: Flags,
    /// The node of its vector, or [`NO_NODE`](super::NO_NODE).
    pub node: u32,
    /// Bit `i`: attribute `i` is NULL.
    pub nulls: u32,
    /// The key of each attribute, 0 for a NULL.
    pub keys: &'a [u64],
}

impl Posting<'_> {
    /// Writes the record into `out`, which must be exactly as long
    /// ([`Layout::record_bytes`](super::Layout::record_bytes)).
    pub fn encode(&self, out: &mut [u8]) {
        let (head, keys) = out.split_at_mut(POSTING_HEAD);
        head[..4].copy_from_slice(&self.tid.block.to_ne_bytes());
        head[4..FLAGS].copy_from_slice(&self.tid.offset.to_ne_bytes());
        head[FLAGS..NODE].copy_from_slice(&self.flags.0.to_ne_bytes());
        head[NODE..NULLS].copy_from_slice(&self.node.to_ne_bytes());
        head[NULLS..].copy_from_slice(&self.nulls.to_ne_bytes());
        debug_assert_eq!(keys.len(), 8 * self.keys.len());
        for (out, key) in keys.chunks_exact_mut(8).zip(self.keys) {
            out.copy_from_slice(&key.to_ne_bytes());
        }
    }
}

/// A posting as it lies on its page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostingView<'a>(&'a [u8]);

impl<'a> PostingView<'a> {
    /// The record that `bytes` are.
    ///
    /// # Errors
    /// [`Damage::Posting`] where no posting can have been written like that.
    pub fn new(bytes: &'a [u8]) -> Result<Self, Damage> {
        let posting = PostingView(bytes);
        let keys = bytes
            .len()
            .checked_sub(POSTING_HEAD)
            .ok_or(Damage::Posting)?;
        let is_possible = posting.tid().is_possible()
            && posting.flags().0 & !Flags::ALL == 0
            && u64::from(posting.nulls()) >> (keys / 8) == 0;
        is_possible.then_some(posting).ok_or(Damage::Posting)
    }

    /// The row version.
    pub fn tid(&self) -> Tid {
        Tid {
            block: u32_at(self.0, 0),
            offset: u16_at(self.0, 4),
        }
    }

    /// What else is known of it.
    pub fn flags(&self) -> Flags {
        Flags(u16_at(self.0, FLAGS))
    }

    /// The node of its vector, or [`NO_NODE`](super::NO_NODE).
    pub fn node(&self) -> u32 {
        u32_at(self.0, NODE)
    }

    /// False for a row without a place in the graph.
    pub fn has_node(&self) -> bool {
        self.node() != NO_NODE
    }

    /// Bit `i`: attribute `i` is NULL.
    pub fn nulls(&self) -> u32 {
        u32_at(self.0, NULLS)
    }

    /// The key of each attribute, 0 for a NULL.
    pub fn keys(&self) -> impl ExactSizeIterator<Item = u64> + use<'a> {
        self.0[POSTING_HEAD..]
            .chunks_exact(8)
            .map(|key| key.try_into().map_or(0, u64::from_ne_bytes))
    }

    /// Marks the record at the start of `bytes` dead.
    pub fn bury(bytes: &mut [u8]) {
        let flags = Flags(u16_at(bytes, FLAGS)) | Flags::DEAD;
        bytes[FLAGS..NODE].copy_from_slice(&flags.0.to_ne_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_nobody_wrote_is_damage() {
        let posting = Posting {
            tid: Tid {
                block: 7,
                offset: 1,
            },
            flags: Flags::DEAD,
            node: 5,
            nulls: 0b10,
            keys: &[1, 0],
        };
        let is_damage = |change: fn(&mut Posting<'_>)| {
            let mut posting = posting;
            change(&mut posting);
            let mut bytes = [0; POSTING_HEAD + 16];
            posting.encode(&mut bytes);
            PostingView::new(&bytes) == Err(Damage::Posting)
        };
        assert!(!is_damage(|_| ()));
        assert!(is_damage(|posting| posting.tid.block = NO_BLOCK));
        assert!(is_damage(|posting| posting.tid.offset = 0));
        assert!(is_damage(|posting| posting.tid.offset = 2049));
        assert!(is_damage(|posting| posting.flags = Flags(8)));
        assert!(is_damage(|posting| posting.nulls = 0b100));
        assert_eq!(PostingView::new(&[0; 15]), Err(Damage::Posting));
    }

    proptest! {
        #[test]
        fn postings_come_back(
            block in 0..NO_BLOCK,
            offset in Tid::OFFSETS,
            flags in 0..=Flags::ALL,
            node: u32,
            nulls: u32,
            keys in proptest::collection::vec(any::<u64>(), 0..=31),
        ) {
            let nulls = nulls & ((1 << keys.len()) - 1);
            let posting = Posting {
                tid: Tid { block, offset },
                flags: Flags(flags),
                node,
                nulls,
                keys: &keys,
            };
            let mut bytes = vec![0; POSTING_HEAD + 8 * keys.len()];
            posting.encode(&mut bytes);
            let read = PostingView::new(&bytes).unwrap();
            prop_assert_eq!(read.tid(), posting.tid);
            prop_assert_eq!(Tid::unpack(posting.tid.pack()), posting.tid);
            prop_assert_eq!(read.flags(), posting.flags);
            prop_assert_eq!(read.node(), node);
            prop_assert_eq!(read.nulls(), nulls);
            prop_assert!(read.keys().eq(keys.iter().copied()));

            PostingView::bury(&mut bytes);
            let buried = PostingView::new(&bytes).unwrap();
            prop_assert_eq!(buried.flags(), posting.flags | Flags::DEAD);
            prop_assert_eq!(buried.tid(), posting.tid);
            prop_assert_eq!(buried.node(), node);
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(posting) = PostingView::new(&bytes) {
                let _ = (posting.tid(), posting.flags(), posting.node(), posting.nulls());
                let _ = posting.keys().count();
            }
        }
    }
}
