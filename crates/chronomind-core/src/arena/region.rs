//! The region: units, extents and the bitmap that says who has them.

use std::marker::PhantomData;
use std::ptr::NonNull;

use crate::error::{Error, Result};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

/// Bytes in a unit, the grain of allocation.
pub const UNIT: usize = 64 * 1024;
/// The most units in one extent: a run never leaves its bitmap word.
pub const EXTENT_UNITS: u32 = 64;
/// Bytes in a huge page, as processors with pages of 4 KiB have them: half of what a bitmap word tells of.
pub const HUGE_PAGE: usize = HUGE_UNITS as usize * UNIT;

const HUGE_UNITS: u32 = 32;
const MAGIC: u64 = 0x4348_524f_4e4f_0001;

/// A type whose all-zero bytes are a valid value and that may lie in shared memory.
///
/// # Safety
/// The type must be valid when zeroed, hold no pointer and have an alignment of at most 64.
pub unsafe trait Zeroable: Sync {}

// SAFETY: a zero word is a valid atomic.
unsafe impl Zeroable for AtomicU32 {}
// SAFETY: a zero word is a valid atomic.
unsafe impl Zeroable for AtomicU64 {}

/// A run of units. `first` is never 0 for a claimed extent, since the region's header has unit 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Extent {
    /// Number of the first unit.
    pub first: u32,
    /// Number of units, 1 to [`EXTENT_UNITS`].
    pub units: u32,
}

#[repr(C)]
struct Header {
    magic: AtomicU64,
    units: AtomicU32,
    used: AtomicU32,
    /// Where the next search for free units starts; only a hint.
    hint: AtomicU32,
}

/// A view of the region in this process. Copies are views of the same memory.
#[derive(Clone, Copy)]
pub struct Region<'r> {
    base: NonNull<u8>,
    units: u32,
    /// Called with the start of each [`HUGE_PAGE`] whose first units this view claims.
    taken: Option<fn(NonNull<u8>)>,
    memory: PhantomData<&'r [u8]>,
}

// SAFETY: every shared word is an atomic; bytes handed out for exclusive writing are guarded by the
// contracts of the unsafe functions that hand them out.
unsafe impl Send for Region<'_> {}
// SAFETY: as for Send.
unsafe impl Sync for Region<'_> {}

impl<'r> Region<'r> {
    /// Bytes that a region of `bytes` needs, whole units, its own header included.
    pub fn round(bytes: usize) -> usize {
        bytes.div_ceil(UNIT).max(2) * UNIT
    }

    /// Lays a new region out in zeroed memory. To be called once, before anyone attaches.
    ///
    /// # Safety
    /// `base` must point to `bytes` zeroed bytes, aligned to 4 KiB, valid for `'r` and used for
    /// nothing else.
    pub unsafe fn create(base: NonNull<u8>, bytes: usize) -> Region<'r> {
        let region = Region {
            base,
            units: (bytes / UNIT) as u32,
            taken: None,
            memory: PhantomData,
        };
        let own = region.header_units();
        region.header().units.store(region.units, Ordering::Relaxed);
        region.header().used.store(own, Ordering::Relaxed);
        let taken = |word: u32| -> u64 {
            let mut bits = 0;
            for bit in 0..64 {
                let unit = word * 64 + bit;
                if unit < own || unit >= region.units {
                    bits |= 1 << bit;
                }
            }
            bits
        };
        for word in 0..region.words() {
            region.bitmap(word).store(taken(word), Ordering::Relaxed);
        }
        // Release: pairs with the Acquire in `attach`; the bitmap must be in place before.
        region.header().magic.store(MAGIC, Ordering::Release);
        region
    }

    /// A view of a region that [`Region::create`] laid out, perhaps in another process.
    ///
    /// # Safety
    /// As for [`Region::create`], except that the memory holds a region of this build.
    pub unsafe fn attach(base: NonNull<u8>) -> Option<Region<'r>> {
        // SAFETY: the caller promises that a header lies there.
        let header = unsafe { base.cast::<Header>().as_ref() };
        if header.magic.load(Ordering::Acquire) != MAGIC {
            return None;
        }
        let units = header.units.load(Ordering::Relaxed);
        Some(Region {
            base,
            units,
            taken: None,
            memory: PhantomData,
        })
    }

    /// The same region where this process has it mapped at another address. `taken` is called, by
    /// whoever claims units through this view, with the start of each [`HUGE_PAGE`] of the region of
    /// which none were claimed before: it may ask the system for a huge page there.
    ///
    /// # Safety
    /// Both addresses must be mapped to the same memory, for `'r`. `taken` must leave what lies there as
    /// it is: other processes may be using units that they claim meanwhile.
    pub unsafe fn mapped_at(self, base: NonNull<u8>, taken: fn(NonNull<u8>)) -> Region<'r> {
        Region {
            base,
            taken: Some(taken),
            ..self
        }
    }

    /// Where this process has the region mapped.
    pub fn base(&self) -> NonNull<u8> {
        self.base
    }

    /// Bytes in all.
    pub fn bytes(&self) -> usize {
        self.units as usize * UNIT
    }

    /// Units in all.
    pub fn units(&self) -> u32 {
        self.units
    }

    /// Units now claimed, the region's own header included.
    pub fn used(&self) -> u32 {
        self.header().used.load(Ordering::Relaxed)
    }

    /// Claims a run of `units` zeroed units.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`] when no bitmap word has such a run.
    pub fn claim(&self, units: u32) -> Result<Extent> {
        debug_assert!((1..=EXTENT_UNITS).contains(&units));
        let words = self.words();
        let start = self.header().hint.load(Ordering::Relaxed) % words;
        for step in 0..words {
            let word = (start + step) % words;
            let cell = self.bitmap(word);
            let mut seen = cell.load(Ordering::Relaxed);
            while let Some(bit) = free_run(seen, units) {
                let mask = run_mask(bit, units);
                // Acquire: pairs with the Release in `release`; what the last owner wrote must not
                // be seen after the zeroing below.
                match cell.compare_exchange_weak(
                    seen,
                    seen | mask,
                    Ordering::Acquire,
                    Ordering::Relaxed,
                ) {
                    Ok(before) => {
                        self.announce(word, before, mask);
                        self.header().hint.store(word, Ordering::Relaxed);
                        self.header().used.fetch_add(units, Ordering::Relaxed);
                        let extent = Extent {
                            first: word * 64 + bit,
                            units,
                        };
                        self.clean(extent, mask, word);
                        return Ok(extent);
                    }
                    Err(now) => seen = now,
                }
            }
        }
        Err(Error::OutOfMemory {
            bytes: units as usize * UNIT,
        })
    }

    /// Gives an extent back.
    ///
    /// # Safety
    /// The extent was claimed from this region, is released once, and nobody uses it any more.
    pub unsafe fn release(&self, extent: Extent) {
        let word = extent.first / 64;
        let mask = run_mask(extent.first % 64, extent.units);
        // Only released units need zeroing: fresh ones are zero already, and touching them would
        // take memory that may never be needed, on small pages. The dirty mark must be there before
        // the units are free again: Release below orders it.
        self.dirty(word).fetch_or(mask, Ordering::Relaxed);
        self.bitmap(word).fetch_and(!mask, Ordering::Release);
        self.header()
            .used
            .fetch_sub(extent.units, Ordering::Relaxed);
    }

    /// The first byte of a unit.
    ///
    /// # Panics
    /// When the region has no such unit.
    pub(crate) fn unit(&self, unit: u32) -> NonNull<u8> {
        assert!(unit < self.units, "unit {unit} lies outside of the region");
        // SAFETY: inside the region, by the check above.
        unsafe { self.base.add(unit as usize * UNIT) }
    }

    /// A zeroed record at the start of an extent.
    ///
    /// # Safety
    /// The extent must be claimed, must hold a `T` at that offset and must outlive `'r`'s uses.
    pub unsafe fn at<T: Zeroable>(&self, unit: u32, offset: usize) -> &'r T {
        debug_assert_eq!(offset % align_of::<T>(), 0);
        // SAFETY: the caller's promise; alignment as checked.
        unsafe { self.unit(unit).add(offset).cast::<T>().as_ref() }
    }

    /// Tells of the huge pages that the units of `mask` are the first to use, in a word that was `before`.
    fn announce(&self, word: u32, before: u64, mask: u64) {
        let Some(taken) = self.taken else { return };
        for first in (0..64).step_by(HUGE_UNITS as usize) {
            let start = word * 64 + first;
            // The header's own units were in use before anyone could be told.
            let own = self
                .header_units()
                .saturating_sub(start)
                .min(HUGE_UNITS - 1);
            let page = run_mask(first + own, HUGE_UNITS - own);
            if before & page == 0 && mask & page != 0 {
                taken(self.unit(start));
            }
        }
    }

    fn clean(&self, extent: Extent, mask: u64, word: u32) {
        // Relaxed: the claimed bits of the dirty word are this caller's alone.
        let dirty = self.dirty(word).fetch_and(!mask, Ordering::Relaxed) & mask;
        for unit in extent.first..extent.first + extent.units {
            if dirty & (1 << (unit % 64)) != 0 {
                // SAFETY: the unit was claimed just now, so nobody else refers to its bytes.
                unsafe { self.unit(unit).write_bytes(0, UNIT) };
            }
        }
    }

    fn header(&self) -> &'r Header {
        // SAFETY: `create` and `attach` promise that a header lies at the base.
        unsafe { self.base.cast::<Header>().as_ref() }
    }

    fn words(&self) -> u32 {
        self.units.div_ceil(64)
    }

    fn header_units(&self) -> u32 {
        (64 + 2 * self.words() as usize * 8).div_ceil(UNIT) as u32
    }

    fn bitmap(&self, word: u32) -> &'r AtomicU64 {
        self.word(word)
    }

    fn dirty(&self, word: u32) -> &'r AtomicU64 {
        self.word(self.words() + word)
    }

    fn word(&self, index: u32) -> &'r AtomicU64 {
        // SAFETY: both bitmaps lie in the units that `header_units` counts.
        unsafe {
            self.base
                .add(64 + index as usize * 8)
                .cast::<AtomicU64>()
                .as_ref()
        }
    }
}

fn run_mask(bit: u32, units: u32) -> u64 {
    (u64::MAX >> (64 - units)) << bit
}

/// First bit of a run of `units` zeros in `word`.
fn free_run(word: u64, units: u32) -> Option<u32> {
    // After the loop a one stands wherever a whole run starts (Hacker's Delight, section 6-2).
    let mut runs = !word;
    let mut have = 1;
    while have < units {
        let shift = have.min(units - have);
        runs &= runs >> shift;
        have += shift;
    }
    (runs != 0).then(|| runs.trailing_zeros())
}

#[cfg(test)]
mod tests {
    use std::cell::RefCell;

    use super::*;
    use crate::arena::HeapRegion;

    #[test]
    fn free_runs_match_a_naive_search() {
        let naive =
            |word: u64, units: u32| (0..=64 - units).find(|&bit| word & run_mask(bit, units) == 0);
        let mut word = 0x9e37_79b9_7f4a_7c15_u64;
        for _ in 0..10_000 {
            word = word.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let sparse = word & word.rotate_left(17) & word.rotate_left(31);
            for units in [1, 2, 3, 7, 14, 27, 63, 64] {
                assert_eq!(
                    free_run(sparse, units),
                    naive(sparse, units),
                    "{sparse:x} {units}"
                );
            }
        }
        assert_eq!(free_run(0, 64), Some(0));
        assert_eq!(free_run(1, 64), None);
    }

    #[test]
    fn huge_pages_are_told_of_when_the_first_of_their_units_is_claimed() {
        thread_local!(static TAKEN: RefCell<Vec<usize>> = const { RefCell::new(Vec::new()) });
        let told = || TAKEN.take();
        let heap = HeapRegion::new(200 * UNIT);
        let region = heap.region();
        // SAFETY: the same address; nothing is done with what is told.
        let region = unsafe {
            region.mapped_at(region.base(), |page| {
                TAKEN.with_borrow_mut(|pages| pages.push(page.addr().get()));
            })
        };
        let page = |number: usize| region.base().addr().get() + number * HUGE_PAGE;

        region.claim(1).unwrap();
        assert_eq!(told(), [page(0)], "although the header lies there");
        region.claim(30).unwrap();
        assert_eq!(told(), []);
        let wide = region.claim(64).unwrap();
        assert_eq!(told(), [page(2), page(3)]);
        region.claim(32).unwrap();
        region.claim(32).unwrap();
        assert_eq!(told(), [page(4), page(5)]);
        region.claim(3).unwrap();
        assert_eq!(told(), [], "the last 8 units are no whole page");

        // SAFETY: claimed above, released once, not used any more.
        unsafe { region.release(wide) };
        region.claim(20).unwrap();
        assert_eq!(told(), [page(1)]);
        region.claim(20).unwrap();
        assert_eq!(told(), [page(2)], "again, after nobody used it");
        region.claim(20).unwrap();
        assert_eq!(told(), [page(3)]);
    }

    #[test]
    fn claims_never_overlap_and_come_back_zeroed() {
        let heap = HeapRegion::new(200 * UNIT);
        let region = heap.region();
        let mut held: Vec<Extent> = Vec::new();
        let mut random = 1_u64;
        for step in 0..5_000 {
            random = random
                .wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695);
            let roll = (random >> 33) as u32;
            if !roll.is_multiple_of(3) {
                let units = roll / 3 % 9 + 1;
                match region.claim(units) {
                    Ok(extent) => {
                        let bytes = region.unit(extent.first).as_ptr();
                        for at in [0, UNIT * units as usize - 1] {
                            // SAFETY: inside the extent just claimed.
                            unsafe {
                                assert_eq!(*bytes.add(at), 0);
                                *bytes.add(at) = 1;
                            }
                        }
                        for other in &held {
                            assert!(
                                extent.first + extent.units <= other.first
                                    || other.first + other.units <= extent.first
                            );
                        }
                        held.push(extent);
                    }
                    Err(error) => {
                        assert_eq!(
                            error,
                            Error::OutOfMemory {
                                bytes: units as usize * UNIT
                            }
                        );
                        assert!(!held.is_empty(), "step {step}");
                    }
                }
            } else if !held.is_empty() {
                let extent = held.swap_remove(roll as usize % held.len());
                // SAFETY: claimed above and dropped from the list, so released once.
                unsafe { region.release(extent) };
            }
        }
        let used: u32 = held.iter().map(|extent| extent.units).sum();
        assert_eq!(region.used(), used + 1);
    }
}
