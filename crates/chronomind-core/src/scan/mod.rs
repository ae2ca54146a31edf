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
//! limit, it can give out every live row, each once; it is exact as far as `D` is, that is, up to the
//! recall of the graph.
//!
//! # In order
//!
//! `D` is what the graph believes: a walk that goes on meets nodes nearer than it late. But no row is given
//! out after one that sorts behind it. A row that would have to be is dropped ([`Statistics::late`]), and
//! three rules keep such rows few.
//!
//! - Rows are given out in rounds (`ranked`): as many as the caller expects to need, then as many again as
//!   before, and so on. None of a round is given out before all of it are known, so that what is met
//!   on the way to the last of them takes its place among them. Who asks for as many rows as it said
//!   loses nothing but what the graph never met.
//! - Who expects to need as many rows as there are gets an exact search: the graph is left alone, and every
//!   bound comes from the zones. So nothing is late, and nothing missing.
//! - Where the next rows by distance cost the graph as much as to bound every row by its code, which is the case
//!   from some 1,500 rows of 60,000 on, the graph is left too. The search begins again with the zone
//!   of everything, at the rank of the last row given out, and is exact from there on. The same when the
//!   graph outgrows its memory.
//!
//! A caller that has a condition of its own tells which rows it passed over ([`Scan::pass_over`]): the order is
//! that of the others.
//!
//! [`Scan::as_found`] has rows given out as soon as the graph believes that nothing comes before them, and
//! late ones late; none is dropped then.
//!
//! # How far the graph has seen
//!
//! `D` is taken from nearer than the graph has gone, by a margin that depends on the question
//! ([`Care`]). A search for the nearest rows and nothing else is as careful as its beam is wide, so
//! that it costs and finds what people expect of it. An order that mixes attributes in, a filter or a
//! condition picks a few rows from among many, and one that the graph passed over is seldom made up
//! for by the next: there the margin is the one that finds hard queries out (see
//! [`GraphNear`](crate::graph::GraphNear)). On 60,451 texts with a beam of 40, the overlap with the
//! exact ten was .969 for 0.9 similarity + 0.1 recency and .962 under a filter of one half while `D`
//! was the distance of the middle of the beam, and is .993 and more since.
//!
//! # Which stream goes on
//!
//! Costs are counted in rows bounded by their codes (`cost`).
//!
//! - Where it would not raise the least bound if the graph saw farther, as when the farthest rows or
//!   the newest are asked for, only visiting the zone with that bound can.
//! - Before the graph is asked for anything, and again whenever it has spent a quarter more, a survey
//!   of the zones asks what it would cost to score every row that may be wanted: if that is no more
//!   than the graph must be expected to spend yet, as under a narrow filter, the graph is left alone from
//!   there on.
//! - Otherwise, where the order looks at attributes, the zones spend as much as the graph as long as
//!   what they find is wanted, for every such row brings both streams nearer to their end; and then no
//!   more than an eighth. Where it does not, the bound of every zone is `D` itself and only the graph
//!   goes on.
//!
//! # Which rows are measured
//!
//! A row that the graph has settled is bounded by its code, and waits with its bound for as long as it is
//! not wanted (`deferred`). A visit to blocks puts off the rows whose bound says that they are not wanted yet, nearly all: most by their
//! attributes alone, for none is nearer than `D`; of the others each distance is bounded from both sides
//! ([`Near::brackets`]), which costs a fraction of measuring it. A row that the graph has passed over
//! shows there too.
//!
//! # Conditions on the distance
//!
//! A condition such as `distance < 0.3` is a [`Program`] whose truth over a box can be bounded like a
//! score. Zones in which it cannot be true for any distance from `D` on are dropped; when none is
//! left the search is over, however few rows it has given out. What the graph has missed then stays
//! missed, to which the margin applies as well.
//!
//! # What is held between steps
//!
//! Ids and numbers, no reference into shared memory: a caller may take each [`Scan::step`] under a
//! pin of its own. When they outgrow the memory that the search may take, the graph gets no more than
//! its half, and the search goes on in passes over the zones (`passes`), which are exact.

mod cost;
mod deferred;
mod found;
mod merge;
mod near;
mod passes;
mod question;
mod ranked;
mod rows;
mod settled;
mod taken;
mod unseen;
mod work;

#[cfg(test)]
mod tests;

pub use found::{Found, Statistics, Step};
pub use near::{Bracket, Care, Fixed, Near};

use crate::error::{Error, Interrupt, Result};
use crate::postings::{Filter, Postings};
use crate::score::{Order, Program, unrank};
use merge::Merge;
use passes::Passes;
use question::{Question, View};
use ranked::Scored;
use rows::Rows;
use unseen::FARTHEST;
use work::{Turn, Work};

/// The most rows of a round that a part of the memory holds, when half of it is spent on room to grow.
fn most(memory: usize) -> usize {
    /// The fewest.
    const LEAST: usize = 256;
    (memory / 4 / (2 * (size_of::<Scored>() + size_of::<u64>()))).max(LEAST)
}

/// A search that can be continued.
pub struct Scan<O> {
    work: Work<O>,
    state: State,
    attributes: usize,
    /// The least distance there is, once it is known.
    least: Option<f64>,
    /// Bytes.
    memory: usize,
    wanted: usize,
}

enum State {
    Merge(Box<Merge>),
    Passes(Box<Passes>),
}

impl<O: Order> Scan<O> {
    /// A search over postings of so many attributes for rows that pass the filter and for which the
    /// condition is true, in order. `wanted` is how many of them the caller expects to need: it decides about
    /// effort, and what is given out within so many is as good as the graph can tell. If there are no more
    /// rows than that, the search is exact and gives out every one. `memory` is how many bytes the search and its stream may take,
    /// more or less.
    pub fn new(
        order: O,
        filter: Filter,
        condition: Option<Program>,
        attributes: usize,
        wanted: usize,
        memory: usize,
    ) -> Scan<O> {
        Scan {
            work: Work {
                question: Question::new(order, filter, condition),
                rows: Rows::new(attributes),
                statistics: Statistics::default(),
            },
            state: State::Merge(Box::new(Merge::new(attributes, wanted, most(memory), true))),
            attributes,
            least: None,
            memory,
            wanted,
        }
    }

    /// Before the first step: has rows given out as they are found, also those that the graph finds
    /// late.
    #[must_use]
    pub fn as_found(mut self) -> Scan<O> {
        let merge = Merge::new(self.attributes, self.wanted, usize::MAX, false);
        self.state = State::Merge(Box::new(merge));
        self
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
        let care = self.work.question.care();
        let least = *self
            .least
            .get_or_insert_with(|| near.frontier(care).min(FARTHEST));
        if let State::Merge(merge) = &mut self.state
            && merge.bytes() + near.bytes() > self.memory
        {
            let (given, floor, last) = (merge.end(), merge.floor(), merge.last());
            self.work.statistics.late = merge.late();
            near.release();
            let memory = self.memory.saturating_sub(near.bytes());
            let passes = Passes::new(given, floor, last, least, self.attributes, memory);
            self.state = State::Passes(Box::new(passes));
            self.work.statistics.passes = 1;
        }
        let turn = match &mut self.state {
            State::Merge(merge) => merge.step(&mut self.work, postings, near, self.memory / 2),
            State::Passes(passes) => passes.step(&mut self.work, postings, near, cost::BUDGET),
        };
        let row = match turn {
            Turn::Row(row) => row,
            Turn::Working => return Step::Working,
            Turn::Over => return Step::Done,
        };
        let Some((block, slot)) = postings.live(row.posting) else {
            return Step::Working;
        };
        self.work.statistics.given += 1;
        Step::Found(Found {
            tid: block.tid(slot),
            posting: row.posting,
            node: block.node(slot),
            distance: unrank(row.distance),
            score: self.order().score(row.score),
        })
    }

    /// Tells, before the next step, that the caller has no use for the row that it was given last: others
    /// need not come after it, so that none is dropped for its sake.
    pub fn pass_over(&mut self) {
        if let State::Merge(merge) = &mut self.state {
            merge.pass_over();
        }
    }

    /// What rows are ranked by.
    pub fn order(&self) -> &O {
        &self.work.question.order
    }

    /// What the search has done so far.
    pub fn statistics(&self) -> Statistics {
        let Statistics { late, .. } = self.work.statistics;
        let (zones, late) = match &self.state {
            State::Merge(merge) => (merge.zones(), merge.late()),
            State::Passes(passes) => (passes.zones(), late),
        };
        Statistics {
            zones,
            late,
            ..self.work.statistics
        }
    }

    /// A rank that no row which is still to be scored has a lower one than: together with the ranks
    /// given out, the proof that nothing better was missed. `None` when nothing is unseen.
    pub fn bound<N: Near>(&mut self, postings: &Postings<'_>, near: &N) -> Option<u64> {
        let view = |reach| View::new(postings, &self.work.question, reach, near);
        match &mut self.state {
            State::Merge(merge) => merge.bound(&view(merge.reach())),
            State::Passes(passes) => passes.bound(&view(passes.reach())),
        }
    }

    /// Memory of the search, in bytes, beside that of its stream.
    pub fn bytes(&self) -> usize {
        match &self.state {
            State::Merge(merge) => merge.bytes(),
            State::Passes(passes) => passes.bytes(),
        }
    }
}
