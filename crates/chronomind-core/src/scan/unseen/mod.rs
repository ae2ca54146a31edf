//! The zones that may still hold rows without a score, least bound first.
//!
//! Together they hold every row that the search has not scored: it starts with the zone of
//! everything, and a block stays for as long as some of its rows are put off. The least of the bounds
//! is therefore a bound on all that is unseen.
//!
//! The blocks below one zone are a *group*, and what their attributes are is read once: a group is
//! bounded again in one go, and without looking at shared memory, where hundreds of blocks of nearly
//! the same bound would each have to come to the top to be.
//!
//! The bound of a zone rises with the distance up to which the graph has been seen. Entries keep
//! the bound they had when they were last looked at, which is a bound still, and only those that
//! come to the top are brought up to date.

mod survey;

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::collections::binary_heap::PeekMut;

pub(super) use survey::Survey;

use super::cost;
use super::question::{Known, View};
use crate::postings::{Columns, Zone, ZoneBounds, bits};
use crate::score::{LANES, Order};

/// No row is farther away: distances are computed in single precision.
pub(super) const FARTHEST: f64 = f32::MAX as f64;

/// A zone above the blocks. Ordered by bound; of equals the smaller zone first, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Entry {
    /// No unseen row has a lower rank.
    bound: u64,
    level: u32,
    index: u32,
    /// That of the reach by which it was bounded, `None` before.
    version: Option<u32>,
    /// Where its blocks are, once they have been looked at.
    group: Option<usize>,
    /// Some row may have no distance.
    odd: bool,
    /// Every row passed when it was looked at, and is counted among those that do.
    whole: bool,
}

impl Entry {
    fn new(zone: Zone, bound: u64, version: Option<u32>) -> Entry {
        Entry {
            bound,
            level: zone.level,
            index: zone.index,
            version,
            group: None,
            odd: true,
            whole: false,
        }
    }

    fn zone(&self) -> Zone {
        Zone {
            level: self.level,
            index: self.index,
        }
    }
}

/// The blocks below a zone that may hold rows without a score.
struct Group {
    blocks: u64,
    /// No unseen row of the block has a lower rank. They only rise, each by what is known best: of the
    /// block as a whole, or of the rows that are left of it.
    bounds: [u64; LANES],
    /// The block with the least.
    first: usize,
    /// Of the blocks in `counted`, the rows that pass the filter and are not ranked.
    matching: [u64; LANES],
    counted: u64,
    /// The blocks of which every row passed when they were looked at.
    whole: u64,
    known: Known,
}

impl Group {
    /// Brings the entry up to date; false when no blocks are left.
    fn settle(&mut self, entry: &mut Entry) -> bool {
        entry.odd = self.known.odd() & self.blocks != 0;
        let first = bits(self.blocks).min_by_key(|&block| self.bounds[block]);
        if let Some(first) = first {
            self.first = first;
            entry.bound = self.bounds[first];
        }
        first.is_some()
    }

    /// The rows of a block that pass the filter, if they are known.
    fn matching(&self, place: usize) -> Option<u64> {
        (self.counted >> place & 1 != 0).then_some(self.matching[place])
    }

    /// A visit to one of the blocks below a zone.
    fn visit(&self, zone: Zone, place: usize) -> Visit {
        Visit {
            place,
            block: zone.child(place).index,
            matching: self.matching(place),
            odd: self.known.odd() >> place & 1 != 0,
        }
    }
}

/// A block to visit.
pub(super) struct Visit {
    /// Its place among those below its zone.
    pub(super) place: usize,
    /// Its number.
    pub(super) block: u32,
    /// Its rows that pass the filter, if they are known.
    pub(super) matching: Option<u64>,
    /// Some row may have no distance.
    pub(super) odd: bool,
}

/// What is left of a block that was visited.
pub(super) struct Left {
    pub(super) place: usize,
    /// Its rows that pass the filter and are not ranked. All of them have a distance.
    pub(super) rows: u64,
    /// The least rank that they can have.
    pub(super) bound: u64,
}

impl Left {
    pub(super) fn nothing(place: usize) -> Left {
        Left {
            place,
            rows: 0,
            bound: u64::MAX,
        }
    }
}

/// How many rows pass the filter, of those of which that is known; those of a zone are the places that it
/// has.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Share {
    pub(super) known: u64,
    pub(super) passing: u64,
}

impl Share {
    fn add(&mut self, known: u64, passing: u64) {
        self.known += known;
        self.passing += passing;
    }
}

pub(super) struct Unseen {
    heap: BinaryHeap<Reverse<Entry>>,
    bounds: ZoneBounds,
    columns: Columns,
    /// Of what is not a block.
    known: Known,
    groups: Vec<Group>,
    /// Places among them that nobody has.
    free: Vec<usize>,
    cost: u64,
    /// Zones bounded.
    bounded: u64,
    share: Share,
}

impl Unseen {
    pub(super) fn new(attributes: usize) -> Unseen {
        let mut unseen = Unseen {
            heap: BinaryHeap::new(),
            bounds: ZoneBounds::new(attributes),
            columns: Columns::new(attributes),
            known: Known::default(),
            groups: Vec::new(),
            free: Vec::new(),
            cost: 0,
            bounded: 0,
            share: Share::default(),
        };
        unseen.restart(0);
        unseen
    }

    /// Begins again with the zone of everything, for rows whose rank is not below `floor`.
    pub(super) fn restart(&mut self, floor: u64) {
        self.heap.clear();
        self.groups.clear();
        self.free.clear();
        let all = Entry::new(Zone::ALL, floor, None);
        self.heap.push(Reverse(all));
    }

    /// What it has cost to bound zones and to count rows, in the units of [`cost`].
    pub(super) fn cost(&self) -> u64 {
        self.cost
    }

    /// Zones bounded so far.
    pub(super) fn bounded(&self) -> u64 {
        self.bounded
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
        let (even, odd) = (of_all(false), of_all(true));
        (odd == even || !self.heap.iter().any(|Reverse(entry)| entry.odd)).then_some(even)
    }

    /// A bound of all unseen rows: the best there is, or one that is not below `enough`. `None`
    /// when nothing is unseen.
    pub(super) fn bound<O: Order>(&mut self, view: &View<'_, '_, O>, enough: u64) -> Option<u64> {
        // This spares looking at each zone again when the graph has seen farther.
        if let Some(common) = self.common(view, view.reach.nearest) {
            let Some(bound) = common else {
                self.heap.clear();
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
            let is_left = self.refresh(view, &mut entry);
            let mut top = self.heap.peek_mut()?;
            if is_left {
                *top = Reverse(entry);
            } else {
                PeekMut::pop(top);
                self.free.extend(entry.group);
            }
        }
    }

    /// Bounds a zone by how far the graph has seen by now. False when no row of it can pass.
    fn refresh<O: Order>(&mut self, view: &View<'_, '_, O>, entry: &mut Entry) -> bool {
        entry.version = Some(view.reach.version);
        let Some(at) = entry.group else {
            self.bounded += 1;
            let bound = view.bound(entry.zone(), view.reach.nearest, &mut self.bounds);
            entry.bound = entry.bound.max(bound.unwrap_or_default());
            return bound.is_some();
        };
        let count = u64::from(self.groups[at].blocks.count_ones());
        self.bounded += count;
        self.cost += cost::bound_again(count);
        let group = &mut self.groups[at];
        let mut bounds = [0; LANES];
        group.blocks &= bounds_of(view, &group.known, &mut bounds);
        for (known, bound) in group.bounds.iter_mut().zip(bounds) {
            *known = bound.max(*known);
        }
        group.settle(entry)
    }

    /// Looks at the zones below one: their bounds are written, and a bit set for each that may hold a
    /// row that passes, and for each that holds no others.
    fn look_below<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        entry: &Entry,
        bounds: &mut [u64; LANES],
    ) -> (u64, u64) {
        let zone = entry.zone();
        let Some(below) = view.postings.below(zone) else {
            return (0, 0);
        };
        let filter = &view.question.filter;
        let occupied = below.occupied();
        let zones = filter.may_match_among(&below, occupied);
        let whole = filter.all_match_among(&below, zones);
        if !entry.whole {
            let rows = |zones: u64| u64::from(zones.count_ones()) * zone.child(0).rows();
            self.share.add(rows(occupied & !zones | whole), rows(whole));
        }
        let count = u64::from(zones.count_ones());
        self.bounded += count;
        self.cost += cost::look(count);
        view.know_zones(&below, &mut self.columns, &mut self.known);
        let zones = zones & bounds_of(view, &self.known, bounds);
        (zones, zones & whole)
    }

    /// Looks at the blocks of a zone, or replaces a larger one by those below it. Those of which no row
    /// can pass are forgotten.
    fn open<O: Order>(&mut self, view: &View<'_, '_, O>, entry: Entry, heap: &mut Vec<Entry>) {
        let mut bounds = [0; LANES];
        let (zones, whole) = self.look_below(view, &entry, &mut bounds);
        bounds
            .iter_mut()
            .for_each(|bound| *bound = entry.bound.max(*bound));
        let version = Some(view.reach.version);
        if entry.level > 1 {
            let odd = self.known.odd();
            heap.extend(bits(zones).map(|zone| Entry {
                odd: odd >> zone & 1 != 0,
                whole: whole >> zone & 1 != 0,
                ..Entry::new(entry.zone().child(zone), bounds[zone], version)
            }));
            return;
        }
        let mut group = Group {
            blocks: zones,
            bounds,
            first: 0,
            matching: [0; LANES],
            counted: 0,
            whole,
            known: std::mem::take(&mut self.known),
        };
        let mut entry = Entry { version, ..entry };
        if !group.settle(&mut entry) {
            return;
        }
        let at = self.free.pop();
        match at.and_then(|at| self.groups.get_mut(at)) {
            Some(place) => *place = group,
            None => self.groups.push(group),
        }
        entry.group = at.or(Some(self.groups.len() - 1));
        heap.push(entry);
    }

    /// True when it would raise the bound of what may pass if the graph saw farther.
    pub(super) fn rises<O: Order>(&mut self, view: &View<'_, '_, O>) -> bool {
        if let Some(now) = self.common(view, view.reach.nearest) {
            return self.common(view, FARTHEST) != Some(now);
        }
        if view.question.scored == 0 {
            // Where no row with a distance can pass any more, the graph has none to give.
            self.bounds.forget(false);
            if view.bound_of(view.reach.nearest, &self.bounds).is_none() {
                return false;
            }
        }
        let Some(Reverse(first)) = self.heap.peek() else {
            return false;
        };
        let block = first.group.map(|at| self.groups[at].first);
        let least = block.map_or(first.zone(), |block| first.zone().child(block));
        self.bounded += 1;
        let far = view.bound(least, FARTHEST, &mut self.bounds);
        far.is_none_or(|far| far > first.bound)
    }

    /// The block with the least bound, which is to be left before anything else happens. Or else looks
    /// into the zone with the least bound, and returns `None`.
    pub(super) fn visit<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<Visit> {
        let &Reverse(entry) = self.heap.peek()?;
        if let Some(at) = entry.group {
            let group = &self.groups[at];
            return Some(group.visit(entry.zone(), group.first));
        }
        self.heap.pop();
        let mut opened = Vec::new();
        self.open(view, entry, &mut opened);
        self.heap.extend(opened.into_iter().map(Reverse));
        None
    }

    /// Another block below the zone whose blocks at `places` are being visited, with rows whose rank may be
    /// up to `threshold`, and `room` of them at most.
    pub(super) fn also(&self, places: u64, threshold: u64, room: u32) -> Option<Visit> {
        let &Reverse(entry) = self.heap.peek()?;
        let group = &self.groups[entry.group?];
        let fits = |&place: &usize| {
            group.bounds[place] <= threshold && group.matching[place].count_ones() <= room
        };
        let place = bits(group.blocks & group.counted & !places).find(fits)?;
        Some(group.visit(entry.zone(), place))
    }

    /// Leaves the blocks that were visited.
    pub(super) fn leave(&mut self, blocks: impl IntoIterator<Item = Left>) {
        let Some(mut top) = self.heap.peek_mut() else {
            return;
        };
        let Some(at) = top.0.group else {
            return;
        };
        let group = &mut self.groups[at];
        for Left { place, rows, bound } in blocks {
            if rows == 0 {
                group.blocks &= !(1 << place);
                continue;
            }
            group.bounds[place] = group.bounds[place].max(bound);
            group.matching[place] = rows;
            group.counted |= 1 << place;
            group.known.set_even(place);
        }
        if !group.settle(&mut top.0) {
            PeekMut::pop(top);
            self.free.push(at);
        }
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
        Some(from)
    }

    /// Memory of what is held, in bytes.
    pub(super) fn bytes_used(&self) -> usize {
        let groups = self.groups.len() - self.free.len();
        self.heap.len() * size_of::<Entry>() + groups * self.group_bytes()
    }

    pub(super) fn bytes(&self) -> usize {
        let groups = self.groups.capacity() - self.groups.len();
        self.heap.capacity() * size_of::<Entry>()
            + groups * size_of::<Group>()
            + self.groups.len() * self.group_bytes()
    }

    /// Memory of a group: of every one as much, after the same order.
    fn group_bytes(&self) -> usize {
        let known = self.groups.first().map_or(0, |group| group.known.bytes());
        size_of::<Group>() + known
    }
}

/// [`View::bounds`] of zones, of which nothing else is known but how far the graph has seen.
fn bounds_of<O: Order>(view: &View<'_, '_, O>, known: &Known, bounds: &mut [u64; LANES]) -> u64 {
    view.bounds(known, &[(view.reach.nearest, f64::INFINITY); LANES], bounds)
}
