//! The two streams, near and zones, merged under one bound. The parent module tells why that is
//! exact, and which stream goes on.

use super::cost::{self, BUDGET, SETTLE, START};
use super::near::Near;
use super::question::{Known, Question, Reach, View};
use super::ranked::Ranked;
use super::settled::Settled;
use super::taken::Taken;
use super::unseen::{FARTHEST, Survey, Unseen};
use super::work::{Turn, Work};
use crate::postings::{Block, Columns, Postings, bits, split};
use crate::score::{LANES, Order};

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

/// A bit for each place.
fn mask(places: impl Iterator<Item = usize>) -> u64 {
    places.fold(0, |mask, place| mask | 1 << place)
}

/// The state of the two streams.
pub(super) struct Merge {
    ranked: Ranked,
    unseen: Unseen,
    taken: Taken,
    settled: Settled,
    reach: Reach,
    /// What the graph will have cost when its reach is next looked at.
    next_reach: u64,
    /// The graph has no more nodes, or may take no more memory.
    exhausted: bool,
    plan: Plan,
    /// What visits to blocks have cost.
    visits: u64,
    /// What the zones had cost when a visit last found a row that is wanted.
    fruitful: u64,
    /// For one row at a time.
    keys: Vec<u64>,
    /// For the rows of a block.
    rows: Columns,
    known: Known,
    nodes: Vec<u32>,
    brackets: Vec<(f64, f64)>,
}

impl Merge {
    pub(super) fn new(attributes: usize, wanted: usize) -> Merge {
        Merge {
            ranked: Ranked::new(wanted),
            unseen: Unseen::new(attributes),
            taken: Taken::default(),
            settled: Settled::default(),
            reach: Reach::NOTHING,
            next_reach: 0,
            exhausted: false,
            plan: Plan::Survey,
            visits: 0,
            fruitful: 0,
            keys: vec![0; attributes],
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
        if self.ranked.next_round() {
            self.plan = Plan::Survey;
        }
        self.settled.resume(postings, near);
        self.exhausted |= near.bytes() > near_bytes;
        self.extend_reach(&work.question, near);
        let end = self.cost(near) + BUDGET;
        while self.cost(near) <= end {
            let view = View::new(postings, &work.question, self.reach, near);
            let first = self.ranked.first().copied();
            let enough = first.map_or(u64::MAX, |first| first.score);
            let bound = self.unseen.bound(&view, enough);
            match first {
                Some(first) if bound.is_none_or(|bound| first.score <= bound) => {
                    if postings.live(first.posting).is_some() {
                        self.ranked.give();
                        return Turn::Row(first);
                    }
                    self.ranked.discard();
                    continue;
                }
                None if bound.is_none() => return Turn::Over,
                _ => {}
            }
            self.ranked.refresh();
            match self.choose(work, postings, near) {
                Some(Stream::Near) => self.advance_near(work, postings, near),
                Some(Stream::Zones) => self.visit_zone(work, postings, near),
                None => return Turn::Working,
            }
        }
        Turn::Working
    }

    fn zone_cost(&self) -> u64 {
        self.unseen.cost() + self.visits
    }

    fn near_cost<N: Near>(&self, near: &N) -> u64 {
        cost::walk(near.cost()) + self.settled.followed()
    }

    fn cost<N: Near>(&self, near: &N) -> u64 {
        self.near_cost(near) + self.zone_cost()
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

    /// Compares what it costs to score every row that may be wanted with what the graph has spent
    /// or, at first, with what it must be expected to spend.
    fn survey<O: Order, N: Near>(
        &mut self,
        work: &Work<O>,
        postings: &Postings<'_>,
        near: &N,
    ) -> Option<Plan> {
        let spent = self.near_cost(near);
        let wanted = self.ranked.wanted() as u64;
        let (published, dead) = postings.counts();
        let live = published.saturating_sub(dead);
        let everything = work.question.filter.is_empty();
        let limit = |passing: u64| {
            if spent > 0 {
                spent
            } else if everything {
                START + wanted * SETTLE
            } else {
                // As if one row more passed, so that there always is a ratio.
                let ratio = (wanted * SETTLE).saturating_mul(live) / (passing + 1);
                ratio.saturating_add(START)
            }
        };
        let threshold = self.ranked.threshold().unwrap_or(u64::MAX);
        let view = View::new(postings, &work.question, self.reach, near);
        match self.unseen.survey(&view, threshold, limit, BUDGET) {
            Survey::Cheap => Some(Plan::Zones),
            Survey::Dear { limit } => Some(Plan::Near {
                until: limit.max(spent + spent / 4),
            }),
            Survey::Unfinished => None,
        }
    }

    /// Scores rows of nodes that the graph has settled, after another step of it if there are none.
    fn advance_near<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        if self.settled.is_empty() {
            self.exhausted |= !near.advance();
            self.settled.refill(near);
        }
        let Work {
            question,
            rows,
            statistics,
        } = work;
        for _ in 0..BUDGET {
            let Some((posting, distance)) = self.settled.next(postings, near) else {
                break;
            };
            let Some((block, slot)) = postings.live(posting) else {
                continue;
            };
            let passes = question.filter.is_empty() || {
                let row = block.row(slot, question.filter.attributes(), &mut self.keys);
                question.filter.matches_row(&row)
            };
            if passes && self.taken.insert(split(posting).0, slot) {
                statistics.near_rows += 1;
                rows.push(&block, slot, posting, question.scored, Some(distance));
                if rows.is_full() {
                    rows.rank(question, |row| self.ranked.push(row));
                }
            }
        }
        rows.rank(question, |row| self.ranked.push(row));
        self.extend_reach(question, near);
    }

    /// Takes over how far the graph has seen, once all rows have been scored that are nearer. Where
    /// zones have to be bounded again each time, the graph has to have gone on for a while.
    fn extend_reach<O: Order, N: Near>(&mut self, question: &Question<O>, near: &N) {
        let cost = self.near_cost(near);
        let is_due = question.scored == 0 || self.exhausted || cost >= self.next_reach;
        if self.settled.is_empty() && is_due {
            self.reach
                .extend(near.frontier(question.care()).min(FARTHEST));
            self.next_reach = cost + cost / 8;
        }
    }

    /// Opens the zone with the least bound.
    fn visit_zone<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        let view = View::new(postings, &work.question, self.reach, near);
        let Some(visit) = self.unseen.visit(&view) else {
            return;
        };
        let number = visit.block;
        let Some(block) = postings.block(number) else {
            return self.unseen.leave(None);
        };
        let passing = work.question.filter.matches(&block, block.live());
        let slots = passing & !self.taken.of(number);
        let (put_off, least) = self.put_off(&view, near, &block, slots, visit.odd);
        let rest = (put_off != 0).then_some((least, put_off.count_ones() as u8));
        self.unseen.leave(rest);
        let slots = slots & !put_off;
        let before = self.ranked.threshold();
        let ranked = &mut self.ranked;
        work.score_block(near, &block, number, slots, |row| ranked.push(row));
        self.visits += cost::visit(self.brackets.len() as u64, slots.count_ones().into());
        if self.ranked.threshold() != before || before.is_none() {
            self.fruitful = self.zone_cost();
        }
        self.taken.insert_all(number, slots);
    }

    /// Those rows of a block that are not wanted in this round, and the least rank that they can have.
    ///
    /// What their attributes are settles it for most; the codes of the others' vectors are looked at.
    fn put_off<O: Order, N: Near>(
        &mut self,
        view: &View<'_, '_, O>,
        near: &mut N,
        block: &Block<'_>,
        mut slots: u64,
        odd: bool,
    ) -> (u64, u64) {
        self.brackets.clear();
        let Some(threshold) = self.ranked.threshold().filter(|_| view.fixed.is_none()) else {
            return (0, u64::MAX);
        };
        if odd {
            slots = mask(bits(slots).filter(|&slot| block.node(slot).is_some()));
        }
        let mut distances = [(view.reach.nearest, f64::INFINITY); LANES];
        let mut bounds = [0; LANES];
        let mut least = u64::MAX;
        // Where the condition cannot hold there is no bound; that will come out with the score.
        let mut is_beyond = |bounded: u64, place: usize, bound: u64| {
            let beyond = bounded >> place & 1 != 0 && bound > threshold;
            if beyond {
                least = least.min(bound);
            }
            beyond
        };
        view.know_rows(block, slots, &mut self.rows, &mut self.known);
        let bounded = view.bounds(&self.known, &distances, &mut bounds);
        let rows = bits(slots).zip(bounds).enumerate();
        let mut put_off =
            mask(rows.filter_map(|(place, (slot, bound))| {
                is_beyond(bounded, place, bound).then_some(slot)
            }));
        self.nodes.clear();
        let mut wanted = 0;
        for slot in bits(slots & !put_off) {
            if let Some(node) = block.node(slot) {
                self.nodes.push(node);
                wanted |= 1 << slot;
            }
        }
        if wanted == 0 {
            return (put_off, least);
        }
        near.brackets(&self.nodes, &mut self.brackets);
        for (range, &(nearest, farthest)) in distances.iter_mut().zip(&self.brackets) {
            // Else the graph has passed the row over, which shows here.
            let reach = view.reach.nearest;
            let nearest = if farthest >= reach {
                nearest.max(reach)
            } else {
                nearest
            };
            *range = (nearest, farthest);
        }
        view.know_rows(block, wanted, &mut self.rows, &mut self.known);
        let bounded = view.bounds(&self.known, &distances, &mut bounds);
        let rows = bits(wanted).zip(bounds).enumerate();
        put_off |=
            mask(rows.filter_map(|(place, (slot, bound))| {
                is_beyond(bounded, place, bound).then_some(slot)
            }));
        (put_off, least)
    }

    /// A bound of the ranks of all rows that have not been scored.
    pub(super) fn bound<O: Order>(&mut self, view: &View<'_, '_, O>) -> Option<u64> {
        self.unseen.bound(view, u64::MAX)
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
        for row in self.ranked.waiting() {
            let (block, slot) = split(row.posting);
            given.remove(block, slot);
        }
        given
    }

    pub(super) fn bytes(&self) -> usize {
        self.ranked.bytes() + self.unseen.bytes() + self.taken.bytes() + self.settled.bytes()
    }
}
