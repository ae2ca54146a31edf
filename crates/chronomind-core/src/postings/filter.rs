//! Conditions on attributes, evaluated inside the search.
//!
//! A filter is a conjunction. It answers two questions: may a zone hold a row that matches (else
//! the zone is never visited), and which of a block's postings do.

use serde::{Deserialize, Serialize};

use std::ops::Bound;

use super::{Block, FAN, Siblings};
use crate::primitive::Ordering;
use crate::score::Row;

/// What an attribute must be. NULL passes none but [`Test::Null`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Test {
    /// A key from the first to the second, both included; nothing where the first is the greater.
    Within(u64, u64),
    /// One of these keys.
    OneOf(Keys),
    /// NULL.
    Null,
    /// Anything but NULL.
    NotNull,
}

/// A set of keys.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keys(Box<[u64]>);

impl FromIterator<u64> for Keys {
    fn from_iter<I: IntoIterator<Item = u64>>(keys: I) -> Keys {
        let mut keys: Vec<u64> = keys.into_iter().collect();
        keys.sort_unstable();
        keys.dedup();
        Keys(keys.into_boxed_slice())
    }
}

impl Keys {
    fn contains(&self, key: u64) -> bool {
        self.0.binary_search(&key).is_ok()
    }

    fn meets(&self, low: u64, high: u64) -> bool {
        let first = self.0.partition_point(|&key| key < low);
        self.0.get(first).is_some_and(|&key| key <= high)
    }
}

impl Test {
    /// A range with open, closed or missing ends.
    pub fn range(low: Bound<u64>, high: Bound<u64>) -> Test {
        let low = match low {
            Bound::Unbounded => Some(0),
            Bound::Included(key) => Some(key),
            Bound::Excluded(key) => key.checked_add(1),
        };
        let high = match high {
            Bound::Unbounded => Some(u64::MAX),
            Bound::Included(key) => Some(key),
            Bound::Excluded(key) => key.checked_sub(1),
        };
        match (low, high) {
            (Some(low), Some(high)) => Test::Within(low, high),
            _ => Test::Within(1, 0),
        }
    }

    /// Equality.
    pub fn equal(key: u64) -> Test {
        Test::Within(key, key)
    }
}

/// A test of one attribute.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Condition {
    /// Ordinal of the attribute.
    pub attribute: usize,
    /// What it must be.
    pub test: Test,
}

/// A conjunction of conditions. An empty one lets every row pass.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filter {
    conditions: Vec<Condition>,
    attributes: u32,
}

impl FromIterator<Condition> for Filter {
    fn from_iter<I: IntoIterator<Item = Condition>>(conditions: I) -> Filter {
        let conditions: Vec<Condition> = conditions.into_iter().collect();
        let attributes = conditions
            .iter()
            .fold(0, |mask, one| mask | 1 << one.attribute);
        Filter {
            conditions,
            attributes,
        }
    }
}

impl Filter {
    /// True when every row passes.
    pub fn is_empty(&self) -> bool {
        self.conditions.is_empty()
    }

    /// What passes both.
    pub fn and(self, other: Filter) -> Filter {
        self.conditions
            .into_iter()
            .chain(other.conditions)
            .collect()
    }

    /// The attributes that are looked at, a bit each.
    pub fn attributes(&self) -> u32 {
        self.attributes
    }

    /// Those of some siblings that may hold a row that passes.
    pub fn may_match_among(&self, zones: &Siblings<'_>, among: u64) -> u64 {
        self.conditions.iter().fold(among, |among, condition| {
            let ends = |child| zones.ends(condition.attribute, child);
            among
                & match &condition.test {
                    Test::Within(from, to) if from > to => 0,
                    Test::Within(from, to) => mask(|child| {
                        let (least, most) = ends(child);
                        least <= *to && most >= *from && least <= most
                    }),
                    Test::OneOf(set) => mask(|child| {
                        let (least, most) = ends(child);
                        least <= most && set.meets(least, most)
                    }),
                    Test::Null => zones.nulls(condition.attribute),
                    Test::NotNull => mask(|child| {
                        let (least, most) = ends(child);
                        least <= most
                    }),
                }
        })
    }

    /// Those of some siblings whose bounds tell that, for now, every row of them passes.
    pub fn all_match_among(&self, zones: &Siblings<'_>, among: u64) -> u64 {
        self.conditions.iter().fold(among, |among, condition| {
            let ends = |child| zones.ends(condition.attribute, child);
            let nulls = zones.nulls(condition.attribute);
            among
                & match &condition.test {
                    Test::Within(from, to) => {
                        !nulls
                            & mask(|child| {
                                let (least, most) = ends(child);
                                *from <= least && most <= *to
                            })
                    }
                    Test::OneOf(set) => {
                        !nulls
                            & mask(|child| {
                                let (least, most) = ends(child);
                                least == most && set.contains(least)
                            })
                    }
                    Test::Null => mask(|child| {
                        let (least, most) = ends(child);
                        least > most
                    }),
                    Test::NotNull => !nulls,
                }
        })
    }

    /// True when the row passes.
    pub fn matches_row(&self, row: &Row) -> bool {
        self.conditions.iter().all(|condition| {
            let key = row.key(condition.attribute);
            match &condition.test {
                Test::Within(low, high) => key.is_some_and(|key| (*low..=*high).contains(&key)),
                Test::OneOf(set) => key.is_some_and(|key| set.contains(key)),
                Test::Null => key.is_none(),
                Test::NotNull => key.is_some(),
            }
        })
    }

    /// Those of some ready postings of a block that pass.
    pub fn matches(&self, block: &Block<'_>, among: u64) -> u64 {
        self.conditions.iter().fold(among, |among, condition| {
            if among == 0 {
                return 0;
            }
            let nulls = block.nulls(condition.attribute);
            let column = block.column(condition.attribute);
            // A key that is not published yet, or a NULL's, yields a bit that the masks drop.
            let key = |slot: usize| column[slot].load(Ordering::Relaxed);
            match &condition.test {
                Test::Within(low, high) => match high.checked_sub(*low) {
                    Some(width) => {
                        among & !nulls & mask(|slot| key(slot).wrapping_sub(*low) <= width)
                    }
                    None => 0,
                },
                Test::OneOf(set) => {
                    let some = among & !nulls;
                    super::bits(some).fold(0, |passed, slot| {
                        passed | u64::from(set.contains(key(slot))) << slot
                    })
                }
                Test::Null => among & nulls,
                Test::NotNull => among & !nulls,
            }
        })
    }
}

/// A mask of the places for which a question is answered with yes; without a branch where the
/// question has none.
fn mask(question: impl Fn(usize) -> bool) -> u64 {
    (0..FAN).fold(0, |mask, place| mask | u64::from(question(place)) << place)
}
