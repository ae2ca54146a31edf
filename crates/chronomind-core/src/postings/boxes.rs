//! The bounds of many zones or rows at once, as orders take them.

use super::zones::Siblings;
use super::{Block, bits};
use crate::primitive::Ordering;
use crate::score::{Boxes, LANES};

/// Bounds of up to [`LANES`] zones or rows, copied out of shared memory into columns.
#[derive(Debug, Clone)]
pub struct Columns {
    count: usize,
    low: Vec<u64>,
    high: Vec<u64>,
    nulls: Vec<u64>,
    null_distances: u64,
    nan_distances: u64,
}

impl Columns {
    /// Room for boxes with that many attributes.
    pub fn new(attributes: usize) -> Columns {
        Columns {
            count: 0,
            low: vec![0; attributes * LANES],
            high: vec![0; attributes * LANES],
            nulls: vec![0; attributes],
            null_distances: 0,
            nan_distances: 0,
        }
    }

    /// Holds those bounds of some zones that `wanted` has attribute bits for.
    pub fn hold_zones(&mut self, siblings: &Siblings<'_>, zones: u64, wanted: u32) {
        self.count = zones.count_ones() as usize;
        self.null_distances = packed(siblings.null_distances(), zones);
        self.nan_distances = packed(siblings.nan_distances(), zones);
        for attribute in bits(u64::from(wanted)) {
            self.nulls[attribute] = packed(siblings.nulls(attribute), zones);
            // Relaxed: the bounds of a zone hold a row from before it counts until it is gone.
            let (low, high) = siblings.columns(attribute);
            for (place, zone) in bits(zones).enumerate() {
                let at = attribute * LANES + place;
                self.low[at] = !low[zone].load(Ordering::Relaxed);
                self.high[at] = high[zone].load(Ordering::Relaxed);
            }
        }
    }

    /// Holds some rows of a block that have distances.
    pub fn hold_rows(&mut self, block: &Block<'_>, rows: u64, wanted: u32) {
        self.count = rows.count_ones() as usize;
        (self.null_distances, self.nan_distances) = (0, 0);
        for attribute in bits(u64::from(wanted)) {
            let nulls = block.nulls(attribute);
            self.nulls[attribute] = packed(nulls, rows);
            for (place, row) in bits(rows).enumerate() {
                let at = attribute * LANES + place;
                let key = block.key(attribute, row);
                let null = nulls >> row & 1 != 0;
                (self.low[at], self.high[at]) = if null { (u64::MAX, 0) } else { (key, key) };
            }
        }
    }

    /// Those in which some row may have no distance, or NaN.
    pub fn odd(&self) -> u64 {
        self.null_distances | self.nan_distances
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.count
    }

    /// As orders take them, with the least and the greatest distance that rows of each may have.
    pub fn get<'a>(&'a self, distances: &'a [(f64, f64)]) -> Boxes<'a> {
        Boxes {
            distances,
            low: &self.low,
            high: &self.high,
            stride: LANES,
            nulls: &self.nulls,
            null_distances: self.null_distances,
            nan_distances: self.nan_distances,
        }
    }
}

/// The bits of a mask at some places, moved together.
fn packed(mask: u64, places: u64) -> u64 {
    if mask & places == 0 {
        return 0;
    }
    let bit = |packed, (to, from)| packed | (mask >> from & 1) << to;
    bits(places).enumerate().fold(0, bit)
}
