//! Arrays whose records are nothing but atomic words, and can therefore be used without `unsafe`.

use super::records::{Records, RecordsHeader};
use super::region::Region;
use super::shape::RecordShape;
use crate::error::Result;
use crate::primitive::AtomicU64;

/// Words in a cache line; records start on one.
const LINE: usize = 8;

/// A view of an array of records of 64-bit words.
#[derive(Clone, Copy)]
pub struct WordRecords<'r> {
    records: Records<'r>,
    words: usize,
}

impl<'r> WordRecords<'r> {
    /// The view of the array that `header` heads, of records of `words` words.
    ///
    /// # Safety
    /// The array is used only through views with the same number of words, and is not released
    /// before `'r` ends.
    pub unsafe fn new(
        region: Region<'r>,
        header: &'r RecordsHeader,
        words: usize,
    ) -> WordRecords<'r> {
        WordRecords {
            records: Records::new(region, header, shape(words)),
            words,
        }
    }

    /// Bytes that so many records of `words` words take, in whole extents.
    pub fn bytes(words: usize, records: u64) -> u64 {
        shape(words).bytes(records)
    }

    /// Words in a record.
    pub fn words(&self) -> usize {
        self.words
    }

    /// Makes sure that record `id` has memory; its words are 0 when it is new.
    ///
    /// # Errors
    /// As [`Records::reserve`].
    pub fn reserve(&self, id: u32) -> Result<()> {
        self.records.reserve(id)
    }

    /// The words of record `id`, if it has memory.
    #[inline]
    pub fn get(&self, id: u32) -> Option<&'r [AtomicU64]> {
        let record = self.records.locate(id)?;
        // SAFETY: the record has that many words, which start out as zeros and, as `new` demands,
        // are only ever touched as atomics.
        Some(unsafe { std::slice::from_raw_parts(record.cast().as_ptr(), self.words) })
    }

    /// Bytes of the region that the array holds.
    pub fn bytes_held(&self) -> u64 {
        self.records.bytes_held()
    }

    /// Gives every extent back and leaves an empty array.
    ///
    /// # Safety
    /// As for [`Records::release`].
    pub unsafe fn release(&self) {
        // SAFETY: as the caller promises.
        unsafe { self.records.release() }
    }
}

fn shape(words: usize) -> RecordShape {
    RecordShape::new(words.next_multiple_of(LINE) * size_of::<AtomicU64>())
}
