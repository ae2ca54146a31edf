//! Arrays of fixed-size records that grow extent by extent and never move.

use std::ptr::NonNull;

use super::region::{EXTENT_UNITS, Extent, Region, UNIT, Zeroable};
use crate::error::{Error, Result};
use crate::primitive::{AtomicU32, Ordering};

/// Extents that one directory unit names.
const FAN: u32 = (UNIT / 4) as u32;
/// Directory units an array can have: with the smallest extents that is 64 GiB of records.
const DIRECTORIES: usize = 64;

/// The shared part of an array; zeroed memory is an empty one.
#[repr(C)]
pub struct RecordsHeader {
    /// Unit of each directory, 0 while there is none.
    directories: [AtomicU32; DIRECTORIES],
}

// SAFETY: atomics only.
unsafe impl Zeroable for RecordsHeader {}

/// How records of one size lie in extents. A pure function of the size, so that every process
/// computes the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordShape {
    stride: u32,
    shift: u32,
    units: u32,
}

impl RecordShape {
    /// The shape for records of `bytes`, a multiple of 4 and at most 1 MiB.
    ///
    /// The number of records an extent holds is a power of two (an id splits by shift and mask);
    /// among those the one is taken that leaves least of a 64-unit bitmap word unused, and the
    /// smaller extent of two equals, so that a small index takes little.
    pub fn new(bytes: usize) -> RecordShape {
        debug_assert!(bytes.is_multiple_of(4) && bytes > 0 && bytes <= UNIT * 16);
        let mut best: Option<(usize, RecordShape)> = None;
        for shift in 0..20_u32 {
            let units = (bytes << shift).div_ceil(UNIT) as u32;
            if units > EXTENT_UNITS {
                break;
            }
            let useful = (EXTENT_UNITS / units) as usize * (bytes << shift);
            if best.is_none_or(|(most, _)| useful > most) {
                best = Some((
                    useful,
                    RecordShape {
                        stride: bytes as u32,
                        shift,
                        units,
                    },
                ));
            }
        }
        match best {
            Some((_, shape)) => shape,
            None => unreachable!("one record of at most 1 MiB fits an extent"),
        }
    }

    /// Bytes a record takes.
    pub fn stride(&self) -> usize {
        self.stride as usize
    }

    /// Records that lie in one extent, a power of two.
    pub fn per_extent(&self) -> usize {
        1 << self.shift
    }

    /// Bytes that `records` records take, in whole extents.
    pub fn bytes(&self, records: u64) -> u64 {
        records.div_ceil(1 << self.shift) * self.units as u64 * UNIT as u64
    }
}

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
        let extent = id >> self.shape.shift;
        let Some(cell) = self.header.directories.get((extent / FAN) as usize) else {
            return Err(Error::TooManyRecords);
        };
        let directory = self.install(cell, 1)?;
        let entry = self.entry(directory, extent % FAN);
        self.install(entry, self.shape.units).map(drop)
    }

    /// True when record `id` has memory.
    pub fn is_reserved(&self, id: u32) -> bool {
        self.locate(id).is_some()
    }

    /// The first byte of record `id`, if it has memory.
    #[inline(always)]
    pub(crate) fn locate(&self, id: u32) -> Option<NonNull<u8>> {
        let extent = id >> self.shape.shift;
        // Acquire, here and below: pairs with the Release in `install`; the zeroing of the units
        // must be seen before their bytes.
        let directory = self
            .header
            .directories
            .get((extent / FAN) as usize)?
            .load(Ordering::Acquire);
        if directory == 0 {
            return None;
        }
        let first = self.entry(directory, extent % FAN).load(Ordering::Acquire);
        if first == 0 {
            return None;
        }
        let offset = (id & ((1 << self.shape.shift) - 1)) as usize * self.shape.stride as usize;
        // SAFETY: the directory names claimed extents of `units` units, which hold 2^shift records
        // of `stride` bytes, so the record lies inside the region.
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
        debug_assert!(offset + size_of::<T>() <= self.shape.stride as usize);
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
        debug_assert!(offset + len * size_of::<T>() <= self.shape.stride as usize);
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
        // SAFETY: each extent is named once by the directories, which are cleared below.
        self.each_extent(|extent| unsafe { self.region.release(extent) });
        for directory in &self.header.directories {
            directory.store(0, Ordering::Relaxed);
        }
    }

    fn each_extent(&self, mut visit: impl FnMut(Extent)) {
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
                        units: self.shape.units,
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
    use super::*;
    use crate::arena::HeapRegion;

    #[test]
    fn shapes_waste_little() {
        for bytes in [64, 128, 532, 1_728, 3_264, 6_336, 16_192, 64_192] {
            let shape = RecordShape::new(bytes);
            let word = UNIT * 64;
            let useful = (EXTENT_UNITS / shape.units) as usize * (bytes << shape.shift);
            assert!(useful * 100 >= word * 85, "{bytes}: {shape:?}");
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
