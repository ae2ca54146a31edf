//! Pages in the buffer cache, each pinned and locked for as long as its guard lives.
//!
//! The problem is errors. When the server raises one, everything up to the door of the extension
//! unwinds and the guards are dropped, but the server has by then reset its count of held-off
//! interrupts, which releasing a lock would count down once more, below zero. And it releases the
//! locks and pins of a failed transaction itself. So a guard that is dropped by unwinding releases
//! nothing. It follows that nobody may catch an error of the server between a guard and the end of
//! the transaction or subtransaction.

use std::thread::panicking;

use chronomind_core::record::{HEADER, PAGE, PageBytes};
use pgrx::pg_sys;

use super::relation::{Fork, Relation};

// The core formats pages by itself; these are the server's facts that it builds on.
const _: () = {
    use std::mem::offset_of;
    assert!(pg_sys::BLCKSZ as usize == PAGE);
    assert!(pg_sys::PG_PAGE_LAYOUT_VERSION == 4);
    assert!(offset_of!(pg_sys::PageHeaderData, pd_lower) == 12);
    assert!(offset_of!(pg_sys::PageHeaderData, pd_upper) == 14);
    assert!(offset_of!(pg_sys::PageHeaderData, pd_special) == 16);
    assert!(offset_of!(pg_sys::PageHeaderData, pd_pagesize_version) == 18);
    assert!(offset_of!(pg_sys::PageHeaderData, pd_linp) == HEADER);
};

/// A small set of buffers for work that goes once over many pages, so that it does not push
/// everything else out of the cache.
pub struct Ring(pg_sys::BufferAccessStrategy);

impl Ring {
    /// For reading.
    pub fn bulk_read() -> Ring {
        Ring::new(pg_sys::BufferAccessStrategyType::BAS_BULKREAD)
    }

    /// For writing new pages.
    pub fn bulk_write() -> Ring {
        Ring::new(pg_sys::BufferAccessStrategyType::BAS_BULKWRITE)
    }

    /// For reading, and changing some.
    pub fn vacuum() -> Ring {
        Ring::new(pg_sys::BufferAccessStrategyType::BAS_VACUUM)
    }

    fn new(kind: pg_sys::BufferAccessStrategyType::Type) -> Ring {
        // SAFETY: allocates in the current memory context, where it stays until dropped.
        Ring(unsafe { pg_sys::GetAccessStrategy(kind) })
    }
}

impl Drop for Ring {
    fn drop(&mut self) {
        if !panicking() {
            // SAFETY: it came from GetAccessStrategy, and no buffer refers to it.
            unsafe { pg_sys::FreeAccessStrategy(self.0) }
        }
    }
}

/// A pinned and locked buffer.
struct Locked(pg_sys::Buffer);

impl Locked {
    fn page(&self) -> *mut PageBytes {
        // SAFETY: the buffer is valid, because this value has it pinned.
        unsafe { pg_sys::BufferGetPage(self.0).cast() }
    }

    fn block(&self) -> u32 {
        // SAFETY: as above.
        unsafe { pg_sys::BufferGetBlockNumber(self.0) }
    }
}

impl Drop for Locked {
    fn drop(&mut self) {
        if !panicking() {
            // SAFETY: this value has it pinned and locked.
            unsafe { pg_sys::UnlockReleaseBuffer(self.0) }
        }
    }
}

/// A page under a share lock: others may read it too.
pub struct ReadGuard(Locked);

impl ReadGuard {
    /// The page.
    pub fn page(&self) -> &PageBytes {
        // SAFETY: nobody changes a page of ours without the exclusive lock, which the share lock
        // of this value keeps away; the page is as long as its buffer.
        unsafe { &*self.0.page() }
    }

    /// The end of the WAL record that changed the page last.
    pub fn changed_at(&self) -> u64 {
        // SAFETY: every page begins with the header, of which it is aligned to be one.
        let lsn = unsafe { (*self.0.page().cast::<pg_sys::PageHeaderData>()).pd_lsn };
        u64::from(lsn.xlogid) << 32 | u64::from(lsn.xrecoff)
    }
}

/// A page under the exclusive lock.
pub struct WriteGuard(Locked);

impl WriteGuard {
    /// The page.
    pub fn page(&self) -> &PageBytes {
        // SAFETY: the lock keeps all others away, and this borrow keeps us from changing it.
        unsafe { &*self.0.page() }
    }

    /// Its block number.
    pub fn block(&self) -> u32 {
        self.0.block()
    }

    pub(super) fn buffer(&self) -> pg_sys::Buffer {
        self.0.0
    }

    /// Replaces a page that nobody else knows of yet, and logs it whole where asked. Other changes
    /// go through [`Change`](super::xlog::Change).
    pub fn replace(&mut self, page: &PageBytes, log: bool) {
        // SAFETY: the buffer is pinned and locked exclusively. Between the change and its record
        // nothing can fail: the critical section turns what does into a restart of the server,
        // as everywhere in the server itself.
        unsafe {
            pg_sys::CritSectionCount += 1;
            (*self.0.page()).copy_from_slice(page);
            pg_sys::MarkBufferDirty(self.buffer());
            if log {
                pg_sys::log_newpage_buffer(self.buffer(), true);
            }
            pg_sys::CritSectionCount -= 1;
        }
    }
}

impl Relation {
    /// Reads a block of the main fork under a share lock. A block that does not exist is an error
    /// of the server.
    pub fn read(self, block: u32, ring: Option<&Ring>) -> ReadGuard {
        let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
        let buffer = self.buffer(Fork::Main, block, mode, ring);
        // SAFETY: the buffer is pinned.
        unsafe { pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_SHARE as i32) };
        ReadGuard(Locked(buffer))
    }

    /// Reads a block of the main fork under the exclusive lock.
    pub fn write(self, block: u32, ring: Option<&Ring>) -> WriteGuard {
        let mode = pg_sys::ReadBufferMode::RBM_NORMAL;
        let buffer = self.buffer(Fork::Main, block, mode, ring);
        // SAFETY: the buffer is pinned.
        unsafe { pg_sys::LockBuffer(buffer, pg_sys::BUFFER_LOCK_EXCLUSIVE as i32) };
        WriteGuard(Locked(buffer))
    }

    /// Adds a block of zeros at the end, under the exclusive lock. The caller sees to it that
    /// nobody else does so at the same time. The block stays where an error follows.
    pub fn extend(self, fork: Fork, ring: Option<&Ring>) -> WriteGuard {
        let mode = pg_sys::ReadBufferMode::RBM_ZERO_AND_LOCK;
        WriteGuard(Locked(self.buffer(
            fork,
            pg_sys::InvalidBlockNumber, // the server's P_NEW
            mode,
            ring,
        )))
    }

    fn buffer(
        self,
        fork: Fork,
        block: u32,
        mode: pg_sys::ReadBufferMode::Type,
        ring: Option<&Ring>,
    ) -> pg_sys::Buffer {
        let ring = ring.map_or(std::ptr::null_mut(), |ring| ring.0);
        // SAFETY: the relation is open; a null ring is the cache at large.
        unsafe { pg_sys::ReadBufferExtended(self.as_raw(), fork.number(), block, mode, ring) }
    }
}
