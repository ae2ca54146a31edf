//! The zones that may still hold rows without a score, least bound first.
//!
//! Together they hold every row that the search has not scored: it starts with the zone of
//! everything, a zone gives way to the zones below it, and a block stays for as long as some of
//! its rows are put off. The least of the bounds is therefore a bound on all that is unseen.
//!
//! The bound of a zone rises with the distance up to which the graph has been seen. Entries keep
//! the bound they had when they were last looked at, which is a bound still, and only those that
//! come to the top are brought up to date.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::near::{Fixed, Near};
use crate::postings::{BLOCK, Filter, Postings, Zone, ZoneBounds, bits};
use crate::score::Order;

/// The cost of bounding the zones below one, in distances.
const EXPANSION: u64 = 32;
/// The cost of looking through a block, in distances.
const LOOK: u64 = 2;
/// The cost of a distance from a vector that lies far from the one before, as in the graph.
pub(super) const FAR: u64 = 2;

/// The cost of scoring so many rows of a block.
pub(super) fn visit_cost(rows: u64) -> u64 {
    LOOK + (rows * FAR).min(BLOCK as u64)
}

/// What is searched for.
pub(super) struct Question<O> {
    pub(super) order: O,
    pub(super) filter: Filter,
    /// The attributes that order and filter look at, a bit each.
    pub(super) attributes: u32,
}

impl<O: Order> Question<O> {
    pub(super) fn new(order: O, filter: Filter) -> Question<O> {
        let attributes = order.attributes() | filter.attributes();
        Question {
            order,
            filter,
            attributes,
        }
    }
}

/// How far the graph has seen.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// Every node nearer than this has been settled.
    pub(super) nearest: f64,
    /// How often that has grown.
    version: u32,
}

impl Reach {
    pub(super) const NOTHING: Reach = Reach {
        nearest: f64::NEG_INFINITY,
        version: 0,
    };

    pub(super) fn extend(&mut self, frontier: f64) {
        if frontier > self.nearest {
            self.nearest = frontier;
            self.version += 1;
        }
    }
}

/// What bounds depend on.
pub(super) struct View<'a, 'r, O, N> {
    pub(super) postings: &'a Postings<'r>,
    pub(super) question: &'a Question<O>,
    pub(super) reach: Reach,
    pub(super) near: &'a N,
}

/// A zone with unseen rows. Ordered by bound; of equals the smaller zone first, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// No unseen row has a lower rank.
    bound: u64,
    level: u32,
    index: u32,
    version: u32,
    /// For a block, rows that pass the filter, once they have been counted.
    matching: Option<u8>,
}

impl Entry {
    fn new(zone: Zone, bound: u64, reach: Reach) -> Entry {
        let Zone { level, index } = zone;
        Entry {
            bound,
            level,
            index,
            version: reach.version,
            matching: None,
        }
    }

    fn zone(&self) -> Zone {
        Zone {
            level: self.level,
            index: self.index,
        }
    }
}

/// What a survey found.
pub(super) enum Survey {
    /// To visit all zones that may hold wanted rows costs less than the limit.
    Cheap,
    /// It costs more than the limit.
    Dear {
        /// The limit.
        limit: u64,
    },
    /// The survey took too long and must be taken up again.
    Unfinished,
}

pub(super) struct Unseen {
    heap: BinaryHeap<Reverse<Entry>>,
    bounds: ZoneBounds,
    cost: u64,
    /// Rows that were counted and rows that passed the filter.
    counted: (u64, u64),
}

impl Unseen {
    pub(super) fn new(attributes: usize) -> Unseen {
        Unseen {
            heap: BinaryHeap::from([Reverse(Entry::new(Zone::ALL, 0, Reach::NOTHING))]),
            bounds: ZoneBounds::new(attributes),
            cost: 0,
            counted: (0, 0),
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    /// What it has cost to bound zones and to count rows, in distances.
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Puts a visited block back of which so many rows have been put off.
    pub(super) fn put_back(&mut self, block: u32, bound: u64, rows: u8, reach: Reach) {
        let entry = Entry::new(
            Zone {
                level: 0,
                index: block,
            },
            bound,
            reach,
        );
        self.heap.push(Reverse(Entry {
            matching: Some(rows),
            ..entry
        }));
    }

    /// A bound of all unseen rows: the best there is, or one that is not below `enough`. `None`
    /// when nothing is unseen.
    pub(super) fn bound<O: Order, N: Near>(
        &mut self,
        view: &View<'_, '_, O, N>,
        enough: u64,
    ) -> Option<u64> {
        loop {
            let mut top = self.heap.peek_mut()?;
            let Reverse(entry) = &mut *top;
            if entry.bound >= enough || entry.version == view.reach.version {
                return Some(entry.bound);
            }
            match bound_of(view, entry.zone(), &mut self.bounds) {
                // The rest of a block may have a better bound than the block as a whole.
                Some(bound) => {
                    entry.bound = entry.bound.max(bound);
                    entry.version = view.reach.version;
                }
                None => {
                    PeekMut::pop(top);
                }
            }
        }
    }

    /// Takes the zone with the least bound out. A block's number is returned; any other zone gives
    /// way to the zones below it.
    pub(super) fn visit<O: Order, N: Near>(&mut self, view: &View<'_, '_, O, N>) -> Option<u32> {
        self.open(view).map(|entry| entry.index)
    }

    fn open<O: Order, N: Near>(&mut self, view: &View<'_, '_, O, N>) -> Option<Entry> {
        let Reverse(entry) = self.heap.pop()?;
        if entry.level == 0 {
            return Some(entry);
        }
        self.cost += EXPANSION;
        let zone = entry.zone();
        let below = view.postings.below(zone)?;
        for child in bits(below.occupied()).map(|child| zone.child(child)) {
            if let Some(bound) = bound_of(view, child, &mut self.bounds) {
                self.heap
                    .push(Reverse(Entry::new(child, bound, view.reach)));
            }
        }
        None
    }

    /// Finds out whether to visit every zone that may hold a row with a score up to `threshold`
    /// costs more than a limit, which is asked for again whenever more is known: it is given the
    /// rows counted so far and how many of them pass the filter.
    ///
    /// The work done stays done: zones that are bounded and rows that are counted need not be again.
    pub(super) fn survey<O: Order, N: Near>(
        &mut self,
        view: &View<'_, '_, O, N>,
        threshold: u64,
        limit: impl Fn(u64, u64) -> u64,
        budget: u64,
    ) -> Survey {
        let end = self.cost + budget;
        let mut passed = Vec::new();
        let mut total = 0;
        let result = loop {
            let limit = limit(self.counted.0, self.counted.1);
            if total > limit {
                break Survey::Dear { limit };
            }
            if self
                .bound(view, threshold.saturating_add(1))
                .is_none_or(|bound| bound > threshold)
            {
                break Survey::Cheap;
            }
            if self.cost > end {
                break Survey::Unfinished;
            }
            let Some(mut entry) = self.open(view) else {
                continue;
            };
            let matching = match entry.matching {
                Some(matching) => u64::from(matching),
                None => self.count(view, &mut entry),
            };
            if matching > 0 {
                total += visit_cost(matching);
                passed.push(Reverse(entry));
            }
        };
        self.heap.extend(passed);
        result
    }

    /// Counts the rows of a block that pass the filter.
    fn count<O: Order, N: Near>(&mut self, view: &View<'_, '_, O, N>, entry: &mut Entry) -> u64 {
        let mut matching = BLOCK as u64;
        if !view.question.filter.is_empty() {
            self.cost += LOOK;
            let block = view.postings.block(entry.index);
            matching = block.map_or(0, |block| {
                let live = block.live();
                self.counted.0 += u64::from(live.count_ones());
                u64::from(view.question.filter.matches(&block, live).count_ones())
            });
            self.counted.1 += matching;
        }
        entry.matching = Some(matching as u8);
        matching
    }

    pub(super) fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Entry>()
    }
}

/// The bound of a zone, `None` when no row in it passes the filter.
fn bound_of<O: Order, N: Near>(
    view: &View<'_, '_, O, N>,
    zone: Zone,
    into: &mut ZoneBounds,
) -> Option<u64> {
    let Question {
        order,
        filter,
        attributes,
    } = view.question;
    if zone == Zone::ALL && *attributes != 0 {
        // The attributes of everything are not kept.
        return Some(0);
    }
    if !view.postings.bounds(zone, *attributes, into) || !filter.may_match(&into.get()) {
        return None;
    }
    let mut bounds = into.get();
    let fixed = view.near.fixed();
    bounds.null_distance |= fixed == Some(Fixed::Null);
    bounds.nan_distance |= fixed == Some(Fixed::NaN);
    Some(order.bound(view.reach.nearest, &bounds))
}
