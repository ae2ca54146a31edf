//! Postings: what the index knows of each row version, beside its vector.
//!
//! A node of the graph is a distinct vector; a posting is a row version that has it: where the row
//! is (tid), its attributes, whether it is gone. Postings are kept in arrival order in blocks of 64
//! ([`Block`]), under a tree of zone maps ([`Zone`]), and every node has the chain of its own. Rows
//! without a vector, or whose vector has no distance, are postings without a node.
//!
//! # Who writes
//!
//! Ids come from the durable side, where they are ordinals. Backends publish them concurrently and
//! in any order:
//!
//! 1. [`Postings::reserve`] gets the memory and may fail; nothing is visible yet.
//! 2. [`Postings::enter`] claims the posting (one bit), writes its columns, widens the bounds of its
//!    zones and puts it at the head of its node's chain. It counts for nothing yet, but the node
//!    stays for its sake.
//! 3. The caller makes the row durable, and links its node.
//! 4. [`Postings::show`] sets the `ready` bit. Nothing after the first step can fail.
//!
//! [`Postings::mark_dead`] sets a bit. What becomes of the dead is told in `reuse`.
//!
//! # Why a reader that must see a row also sees its bounds
//!
//! A search skips a zone because of bounds that it read at some moment, so a row is lost if it lies
//! outside of them. Those of a row are widened before `enter` returns, and hold it until it is gone.
//! A row must be seen only if the reader's snapshot contains it, that is, if its inserter committed
//! before the snapshot was taken; then `enter` returned before the commit, and taking a snapshot
//! synchronises with commits (in Postgres through the lock on the array of running transactions).
//! So the widening happens before the read, and Relaxed is enough for bounds. A row that is
//! published while a search runs may be met or not, and its bounds may be seen half widened; no
//! snapshot that the search serves contains it. Its columns, though, must never be read half
//! written: that is what `ready` is for.

mod block;
mod boxes;
mod filter;
mod reuse;
mod zones;

pub use block::{BLOCK, Block};
pub use boxes::Columns;
pub(crate) use boxes::packed;
pub use filter::{Condition, Filter, Keys, Test};
pub use zones::{FAN, Siblings, Zone, ZoneBounds};

#[cfg(test)]
mod tests;

use crate::arena::WordRecords;
use crate::error::Result;
use crate::primitive::{AtomicU32, Ordering};
use crate::score::Row;
use zones::Zones;

/// Where a posting's row is in the graph.
#[derive(Debug, Clone, Copy)]
pub enum Place<'a> {
    /// At a node.
    Node {
        /// Its id.
        node: u32,
        /// The head of its chain of postings: posting id + 1, 0 for none.
        head: &'a AtomicU32,
    },
    /// Nowhere: the row has no vector.
    NullVector,
    /// Nowhere: the vector has no distance from anything.
    NoDistance,
}

/// A view of the postings of an index.
#[derive(Clone, Copy)]
pub struct Postings<'r> {
    blocks: WordRecords<'r>,
    zones: Zones<'r>,
}

impl<'r> Postings<'r> {
    /// Words of the records that blocks take.
    pub const fn block_words(attributes: usize) -> usize {
        block::words(attributes)
    }

    /// Words of the records that zone maps take.
    pub const fn zone_words(attributes: usize) -> usize {
        zones::words(attributes)
    }

    /// The view over two arrays of that many words.
    ///
    /// # Panics
    /// When the arrays are of other words, or there are more attributes than a null mask has bits.
    pub fn new(blocks: WordRecords<'r>, zones: WordRecords<'r>, attributes: usize) -> Postings<'r> {
        assert!(attributes <= 32 && blocks.words() == Postings::block_words(attributes));
        assert_eq!(zones.words(), Postings::zone_words(attributes));
        Postings {
            blocks,
            zones: Zones {
                records: zones,
                attributes,
            },
        }
    }

    /// Attributes of a posting.
    pub fn attributes(&self) -> usize {
        self.zones.attributes
    }

    /// Makes sure that posting `id` has memory.
    ///
    /// # Errors
    /// As [`WordRecords::reserve`]; what was reserved on the way stays for the next one.
    pub fn reserve(&self, id: u32) -> Result<()> {
        let (block, _) = split(id);
        self.zones.reserve(block)?;
        self.blocks.reserve(block)
    }

    /// Enters posting `id` and makes it visible to searches. False when it was entered before.
    ///
    /// # Panics
    /// When the id was not reserved.
    #[must_use]
    pub fn publish(&self, id: u32, tid: u64, place: Place<'_>, row: &Row<'_>) -> bool {
        let entered = self.enter(id, tid, place, row);
        if entered {
            self.show(id);
        }
        entered
    }

    /// Writes all of posting `id`, which is not visible yet. False when it was entered before and its place
    /// is not free: nothing has happened then, and the row would never be found.
    ///
    /// # Panics
    /// When the id was not reserved.
    #[must_use]
    pub fn enter(&self, id: u32, tid: u64, place: Place<'_>, row: &Row<'_>) -> bool {
        let (number, slot) = split(id);
        let Some(block) = self.block(number) else {
            unreserved(id)
        };
        if !block.claim(slot) {
            return false;
        }
        self.use_up(number, &block);
        block.write(slot, tid, &place, row);
        self.zones.widen(number, &place, row);
        if let Place::Node { node, head } = place {
            let mut first = head.load(Ordering::Relaxed);
            loop {
                block.set_next(slot, node, first);
                // Release: pairs with the Acquire in `chain`; the link must be in place before it
                // can be followed. Pushes are read-modify-writes, so an Acquire of the newest also
                // covers the links of all before it.
                match head.compare_exchange_weak(
                    first,
                    id + 1,
                    Ordering::Release,
                    Ordering::Relaxed,
                ) {
                    Ok(_) => break,
                    Err(now) => first = now,
                }
            }
        }
        true
    }

    /// Makes an entered posting visible to searches.
    ///
    /// # Panics
    /// When the id was not reserved.
    pub fn show(&self, id: u32) {
        let (number, slot) = split(id);
        match self.block(number) {
            Some(block) => block.publish(slot),
            None => unreserved(id),
        }
    }

    /// Marks the row of an entered posting as gone. False when it was already, or when there is no such
    /// posting.
    ///
    /// One that is entered and not shown is none that an inserter is still at, whose row would not be gone: it
    /// was left by one that has failed.
    pub fn mark_dead(&self, id: u32) -> bool {
        let (number, slot) = split(id);
        let Some(block) = self.block(number) else {
            return false;
        };
        let marked = block.claimed() >> slot & 1 != 0 && block.mark_dead(slot);
        if marked {
            self.zones.bury();
        }
        marked
    }

    /// Postings published and, of those, the dead.
    pub fn counts(&self) -> (u64, u64) {
        self.zones.counts()
    }

    /// A block, if it has memory.
    #[inline]
    pub fn block(&self, number: u32) -> Option<Block<'r>> {
        self.blocks
            .get(number)
            .map(|words| Block::new(words, self.attributes()))
    }

    /// The block and the slot of a posting that is published and alive.
    pub fn live(&self, id: u32) -> Option<(Block<'r>, usize)> {
        let (number, slot) = split(id);
        self.block(number)
            .filter(|block| block.live() >> slot & 1 != 0)
            .map(|block| (block, slot))
    }

    /// Asks for what a search reads of a node's newest posting, with those keys that `wanted` has attribute
    /// bits for.
    pub fn prefetch(&self, head: &AtomicU32, wanted: u32) {
        // Relaxed: a hint.
        if let Some(id) = head.load(Ordering::Relaxed).checked_sub(1) {
            let (number, slot) = split(id);
            if let Some(block) = self.block(number) {
                block.prefetch(slot, wanted);
            }
        }
    }

    /// Asks for what a search reads of some rows of a block, with those keys that `wanted` has attribute bits
    /// for.
    pub fn prefetch_rows(&self, number: u32, rows: u64, wanted: u32) {
        if let Some(block) = self.block(number) {
            bits(rows).for_each(|slot| block.prefetch(slot, wanted));
        }
    }

    /// Asks for the masks of a block, and for all its keys of the attributes in `wanted`.
    pub fn prefetch_block(&self, number: u32, wanted: u32) {
        if let Some(block) = self.block(number) {
            block.prefetch_columns(wanted);
        }
    }

    /// The ids of a node's postings, dead and unready ones too, newest first.
    pub fn chain(&self, head: &AtomicU32) -> Chain<'r> {
        // Acquire: pairs with the Release in `publish`.
        self.chain_from(head.load(Ordering::Acquire))
    }

    /// What [`Chain::rest`] was called on.
    pub fn chain_from(&self, rest: u32) -> Chain<'r> {
        Chain {
            postings: *self,
            next: rest,
        }
    }

    /// The zones below one above level 0, `None` while it has no memory.
    pub fn below(&self, zone: Zone) -> Option<Siblings<'r>> {
        self.zones.below(zone)
    }

    /// Copies those bounds of a zone that `wanted` has attribute bits for, which must be none for
    /// [`Zone::ALL`]. False when the zone has no memory.
    pub fn bounds(&self, zone: Zone, wanted: u32, into: &mut ZoneBounds) -> bool {
        self.zones.bounds(zone, wanted, into)
    }

    /// Bytes of the region that so many postings take, a little more than will be used.
    pub fn bytes(postings: u64, attributes: usize) -> u64 {
        let blocks = postings.div_ceil(BLOCK as u64);
        WordRecords::bytes(Postings::block_words(attributes), blocks)
            + WordRecords::bytes(Postings::zone_words(attributes), zones::records(blocks))
    }

    /// Bytes of the region that the postings hold.
    pub fn bytes_held(&self) -> u64 {
        self.blocks.bytes_held() + self.zones.records.bytes_held()
    }

    /// The arrays, for giving them back.
    pub fn arrays(&self) -> [WordRecords<'r>; 2] {
        [self.blocks, self.zones.records]
    }
}

/// A walk along the postings of one node.
pub struct Chain<'r> {
    postings: Postings<'r>,
    next: u32,
}

impl Chain<'_> {
    /// Where the walk stands, as a number that outlives it: [`Postings::chain_from`] goes on there.
    pub fn rest(&self) -> u32 {
        self.next
    }
}

impl Iterator for Chain<'_> {
    type Item = u32;

    fn next(&mut self) -> Option<u32> {
        let id = self.next.checked_sub(1)?;
        let (number, slot) = split(id);
        self.next = self.postings.block(number)?.next(slot);
        Some(id)
    }
}

/// Number of the block of a posting, and the posting's slot there.
pub fn split(id: u32) -> (u32, usize) {
    (id / BLOCK as u32, id as usize % BLOCK)
}

/// The ones of a mask, from the lowest.
#[inline]
pub fn bits(mut mask: u64) -> impl Iterator<Item = usize> {
    std::iter::from_fn(move || {
        (mask != 0).then(|| {
            let bit = mask.trailing_zeros() as usize;
            mask &= mask - 1;
            bit
        })
    })
}

/// The mask that has ones at some places: the opposite of [`bits`].
#[inline]
pub fn mask(places: impl Iterator<Item = usize>) -> u64 {
    places.fold(0, |mask, place| mask | 1 << place)
}

#[cold]
fn unreserved(id: u32) -> ! {
    panic!("posting {id} was not reserved")
}
