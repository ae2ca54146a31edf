//! Sixty-four postings, laid out by column.
//!
//! | words | what |
//! |---|---|
//! | 0 | claimed: somebody writes, or has written, the posting |
//! | 1 | ready: the posting is complete and may be read |
//! | 2 | dead: its row is gone |
//! | 3 | of those without a node: the row has a vector, but one without a distance |
//! | 4 | of a free block, the next one: its number + 1, or 0 |
//! | 5.. | for each attribute, which rows have NULL |
//! | then, on a cache line, 64 | links: node id above, next posting of the node (id + 1) below |
//! | 64 | tids |
//! | 64 for each attribute | keys |
//!
//! A mask word has one bit a posting, so that a set of postings is one `u64` and the masks of
//! several questions are joined with `&`. A posting's words are plain stores of the one who claimed
//! it; its bit in `ready` publishes them. A dead posting that was cut out of its node's chain has no
//! node any more.

use super::Place;
use super::zones::Contents;
use crate::arena::prefetch;
use crate::primitive::{AtomicU64, Ordering};
use crate::score::Row;

/// Postings in a block.
pub const BLOCK: usize = 64;

const CLAIMED: usize = 0;
const READY: usize = 1;
const DEAD: usize = 2;
const NO_DISTANCE: usize = 3;
const NEXT_FREE: usize = 4;
const NULLS: usize = 5;

/// Node id of a posting that has no place in the graph.
const NO_NODE: u32 = u32::MAX;

/// Words of a block with that many attributes.
pub(super) const fn words(attributes: usize) -> usize {
    links_at(attributes) + BLOCK * (2 + attributes)
}

const fn links_at(attributes: usize) -> usize {
    (NULLS + attributes).next_multiple_of(8)
}

/// A view of a block.
#[derive(Clone, Copy)]
pub struct Block<'r> {
    words: &'r [AtomicU64],
    attributes: usize,
}

impl<'r> Block<'r> {
    pub(super) fn new(words: &'r [AtomicU64], attributes: usize) -> Block<'r> {
        Block { words, attributes }
    }

    /// The postings that may be read, dead or alive.
    pub fn ready(&self) -> u64 {
        // Acquire: pairs with the Release in `publish`; the columns must not be read before.
        self.words[READY].load(Ordering::Acquire)
    }

    /// The postings that may be read and whose rows are not gone.
    pub fn live(&self) -> u64 {
        // The dead first. Acquire: pairs with the Release in `clear`; who does not find the dead in
        // places that are used again must not find them ready either.
        let dead = self.words[DEAD].load(Ordering::Acquire);
        self.ready() & !dead
    }

    /// The postings whose rows are gone and whose places are not free.
    pub fn dead(&self) -> u64 {
        // Relaxed: see `mark_dead`.
        self.words[DEAD].load(Ordering::Relaxed)
    }

    /// True for a posting whose row is gone.
    pub(super) fn is_dead(&self, slot: usize) -> bool {
        self.dead() >> slot & 1 != 0
    }

    /// The node of a ready posting; a dead one may have lost it.
    pub fn node(&self, slot: usize) -> Option<u32> {
        let node = (self.link(slot).load(Ordering::Relaxed) >> 32) as u32;
        (node != NO_NODE).then_some(node)
    }

    /// The ready posting that follows in the chain of the node: id + 1, or 0.
    pub(super) fn next(&self, slot: usize) -> u32 {
        self.link(slot).load(Ordering::Relaxed) as u32
    }

    /// Those postings without a node whose rows have a vector nonetheless, one without a distance.
    pub fn no_distance(&self) -> u64 {
        self.words[NO_DISTANCE].load(Ordering::Relaxed)
    }

    /// The tid of a ready posting.
    pub fn tid(&self, slot: usize) -> u64 {
        self.tid_cell(slot).load(Ordering::Relaxed)
    }

    /// The rows that have NULL in an attribute.
    pub fn nulls(&self, attribute: usize) -> u64 {
        self.words[NULLS + attribute].load(Ordering::Relaxed)
    }

    /// The key of an attribute of a ready posting, 0 for NULL.
    #[inline]
    pub fn key(&self, attribute: usize, slot: usize) -> u64 {
        self.column(attribute)[slot].load(Ordering::Relaxed)
    }

    /// Fills `keys` with those attributes of a ready posting that `wanted` has bits for, and returns
    /// its null mask over the same attributes.
    #[inline]
    pub fn row<'k>(&self, slot: usize, wanted: u32, keys: &'k mut [u64]) -> Row<'k> {
        let mut nulls = 0;
        for attribute in super::bits(u64::from(wanted)) {
            keys[attribute] = self.key(attribute, slot);
            nulls |= ((self.nulls(attribute) >> slot & 1) as u32) << attribute;
        }
        Row { keys, nulls }
    }

    /// Asks for the masks of the block, and for the link of a posting and those keys that `wanted` has
    /// attribute bits for.
    pub(super) fn prefetch(&self, slot: usize, wanted: u32) {
        self.prefetch_masks();
        prefetch(self.link(slot), size_of::<u64>());
        for attribute in super::bits(u64::from(wanted)) {
            prefetch(&self.column(attribute)[slot], size_of::<u64>());
        }
    }

    /// Asks for the masks, and for all keys of the attributes in `wanted`.
    pub(super) fn prefetch_columns(&self, wanted: u32) {
        self.prefetch_masks();
        for attribute in super::bits(u64::from(wanted)) {
            let column = self.column(attribute);
            prefetch(column.as_ptr(), size_of_val(column));
        }
    }

    fn prefetch_masks(&self) {
        prefetch(
            self.words.as_ptr(),
            links_at(self.attributes) * size_of::<u64>(),
        );
    }

    /// The keys of an attribute; those of postings that are not ready are without meaning.
    pub(super) fn column(&self, attribute: usize) -> &'r [AtomicU64] {
        let start = links_at(self.attributes) + BLOCK * (2 + attribute);
        &self.words[start..start + BLOCK]
    }

    /// The postings that somebody writes or has written.
    pub(super) fn claimed(&self) -> u64 {
        self.words[CLAIMED].load(Ordering::Relaxed)
    }

    /// The dead that are in no chain.
    pub(super) fn cut(&self) -> u64 {
        let is_cut = |slot: &usize| self.node(*slot).is_none();
        super::bits(self.dead())
            .filter(is_cut)
            .fold(0, |cut, slot| cut | 1 << slot)
    }

    /// Makes dead postings that are in no chain, and that nobody has met for two epochs, ones to be
    /// claimed again.
    pub(super) fn clear(&self, slots: u64) {
        let clear = |word: usize, order| self.words[word].fetch_and(!slots, order);
        clear(READY, Ordering::Relaxed);
        // Release: pairs with the Acquire in `live`.
        clear(DEAD, Ordering::Release);
        // Relaxed, these: nothing is read of postings that are not ready.
        clear(NO_DISTANCE, Ordering::Relaxed);
        for attribute in 0..self.attributes {
            clear(NULLS + attribute, Ordering::Relaxed);
        }
        clear(CLAIMED, Ordering::Relaxed);
    }

    /// What its claimed postings are, as the bounds of their zone have it. One at a time, and not beside
    /// those who write some.
    pub(super) fn contents(&self) -> Contents {
        let rows = self.claimed();
        let without_node = super::bits(rows)
            .filter(|&slot| self.node(slot).is_none())
            .fold(0, |mask, slot| mask | 1 << slot);
        let no_distance = self.no_distance() & rows;
        let attributes = (0..self.attributes).map(|attribute| {
            let nulls = self.nulls(attribute) & rows;
            let keys = super::bits(rows & !nulls).map(|slot| self.key(attribute, slot));
            let ends = keys.fold([0, 0], |[low, high], key| [low.max(!key), high.max(key)]);
            (nulls != 0, ends)
        });
        Contents {
            marks: [
                rows != 0,
                without_node & !no_distance != 0,
                no_distance != 0,
            ],
            attributes: attributes.collect(),
        }
    }

    /// The free block after this one: its number + 1, or 0.
    pub(super) fn next_free(&self) -> u32 {
        self.words[NEXT_FREE].load(Ordering::Relaxed) as u32
    }

    pub(super) fn set_next_free(&self, next: u32) {
        self.words[NEXT_FREE].store(u64::from(next), Ordering::Relaxed);
    }

    /// Makes the posting this caller's to write. False when it is somebody's already.
    pub(super) fn claim(&self, slot: usize) -> bool {
        // Relaxed: the bit only decides who writes.
        self.words[CLAIMED].fetch_or(1 << slot, Ordering::Relaxed) & 1 << slot == 0
    }

    /// Writes a claimed posting's columns.
    pub(super) fn write(&self, slot: usize, tid: u64, place: &Place<'_>, row: &Row<'_>) {
        // Relaxed, all of it: `publish` releases these stores.
        let bit = 1 << slot;
        let node = match place {
            Place::Node { node, .. } => *node,
            Place::NullVector => NO_NODE,
            Place::NoDistance => {
                self.words[NO_DISTANCE].fetch_or(bit, Ordering::Relaxed);
                NO_NODE
            }
        };
        self.link(slot)
            .store(u64::from(node) << 32, Ordering::Relaxed);
        self.tid_cell(slot).store(tid, Ordering::Relaxed);
        for attribute in 0..self.attributes {
            match row.key(attribute) {
                Some(key) => self.column(attribute)[slot].store(key, Ordering::Relaxed),
                None => {
                    self.words[NULLS + attribute].fetch_or(bit, Ordering::Relaxed);
                }
            }
        }
    }

    /// Sets what follows a posting that is not in its node's chain yet.
    pub(super) fn set_next(&self, slot: usize, node: u32, next: u32) {
        // Relaxed: the compare-and-swap that puts the posting into the chain releases it.
        self.link(slot)
            .store(u64::from(node) << 32 | u64::from(next), Ordering::Relaxed);
    }

    /// Takes the node from a posting that was cut out of its chain. What follows stays, for those
    /// who are at it.
    pub(super) fn let_go(&self, slot: usize) {
        self.set_next(slot, NO_NODE, self.next(slot));
    }

    /// Lets readers see a posting.
    pub(super) fn publish(&self, slot: usize) {
        // Release: pairs with the Acquire in `ready`.
        self.words[READY].fetch_or(1 << slot, Ordering::Release);
    }

    /// Marks a posting's row as gone. False when it was marked before.
    pub(super) fn mark_dead(&self, slot: usize) -> bool {
        // Relaxed: what makes the place of the row free for others happens after, and whoever must
        // see a row that has taken it sees that too.
        self.words[DEAD].fetch_or(1 << slot, Ordering::Relaxed) & 1 << slot == 0
    }

    fn link(&self, slot: usize) -> &'r AtomicU64 {
        &self.words[links_at(self.attributes) + slot]
    }

    fn tid_cell(&self, slot: usize) -> &'r AtomicU64 {
        &self.words[links_at(self.attributes) + BLOCK + slot]
    }
}
