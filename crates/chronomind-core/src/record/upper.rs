//! The neighbours of a node on one layer above 0.
//!
//! ```text
//! 0  node u32 | 4  layer u32 | 8  slots u32 * m
//! ```
//!
//! One record a layer, none over a page border: a page can be replaced alone, and a reader that
//! sees pages of an older and a younger writing sees whole lists all the same.

use super::u32_at;

/// Bytes of the record before its slots.
pub(super) const UPPER_HEAD: usize = 8;

/// A neighbour list above layer 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Upper<'a> {
    /// Whose neighbours.
    pub node: u32,
    /// On which layer, from 1.
    pub layer: u32,
    /// The slots, as they stand in memory.
    pub slots: &'a [u32],
}

impl<'a> Upper<'a> {
    /// Writes the record into `out`, which must be exactly as long.
    pub fn encode(&self, out: &mut [u8]) {
        let (head, slots) = out.split_at_mut(UPPER_HEAD);
        head[..4].copy_from_slice(&self.node.to_ne_bytes());
        head[4..].copy_from_slice(&self.layer.to_ne_bytes());
        slots_to_bytes(self.slots, slots);
    }

    /// Reads the record in `bytes`, its slots into `slots`. `None` where there is not even a head.
    pub fn decode(bytes: &[u8], slots: &'a mut Vec<u32>) -> Option<Upper<'a>> {
        let (head, tail) = bytes.split_at_checked(UPPER_HEAD)?;
        slots_from_bytes(tail, slots);
        Some(Upper {
            node: u32_at(head, 0),
            layer: u32_at(head, 4),
            slots,
        })
    }
}

/// Writes neighbour slots into `out`, which must be exactly as long.
pub fn slots_to_bytes(slots: &[u32], out: &mut [u8]) {
    debug_assert_eq!(out.len(), 4 * slots.len());
    for (out, slot) in out.chunks_exact_mut(4).zip(slots) {
        out.copy_from_slice(&slot.to_ne_bytes());
    }
}

/// Reads neighbour slots into `out`, which is emptied first.
pub fn slots_from_bytes(bytes: &[u8], out: &mut Vec<u32>) {
    out.clear();
    out.extend(bytes.chunks_exact(4).map(|slot| u32_at(slot, 0)));
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lists_come_back(node: u32, layer: u32, slots in proptest::collection::vec(any::<u32>(), 1..=100)) {
            let upper = Upper { node, layer, slots: &slots };
            let mut bytes = vec![0; UPPER_HEAD + 4 * slots.len()];
            upper.encode(&mut bytes);
            let mut read = vec![9; 3];
            prop_assert_eq!(Upper::decode(&bytes, &mut read), Some(upper));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..64)) {
            let _ = Upper::decode(&bytes, &mut Vec::new());
        }
    }
}
