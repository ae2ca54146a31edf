//! Rows in order within bounded memory: as many passes over the zones as it takes.
//!
//! A scan that nobody limits may be asked for every row, and in most orders it cannot give the first
//! one out before it has scored many that come much later. When they outgrow its memory, the search
//! goes on here, and without the graph: a pass keeps the rows with the lowest ranks that it has room
//! for, gives them out, and leaves what ranks above them, from the *horizon* on, to the next. Zones
//! are let go of in the same way.
//!
//! Rows are told apart by rank and posting, so that the passes need not remember which were given
//! out: it is all below the *floor*, where the last pass had its horizon. That takes bounds that
//! hold, which those that rely on the graph do not quite; so nothing of the graph's is used, and what
//! the search gave out before the passes began is remembered by posting. Where rows are given out in
//! order, the first pass begins at the rank of the last of them, and later ones need not know them.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::cost::Visits;
use super::near::Near;
use super::question::{Reach, View};
use super::ranked::Scored;
use super::taken::Taken;
use super::unseen::{Left, Unseen};
use super::work::{Turn, Work};
use crate::postings::Postings;
use crate::score::Order;

/// The fewest rows, and the least bytes of zones, that there is always room for. The zones are enough
/// for a walk down the tree under bounds that are all the same. Tests make do with less.
const LEAST_ROWS: usize = if cfg!(test) { 2 } else { 256 };
const LEAST_ZONE_BYTES: usize = if cfg!(test) { 4 << 10 } else { 64 << 10 };

/// Where a row is in the order: its rank and its posting.
type Place = (u64, u32);

/// The search without the graph.
pub(super) struct Passes {
    /// Given out before the passes began, wherever in the order.
    given: Taken,
    /// The least distance there is.
    reach: Reach,
    /// None of those has a greater rank.
    last_given: u64,
    /// Rows before this are not given out any more.
    floor: Place,
    /// Rows from here on are left to the next pass.
    horizon: Option<Place>,
    unseen: Unseen,
    waiting: BinaryHeap<Reverse<Scored>>,
    most_rows: usize,
    most_zone_bytes: usize,
}

impl Passes {
    /// Passes over everything from a rank on but the rows given out, in about so many bytes beside those
    /// that the given rows take.
    pub(super) fn new(
        given: Taken,
        floor: u64,
        last_given: u64,
        least: f64,
        attributes: usize,
        budget: usize,
    ) -> Passes {
        let mut reach = Reach::NOTHING;
        reach.nearest = least;
        let mut unseen = Unseen::new(attributes);
        unseen.restart(floor);
        let share = budget.saturating_sub(given.bytes()) / 2;
        Passes {
            given,
            reach,
            last_given,
            floor: (floor, 0),
            horizon: None,
            unseen,
            waiting: BinaryHeap::new(),
            most_rows: (share / size_of::<Scored>()).max(LEAST_ROWS),
            // A heap that grows has room for twice what it holds.
            most_zone_bytes: (share / 2).max(LEAST_ZONE_BYTES),
        }
    }

    /// Goes on until there is a row, or until it has cost more than `budget`.
    pub(super) fn step<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
        budget: u64,
    ) -> Turn {
        let mut spent = 0;
        let mut before = self.unseen.cost();
        while spent <= budget {
            let view = View::new(postings, &work.question, self.reach, near);
            let bound = self.unseen.bound(&view, u64::MAX);
            let bound = bound.filter(|&bound| self.is_before_horizon((bound, 0)));
            // A row of the same rank as the bound may not be given out: what is unseen may have that
            // rank and a lower posting.
            let first = self.waiting.peek().map(|Reverse(row)| row.score);
            if first.is_some_and(|first| bound.is_none_or(|bound| first < bound)) {
                return match self.waiting.pop() {
                    Some(Reverse(row)) => Turn::Row(row),
                    None => Turn::Working,
                };
            }
            if bound.is_none() {
                let Some(horizon) = self.horizon.take() else {
                    return Turn::Over;
                };
                work.statistics.passes += 1;
                if horizon.0 > self.last_given {
                    // This pass meets none of them.
                    self.given = Taken::default();
                }
                self.floor = horizon;
                self.unseen.restart(horizon.0);
                continue;
            }
            if let Some(visit) = self.unseen.visit(&view) {
                spent += self.visit(work, postings, near, visit.block);
                self.unseen.leave([Left::nothing(visit.place)]);
            }
            self.make_room();
            spent += self.unseen.cost() - before;
            before = self.unseen.cost();
        }
        Turn::Working
    }

    /// Scores a block and returns what that cost.
    fn visit<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
        number: u32,
    ) -> u64 {
        let Some(block) = postings.block(number) else {
            return 0;
        };
        let passing = work.question.filter.matches(&block, block.live());
        let slots = passing & !self.given.of(number);
        let (floor, horizon, waiting) = (self.floor, self.horizon, &mut self.waiting);
        work.gather(near, &block, number, slots);
        work.rank_gathered(near, |row| {
            let place = (row.score, row.posting);
            if floor <= place && horizon.is_none_or(|horizon| place < horizon) {
                waiting.push(Reverse(row));
            }
        });
        let visits = Visits {
            blocks: 1,
            measured: slots.count_ones().into(),
            ..Visits::default()
        };
        visits.cost()
    }

    /// Leaves what does not fit to the next pass.
    fn make_room(&mut self) {
        if self.waiting.len() > self.most_rows {
            let mut rows = std::mem::take(&mut self.waiting).into_vec();
            let half = rows.len() / 2;
            let (_, Reverse(first), _) = rows.select_nth_unstable_by_key(half, |Reverse(row)| *row);
            self.horizon = Some((first.score, first.posting));
            rows.truncate(half);
            self.waiting = BinaryHeap::from(rows);
        }
        if self.unseen.bytes_used() > self.most_zone_bytes
            && let Some(bound) = self.unseen.halve()
            && self.is_before_horizon((bound, 0))
        {
            self.horizon = Some((bound, 0));
            self.waiting.retain(|Reverse(row)| row.score < bound);
        }
    }

    fn is_before_horizon(&self, place: Place) -> bool {
        self.horizon.is_none_or(|horizon| place < horizon)
    }

    /// No row that is still to be given out, and not waiting, has a lower rank.
    pub(super) fn bound<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<u64> {
        let unseen = self.unseen.bound(view, u64::MAX);
        let left = self.horizon.map(|(rank, _)| rank);
        unseen.into_iter().chain(left).min()
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    pub(super) fn zones(&self) -> u64 {
        self.unseen.bounded()
    }

    pub(super) fn bytes(&self) -> usize {
        self.given.bytes()
            + self.unseen.bytes()
            + self.waiting.capacity() * size_of::<Reverse<Scored>>()
    }
}
