//! The two streams, near and zones, merged under one bound. The parent module tells why that is
//! exact, and which stream goes on.

mod graph;
mod order;
mod zones;

use super::cost::{self, BUDGET, SETTLE, START, Visits};
use super::deferred::Deferred;
use super::near::{Bracket, Care, Near};
use super::question::{Known, Reach, View};
use super::ranked::Ranked;
use super::settled::Settled;
use super::taken::Taken;
use super::unseen::{Share, Survey, Unseen};
use super::work::{Turn, Work};
use crate::postings::{Columns, Postings, split};
use crate::score::{LANES, Order};
use zones::Part;

/// Which stream goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Plan {
    /// That is to be found out.
    Survey,
    /// Zones alone.
    Zones,
    /// The graph too, until it has cost so much.
    Near { until: u64 },
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stream {
    Near,
    Zones,
}

/// What the graph must be expected to spend yet where attributes matter to the order, in what it has spent:
/// nodes grow more with each step.
const AHEAD: u64 = 3;
/// That holds for a graph that has spent up to so many times what its first reach took. One that has spent
/// more has farther to go, by the square of how many times more, up to [`FARTHER`].
const USUAL: u64 = 4;
const FARTHER: u64 = 2;

/// Rows put off that are measured together.
const RESUMED: usize = 8;

/// The state of the two streams.
pub(super) struct Merge {
    ranked: Ranked,
    deferred: Deferred,
    unseen: Unseen,
    taken: Taken,
    settled: Settled,
    reach: Reach,
    /// What the graph will have cost when its reach is next looked at.
    next_reach: u64,
    /// What it had cost when it first had one in this round.
    first_reach: u64,
    /// The graph has no more nodes, or may take no more memory.
    exhausted: bool,
    /// No row is given out after one that sorts behind it.
    in_order: bool,
    /// How many rows were wanted at first.
    asked: u64,
    has_begun: bool,
    /// The graph is not asked any more, and nothing that it said counts: whatever is unseen has its bound
    /// from the zones alone.
    exact: bool,
    /// All rows of this round are known.
    is_complete: bool,
    plan: Plan,
    /// What has been done in visits to blocks.
    visits: Visits,
    /// Rows measured that the graph has settled, and rows found to be gone.
    measured: u64,
    /// Deferred rows that this round begins with.
    owed: usize,
    /// What the zones had cost when a visit last found a row that is wanted.
    fruitful: u64,
    /// For one row at a time.
    keys: Vec<u64>,
    /// For the rows of a visit.
    parts: Vec<Part>,
    rows: Columns,
    known: Known,
    nodes: Vec<u32>,
    brackets: Vec<Bracket>,
}

impl Merge {
    /// A merge for `wanted` rows at first, whose rounds have `most` rows at most. If there are no more rows
    /// than wanted, all are given out.
    pub(super) fn new(attributes: usize, wanted: usize, most: usize, in_order: bool) -> Merge {
        Merge {
            ranked: Ranked::new(wanted, most, in_order),
            deferred: Deferred::default(),
            unseen: Unseen::new(attributes),
            taken: Taken::default(),
            settled: Settled::default(),
            reach: Reach::NOTHING,
            next_reach: 0,
            first_reach: 0,
            exhausted: false,
            in_order,
            asked: wanted as u64,
            has_begun: false,
            exact: false,
            is_complete: false,
            plan: Plan::Survey,
            visits: Visits::default(),
            measured: 0,
            owed: 0,
            fruitful: 0,
            keys: vec![0; attributes],
            parts: Vec::new(),
            rows: Columns::new(attributes),
            known: Known::default(),
            nodes: Vec::new(),
            brackets: Vec::new(),
        }
    }

    /// Goes on until there is a row, or until it has cost about [`BUDGET`]. The graph takes no more
    /// steps once it takes more than `near_bytes`.
    pub(super) fn step<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
        near_bytes: usize,
    ) -> Turn {
        if !self.has_begun {
            self.begin(&work.question, postings, near);
        }
        if self.ranked.next_round() {
            self.plan = Plan::Survey;
            self.owed = self.ranked.wanted();
            self.first_reach = self.near_cost(near);
            self.is_complete = false;
            let wanted = self.ranked.wanted() as u64;
            if self.in_order && work.question.care() == Care::Plain {
                self.leave_if_cheap(postings, near, wanted, cost::further(wanted));
            }
        }
        self.settled.resume(postings, near);
        if near.bytes() > near_bytes {
            match self.in_order {
                true => self.leave_graph(near),
                false => self.exhausted = true,
            }
        }
        self.extend_reach(&work.question, near);
        let end = self.cost(near) + BUDGET;
        while self.cost(near) <= end {
            let view = View::new(postings, &work.question, self.reach, near);
            let first = self.ranked.first().copied();
            let deferred = self.deferred.bound();
            if self.owed > 0 && deferred.is_some() {
                let count = self.owed.min(LANES);
                self.owed -= count;
                self.resume(work, postings, near, count);
                continue;
            }
            let enough = first.map(|first| first.score).into_iter().chain(deferred);
            let bound = self.unseen.bound(&view, enough.min().unwrap_or(u64::MAX));
            match (first, deferred) {
                (first, Some(deferred))
                    if first.is_none_or(|first| first.score > deferred)
                        && bound.is_none_or(|bound| bound >= deferred) =>
                {
                    self.resume(work, postings, near, RESUMED);
                    continue;
                }
                (Some(first), _)
                    if bound.is_none_or(|bound| first.score <= bound) && self.may_give(&view) =>
                {
                    if postings.live(first.posting).is_some() {
                        self.ranked.give();
                        return Turn::Row(first);
                    }
                    self.ranked.discard();
                    self.measured += 1;
                    continue;
                }
                (None, None) if bound.is_none() => return Turn::Over,
                _ => {}
            }
            self.ranked.refresh();
            if self.is_owed(&view) {
                self.resume(work, postings, near, RESUMED);
                continue;
            }
            match self.choose(work, postings, near) {
                Some(Stream::Near) => self.advance_near(work, postings, near),
                Some(Stream::Zones) => self.visit_zone(work, postings, near),
                None => return Turn::Working,
            }
        }
        Turn::Working
    }

    fn zone_cost(&self) -> u64 {
        self.unseen.cost() + self.visits.cost()
    }

    fn near_cost<N: Near>(&self, near: &N) -> u64 {
        cost::walk(near.cost()) + self.settled.followed()
    }

    fn cost<N: Near>(&self, near: &N) -> u64 {
        self.near_cost(near) + self.zone_cost() + cost::measure(self.measured)
    }

    /// The stream to go on with, `None` when it takes longer to find out.
    fn choose<O: Order, N: Near>(
        &mut self,
        work: &Work<O>,
        postings: &Postings<'_>,
        near: &N,
    ) -> Option<Stream> {
        let over = self.exhausted && self.settled.is_empty();
        let is_their_turn = match self.plan {
            Plan::Zones => true,
            Plan::Near { .. } => {
                let (zones, graph) = (self.zone_cost(), self.near_cost(near));
                work.question.scored != 0 && zones < graph && zones - self.fruitful < graph / 8
            }
            Plan::Survey => false,
        };
        let view = View::new(postings, &work.question, self.reach, near);
        if over || is_their_turn || !self.unseen.rises(&view) {
            return Some(Stream::Zones);
        }
        if work.question.attributes == 0 {
            return Some(Stream::Near);
        }
        if let Plan::Near { until } = self.plan
            && self.near_cost(near) >= until
        {
            self.plan = Plan::Survey;
        }
        if self.plan == Plan::Survey {
            self.plan = self.survey(work, postings, near)?;
        }
        Some(match self.plan {
            Plan::Near { .. } => Stream::Near,
            Plan::Zones | Plan::Survey => Stream::Zones,
        })
    }

    /// What the graph must be expected to spend yet, by what it has spent.
    fn ahead(&self, scored: u32, spent: u64) -> u64 {
        if scored == 0 {
            // As much again: of the nodes, the same share passes as before.
            return spent;
        }
        if self.first_reach == 0 {
            return AHEAD * spent;
        }
        let usual = USUAL * self.first_reach;
        let farther = |far: u64| far.saturating_mul(spent.clamp(usual, FARTHER * usual)) / usual;
        farther(farther(AHEAD * spent))
    }

    /// Compares what it costs to score every row that may be wanted with what the graph must be expected to
    /// spend yet.
    fn survey<O: Order, N: Near>(
        &mut self,
        work: &Work<O>,
        postings: &Postings<'_>,
        near: &N,
    ) -> Option<Plan> {
        let spent = self.near_cost(near);
        let wanted = self.ranked.wanted() as u64;
        let ahead = self.ahead(work.question.scored, spent);
        let limit = |share: Share| {
            if spent > 0 {
                ahead
            } else {
                // As if one row more passed, so that there always is a ratio.
                let rows = wanted.saturating_mul(share.known) / (share.passing + 1);
                START.saturating_add(rows.saturating_mul(SETTLE))
            }
        };
        let threshold = self.ranked.threshold().unwrap_or(u64::MAX);
        let view = View::new(postings, &work.question, self.reach, near);
        match self
            .unseen
            .survey(&view, threshold, &self.visits, limit, BUDGET)
        {
            Survey::Cheap => Some(Plan::Zones),
            Survey::Dear { limit } => Some(Plan::Near {
                until: if spent > 0 { spent + spent / 4 } else { limit },
            }),
            Survey::Unfinished => None,
        }
    }

    /// A bound of the ranks of all rows that have not been ranked.
    pub(super) fn bound<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<u64> {
        let unseen = self.unseen.bound(view, u64::MAX);
        unseen.into_iter().chain(self.deferred.bound()).min()
    }

    /// Takes back that the row given out last was.
    pub(super) fn pass_over(&mut self) {
        self.ranked.pass_over();
    }

    /// No row with a lower rank is given out any more.
    pub(super) fn floor(&self) -> u64 {
        self.ranked.floor()
    }

    /// No row with a greater rank has been given out.
    pub(super) fn last(&self) -> u64 {
        self.ranked.last()
    }

    /// Rows that came too late to be given out.
    pub(super) fn late(&self) -> u64 {
        self.ranked.late()
    }

    pub(super) fn reach(&self) -> Reach {
        self.reach
    }

    /// Zones bounded.
    pub(super) fn zones(&self) -> u64 {
        self.unseen.bounded()
    }

    /// Ends the merge and returns the rows that need not be given out any more.
    pub(super) fn end(&mut self) -> Taken {
        let mut given = std::mem::take(&mut self.taken);
        let waiting = self.ranked.waiting().map(|row| row.posting);
        for posting in waiting.chain(self.deferred.postings()) {
            let (block, slot) = split(posting);
            given.remove(block, slot);
        }
        given.shrink();
        given
    }

    pub(super) fn bytes(&self) -> usize {
        self.ranked.bytes()
            + self.deferred.bytes()
            + self.unseen.bytes()
            + self.taken.bytes()
            + self.settled.bytes()
    }
}
