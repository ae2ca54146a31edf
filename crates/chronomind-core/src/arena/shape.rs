//! How records of one size lie in extents.

use super::region::{EXTENT_UNITS, UNIT};

/// The most records that an array may hold: all that ids of nodes and of their kind can name.
pub(super) const MOST: u64 = 1 << 30;
/// Extents that the header names itself, so that a small array takes no directory and no large extent.
pub(super) const FIRST: usize = 2;
/// Extents that one directory unit names.
pub(super) const FAN: u32 = (UNIT / 4) as u32;
/// Directory units an array can have. With extents of one unit they are enough for 2 TiB of records.
pub(super) const DIRECTORIES: usize = 2_048;
const EXTENTS: u64 = DIRECTORIES as u64 * FAN as u64;

/// How many records an extent holds, a power of two, so that an id splits by shift and mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct ExtentShape {
    pub(super) shift: u32,
    pub(super) units: u32,
}

impl ExtentShape {
    /// As many as fit the fewest units that hold one.
    fn smallest(bytes: usize) -> ExtentShape {
        let units = bytes.div_ceil(UNIT);
        ExtentShape {
            shift: (units * UNIT / bytes).ilog2(),
            units: units as u32,
        }
    }

    /// The one that leaves least of a 64-unit bitmap word unused. Of equals the smallest, so that an array
    /// grows by little at a time, unless so many would be too few for all ids.
    fn thrifty(bytes: usize) -> ExtentShape {
        let mut best: Option<(usize, ExtentShape)> = None;
        for shift in 0..20_u32 {
            let units = (bytes << shift).div_ceil(UNIT) as u32;
            if units > EXTENT_UNITS {
                break;
            }
            let useful = (EXTENT_UNITS / units) as usize * (bytes << shift);
            let is_better = best.is_none_or(|(most, shape)| {
                useful > most || useful == most && EXTENTS << shape.shift < MOST
            });
            if is_better {
                best = Some((useful, ExtentShape { shift, units }));
            }
        }
        match best {
            Some((_, shape)) => shape,
            None => unreachable!("one record of at most 1 MiB fits an extent"),
        }
    }

    fn extents(&self, records: u64) -> u64 {
        records.div_ceil(1 << self.shift)
    }
}

/// How records of one size lie in extents. A pure function of the size, so that every process
/// computes the same.
///
/// The first extents are as small as can be, so that a small index takes little; all others leave as
/// little of the region unused as can be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RecordShape {
    stride: u32,
    /// Records in the first extents, of all together.
    pub(super) few: u32,
    pub(super) first: ExtentShape,
    pub(super) other: ExtentShape,
}

/// Where a record is said to lie.
pub(super) enum Spot {
    /// In one of the first extents.
    First(usize),
    /// In one of the others.
    Other(u32),
}

impl RecordShape {
    /// The shape for records of `bytes`, a multiple of 4 and at most 1 MiB.
    pub fn new(bytes: usize) -> RecordShape {
        debug_assert!(bytes.is_multiple_of(4) && bytes > 0 && bytes <= UNIT * 16);
        let first = ExtentShape::smallest(bytes);
        RecordShape {
            stride: bytes as u32,
            few: (FIRST as u32) << first.shift,
            first,
            other: ExtentShape::thrifty(bytes),
        }
    }

    /// Bytes a record takes.
    #[inline(always)]
    pub fn stride(&self) -> usize {
        self.stride as usize
    }

    /// Records that lie in each of the first extents, a power of two. The others hold as many or more.
    pub fn per_extent(&self) -> usize {
        1 << self.first.shift
    }

    /// Records that an array can hold, about.
    pub fn most(&self) -> u64 {
        EXTENTS << self.other.shift
    }

    /// Bytes that `records` records take, in whole extents.
    pub fn bytes(&self, records: u64) -> u64 {
        let few = records.min(self.few.into());
        let (first, other) = (self.first, self.other);
        let units = first.extents(few) * u64::from(first.units)
            + other.extents(records - few) * u64::from(other.units);
        units * UNIT as u64
    }

    /// The extent of a record, and the record's place in it.
    #[inline(always)]
    pub(super) fn find(&self, id: u32) -> (Spot, u32) {
        let split =
            |id: u32, shape: ExtentShape| (id >> shape.shift, id & ((1 << shape.shift) - 1));
        match id.checked_sub(self.few) {
            None => {
                let (extent, place) = split(id, self.first);
                (Spot::First(extent as usize), place)
            }
            Some(id) => {
                let (extent, place) = split(id, self.other);
                (Spot::Other(extent), place)
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) const SIZES: [usize; 10] = [
        64, 128, 532, 1_728, 1_856, 2_048, 3_264, 6_336, 16_192, 64_192,
    ];

    #[test]
    fn shapes_waste_little() {
        for bytes in SIZES {
            let ExtentShape { shift, units } = RecordShape::new(bytes).other;
            let useful = (EXTENT_UNITS / units) as usize * (bytes << shift);
            assert!(useful * 100 >= UNIT * 64 * 85, "{bytes}: {shift}, {units}");
        }
    }

    /// Those of vector(384) with m = 16 are of 1,856 bytes and ended at 2^25, as did those of 2,048.
    #[test]
    fn an_array_ends_where_ids_do_or_at_two_tebibytes() {
        for bytes in SIZES.into_iter().chain((4..70_000).step_by(124)) {
            let shape = RecordShape::new(bytes);
            assert!(
                shape.most() >= MOST || shape.bytes(shape.most()) >= 2 << 40,
                "{shape:?}"
            );
        }
        assert!(
            SIZES
                .iter()
                .all(|&bytes| RecordShape::new(bytes).most() >= MOST)
        );
    }
}
