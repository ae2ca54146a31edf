//! What keeps rows in their order: rounds that are held back until they are known, and an exact search without
//! the graph. The module [`scan`](crate::scan) tells why.

use super::super::cost;
use super::super::near::{Care, Near};
use super::super::question::{Question, Reach, View};
use super::{Merge, Plan};
use crate::postings::Postings;
use crate::score::Order;

/// Whoever wants all rows gets them in rounds of at least so many, and of a part of them: what a round
/// costs beside its rows is paid a few times only, and the first row comes soon enough.
const FIRST_LEAST: u64 = 64;
const FIRST_PART: u64 = 16;

impl Merge {
    /// Whether a row that nothing unseen comes before, as far as the graph can tell, may be given out. In order
    /// not before all of its round are known: what the graph meets while it goes on for the others might
    /// have to come before it.
    pub(super) fn may_give<O: Order>(&mut self, view: &View<'_, '_, O>) -> bool {
        if self.in_order && !self.exact && !self.is_complete {
            self.ranked.refresh();
            let threshold = self.ranked.threshold().unwrap_or(u64::MAX);
            let is_known = |bound: Option<u64>| bound.is_none_or(|bound| bound >= threshold);
            self.is_complete =
                is_known(self.deferred.bound()) && is_known(self.unseen.bound(view, threshold));
            return self.is_complete;
        }
        true
    }

    /// True where a deferred row may belong to the round, and nothing unseen comes before it.
    pub(super) fn is_owed<O: Order>(&mut self, view: &View<'_, '_, O>) -> bool {
        let Some(deferred) = self.deferred.bound() else {
            return false;
        };
        self.in_order
            && !self.exact
            && deferred < self.ranked.threshold().unwrap_or(u64::MAX)
            && (self.unseen.bound(view, deferred)).is_none_or(|bound| bound >= deferred)
    }

    /// Decides about the graph before it is asked for anything.
    pub(super) fn begin<O: Order, N: Near>(
        &mut self,
        question: &Question<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        self.has_begun = true;
        if !self.in_order {
            return;
        }
        let (published, dead) = postings.counts();
        let rows = published.saturating_sub(dead);
        if self.asked >= rows {
            self.ranked.want((rows / FIRST_PART).max(FIRST_LEAST));
            self.leave_graph(near);
        } else if question.care() == Care::Plain {
            self.leave_if_cheap(postings, near, self.asked, cost::first(self.asked));
        }
    }

    /// Leaves the graph if to bound every row costs no more than the graph must be expected to spend yet for
    /// so many rows.
    pub(super) fn leave_if_cheap<N: Near>(
        &mut self,
        postings: &Postings<'_>,
        near: &mut N,
        wanted: u64,
        ahead: u64,
    ) {
        let (rows, _) = postings.counts();
        if cost::pass(rows, wanted) <= ahead {
            self.leave_graph(near);
        }
    }

    /// Goes on with the zones alone, from the last row that was given out on: all that is left, in order.
    pub(super) fn leave_graph<N: Near>(&mut self, near: &mut N) {
        if self.exact {
            return;
        }
        near.release();
        self.settled.forget();
        (self.exact, self.exhausted, self.plan) = (true, true, Plan::Zones);
        self.reach = Reach {
            version: self.reach.version + 1,
            ..Reach::NOTHING
        };
        self.unseen.restart(self.ranked.floor());
    }
}
