//! Zone maps in levels: least and greatest key of each attribute over ever larger runs of postings.
//!
//! A zone of level 0 is a block of 64 postings, and a zone of each further level is 64 zones of the
//! one below, so that a search that needs the best corner of a million rows looks at a few hundred
//! zones. The bounds of 64 siblings lie together in one record:
//!
//! | words | what |
//! |---|---|
//! | 0, 1 | only in the topmost record: postings published, and of those the dead |
//! | 2 | there too: the first free block, its number + 1, or 0 |
//! | 3 | there too: how often chains have been cut |
//! | 4 | which of the 64 hold any posting |
//! | 5, 6 | which hold a row without a vector, or one whose vector has no distance |
//! | for each attribute 1 + 64 + 64 | which hold a NULL; complement of the least key; greatest key |
//!
//! Least keys are stored as complements so that a zeroed record is 64 empty zones and every bound
//! grows (`fetch_max`) but where dead rows are taken out of a block.
//!
//! Records are numbered in preorder (a record, then what is below its first child, ...): any number
//! of postings uses a prefix of the numbers, and nothing moves when a level is added.

use super::Place;
use crate::arena::WordRecords;
use crate::error::Result;
use crate::primitive::{AtomicU64, Ordering};
use crate::score::{Bounds, Row};

/// Zones that a zone of the next level spans.
pub const FAN: usize = 64;
/// Level of the zone that spans every posting an id can name: 64^6 > 2^32.
const TOP: u32 = 5;

const PUBLISHED: usize = 0;
const BURIED: usize = 1;
const FREE: usize = 2;
const CUTS: usize = 3;
const OCCUPIED: usize = 4;
const NULL_DISTANCE: usize = 5;
const NAN_DISTANCE: usize = 6;
const ATTRIBUTES: usize = 7;
const MARKS: [usize; 3] = [OCCUPIED, NULL_DISTANCE, NAN_DISTANCE];

/// Words of a record for that many attributes.
pub(super) const fn words(attributes: usize) -> usize {
    ATTRIBUTES + attributes * (1 + 2 * FAN)
}

/// A run of `64 * 64^level` postings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Zone {
    /// 0 for a block.
    pub level: u32,
    /// Its number among the zones of its level.
    pub index: u32,
}

impl Zone {
    /// The zone of everything.
    pub const ALL: Zone = Zone {
        level: TOP,
        index: 0,
    };

    /// One of the 64 zones of a zone above level 0.
    pub fn child(&self, child: usize) -> Zone {
        Zone {
            level: self.level - 1,
            index: self.index * FAN as u32 + child as u32,
        }
    }

    /// Postings that it spans.
    pub fn rows(&self) -> u64 {
        (FAN as u64).pow(self.level + 1)
    }

    fn parent(&self) -> Zone {
        Zone {
            level: self.level + 1,
            index: self.index / FAN as u32,
        }
    }

    fn place_in_parent(&self) -> usize {
        self.index as usize % FAN
    }

    /// Number of the record that holds the bounds of its children.
    fn record(&self) -> u32 {
        let mut record = 0;
        for level in self.level..TOP {
            let child = self.index >> (6 * (level - self.level)) & 63;
            record += 1 + child * records_of(level);
        }
        record
    }
}

/// Records of a zone of a level and of everything below it.
const fn records_of(level: u32) -> u32 {
    let (mut records, mut at) = (0, 0);
    while at < level {
        records = 1 + records * FAN as u32;
        at += 1;
    }
    records
}

/// Records that so many blocks take, numbered without a gap from 0.
pub(super) fn records(blocks: u64) -> u64 {
    (1..=TOP)
        .map(|level| blocks.div_ceil((FAN as u64).pow(level)))
        .sum()
}

/// The bounds of one zone, copied out of shared memory.
#[derive(Debug, Clone)]
pub struct ZoneBounds {
    low: Vec<u64>,
    high: Vec<u64>,
    nulls: u32,
    null_distance: bool,
    nan_distance: bool,
}

impl ZoneBounds {
    /// Room for the bounds of a zone with that many attributes.
    pub fn new(attributes: usize) -> ZoneBounds {
        ZoneBounds {
            low: vec![0; attributes],
            high: vec![0; attributes],
            nulls: 0,
            null_distance: false,
            nan_distance: false,
        }
    }

    /// Makes them bounds that hold no attribute; `odd` tells whether some row may have no distance,
    /// or NaN.
    pub fn forget(&mut self, odd: bool) {
        (self.null_distance, self.nan_distance) = (odd, odd);
    }

    /// As orders take them.
    pub fn get(&self) -> Bounds<'_> {
        Bounds {
            low: &self.low,
            high: &self.high,
            nulls: self.nulls,
            null_distance: self.null_distance,
            nan_distance: self.nan_distance,
        }
    }
}

/// The 64 zones below one.
#[derive(Clone, Copy)]
pub struct Siblings<'r> {
    words: &'r [AtomicU64],
}

impl Siblings<'_> {
    /// Those that hold any posting.
    pub fn occupied(&self) -> u64 {
        self.words[OCCUPIED].load(Ordering::Relaxed)
    }

    /// Copies those bounds of a zone that `wanted` has attribute bits for.
    pub fn bounds(&self, child: usize, wanted: u32, into: &mut ZoneBounds) {
        let has = |word: usize| self.words[word].load(Ordering::Relaxed) >> child & 1;
        into.null_distance = has(NULL_DISTANCE) != 0;
        into.nan_distance = has(NAN_DISTANCE) != 0;
        into.nulls = 0;
        for attribute in super::bits(u64::from(wanted)) {
            let column = column(attribute);
            into.nulls |= (has(column) as u32) << attribute;
            into.low[attribute] = !self.words[column + 1 + child].load(Ordering::Relaxed);
            into.high[attribute] = self.words[column + 1 + FAN + child].load(Ordering::Relaxed);
        }
    }

    /// Those that hold a row without a vector.
    pub fn null_distances(&self) -> u64 {
        self.words[NULL_DISTANCE].load(Ordering::Relaxed)
    }

    /// Those that hold a row whose vector has no distance.
    pub fn nan_distances(&self) -> u64 {
        self.words[NAN_DISTANCE].load(Ordering::Relaxed)
    }

    /// Those that hold a NULL in an attribute.
    pub(super) fn nulls(&self, attribute: usize) -> u64 {
        self.words[column(attribute)].load(Ordering::Relaxed)
    }

    /// The complements of the least keys of an attribute, and its greatest keys.
    pub(super) fn columns(&self, attribute: usize) -> (&[AtomicU64], &[AtomicU64]) {
        self.words[column(attribute) + 1..][..2 * FAN].split_at(FAN)
    }

    /// Least and greatest key of an attribute of one of them; the former is the greater where all rows
    /// have NULL.
    pub(super) fn ends(&self, attribute: usize, child: usize) -> (u64, u64) {
        let (low, high) = self.columns(attribute);
        (
            !low[child].load(Ordering::Relaxed),
            high[child].load(Ordering::Relaxed),
        )
    }

    fn widen(&self, child: usize, attributes: usize, place: &Place<'_>, row: &Row<'_>) {
        let bit = 1 << child;
        set(&self.words[OCCUPIED], bit);
        match place {
            Place::Node { .. } => {}
            Place::NullVector => set(&self.words[NULL_DISTANCE], bit),
            Place::NoDistance => set(&self.words[NAN_DISTANCE], bit),
        }
        for attribute in 0..attributes {
            let column = column(attribute);
            match row.key(attribute) {
                Some(key) => {
                    raise(&self.words[column + 1 + child], !key);
                    raise(&self.words[column + 1 + FAN + child], key);
                }
                None => set(&self.words[column], bit),
            }
        }
    }
}

impl Siblings<'_> {
    /// What they hold together.
    fn contents(&self, attributes: usize) -> Contents {
        let any = |word: usize| self.words[word].load(Ordering::Relaxed) != 0;
        // An empty zone has 0 everywhere.
        let greatest = |from: usize| {
            let keys = self.words[from..from + FAN].iter();
            keys.fold(0, |most, key| most.max(key.load(Ordering::Relaxed)))
        };
        Contents {
            marks: MARKS.map(any),
            attributes: (0..attributes)
                .map(|attribute| {
                    let column = column(attribute);
                    let keys = [column + 1, column + 1 + FAN].map(greatest);
                    (any(column), keys)
                })
                .collect(),
        }
    }

    /// Takes from the bounds of a zone what is not among its contents.
    ///
    /// One at a time, and not beside [`widen`](Self::widen). Readers may see some of the bounds only
    /// changed: each of them holds the contents at any time.
    fn narrow(&self, child: usize, contents: &Contents) {
        let keep = |word: usize, any: bool| {
            if !any {
                self.words[word].fetch_and(!(1 << child), Ordering::Relaxed);
            }
        };
        for (word, any) in MARKS.into_iter().zip(contents.marks) {
            keep(word, any);
        }
        for (attribute, &(nulls, [low, high])) in contents.attributes.iter().enumerate() {
            let column = column(attribute);
            keep(column, nulls);
            self.words[column + 1 + child].store(low, Ordering::Relaxed);
            self.words[column + 1 + FAN + child].store(high, Ordering::Relaxed);
        }
    }
}

/// What is in a zone: words as a record has them of it.
pub(super) struct Contents {
    /// Of [`MARKS`].
    pub(super) marks: [bool; 3],
    /// Whether there is a NULL; complement of the least key, greatest key.
    pub(super) attributes: Vec<(bool, [u64; 2])>,
}

fn column(attribute: usize) -> usize {
    ATTRIBUTES + attribute * (1 + 2 * FAN)
}

/// Most postings change no bound of the larger zones: looking first keeps their lines shared.
fn raise(cell: &AtomicU64, value: u64) {
    if cell.load(Ordering::Relaxed) < value {
        cell.fetch_max(value, Ordering::Relaxed);
    }
}

fn set(cell: &AtomicU64, bit: u64) {
    if cell.load(Ordering::Relaxed) & bit == 0 {
        cell.fetch_or(bit, Ordering::Relaxed);
    }
}

/// The zone maps of an index.
#[derive(Clone, Copy)]
pub(super) struct Zones<'r> {
    pub(super) records: WordRecords<'r>,
    pub(super) attributes: usize,
}

impl<'r> Zones<'r> {
    /// Makes sure that every zone of a block has memory.
    pub(super) fn reserve(&self, block: u32) -> Result<()> {
        let mut zone = Zone {
            level: 0,
            index: block,
        };
        while zone != Zone::ALL {
            zone = zone.parent();
            self.records.reserve(zone.record())?;
        }
        Ok(())
    }

    /// Widens every zone of a block by a row, and counts it.
    pub(super) fn widen(&self, block: u32, place: &Place<'_>, row: &Row<'_>) {
        let mut zone = Zone {
            level: 0,
            index: block,
        };
        while zone != Zone::ALL {
            let child = zone.place_in_parent();
            zone = zone.parent();
            if let Some(siblings) = self.below(zone) {
                siblings.widen(child, self.attributes, place, row);
            }
        }
        self.count(PUBLISHED);
    }

    /// Counts a row that is gone.
    pub(super) fn bury(&self) {
        self.count(BURIED);
    }

    /// Narrows the zone of a block to what is left in it, and those that span it, and forgets the dead
    /// that were taken out. One at a time, and not beside [`widen`](Self::widen).
    pub(super) fn narrow(&self, block: u32, mut contents: Contents, dead: u64) {
        let mut zone = Zone {
            level: 0,
            index: block,
        };
        while zone != Zone::ALL {
            let child = zone.place_in_parent();
            zone = zone.parent();
            let Some(siblings) = self.below(zone) else {
                return;
            };
            siblings.narrow(child, &contents);
            contents = siblings.contents(self.attributes);
        }
        if let Some(top) = self.below(Zone::ALL) {
            top.words[PUBLISHED].fetch_sub(dead, Ordering::Relaxed);
            top.words[BURIED].fetch_sub(dead, Ordering::Relaxed);
        }
    }

    /// Counts a row that was gone before it came.
    pub(super) fn count_dead(&self) {
        self.count(PUBLISHED);
        self.count(BURIED);
    }

    /// The first free block: its number + 1, or 0.
    pub(super) fn free(&self) -> u32 {
        self.below(Zone::ALL)
            .map_or(0, |top| top.words[FREE].load(Ordering::Relaxed) as u32)
    }

    pub(super) fn set_free(&self, first: u32) {
        if let Some(top) = self.below(Zone::ALL) {
            top.words[FREE].store(u64::from(first), Ordering::Relaxed);
        }
    }

    /// How often chains have been cut.
    pub(super) fn cuts(&self) -> u64 {
        self.below(Zone::ALL)
            .map_or(0, |top| top.words[CUTS].load(Ordering::Relaxed))
    }

    /// Counts that chains have been cut.
    pub(super) fn count_cut(&self) {
        self.count(CUTS);
    }

    /// Postings published and, of those, the dead.
    pub(super) fn counts(&self) -> (u64, u64) {
        self.below(Zone::ALL).map_or((0, 0), |top| {
            let count = |word: usize| top.words[word].load(Ordering::Relaxed);
            (count(PUBLISHED), count(BURIED))
        })
    }

    /// The zones below one above level 0, `None` while it has no memory.
    pub(super) fn below(&self, zone: Zone) -> Option<Siblings<'r>> {
        self.records
            .get(zone.record())
            .map(|words| Siblings { words })
    }

    /// Copies the bounds of a zone. Of the topmost, nothing is kept but that it may hold every kind
    /// of row. False when the zone has no memory.
    pub(super) fn bounds(&self, zone: Zone, wanted: u32, into: &mut ZoneBounds) -> bool {
        if zone == Zone::ALL {
            debug_assert_eq!(wanted, 0);
            (into.null_distance, into.nan_distance) = (true, true);
            return true;
        }
        let Some(siblings) = self.below(zone.parent()) else {
            return false;
        };
        siblings.bounds(zone.place_in_parent(), wanted, into);
        true
    }

    fn count(&self, word: usize) {
        if let Some(top) = self.below(Zone::ALL) {
            top.words[word].fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Record numbers in the order in which the zones would be met by a walk in preorder.
    fn preorder(zone: Zone, depth: u32, expected: &mut u32) {
        assert_eq!(zone.record(), *expected, "{zone:?}");
        *expected += 1;
        if zone.level > 1 {
            for child in 0..FAN {
                if child < 2 || child == FAN - 1 && depth < 2 {
                    preorder(zone.child(child), depth + 1, expected);
                } else {
                    *expected += records_of(zone.level - 1);
                }
            }
        }
    }

    #[test]
    fn records_are_numbered_in_preorder() {
        preorder(Zone { level: 4, index: 0 }, 0, &mut 1);
        assert_eq!(Zone { level: 1, index: 0 }.record(), 4);
        for block in [0, 63, 64, 4_095, 4_096, 262_144, u32::MAX / 64] {
            let record = Zone {
                level: 0,
                index: block,
            }
            .parent()
            .record();
            assert_eq!(u64::from(record) + 1, records(u64::from(block) + 1));
        }
        let last = Zone {
            level: 1,
            index: (u32::MAX / 64) / 64,
        };
        assert_eq!(
            last.record(),
            4 * records_of(4),
            "ids end with the fourth child of the top"
        );
        assert_eq!(
            Zone {
                level: 0,
                index: 77
            }
            .parent()
            .child(13),
            Zone {
                level: 0,
                index: 77
            }
        );
    }
}
