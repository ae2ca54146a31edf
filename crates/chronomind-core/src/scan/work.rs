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
    /// Scores rows of a block, and hands over those for which the condition holds.
    pub(super) fn score_block<N: Near>(
        &mut self,
        near: &mut N,
        block: &Block<'_>,
        number: u32,
        slots: u64,
        visit: impl FnMut(Scored),
    ) {
        let Work {
            question,
            rows,
            statistics,
        } = self;
        rows.gather(block, number, slots, question.scored, near.fixed());
        rows.measure(near);
        rows.rank(question, visit);
        statistics.blocks += 1;
        statistics.zone_rows += u64::from(slots.count_ones());
    }
}
