//! What becomes of the dead: their chains are cut, and their places are used again.
//!
//! Places are used again in blocks of which at least half are dead. Were it all blocks, rows of today
//! would spread over the zones of the past, whose bounds would hold everything soon; were it only
//! blocks that are dead to the last, one row that stays would hold 63 places for ever. So a table that
//! is changed at random for ever has at most twice as many places as it ever had rows, and new rows lie
//! together, with some old ones between.
//!
//! 1. [`Postings::cut`] takes the dead out of a node's chain. Who walks there goes on unhindered.
//! 2. [`Postings::count_cut`] tells those who remember a place in a chain from one pin to the next
//!    that they must look it up again ([`Postings::cuts`]).
//! 3. Two epochs later nobody is at a dead posting any more, and in a block that
//!    [is sparse](Postings::is_sparse) the dead are [freed](Postings::free_block): its zone is narrowed
//!    to the rows that are left, so are the zones above it, and [`Postings::next_free`] gives the ids
//!    out in their order.
//!
//! Which places are free is known in memory alone: whoever loads an index finds it out again from
//! which postings are dead. A search may meet a posting that is used again under the id by which it
//! remembers another, and then gives the wrong row out. No snapshot that it serves contains either
//! of the two: the one was gone for every snapshot when vacuum took it, the other came later.
//!
//! Cutting, freeing and [`Postings::enter`] come one at a time: callers have a lock for that.

use super::{Block, Postings, split};
use crate::postings::BLOCK;
use crate::primitive::{AtomicU32, Ordering};

impl Postings<'_> {
    /// Takes the dead out of the chain of a node. True when nothing is left in it.
    pub fn cut(&self, head: &AtomicU32) -> bool {
        let mut before: Option<(Block<'_>, usize, u32)> = None;
        // Acquire: as in `chain`.
        let mut next = head.load(Ordering::Acquire);
        while let Some(id) = next.checked_sub(1) {
            let (number, slot) = split(id);
            let Some(block) = self.block(number) else {
                break;
            };
            next = block.next(slot);
            if !block.is_dead(slot) {
                if let Some(node) = block.node(slot) {
                    before = Some((block, slot, node));
                }
                continue;
            }
            match before {
                Some((block, slot, node)) => block.set_next(slot, node, next),
                // Release: pairs with the Acquire in `chain`, as all pushes before this one do.
                None => head.store(next, Ordering::Release),
            }
            block.let_go(slot);
        }
        before.is_none()
    }

    /// To be called when chains have been cut, before the epoch is looked at from which on nobody
    /// meets the dead.
    pub fn count_cut(&self) {
        self.zones.count_cut();
    }

    /// How often chains have been cut. While the number is the same, the places that were met in
    /// chains are still in them, or nobody has used them again.
    pub fn cuts(&self) -> u64 {
        self.zones.cuts()
    }

    /// True for a block without free places in which at least half of the postings are dead, and in no
    /// chain.
    pub fn is_sparse(&self, number: u32) -> bool {
        let is_sparse = |block: Block<'_>| {
            block.claimed() == u64::MAX && block.cut().count_ones() as usize >= BLOCK / 2
        };
        self.block(number).is_some_and(is_sparse)
    }

    /// Makes the ids of the dead in a block that is sparse, and that nobody meets, the next to be given
    /// out.
    pub fn free_block(&self, number: u32) {
        let Some(block) = self.block(number) else {
            return;
        };
        let dead = block.cut();
        block.clear(dead);
        let freed = u64::from(dead.count_ones());
        self.zones.narrow(number, block.contents(), freed);
        block.set_next_free(self.zones.free());
        self.zones.set_free(number + 1);
    }

    /// Gives no free block out any more, until others are freed: somebody else says which ids come
    /// next.
    pub fn forget_free(&self) {
        self.zones.set_free(0);
    }

    /// The posting to enter next, if one may be used again.
    pub fn next_free(&self) -> Option<u32> {
        let number = self.zones.free().checked_sub(1)?;
        let slot = self.block(number)?.claimed().trailing_ones();
        Some(number * BLOCK as u32 + slot)
    }

    /// Enters a posting of which nothing is known but that it is dead.
    ///
    /// # Panics
    /// When the id was not reserved.
    pub fn enter_dead(&self, id: u32) {
        let (number, slot) = split(id);
        let Some(block) = self.block(number) else {
            super::unreserved(id)
        };
        if block.claim(slot) {
            block.let_go(slot);
            block.publish(slot);
            block.mark_dead(slot);
            self.zones.count_dead();
        }
    }

    /// Takes a block that has no free posting left off the free ones.
    pub(super) fn use_up(&self, number: u32, block: &Block<'_>) {
        if block.claimed() == u64::MAX && self.zones.free() == number + 1 {
            self.zones.set_free(block.next_free());
        }
    }
}
