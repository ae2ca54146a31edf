//! The zones' part of a merge: visits to blocks.
//!
//! Under a narrow filter a block has a row or two that pass, and each is somewhere else in memory. So a
//! visit takes in as many blocks below one zone as have no more rows together than one may have, and
//! bounds and measures all of them at once.

use super::super::near::{Bracket, Near};
use super::super::question::View;
use super::super::unseen::Left;
use super::super::work::Work;
use super::Merge;
use crate::postings::{Postings, bits, mask, packed};
use crate::score::{LANES, Order};

/// A block in a visit.
pub(super) struct Part {
    /// Its place among those below its zone.
    place: usize,
    number: u32,
    /// Rows to be ranked now.
    slots: u64,
    /// Rows that are being judged.
    judged: u64,
    /// Rows that are not wanted yet.
    put_off: u64,
    /// The least rank that those can have.
    least: u64,
    /// Some row may have no distance.
    odd: bool,
}

impl Merge {
    /// Visits the block with the least bound, and others below the same zone that may have wanted rows, or
    /// opens the zone with the least bound.
    pub(super) fn visit_zone<O: Order, N: Near>(
        &mut self,
        work: &mut Work<O>,
        postings: &Postings<'_>,
        near: &mut N,
    ) {
        let view = View::new(postings, &work.question, self.reach, near);
        let before = self.ranked.threshold();
        self.parts.clear();
        let (mut room, mut places) = (LANES as u32, 0_u64);
        let mut next = self.unseen.visit(&view);
        while let Some(visit) = next {
            let slots = match visit.matching {
                Some(matching) => {
                    // They are waited for together, once all blocks of the visit are known.
                    postings.prefetch_rows(visit.block, matching, work.question.scored);
                    matching
                }
                None => {
                    let block = postings.block(visit.block);
                    let filter = &work.question.filter;
                    let passing = block.map_or(0, |block| filter.matches(&block, block.live()));
                    passing & !self.taken.of(visit.block)
                }
            };
            self.parts.push(Part {
                place: visit.place,
                number: visit.block,
                slots,
                judged: 0,
                put_off: 0,
                least: u64::MAX,
                odd: visit.odd,
            });
            room -= slots.count_ones();
            places |= 1 << visit.place;
            next = before.and_then(|threshold| self.unseen.also(places, threshold, room));
        }
        if self.parts.is_empty() {
            return;
        }
        for part in &mut self.parts {
            let live = postings.block(part.number).map_or(0, |block| block.live());
            part.slots &= live & !self.taken.of(part.number);
        }
        self.put_off(&view, near);
        let left = self.parts.iter().map(|part| Left {
            place: part.place,
            rows: part.put_off,
            bound: part.least,
        });
        self.unseen.leave(left);
        let mut measured = 0;
        for part in &self.parts {
            if let Some(block) = postings.block(part.number) {
                work.gather(near, &block, part.number, part.slots);
                measured += u64::from(part.slots.count_ones());
                self.taken.insert_all(part.number, part.slots);
            }
        }
        let ranked = &mut self.ranked;
        work.rank_gathered(near, |row| ranked.push(row));
        self.visits.blocks += self.parts.len() as u64;
        self.visits.measured += measured;
        if self.ranked.threshold() != before || before.is_none() {
            self.fruitful = self.zone_cost();
        }
    }

    /// Puts off those rows of the parts that are not wanted in this round, and drops those for which the
    /// condition cannot hold.
    ///
    /// What their attributes are settles it for most; the codes of the others' vectors are looked at.
    fn put_off<O: Order, N: Near>(&mut self, view: &View<'_, '_, O>, near: &mut N) {
        self.brackets.clear();
        if view.fixed.is_some() || view.overflows {
            return;
        }
        let conditional = view.question.condition.is_some();
        let threshold = match self.ranked.threshold() {
            Some(threshold) => threshold,
            None if conditional => u64::MAX,
            None => return,
        };
        let reach = view.reach.nearest;
        let mut distances = [(reach, f64::INFINITY); LANES];
        for part in &mut self.parts {
            part.judged = match view.postings.block(part.number).filter(|_| part.odd) {
                // Those without a distance are ranked in any case.
                Some(block) => mask(bits(part.slots).filter(|&slot| block.node(slot).is_some())),
                None => part.slots,
            };
        }
        self.know(view);
        self.judge(view, threshold, &distances);
        if view.question.scored != 0 {
            self.visits.judged += self.rows.rows().rows() as u64;
        }

        self.nodes.clear();
        let (mut left, mut known) = (0, 0);
        for part in self.parts.iter_mut().filter(|part| part.judged != 0) {
            let judged = part.judged;
            part.judged = 0;
            if let Some(block) = view.postings.block(part.number) {
                for slot in bits(judged & part.slots) {
                    if let Some(node) = block.node(slot) {
                        self.nodes.push(node);
                        part.judged |= 1 << slot;
                    }
                }
            }
            left |= packed(part.judged, judged) << known;
            known += judged.count_ones();
        }
        self.known.keep(left);
        if self.nodes.is_empty() {
            return;
        }
        near.brackets(&self.nodes, &mut self.brackets);
        self.visits.bounded += self.nodes.len() as u64;
        for (range, &(nearest, farthest)) in distances.iter_mut().zip(&self.brackets) {
            // Else the graph has passed the row over, which shows here. Where there is a condition that is
            // allowed for in any case: rows are dropped by it.
            let nearest = if farthest >= reach && !conditional {
                nearest.max(reach)
            } else {
                nearest
            };
            *range = (nearest, farthest);
        }
        let bounded = self.judge(view, threshold, &distances);
        let mut bounded = (0..LANES).map(|at| bounded >> at & 1 != 0);
        for part in &mut self.parts {
            let dropped = bits(part.judged).zip(&mut bounded);
            part.slots &= !mask(
                dropped
                    .filter(|&(_, bounded)| !bounded)
                    .map(|(slot, _)| slot),
            );
        }
    }

    /// Gets to know the judged rows.
    fn know<O: Order>(&mut self, view: &View<'_, '_, O>) {
        self.rows.clear();
        for part in &self.parts {
            if let Some(block) = view.postings.block(part.number) {
                let wanted = view.question.scored;
                self.rows.add_rows(&block, part.judged, wanted);
            }
        }
        view.know(&self.rows.rows(), &mut self.known);
    }

    /// Puts off those of the judged rows, which are known, whose bound is above the threshold, given what
    /// there is to say of their distances in their order. Tells for which of them the condition may hold.
    fn judge<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        threshold: u64,
        distances: &[Bracket; LANES],
    ) -> u64 {
        let mut bounds = [0; LANES];
        let bounded = view.bounds(&self.known, distances, &mut bounds);
        let mut bounds = bounds.into_iter().enumerate();
        for part in &mut self.parts {
            for (slot, (at, bound)) in bits(part.judged).zip(&mut bounds) {
                if bounded >> at & 1 != 0 && bound > threshold {
                    part.slots &= !(1 << slot);
                    part.put_off |= 1 << slot;
                    part.least = part.least.min(bound);
                }
            }
        }
        bounded
    }
}
