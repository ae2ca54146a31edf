//! The bounds of many zones or rows at once, as orders take them.

use super::zones::Siblings;
use super::{Block, bits};
use crate::primitive::{AtomicU64, Ordering};
use crate::score::{Batch, Boxes, LANES};

/// Bounds of the [`LANES`] zones below one, or rows of a block, copied out of shared memory into columns.
#[derive(Debug, Clone)]
pub struct Columns {
    /// Of rows.
    count: usize,
    /// The keys, where it is rows.
    low: Vec<u64>,
    high: Vec<u64>,
    nulls: Vec<u64>,
}

impl Columns {
    /// Room for boxes with that many attributes.
    pub fn new(attributes: usize) -> Columns {
        Columns {
            count: 0,
            low: vec![0; attributes * LANES],
            high: vec![0; attributes * LANES],
            nulls: vec![0; attributes],
        }
    }

    /// Holds those bounds of zones that `wanted` has attribute bits for.
    pub fn hold_zones(&mut self, siblings: &Siblings<'_>, wanted: u32) {
        for attribute in bits(u64::from(wanted)) {
            self.nulls[attribute] = siblings.nulls(attribute);
            // Relaxed: the bounds of a zone hold a row from before it counts until it is gone.
            let (low, high) = siblings.columns(attribute);
            copy(low, column(&mut self.low, attribute), |low| !low);
            copy(high, column(&mut self.high, attribute), |high| high);
        }
    }

    /// Forgets all rows.
    pub fn clear(&mut self) {
        self.count = 0;
        self.nulls.fill(0);
    }

    /// Adds some rows of a block, with those keys that `wanted` has attribute bits for. There is room for
    /// [`LANES`].
    pub fn add_rows(&mut self, block: &Block<'_>, rows: u64, wanted: u32) {
        if rows == 0 {
            return;
        }
        for attribute in bits(u64::from(wanted)) {
            let nulls = block.nulls(attribute);
            let from = block.column(attribute);
            let keys = &mut column(&mut self.low, attribute)[self.count..];
            self.nulls[attribute] |= packed(nulls, rows) << self.count;
            if rows == u64::MAX {
                copy(from, keys, |key| key);
                continue;
            }
            for (to, row) in keys.iter_mut().zip(bits(rows)) {
                *to = from[row].load(Ordering::Relaxed);
            }
        }
        self.count += rows.count_ones() as usize;
    }

    /// The zones, as orders take them.
    pub fn zones(&self) -> Boxes<'_> {
        Boxes {
            count: LANES,
            low: &self.low,
            high: &self.high,
            stride: LANES,
            nulls: &self.nulls,
        }
    }

    /// The rows, whose distances are yet to be known.
    pub fn rows(&self) -> Batch<'_> {
        Batch {
            distances: &[f64::NAN; LANES][..self.count],
            null_distances: 0,
            keys: &self.low,
            stride: LANES,
            nulls: &self.nulls,
        }
    }
}

fn column(keys: &mut [u64], attribute: usize) -> &mut [u64] {
    &mut keys[attribute * LANES..][..LANES]
}

fn copy(from: &[AtomicU64], to: &mut [u64], key: impl Fn(u64) -> u64) {
    for (to, from) in to.iter_mut().zip(from) {
        *to = key(from.load(Ordering::Relaxed));
    }
}

/// The bits of a mask at some places, moved together.
pub(crate) fn packed(mask: u64, places: u64) -> u64 {
    if places == u64::MAX {
        return mask;
    }
    let place = |from: usize| (places & ((1 << from) - 1)).count_ones();
    bits(mask & places).fold(0, |packed, from| packed | 1 << place(from))
}
