//! The rows that have a score and wait for their turn.
//!
//! Where rows are given out in order, one that would have had to come before one that was given out
//! already is *late*, and is given out never: this is the place that sees to it.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// A scored row. Ordered by score, then by arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Scored {
    /// The rank by its score.
    pub(super) score: u64,
    pub(super) posting: u32,
    /// [`rank`](crate::score::rank) of the distance.
    pub(super) distance: u64,
}

/// Scored rows, and the score that a row must have to be among those that are wanted.
///
/// Rows are wanted in rounds: first as many as the caller expects to need, then, each time they
/// have all been given out, as many again as in all rounds before, and at most so many that they fit
/// the memory.
pub(super) struct Ranked {
    waiting: BinaryHeap<Reverse<Scored>>,
    /// The least scores of this round, of rows that wait and of rows given out, `wanted` at most.
    best: BinaryHeap<u64>,
    /// Rows of this round.
    wanted: usize,
    /// Rows given out in this round.
    given: usize,
    /// Rows given out in the rounds before.
    before: usize,
    /// Rows that counted among the best have been discarded since.
    stale: bool,
    /// The most rows of a round.
    most: usize,
    /// The rank of the last row given out; rows with a lower one are late. 0 where rows are given out as
    /// they are found.
    floor: u64,
    /// What that was before the last row was given out.
    floor_before: u64,
    /// The greatest rank of a row given out, passed over or not.
    last: u64,
    in_order: bool,
    /// Rows that came too late.
    late: u64,
}

impl Ranked {
    /// For `wanted` rows in the first round, and at most `most` in any.
    pub(super) fn new(wanted: usize, most: usize, in_order: bool) -> Ranked {
        Ranked {
            waiting: BinaryHeap::new(),
            best: BinaryHeap::new(),
            wanted: wanted.clamp(1, most.max(1)),
            given: 0,
            before: 0,
            stale: false,
            most: most.max(1),
            floor: 0,
            floor_before: 0,
            last: 0,
            in_order,
            late: 0,
        }
    }

    pub(super) fn push(&mut self, row: Scored) {
        if row.score < self.floor {
            self.late += 1;
            return;
        }
        self.waiting.push(Reverse(row));
        if self.best.len() < self.wanted {
            self.best.push(row.score);
        } else if let Some(mut worst) = self.best.peek_mut()
            && row.score < *worst
        {
            *worst = row.score;
        }
    }

    /// The first of the waiting rows.
    pub(super) fn first(&self) -> Option<&Scored> {
        self.waiting.peek().map(|Reverse(row)| row)
    }

    /// Gives out the first of the waiting rows.
    pub(super) fn give(&mut self) -> Option<Scored> {
        let Reverse(row) = self.waiting.pop()?;
        self.given += 1;
        self.last = self.last.max(row.score);
        if self.in_order {
            self.floor_before = std::mem::replace(&mut self.floor, row.score);
        }
        Some(row)
    }

    /// Takes back that the row given out last was: it counts for nothing.
    pub(super) fn pass_over(&mut self) {
        self.floor = self.floor_before;
    }

    /// Takes the first of the waiting rows away, because it is gone. It counts among the best until
    /// [`Ranked::refresh`], so that a long queue of rows that are gone is not gone through for each.
    pub(super) fn discard(&mut self) {
        self.waiting.pop();
        self.stale = true;
    }

    /// To be called before the threshold is asked for, or rows are pushed, after discarding.
    pub(super) fn refresh(&mut self) {
        if self.stale {
            self.start_round(self.wanted - self.given);
        }
    }

    /// Starts the next round when this one has given out its rows.
    pub(super) fn next_round(&mut self) -> bool {
        let over = self.given == self.wanted;
        if over {
            self.start_round((self.before + self.given).min(self.most));
        }
        over
    }

    fn start_round(&mut self, wanted: usize) {
        self.stale = false;
        self.before += self.given;
        (self.wanted, self.given) = (wanted, 0);
        let mut scores: Vec<u64> = self.waiting.iter().map(|Reverse(row)| row.score).collect();
        if scores.len() > wanted {
            scores.select_nth_unstable(wanted - 1);
            scores.truncate(wanted);
        }
        self.best = BinaryHeap::from(scores);
    }

    /// Wants so many rows in the first round, before there are any.
    pub(super) fn want(&mut self, rows: u64) {
        self.wanted = usize::try_from(rows).map_or(self.most, |rows| rows.clamp(1, self.most));
    }

    /// No row with a lower rank is given out any more.
    pub(super) fn floor(&self) -> u64 {
        self.floor
    }

    /// No row with a greater rank has been given out.
    pub(super) fn last(&self) -> u64 {
        self.last
    }

    /// Rows that came too late.
    pub(super) fn late(&self) -> u64 {
        self.late
    }

    /// Rows of this round.
    pub(super) fn wanted(&self) -> usize {
        self.wanted
    }

    /// Rows that there must still be before there is a threshold.
    pub(super) fn missing(&self) -> usize {
        self.wanted.saturating_sub(self.best.len())
    }

    /// A row with a greater score than this is not wanted in this round. `None` while any row is.
    pub(super) fn threshold(&self) -> Option<u64> {
        if self.best.len() < self.wanted {
            None
        } else {
            self.best.peek().copied()
        }
    }

    /// The rows that wait, in no order.
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Scored> {
        self.waiting.iter().map(|Reverse(row)| row)
    }

    pub(super) fn bytes(&self) -> usize {
        self.waiting.capacity() * size_of::<Scored>() + self.best.capacity() * size_of::<u64>()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn push(ranked: &mut Ranked, scores: impl IntoIterator<Item = u64>) {
        for (posting, score) in (0..).zip(scores) {
            ranked.push(Scored {
                score,
                posting,
                distance: 0,
            });
        }
    }

    #[test]
    fn the_threshold_is_the_last_wanted_score_of_the_round() {
        let mut ranked = Ranked::new(2, 4, false);
        push(&mut ranked, [9]);
        assert_eq!(ranked.threshold(), None);
        push(&mut ranked, [5, 7, 8, 6]);
        assert_eq!(ranked.threshold(), Some(6));
        assert_eq!(ranked.give().map(|row| row.score), Some(5));
        assert_eq!((ranked.threshold(), ranked.next_round()), (Some(6), false));
        assert_eq!(ranked.give().map(|row| row.score), Some(6));
        assert!(ranked.next_round());
        assert_eq!((ranked.wanted(), ranked.threshold()), (2, Some(8)));
        push(&mut ranked, [1]);
        assert_eq!(ranked.threshold(), Some(7));
        ranked.discard();
        ranked.refresh();
        assert_eq!((ranked.wanted(), ranked.threshold()), (2, Some(8)));
        assert_eq!(ranked.give().map(|row| row.score), Some(7));
        ranked.discard();
        ranked.refresh();
        assert_eq!((ranked.wanted(), ranked.threshold()), (1, Some(9)));
        assert_eq!(ranked.give().map(|row| row.score), Some(9));
        assert!(ranked.next_round());
        assert_eq!(
            (ranked.wanted(), ranked.threshold(), ranked.give()),
            (4, None, None)
        );
    }
    #[test]
    fn no_row_is_given_out_after_one_that_sorts_behind_it() {
        for in_order in [true, false] {
            let mut ranked = Ranked::new(2, 3, in_order);
            push(&mut ranked, [5, 7]);
            assert_eq!(ranked.give().map(|row| row.score), Some(5));
            push(&mut ranked, [4, 5, 6]);
            let rest: Vec<u64> = std::iter::from_fn(|| ranked.give())
                .map(|row| row.score)
                .collect();
            match in_order {
                true => assert_eq!((rest.as_slice(), ranked.late()), ([5, 6, 7].as_slice(), 1)),
                false => assert_eq!(rest, [4, 5, 6, 7]),
            }
        }
    }

    #[test]
    fn a_row_passed_over_makes_none_late() {
        let mut ranked = Ranked::new(9, 9, true);
        push(&mut ranked, [5, 7]);
        let give = |ranked: &mut Ranked| ranked.give().map(|row| row.score);
        assert_eq!(give(&mut ranked), Some(5));
        assert_eq!(give(&mut ranked), Some(7));
        ranked.pass_over();
        push(&mut ranked, [4, 6]);
        assert_eq!((give(&mut ranked), ranked.late()), (Some(6), 1));
        ranked.pass_over();
        assert_eq!(ranked.floor(), 5);
    }

    #[test]
    fn a_round_keeps_to_its_most() {
        let mut ranked = Ranked::new(100, 3, true);
        assert_eq!(ranked.wanted(), 3);
        push(&mut ranked, 0..20);
        for _ in 0..6 {
            ranked.give();
            ranked.next_round();
        }
        assert_eq!(ranked.wanted(), 3);
    }
}
