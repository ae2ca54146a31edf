//! The graph's part of a merge: rows of the nodes that it settles.

use super::super::cost::BUDGET;
use super::super::near::Near;
use super::super::question::{Question, View};
use super::super::rows::Distance;
use super::super::unseen::FARTHEST;
use super::super::work::Work;
use super::Merge;
use crate::postings::{Postings, split};
use crate::score::{LANES, Order};

/// The fewest rows that are measured together, where there are as many.
const TOGETHER: usize = 8;

impl Merge {
    /// Ranks rows of nodes that the graph has settled, after another step of it if there are none.
    pub(super) fn advance_near<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        if self.settled.is_empty() {
            self.exhausted |= !near.advance();
            self.settled
                .refill(postings, near, work.question.attributes);
        }
        for _ in 0..BUDGET {
            let Some((posting, node, bracket)) = self.settled.next(postings, near) else {
                break;
            };
            let Some((block, slot)) = postings.live(posting) else {
                continue;
            };
            let Work {
                question,
                rows,
                statistics,
            } = work;
            let passes = question.filter.is_empty() || {
                let row = block.row(slot, question.filter.attributes(), &mut self.keys);
                question.filter.matches_row(&row)
            };
            if passes && self.taken.insert(split(posting).0, slot) {
                statistics.near_rows += 1;
                let distance = Distance::Within(node, bracket);
                rows.push(&block, slot, posting, question.scored, distance);
                let enough = match self.ranked.missing() {
                    0 => LANES,
                    missing => missing.clamp(TOGETHER, LANES),
                };
                if rows.len() >= enough {
                    self.rank_settled(work, postings, near);
                }
            }
        }
        self.rank_settled(work, postings, near);
        self.extend_reach(&work.question, near);
    }

    /// Ranks those of the rows that may be wanted, and defers the others.
    fn rank_settled<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        let Work { question, rows, .. } = work;
        let mut wanted = u64::MAX;
        if let Some(threshold) = self.ranked.threshold()
            && rows.len() > 0
        {
            let view = View::new(postings, question, self.reach, near);
            view.know(&rows.batch(), &mut self.known);
            let mut bounds = [0; LANES];
            // Where the condition cannot hold there is no bound; that will come out with the score.
            let bounded = view.bounds(&self.known, rows.brackets(), &mut bounds);
            for (place, &posting) in rows.postings().iter().enumerate() {
                if bounded >> place & 1 != 0 && bounds[place] > threshold {
                    self.deferred.push(bounds[place], posting);
                    wanted &= !(1 << place);
                }
            }
        }
        let all = (0..rows.len()).filter(|place| wanted >> place & 1 != 0);
        self.measured += all.count() as u64;
        rows.rank(question, near, wanted, |row| self.ranked.push(row));
    }

    /// Ranks the first so many of the rows that were deferred, [`LANES`] at most.
    pub(super) fn resume<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
        count: usize,
    ) {
        let Work { question, rows, .. } = work;
        self.ranked.refresh();
        for _ in 0..count {
            let Some(posting) = self.deferred.pop() else {
                break;
            };
            self.measured += 1;
            if let Some((block, slot)) = postings.live(posting) {
                let number = split(posting).0;
                rows.gather(&block, number, 1 << slot, question.scored, near.fixed());
            }
        }
        rows.rank(question, near, u64::MAX, |row| self.ranked.push(row));
    }

    /// Takes over how far the graph has seen, once all rows have been scored that are nearer. Where
    /// zones have to be bounded again each time, the graph has to have gone on for a while.
    pub(super) fn extend_reach<O: Order, N: Near>(&mut self, question: &Question<O>, near: &N) {
        let cost = self.near_cost(near);
        let is_due = question.scored == 0 || self.exhausted || cost >= self.next_reach;
        if self.settled.is_empty() && is_due && !self.exact {
            let before = self.reach.version;
            self.reach
                .extend(near.frontier(question.care()).min(FARTHEST));
            self.next_reach = cost + cost / 8;
            if self.first_reach == 0 && self.reach.version != before {
                self.first_reach = cost;
            }
        }
    }
}
