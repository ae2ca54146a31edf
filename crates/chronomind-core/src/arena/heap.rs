//! A region on this process's own heap: the form that tests, benches and in-process users take.

use std::alloc::{Layout, alloc_zeroed, dealloc, handle_alloc_error};
use std::ptr::NonNull;

use super::records::RecordsHeader;
use super::region::Region;
use super::words::WordRecords;
use crate::error::Result;

/// Regions start on a page.
const PAGE: usize = 4096;

/// Owns a region; everything that lives in it borrows this.
pub struct HeapRegion {
    base: NonNull<u8>,
    allocation: NonNull<u8>,
    layout: Layout,
}

// SAFETY: the memory is only reached through `Region`, which is Sync.
unsafe impl Sync for HeapRegion {}
// SAFETY: the allocation is not tied to a thread.
unsafe impl Send for HeapRegion {}

impl HeapRegion {
    /// A region of at least `bytes`, zeroed by the operating system as it is touched.
    pub fn new(bytes: usize) -> HeapRegion {
        let bytes = Region::round(bytes);
        // Aligned by hand: an allocator asked for zeros at a large alignment writes them, all.
        let Ok(layout) = Layout::from_size_align(bytes + PAGE, align_of::<u64>()) else {
            panic!("a region of {bytes} bytes overflows the address space")
        };
        // SAFETY: the layout has a size above zero.
        let Some(allocation) = NonNull::new(unsafe { alloc_zeroed(layout) }) else {
            handle_alloc_error(layout)
        };
        // SAFETY: less than the page that was allocated on top.
        let base = unsafe { allocation.add(allocation.align_offset(PAGE)) };
        // SAFETY: zeroed, aligned, owned by the value under construction.
        unsafe { Region::create(base, bytes) };
        HeapRegion {
            base,
            allocation,
            layout,
        }
    }

    /// The region.
    pub fn region(&self) -> Region<'_> {
        // SAFETY: `new` created a region at this address, which lives as long as `self`.
        match unsafe { Region::attach(self.base) } {
            Some(region) => region,
            None => unreachable!("`new` laid the region out"),
        }
    }

    /// A new array of records of `words` words.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`](crate::Error::OutOfMemory).
    pub fn words(&self, words: usize) -> Result<WordRecords<'_>> {
        let region = self.region();
        let root = region.claim(1)?;
        // SAFETY: zeroed, claimed just now and never released; zeros are an empty array.
        let header: &RecordsHeader = unsafe { region.at(root.first, 0) };
        // SAFETY: nobody else knows the header.
        Ok(unsafe { WordRecords::new(region, header, words) })
    }
}

impl Drop for HeapRegion {
    fn drop(&mut self) {
        // SAFETY: allocated in `new` with this layout; nothing borrows it any more.
        unsafe { dealloc(self.allocation.as_ptr(), self.layout) };
    }
}
