//! Where every search starts: a node of the highest layer.
//!
//! The problem: the entry point must rise when a higher node appears, must never name a node that is
//! not linked yet, and falls only when it dies, while searches read it at any time. It is one word: 0
//! for a graph without live nodes, else `(layer + 1) << 32 | id`; a node becomes the entry point only
//! after it is linked.

use crate::primitive::{AtomicU64, Ordering};

/// A node and its highest layer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Entry {
    /// The node's id.
    pub id: u32,
    /// Its highest layer.
    pub layer: u32,
}

impl Entry {
    fn pack(self) -> u64 {
        (u64::from(self.layer) + 1) << 32 | u64::from(self.id)
    }

    fn unpack(word: u64) -> Option<Entry> {
        let layer = ((word >> 32) as u32).checked_sub(1)?;
        Some(Entry {
            id: word as u32,
            layer,
        })
    }
}

/// The current entry point.
pub(crate) fn load(word: &AtomicU64) -> Option<Entry> {
    // Acquire: pairs with the Release in `raise`; the node's vector and links are read next.
    Entry::unpack(word.load(Ordering::Acquire))
}

/// The current entry point, or None when `first` has just become it in an empty graph.
///
/// Whoever gets None is the only one: a higher node that comes at the same moment must link itself to
/// the first one like everybody else, so only an empty word gives way here.
pub(crate) fn load_or_first(word: &AtomicU64, first: Entry) -> Option<Entry> {
    load(word).or_else(|| {
        // Release: pairs with the Acquire in `load`, and here for the one that lost.
        word.compare_exchange(0, first.pack(), Ordering::Release, Ordering::Acquire)
            .err()
            .and_then(Entry::unpack)
    })
}

/// Makes `entry` the entry point if it is higher than the current one. Returns whether it did.
pub(crate) fn raise(word: &AtomicU64, entry: Entry) -> bool {
    let mut seen = word.load(Ordering::Relaxed);
    while Entry::unpack(seen).is_none_or(|held| held.layer < entry.layer) {
        // Release: pairs with the Acquire in `load`.
        match word.compare_exchange_weak(seen, entry.pack(), Ordering::Release, Ordering::Relaxed) {
            Ok(_) => return true,
            Err(now) => seen = now,
        }
    }
    false
}

/// Puts `heir` in the place of an entry point that has died, unless somebody has done so; without an
/// heir the graph is empty again.
pub(crate) fn inherit(word: &AtomicU64, dead: Entry, heir: Option<Entry>) {
    let heir = heir.map_or(0, Entry::pack);
    // Release: pairs with the Acquire in `load`.
    let _ = word.compare_exchange(dead.pack(), heir, Ordering::Release, Ordering::Relaxed);
}
