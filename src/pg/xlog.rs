//! Changes to pages that are atomic, durable and replayed on standbys, as generic WAL records.

use std::marker::PhantomData;
use std::mem::forget;
use std::thread::panicking;

use chronomind_core::record::PageBytes;
use pgrx::pg_sys;

use super::buffer::WriteGuard;
use super::relation::Relation;

/// A change to a few pages, all or none of it. Pages are changed in copies, which reach the buffers
/// when the change is [committed](Change::commit); until then nothing has happened.
///
/// The record holds the bytes that differ (after a checkpoint, the page without its hole). Replay
/// locks the pages in the order in which they were added.
pub struct Change<'b> {
    state: *mut pg_sys::GenericXLogState,
    /// The copies live in `state`; the buffers stay locked until it is done.
    _buffers: PhantomData<&'b WriteGuard>,
}

impl<'b> Change<'b> {
    /// Most pages of one change.
    pub const PAGES: usize = pg_sys::MAX_GENERIC_XLOG_PAGES as usize;

    /// Starts a change without pages.
    pub fn begin(index: Relation) -> Change<'b> {
        Change {
            // SAFETY: the relation is open.
            state: unsafe { pg_sys::GenericXLogStart(index.as_raw()) },
            _buffers: PhantomData,
        }
    }

    /// Adds a page, and gives out the copy to be changed.
    pub fn page(&mut self, buffer: &'b WriteGuard) -> &mut PageBytes {
        self.register(buffer, 0)
    }

    /// The same for a page whose old bytes are of no use.
    pub fn new_page(&mut self, buffer: &'b WriteGuard) -> &mut PageBytes {
        self.register(buffer, pg_sys::GENERIC_XLOG_FULL_IMAGE as i32)
    }

    fn register(&mut self, buffer: &'b WriteGuard, flags: i32) -> &mut PageBytes {
        // SAFETY: the state is live until commit or drop, which this borrow outlasts neither of;
        // the buffer is locked exclusively until then; a page copy is a page long.
        unsafe {
            let copy = pg_sys::GenericXLogRegisterBuffer(self.state, buffer.buffer(), flags);
            &mut *copy.cast::<PageBytes>()
        }
    }

    /// Makes the change, in the buffers and in the WAL where the index is logged. Cannot fail: an
    /// error in here restarts the server.
    pub fn commit(self) {
        // SAFETY: the state is live, and forgetting this value leaves nobody to abort it.
        unsafe { pg_sys::GenericXLogFinish(self.state) };
        forget(self);
    }
}

impl Drop for Change<'_> {
    fn drop(&mut self) {
        if !panicking() {
            // SAFETY: the state is live: commit would have forgotten it.
            unsafe { pg_sys::GenericXLogAbort(self.state) }
        }
    }
}
