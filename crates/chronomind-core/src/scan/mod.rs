//! The search: rows in ascending order of any score, one at a time, exactly.
//!
//! No index is sorted by a score that mixes the distance to a query with attributes and the clock.
//! But the graph can give out nodes by distance ([`Near`]), and zone maps bound the attributes of
//! whole runs of rows ([`Postings`]). The search merges the two. When the graph has seen every node
//! nearer than `D`, no row that has not been scored can have a score below
//!
//! ```text
//! min over zones z with unscored rows of bound(distance >= D, attributes in z)
//! ```
//!
//! and a scored row is given out as soon as its score is not above that: nothing that is still
//! unseen can come before it. This is the threshold algorithm (Fagin, Lotem and Naor 2003) over one
//! sorted list and a best-first walk of a tree of boxes (Hjaltason and Samet 1999). Needing no
//! limit, it gives out every live row in the end, each exactly once; it is exact as far as `D` is,
//! that is, up to the recall of the graph.
//!
//! # Which stream goes on
//!
//! Costs are counted in distances computed, from vectors that follow each other in memory. Before the graph is asked for anything, and again
//! whenever it has spent half as much again, a survey of the zones asks what it would cost to score
//! every row that may be wanted: if that is cheaper, as under a narrow filter, the graph is left
//! alone. Otherwise, where the order looks at attributes, the two streams spend in equal parts, so
//! that the whole costs at most twice the cheapest pair of prefixes that proves the answer; where
//! it does not, the bound of every zone is `D` itself and only the graph goes on.
//!
//! # What is held between steps
//!
//! Ids and numbers, no reference into shared memory: a caller may take each [`Scan::step`] under a
//! pin of its own.

mod found;
mod near;
mod ranked;
mod settled;
mod taken;
mod unseen;

#[cfg(test)]
mod tests;

pub use found::{Found, Statistics, Step};
pub use near::{Fixed, Near};

use crate::error::{Error, Interrupt, Result};
use crate::postings::{BLOCK, Block, Filter, Postings, ZoneBounds, bits, split};
use crate::score::{Order, Row, rank, unrank};
use ranked::{Ranked, Scored};
use settled::Settled;
use taken::Taken;
use unseen::{FAR, Question, Reach, Survey, Unseen, View, visit_cost};

/// What a step may cost, in distances, give or take one step of the graph: some 50 microseconds.
/// Tests cut steps short at every turn.
const BUDGET: u64 = if cfg!(test) { 64 } else { 2_048 };
/// What a search of the graph costs before it settles the first node, in distances.
const START: u64 = 512 * FAR;
/// What a further node costs that the graph is sure of, in distances.
const SETTLE: u64 = 26 * FAR;

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

/// A search that can be continued.
pub struct Scan<O> {
    question: Question<O>,
    ranked: Ranked,
    unseen: Unseen,
    taken: Taken,
    settled: Settled,
    reach: Reach,
    exhausted: bool,
    plan: Plan,
    /// What visits to blocks have cost.
    visits: u64,
    statistics: Statistics,
    buffers: Buffers,
}

/// Kept from step to step.
struct Buffers {
    keys: Vec<u64>,
    row: ZoneBounds,
    slots: Vec<usize>,
    nodes: Vec<u32>,
    distances: Vec<f64>,
}

impl<O: Order> Scan<O> {
    /// A search over postings of so many attributes for rows that pass the filter. `wanted` is how
    /// many of them the caller expects to need; it decides about effort, never about answers.
    pub fn new(order: O, filter: Filter, attributes: usize, wanted: usize) -> Scan<O> {
        Scan {
            question: Question::new(order, filter),
            ranked: Ranked::new(wanted),
            unseen: Unseen::new(attributes),
            taken: Taken::default(),
            settled: Settled::default(),
            reach: Reach::NOTHING,
            exhausted: false,
            plan: Plan::Survey,
            visits: 0,
            statistics: Statistics::default(),
            buffers: Buffers {
                keys: vec![0; attributes],
                row: ZoneBounds::new(attributes),
                slots: Vec::new(),
                nodes: Vec::new(),
                distances: Vec::new(),
            },
        }
    }

    /// The next row, `None` when there are no more.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so; the search may be continued.
    pub fn next<N: Near>(
        &mut self,
        postings: &Postings<'_>,
        near: &mut N,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<Option<Found>> {
        loop {
            if interrupt() {
                return Err(Error::Stopped);
            }
            match self.step(postings, near) {
                Step::Found(found) => return Ok(Some(found)),
                Step::Working => {}
                Step::Done => return Ok(None),
            }
        }
    }

    /// Goes on until there is a row to give out, but not for long. Every step must be given the same
    /// postings and the same stream.
    pub fn step<N: Near>(&mut self, postings: &Postings<'_>, near: &mut N) -> Step {
        if self.ranked.next_round() {
            self.plan = Plan::Survey;
        }
        if self.settled.is_empty() {
            self.reach.extend(near.frontier());
        }
        let end = self.cost(near) + BUDGET;
        while self.cost(near) <= end {
            match self.ranked.first().copied() {
                Some(first) => {
                    let bound = self.least_bound(postings, near, first.score);
                    if bound.is_none_or(|bound| first.score <= bound) {
                        match self.give(postings, first) {
                            Some(found) => return Step::Found(found),
                            None => continue,
                        }
                    }
                }
                None if self.unseen.is_empty() => return Step::Done,
                None => {}
            }
            self.ranked.refresh();
            match self.choose(postings, near) {
                Some(Stream::Near) => self.advance_near(postings, near),
                Some(Stream::Zones) => self.visit_zone(postings, near),
                None => return Step::Working,
            }
        }
        Step::Working
    }

    /// What rows are ranked by.
    pub fn order(&self) -> &O {
        &self.question.order
    }

    /// What the search has done so far.
    pub fn statistics(&self) -> Statistics {
        self.statistics
    }

    /// A rank that no row which is still to be scored has a lower one than: together with the ranks
    /// given out, the proof that nothing better was missed. `None` when nothing is unseen.
    pub fn bound<N: Near>(&mut self, postings: &Postings<'_>, near: &N) -> Option<u64> {
        self.least_bound(postings, near, u64::MAX)
    }

    /// Memory of the search, in bytes. Grows with the rows that it has seen, not with the index.
    pub fn bytes(&self) -> usize {
        self.ranked.bytes() + self.unseen.bytes() + self.taken.bytes() + self.settled.bytes()
    }

    /// A bound of the scores of all unseen rows: the best there is, or one not below `enough`.
    fn least_bound<N: Near>(
        &mut self,
        postings: &Postings<'_>,
        near: &N,
        enough: u64,
    ) -> Option<u64> {
        let view = View {
            postings,
            question: &self.question,
            reach: self.reach,
            near,
        };
        self.unseen.bound(&view, enough)
    }

    /// Gives the first row out, unless it has died since it was scored.
    fn give(&mut self, postings: &Postings<'_>, row: Scored) -> Option<Found> {
        let Some((block, slot)) = postings.live(row.posting) else {
            self.ranked.discard();
            return None;
        };
        self.ranked.give();
        self.statistics.given += 1;
        Some(Found {
            tid: block.tid(slot),
            posting: row.posting,
            node: block.node(slot),
            distance: unrank(row.distance),
            score: self.question.order.score(row.score),
        })
    }

    fn zone_cost(&self) -> u64 {
        self.unseen.cost() + self.visits
    }

    fn near_cost<N: Near>(&self, near: &N) -> u64 {
        near.cost() * FAR + self.settled.followed()
    }

    fn cost<N: Near>(&self, near: &N) -> u64 {
        self.near_cost(near) + self.zone_cost()
    }

    /// The stream to go on with, `None` when it takes longer to find out.
    fn choose<N: Near>(&mut self, postings: &Postings<'_>, near: &N) -> Option<Stream> {
        if self.exhausted && self.settled.is_empty() {
            return Some(Stream::Zones);
        }
        if self.question.attributes == 0 {
            return Some(Stream::Near);
        }
        if let Plan::Near { until } = self.plan
            && self.near_cost(near) >= until
        {
            self.plan = Plan::Survey;
        }
        if self.plan == Plan::Survey {
            self.plan = self.survey(postings, near)?;
        }
        let helpful = self.question.order.attributes() != 0;
        Some(match self.plan {
            Plan::Near { .. } if helpful && self.zone_cost() < self.near_cost(near) => {
                Stream::Zones
            }
            Plan::Near { .. } => Stream::Near,
            Plan::Zones | Plan::Survey => Stream::Zones,
        })
    }

    /// Compares what it costs to score every row that may be wanted with what the graph has spent
    /// or, at first, with what it must be expected to spend.
    fn survey<N: Near>(&mut self, postings: &Postings<'_>, near: &N) -> Option<Plan> {
        let spent = self.near_cost(near);
        let wanted = self.ranked.wanted() as u64;
        let limit = |counted: u64, passing: u64| {
            if spent > 0 {
                spent + spent / 2
            } else {
                // Counted with one row more that passes, so that there always is a ratio.
                START + (wanted * SETTLE).saturating_mul(counted + 1) / (passing + 1)
            }
        };
        let threshold = self.ranked.threshold().unwrap_or(u64::MAX);
        let view = View {
            postings,
            question: &self.question,
            reach: self.reach,
            near,
        };
        match self.unseen.survey(&view, threshold, limit, BUDGET) {
            Survey::Cheap => Some(Plan::Zones),
            Survey::Dear { limit } => Some(Plan::Near { until: limit }),
            Survey::Unfinished => None,
        }
    }

    /// Scores rows of nodes that the graph has settled, after another step of it if there are none.
    fn advance_near<N: Near>(&mut self, postings: &Postings<'_>, near: &mut N) {
        if self.settled.is_empty() {
            self.exhausted = !near.advance();
            self.settled.refill(near);
        }
        let Question {
            order,
            filter,
            attributes,
        } = &self.question;
        let keys = &mut self.buffers.keys;
        for _ in 0..BUDGET {
            let Some((posting, distance)) = self.settled.next(postings, near) else {
                break;
            };
            let Some((block, slot)) = postings.live(posting) else {
                continue;
            };
            let row = block.row(slot, *attributes, keys);
            if filter.matches_row(&row) && self.taken.insert(split(posting).0, slot) {
                self.statistics.near_rows += 1;
                self.ranked
                    .push(scored(order, posting, Some(distance), &row));
            }
        }
        if self.settled.is_empty() {
            // Only now have all rows been seen that are nearer.
            self.reach.extend(if self.exhausted {
                f64::INFINITY
            } else {
                near.frontier()
            });
        }
    }

    /// Opens the zone with the least bound.
    fn visit_zone<N: Near>(&mut self, postings: &Postings<'_>, near: &mut N) {
        let view = View {
            postings,
            question: &self.question,
            reach: self.reach,
            near,
        };
        if let Some(number) = self.unseen.visit(&view)
            && let Some(block) = postings.block(number)
        {
            self.visit_block(number, &block, near);
        }
    }

    /// Scores those rows of a block that may be wanted in this round and puts the others off.
    fn visit_block<N: Near>(&mut self, number: u32, block: &Block<'_>, near: &mut N) {
        let Question {
            order,
            filter,
            attributes,
        } = &self.question;
        let Buffers {
            keys,
            row: bounds,
            slots,
            nodes,
            distances,
            ..
        } = &mut self.buffers;
        let first = number * BLOCK as u32;
        let threshold = self.ranked.threshold();
        let no_distance = block.no_distance();
        let (mut done, mut put_off, mut least) = (0_u64, 0_u8, u64::MAX);
        slots.clear();
        nodes.clear();
        distances.clear();

        for slot in bits(filter.matches(block, block.live()) & !self.taken.of(number)) {
            let row = block.row(slot, *attributes, keys);
            let distance = match (near.fixed(), block.node(slot)) {
                (_, None) if no_distance >> slot & 1 == 0 => None,
                (Some(fixed), _) => fixed.distance(),
                (None, None) => Some(f64::NAN),
                (None, Some(node)) => {
                    bounds.hold(&row);
                    let bound = order.bound(self.reach.nearest, &bounds.get());
                    if threshold.is_some_and(|threshold| bound > threshold) {
                        put_off += 1;
                        least = least.min(bound);
                    } else {
                        slots.push(slot);
                        nodes.push(node);
                    }
                    continue;
                }
            };
            self.ranked
                .push(scored(order, first + slot as u32, distance, &row));
            done |= 1 << slot;
        }

        near.measure(nodes, distances);
        for (&slot, &distance) in slots.iter().zip(distances.iter()) {
            let row = block.row(slot, *attributes, keys);
            self.ranked
                .push(scored(order, first + slot as u32, Some(distance), &row));
            done |= 1 << slot;
        }
        self.taken.insert_all(number, done);
        if put_off > 0 {
            self.unseen.put_back(number, least, put_off, self.reach);
        }
        let rows = u64::from(done.count_ones());
        self.visits += visit_cost(rows);
        self.statistics.blocks += 1;
        self.statistics.zone_rows += rows;
    }
}

fn scored<O: Order>(order: &O, posting: u32, distance: Option<f64>, row: &Row<'_>) -> Scored {
    Scored {
        score: order.rank(distance, row),
        posting,
        distance: rank(distance),
    }
}
