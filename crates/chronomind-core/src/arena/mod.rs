//! Memory for many indexes out of one region that several processes map.
//!
//! The problem: the region is one fixed piece of shared memory, its address may differ between
//! processes, indexes come, grow and go, and no backend may wait for another to get memory. So
//! nothing in here is a pointer: the region is cut into *units* of 64 KiB, an *extent* is a run of
//! units that lies inside one 64-bit word of the allocation bitmap, and one compare-and-swap on
//! that word claims it. What grows beyond an extent is a [`Records`] array: fixed-size records in
//! extents, the first two small ones, the others equal and found through directories of unit numbers.
//!
//! This folder may say `unsafe`: it turns unit numbers into references.
#![allow(unsafe_code)]

mod heap;
mod prefetch;
mod records;
mod region;
mod shape;
mod words;

pub use heap::HeapRegion;
pub(crate) use prefetch::prefetch;
pub use records::{Records, RecordsHeader};
pub use region::{EXTENT_UNITS, Extent, HUGE_PAGE, Region, UNIT, Zeroable};
pub use shape::RecordShape;
pub use words::WordRecords;
