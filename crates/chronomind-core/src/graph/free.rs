//! The places of dead nodes, to be used again: a stack that runs through the nodes themselves.
//!
//! Treiber's stack (1986) with one restriction that takes its ABA problem away: any number may put
//! nodes on it, but those who take some off do so one at a time, under the lock that orders the ids of
//! an index. While a taker looks at the top and at what is below, the top cannot come off and return.

use crate::primitive::{AtomicU32, Ordering};

/// The top of the stack, and how many are on it; zeroed memory is an empty one.
#[repr(C)]
pub struct FreeHead {
    /// Id + 1, 0 for none.
    top: AtomicU32,
    count: AtomicU32,
}

impl FreeHead {
    #[cfg(loom)]
    pub(crate) fn new() -> FreeHead {
        FreeHead {
            top: AtomicU32::new(0),
            count: AtomicU32::new(0),
        }
    }

    /// Nodes on the stack, about.
    pub(crate) fn count(&self) -> u32 {
        self.count.load(Ordering::Relaxed)
    }

    /// The node on top.
    pub(crate) fn top(&self) -> Option<u32> {
        // Acquire: pairs with the Release in `push`; the node was emptied before.
        self.top.load(Ordering::Acquire).checked_sub(1)
    }

    /// Puts a node on top, whose word `next` is.
    pub(crate) fn push(&self, id: u32, next: &AtomicU32) {
        self.count.fetch_add(1, Ordering::Relaxed);
        let mut top = self.top.load(Ordering::Relaxed);
        loop {
            next.store(top, Ordering::Relaxed);
            // Release: pairs with the Acquire in `top`; the emptied node, and the word below it.
            match self
                .top
                .compare_exchange_weak(top, id + 1, Ordering::Release, Ordering::Relaxed)
            {
                Ok(_) => return,
                Err(now) => top = now,
            }
        }
    }

    /// Takes the node on top. One caller at a time.
    pub(crate) fn pop<'a>(&self, next: impl Fn(u32) -> &'a AtomicU32) -> Option<u32> {
        loop {
            let id = self.top()?;
            // Relaxed: written before the node was pushed, which `top` has acquired. Pushes are
            // read-modify-writes, so this covers the nodes below too.
            let below = next(id).load(Ordering::Relaxed);
            let top = &self.top;
            if top
                .compare_exchange(id + 1, below, Ordering::Relaxed, Ordering::Relaxed)
                .is_ok()
            {
                self.count.fetch_sub(1, Ordering::Relaxed);
                return Some(id);
            }
        }
    }
}
