//! Arrays of fixed-size records that grow extent by extent and never move.

use std::ptr::NonNull;

use super::region::{Extent, Region, UNIT, Zeroable};
use super::shape::{DIRECTORIES, FAN, FIRST, RecordShape, Spot};
use crate::error::{Error, Result};
use crate::primitive::{AtomicU32, Ordering};

/// The shared part of an array; zeroed memory is an empty one.
#[repr(C)]
pub struct RecordsHeader {
    /// First unit of each of the first extents, 0 while there is none.
    first: [AtomicU32; FIRST],
    /// Unit of each directory of the others, 0 while there is none.
    directories: [AtomicU32; DIRECTORIES],
}

// SAFETY: atomics only.
unsafe impl Zeroable for RecordsHeader {}

/// A view of an array in this process.
#[derive(Clone, Copy)]
pub struct Records<'r> {
    region: Region<'r>,
    header: &'r RecordsHeader,
    shape: RecordShape,
}

impl<'r> Records<'r> {
    /// The view of the array that `header` heads.
    pub fn new(region: Region<'r>, header: &'r RecordsHeader, shape: RecordShape) -> Records<'r> {
        Records {
            region,
            header,
            shape,
        }
    }

    /// How the records lie.
    pub fn shape(&self) -> RecordShape {
        self.shape
    }

    /// Makes sure that record `id` has memory; zeroed when it is new.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] and [`Error::TooManyRecords`]; nothing has changed then, except
    /// perhaps for an empty directory that the next call will use.
    pub fn reserve(&self, id: u32) -> Result<()> {
        let (entry, units) = match self.shape.find(id).0 {
            Spot::First(extent) => (&self.header.first[extent], self.shape.first.units),
            Spot::Other(extent) => {
                let Some(cell) = self.header.directories.get((extent / FAN) as usize) else {
                    return Err(Error::TooManyRecords);
                };
                let directory = self.install(cell, 1)?;
                (self.entry(directory, extent % FAN), self.shape.other.units)
            }
        };
        self.install(entry, units).map(drop)
    }

    /// True when record `id` has memory.
    pub fn is_reserved(&self, id: u32) -> bool {
        self.locate(id).is_some()
    }

    /// The first byte of record `id`, if it has memory.
    #[inline(always)]
    pub(crate) fn locate(&self, id: u32) -> Option<NonNull<u8>> {
        let (spot, place) = self.shape.find(id);
        // Acquire, here and below: pairs with the Release in `install`; the zeroing of the units
        // must be seen before their bytes.
        let first = match spot {
            Spot::First(extent) => self.header.first[extent].load(Ordering::Acquire),
            Spot::Other(extent) => {
                let directory = self
                    .header
                    .directories
                    .get((extent / FAN) as usize)?
                    .load(Ordering::Acquire);
                if directory == 0 {
                    return None;
                }
                self.entry(directory, extent % FAN).load(Ordering::Acquire)
            }
        };
        if first == 0 {
            return None;
        }
        let offset = place as usize * self.shape.stride();
        // SAFETY: header and directories name claimed extents of the shape's `first` and `other` units, which
        // hold 2^shift records of `stride` bytes, so the record lies inside the region.
        Some(unsafe { self.region.unit(first).add(offset) })
    }

    /// The first byte of record `id`.
    ///
    /// # Panics
    /// When the record was never reserved: the id did not come from this index.
    #[inline(always)]
    pub(crate) fn record(&self, id: u32) -> NonNull<u8> {
        match self.locate(id) {
            Some(record) => record,
            None => no_record(id),
        }
    }

    /// The header at `offset` bytes of record `id`.
    ///
    /// # Safety
    /// `T` must lie inside the record at that offset and the array must not be released while the
    /// reference is used.
    ///
    /// # Panics
    /// When the record was never reserved.
    #[inline(always)]
    pub unsafe fn at<T: Zeroable>(&self, id: u32, offset: usize) -> &'r T {
        debug_assert!(offset + size_of::<T>() <= self.shape.stride());
        // SAFETY: inside the record, as the caller promises; zeroed memory is a valid T.
        unsafe { self.record(id).add(offset).cast::<T>().as_ref() }
    }

    /// `len` values that follow each other from `offset` bytes of record `id`.
    ///
    /// # Safety
    /// As for [`Records::at`].
    ///
    /// # Panics
    /// When the record was never reserved.
    #[inline(always)]
    pub unsafe fn slice<T: Zeroable>(&self, id: u32, offset: usize, len: usize) -> &'r [T] {
        debug_assert!(offset + len * size_of::<T>() <= self.shape.stride());
        // SAFETY: inside the record, as the caller promises.
        unsafe { std::slice::from_raw_parts(self.record(id).add(offset).cast::<T>().as_ptr(), len) }
    }

    /// Bytes of the region that the array holds.
    pub fn bytes_held(&self) -> u64 {
        let mut units = 0_u64;
        self.each_extent(|extent| units += extent.units as u64);
        units * UNIT as u64
    }

    /// Gives every extent back and leaves an empty array.
    ///
    /// # Safety
    /// Nobody uses the array or any reference into it any more.
    pub unsafe fn release(&self) {
        // SAFETY: each extent is named once, by the header or a directory, which are cleared below.
        self.each_extent(|extent| unsafe { self.region.release(extent) });
        for cell in self.header.first.iter().chain(&self.header.directories) {
            cell.store(0, Ordering::Relaxed);
        }
    }

    fn each_extent(&self, mut visit: impl FnMut(Extent)) {
        for cell in &self.header.first {
            let first = cell.load(Ordering::Acquire);
            if first != 0 {
                visit(Extent {
                    first,
                    units: self.shape.first.units,
                });
            }
        }
        for cell in &self.header.directories {
            let directory = cell.load(Ordering::Acquire);
            if directory == 0 {
                continue;
            }
            for index in 0..FAN {
                let first = self.entry(directory, index).load(Ordering::Acquire);
                if first != 0 {
                    visit(Extent {
                        first,
                        units: self.shape.other.units,
                    });
                }
            }
            visit(Extent {
                first: directory,
                units: 1,
            });
        }
    }

    fn entry(&self, directory: u32, index: u32) -> &'r AtomicU32 {
        // SAFETY: a directory is one claimed unit of FAN words.
        unsafe { self.region.at(directory, index as usize * 4) }
    }

    /// The extent in `cell`, claimed first if there is none.
    fn install(&self, cell: &AtomicU32, units: u32) -> Result<u32> {
        let held = cell.load(Ordering::Acquire);
        if held != 0 {
            return Ok(held);
        }
        let extent = self.region.claim(units)?;
        // Release: pairs with the Acquire loads; the zeroed units must be visible before their
        // number is.
        match cell.compare_exchange(0, extent.first, Ordering::Release, Ordering::Acquire) {
            Ok(_) => Ok(extent.first),
            Err(winner) => {
                // SAFETY: claimed here and never published.
                unsafe { self.region.release(extent) };
                Ok(winner)
            }
        }
    }
}

#[cold]
#[inline(never)]
fn no_record(id: u32) -> ! {
    panic!("record {id} was never reserved")
}

#[cfg(test)]
mod tests {
    use super::super::shape::tests::SIZES;
    use super::*;
    use crate::arena::HeapRegion;

    #[test]
    fn an_array_reaches_as_far_as_ids() {
        let heap = HeapRegion::new(16 * UNIT);
        let root = heap.region().claim(1).unwrap();
        // SAFETY: a whole zeroed unit.
        let header: &RecordsHeader = unsafe { heap.region().at(root.first, 0) };
        let records = Records::new(heap.region(), header, RecordShape::new(1_856));
        for id in [0, 1 << 25, (1 << 25) + 64, (1 << 30) - 1] {
            assert!(!records.is_reserved(id));
            records.reserve(id).unwrap();
            assert!(records.is_reserved(id));
        }
        assert_eq!(records.reserve(u32::MAX), Err(Error::TooManyRecords));
        // SAFETY: nothing refers to the array.
        unsafe { records.release() };
        assert_eq!(heap.region().used(), 2);
    }

    #[test]
    fn a_small_array_takes_one_extent_and_no_directory() {
        let heap = HeapRegion::new(16 * UNIT);
        let root = heap.region().claim(1).unwrap();
        // SAFETY: a whole zeroed unit.
        let header: &RecordsHeader = unsafe { heap.region().at(root.first, 0) };
        for bytes in SIZES {
            let records = Records::new(heap.region(), header, RecordShape::new(bytes));
            let per_extent = records.shape().per_extent() as u32;
            for id in [0, per_extent - 1, per_extent, 2 * per_extent - 1] {
                records.reserve(id).unwrap();
            }
            assert_eq!(heap.region().used(), 4, "{bytes}");
            assert_eq!(
                records.bytes_held(),
                records.shape().bytes(2 * u64::from(per_extent))
            );
            assert!(!records.is_reserved(2 * per_extent));
            // SAFETY: nothing refers to the array.
            unsafe { records.release() };
        }
    }

    /// Wherever they lie, no two share a byte.
    #[test]
    fn records_lie_apart() {
        for bytes in [4, 532, 16_192, 40_000] {
            let heap = HeapRegion::new(256 * UNIT);
            let root = heap.region().claim(1).unwrap();
            // SAFETY: a whole zeroed unit.
            let header: &RecordsHeader = unsafe { heap.region().at(root.first, 0) };
            let shape = RecordShape::new(bytes);
            let records = Records::new(heap.region(), header, shape);
            let count = shape.few + (2 << shape.other.shift);
            let mut starts: Vec<usize> = (0..count)
                .map(|id| {
                    records.reserve(id).unwrap();
                    records.record(id).as_ptr() as usize
                })
                .collect();
            starts.sort_unstable();
            assert!(starts.windows(2).all(|pair| pair[1] - pair[0] >= bytes));
            assert_eq!(
                records.bytes_held(),
                shape.bytes(count.into()) + UNIT as u64
            );
        }
    }

    #[test]
    fn records_keep_their_place_while_the_array_grows() {
        let heap = HeapRegion::new(64 * UNIT);
        let region = heap.region();
        let root = region.claim(1).unwrap();
        // SAFETY: a whole zeroed unit.
        let header: &RecordsHeader = unsafe { region.at(root.first, 0) };
        let records = Records::new(region, header, RecordShape::new(1_728));
        assert!(!records.is_reserved(0));
        let mut id = 0;
        let full = loop {
            match records.reserve(id) {
                Ok(()) => {
                    // SAFETY: the record has room for a word.
                    let word: &AtomicU32 = unsafe { records.at(id, 1_724) };
                    assert_eq!(word.swap(id + 1, Ordering::Relaxed), 0);
                    id += 1;
                }
                Err(error) => break error,
            }
        };
        assert!(matches!(full, Error::OutOfMemory { .. }));
        for seen in 0..id {
            // SAFETY: as above.
            let word: &AtomicU32 = unsafe { records.at(seen, 1_724) };
            assert_eq!(word.load(Ordering::Relaxed), seen + 1);
        }
        assert!(records.bytes_held() > id as u64 * 1_728);
        // SAFETY: nothing refers to the array any more.
        unsafe { records.release() };
        assert_eq!(region.used(), 2);
        assert!(!records.is_reserved(0));
    }
}
