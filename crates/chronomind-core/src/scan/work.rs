//! What the search with the graph and the one without share: the question, and how rows are scored.

use super::found::Statistics;
use super::near::Near;
use super::question::Question;
use super::ranked::Scored;
use super::rows::Rows;
use crate::postings::Block;
use crate::score::Order;

/// What part of a search led to.
pub(super) enum Turn {
    /// The next row, dead or alive.
    Row(Scored),
    /// Nothing yet.
    Working,
    /// There are no more rows.
    Over,
}

pub(super) struct Work<O> {
    pub(super) question: Question<O>,
    pub(super) rows: Rows,
    pub(super) statistics: Statistics,
}

impl<O: Order> Work<O> {
    /// Gathers rows of a block to be ranked.
    pub(super) fn gather<N: Near>(&mut self, near: &N, block: &Block<'_>, number: u32, slots: u64) {
        let scored = self.question.scored;
        self.rows.gather(block, number, slots, scored, near.fixed());
        self.statistics.blocks += 1;
        self.statistics.zone_rows += u64::from(slots.count_ones());
    }

    /// Ranks the rows that were gathered, and hands over those for which the condition holds.
    pub(super) fn rank_gathered<N: Near>(&mut self, near: &mut N, visit: impl FnMut(Scored)) {
        self.rows.rank(&self.question, near, u64::MAX, visit);
    }
}
