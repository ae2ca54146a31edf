//! The zones that may still hold rows without a score, least bound first.
//!
//! Together they hold every row that the search has not scored: it starts with the zone of
//! everything, and a block stays for as long as some of its rows are put off. The least of the bounds
//! is therefore a bound on all that is unseen.
//!
//! Zones of one parent stay together, as its *group*, until one of them has the least bound of all: a
//! group is bounded in one go, where hundreds of zones of nearly the same bound would each have to come
//! to the top to be.
//!
//! The bound of a zone rises with the distance up to which the graph has been seen. Entries keep
//! the bound they had when they were last looked at, which is a bound still, and only those that
//! come to the top are brought up to date.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

use super::cost;
use super::question::{Reach, View};
use crate::postings::{BLOCK, Columns, Zone, ZoneBounds, bits};
use crate::score::{LANES, Order};

/// No row is farther away: distances are computed in single precision.
pub(super) const FARTHEST: f64 = f32::MAX as f64;

/// A block, or the group below a zone. Ordered by bound; of equals the smaller zone first, then by
/// arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// No unseen row has a lower rank.
    bound: u64,
    level: u32,
    index: u32,
    /// That of the reach by which it was bounded, `None` before.
    version: Option<u32>,
    /// Those of a group that have no entry of their own.
    children: u64,
    /// That of them which has the least bound.
    first: usize,
    /// Where the bounds of the group are, once it has some.
    group: Option<usize>,
    /// For a block, rows that pass the filter, once they have been counted.
    matching: Option<u8>,
    /// Some row may have no distance.
    odd: bool,
}

impl Entry {
    fn new(zone: Zone, bound: u64, version: Option<u32>, odd: bool) -> Entry {
        let Zone { level, index } = zone;
        Entry {
            bound,
            level,
            index,
            version,
            children: u64::MAX,
            first: 0,
            group: None,
            matching: None,
            odd,
        }
    }

    /// The zone of everything.
    fn all(bound: u64) -> Entry {
        Entry::new(Zone::ALL, bound, None, true)
    }

    fn zone(&self) -> Zone {
        Zone {
            level: self.level,
            index: self.index,
        }
    }

    /// The zone whose bound it has.
    fn least(&self) -> Zone {
        match self.level {
            0 => self.zone(),
            _ => self.zone().child(self.first),
        }
    }
}

/// The bounds of the zones below one.
struct Group {
    bounds: [u64; LANES],
    /// That of the reach by which they were bounded.
    version: u32,
    /// Those in which some row may have no distance.
    odd: u64,
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
    /// How many of them are odd.
    odd: usize,
    /// No rank below this is asked for: zones that may hold one are as good as those that begin here.
    floor: u64,
    bounds: ZoneBounds,
    columns: Columns,
    groups: Vec<Group>,
    /// Places among them that nobody has.
    free: Vec<usize>,
    cost: u64,
    /// Zones bounded.
    bounded: u64,
    /// Of the rows that were counted, those that passed the filter.
    passing: u64,
}

impl Unseen {
    pub(super) fn new(attributes: usize) -> Unseen {
        Unseen {
            heap: BinaryHeap::from([Reverse(Entry::all(0))]),
            odd: 1,
            floor: 0,
            bounds: ZoneBounds::new(attributes),
            columns: Columns::new(attributes),
            groups: Vec::new(),
            free: Vec::new(),
            cost: 0,
            bounded: 0,
            passing: 0,
        }
    }

    /// Begins again with the zone of everything, for rows whose rank is not below `floor`.
    pub(super) fn restart(&mut self, floor: u64) {
        self.floor = floor;
        self.heap.clear();
        self.odd = 0;
        self.groups.clear();
        self.free.clear();
        self.put(Entry::all(floor));
    }

    fn put(&mut self, entry: Entry) {
        self.odd += usize::from(entry.odd);
        self.heap.push(Reverse(entry));
    }

    /// What it has cost to bound zones and to count rows, in the units of [`cost`].
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Zones bounded so far.
    pub(super) fn bounded(&self) -> u64 {
        self.bounded
    }

    /// Puts a visited block back of which so many rows have been put off.
    pub(super) fn put_back(&mut self, block: u32, bound: u64, rows: u8, reach: Reach) {
        let entry = Entry::new(
            Zone {
                level: 0,
                index: block,
            },
            bound,
            Some(reach.version),
            false,
        );
        self.put(Entry {
            matching: Some(rows),
            ..entry
        });
    }

    /// The bound that is the same for all zones, because no attribute matters to it and neither does
    /// whether a row without a distance is among them. The inner is `None` when no row can pass.
    fn common<O: Order>(&mut self, view: &View<'_, '_, O>, nearest: f64) -> Option<Option<u64>> {
        if view.question.scored != 0 {
            return None;
        }
        let mut of_all = |odd| {
            self.bounded += 1;
            self.bounds.forget(odd);
            view.bound_of(nearest, &self.bounds)
        };
        let even = of_all(false);
        (self.odd == 0 || of_all(true) == even).then_some(even)
    }

    /// A bound of all unseen rows: the best there is, or one that is not below `enough`. `None`
    /// when nothing is unseen.
    pub(super) fn bound<O: Order>(&mut self, view: &View<'_, '_, O>, enough: u64) -> Option<u64> {
        // This spares looking at each zone again when the graph has seen farther.
        if let Some(common) = self.common(view, view.reach.nearest) {
            let Some(bound) = common else {
                self.heap.clear();
                self.odd = 0;
                return None;
            };
            let Reverse(first) = self.heap.peek()?;
            return Some(first.bound.max(bound));
        }
        loop {
            let Reverse(mut entry) = *self.heap.peek()?;
            if entry.bound >= enough || entry.version == Some(view.reach.version) {
                return Some(entry.bound);
            }
            self.odd -= usize::from(entry.odd);
            let bound = match entry.level {
                0 => {
                    self.bounded += 1;
                    view.bound(entry.zone(), view.reach.nearest, &mut self.bounds)
                }
                _ => self.bound_group(view, &mut entry),
            };
            let mut top = self.heap.peek_mut()?;
            match bound {
                // The rest of a block may have a better bound than the block as a whole.
                Some(bound) => {
                    self.odd += usize::from(entry.odd);
                    entry.bound = entry.bound.max(bound);
                    entry.version = Some(view.reach.version);
                    *top = Reverse(entry);
                }
                None => {
                    PeekMut::pop(top);
                    self.free.extend(entry.group);
                }
            }
        }
    }

    /// Bounds what is left of a group, and forgets those in which no row can pass. `None` when none is
    /// left.
    fn bound_group<O: Order>(&mut self, view: &View<'_, '_, O>, entry: &mut Entry) -> Option<u64> {
        let known = entry.group.map(|at| &self.groups[at]);
        if known.is_none_or(|group| group.version != view.reach.version) {
            self.bound_below(view, entry)?;
        }
        let group = &self.groups[entry.group?];
        entry.odd = group.odd & entry.children != 0;
        entry.first = bits(entry.children).min_by_key(|&child| group.bounds[child])?;
        Some(group.bounds[entry.first])
    }

    fn bound_below<O: Order>(&mut self, view: &View<'_, '_, O>, entry: &mut Entry) -> Option<()> {
        let below = view.postings.below(entry.zone())?;
        let filter = &view.question.filter;
        let zones = filter.may_match_among(&below, below.occupied() & entry.children);
        let count = u64::from(zones.count_ones());
        self.bounded += count;
        self.cost += cost::look(count);
        self.columns.hold_zones(&below, zones, view.question.scored);
        let mut bounds = [0; LANES];
        let distances = [(view.reach.nearest, f64::INFINITY); LANES];
        let bounded = view.bounds(&self.columns, &distances, &mut bounds);
        let at = entry.group.or_else(|| self.free.pop()).unwrap_or_else(|| {
            self.groups.push(Group {
                bounds: [0; LANES],
                version: 0,
                odd: 0,
            });
            self.groups.len() - 1
        });
        entry.group = Some(at);
        let (group, odd) = (&mut self.groups[at], self.columns.odd());
        (group.version, group.odd, entry.children) = (view.reach.version, 0, 0);
        for (place, child) in bits(zones).enumerate() {
            if bounded >> place & 1 != 0 {
                group.bounds[child] = bounds[place].max(self.floor);
                group.odd |= (odd >> place & 1) << child;
                entry.children |= 1 << child;
            }
        }
        Some(())
    }

    /// True when it would raise the bound if the graph saw farther.
    pub(super) fn rises<O: Order>(&mut self, view: &View<'_, '_, O>) -> bool {
        if let Some(now) = self.common(view, view.reach.nearest) {
            return self.common(view, FARTHEST) != Some(now);
        }
        let Some(Reverse(first)) = self.heap.peek() else {
            return false;
        };
        self.bounded += 1;
        let far = view.bound(first.least(), FARTHEST, &mut self.bounds);
        far.is_none_or(|far| far > first.bound)
    }

    /// Takes the block with the least bound out, unless that takes longer to find out.
    pub(super) fn visit<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<u32> {
        self.open(view).map(|entry| entry.index)
    }

    /// Takes the block with the least bound out. Or else gives entries of their own to those of a group
    /// whose bounds are among the least.
    fn open<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<Entry> {
        let Reverse(mut entry) = self.heap.pop()?;
        self.odd -= usize::from(entry.odd);
        if entry.level == 0 {
            return Some(entry);
        }
        let Some(least) = self.bound_group(view, &mut entry) else {
            self.free.extend(entry.group);
            return None;
        };
        let next = self.heap.peek().map_or(0, |Reverse(next)| next.bound);
        let limit = least.max(next);
        let at = entry.group?;
        for child in bits(entry.children) {
            let group = &self.groups[at];
            let bound = group.bounds[child];
            if bound <= limit {
                entry.children &= !(1 << child);
                let odd = group.odd >> child & 1 != 0;
                let version = (entry.level == 1).then_some(view.reach.version);
                self.put(Entry::new(entry.zone().child(child), bound, version, odd));
            }
        }
        if let Some(bound) = self.bound_group(view, &mut entry) {
            entry.version = Some(view.reach.version);
            self.put(Entry { bound, ..entry });
        } else {
            self.free.extend(entry.group);
        }
        None
    }

    /// Finds out whether to visit every zone that may hold a row with a score up to `threshold`
    /// costs more than a limit, which is asked for again whenever more is known: it is given the
    /// number of rows that are known to pass the filter.
    ///
    /// The work done stays done: zones that are bounded and rows that are counted need not be again.
    pub(super) fn survey<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        threshold: u64,
        limit: impl Fn(u64) -> u64,
        budget: u64,
    ) -> Survey {
        let end = self.cost + budget;
        let mut passed = Vec::new();
        let mut total = 0;
        let result = loop {
            let limit = limit(self.passing);
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
                total += cost::visit(matching, 0);
                passed.push(entry);
            }
        };
        passed.into_iter().for_each(|entry| self.put(entry));
        result
    }

    /// Counts the rows of a block that pass the filter.
    fn count<O: Order>(&mut self, view: &View<'_, '_, O>, entry: &mut Entry) -> u64 {
        let mut matching = BLOCK as u64;
        if !view.question.filter.is_empty() {
            self.cost += cost::look(0);
            let block = view.postings.block(entry.index);
            matching = block.map_or(0, |block| {
                let live = block.live();
                u64::from(view.question.filter.matches(&block, live).count_ones())
            });
            self.passing += matching;
        }
        entry.matching = Some(matching as u8);
        matching
    }

    /// Lets go of the half of the zones with the greater bounds, and of the others with bounds as
    /// great. Returns the least bound let go, `None` when all bounds are the same.
    pub(super) fn halve(&mut self) -> Option<u64> {
        let mut bounds: Vec<u64> = self.heap.iter().map(|Reverse(entry)| entry.bound).collect();
        let half = bounds.len() / 2;
        let least = self.heap.peek()?.0.bound;
        let (_, &mut middle, above) = bounds.select_nth_unstable(half);
        let from = if middle > least {
            middle
        } else {
            above.iter().copied().filter(|&bound| bound > least).min()?
        };
        let free = &mut self.free;
        self.heap.retain(|Reverse(entry)| {
            let stays = entry.bound < from;
            if !stays {
                free.extend(entry.group);
            }
            stays
        });
        self.odd = self.heap.iter().filter(|Reverse(entry)| entry.odd).count();
        Some(from)
    }

    /// Memory of what is held, in bytes.
    pub(super) fn bytes_used(&self) -> usize {
        let groups = self.groups.len() - self.free.len();
        self.heap.len() * size_of::<Entry>() + groups * size_of::<Group>()
    }

    pub(super) fn bytes(&self) -> usize {
        self.heap.capacity() * size_of::<Entry>() + self.groups.capacity() * size_of::<Group>()
    }
}
