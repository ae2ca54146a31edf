//! What it would cost to score every row that may be wanted, without scoring any.

use std::cmp::Reverse;

use super::super::cost::{self, Visits};
use super::super::question::View;
use super::{Entry, Share, Unseen};
use crate::postings::{BLOCK, Zone, bits, mask};
use crate::score::Order;

/// Rows enough to tell how many of a block are bounded by their codes.
const FEW: u64 = 64;

/// What a survey found.
pub(in crate::scan) enum Survey {
    /// To visit all blocks that may hold wanted rows costs less than the limit.
    Cheap,
    /// It costs more than the limit.
    Dear {
        /// The limit.
        limit: u64,
    },
    /// The survey took too long and must be taken up again.
    Unfinished,
}

impl Unseen {
    /// Finds out whether to visit every block that may hold a row with a score up to `threshold`
    /// costs more than a limit, which is asked for again whenever more is known of the filter.
    ///
    /// How many rows of a block their attributes leave to be bounded by their codes is taken from what the
    /// visits so far have `found`. The work done stays done: zones that are bounded and rows that are counted need not be again.
    pub(in crate::scan) fn survey<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        threshold: u64,
        found: &Visits,
        limit: impl Fn(Share) -> u64,
        budget: u64,
    ) -> Survey {
        let end = self.cost + budget;
        let heap = std::mem::take(&mut self.heap).into_vec();
        let mut entries: Vec<Entry> = heap.into_iter().map(|Reverse(entry)| entry).collect();
        let (mut at, mut visits) = (0, Visits::default());
        let result = loop {
            let limit = limit(self.share);
            if visits.cost() > limit {
                break Survey::Dear { limit };
            }
            let Some(mut entry) = entries.get(at).copied() else {
                break Survey::Cheap;
            };
            if self.cost > end {
                break Survey::Unfinished;
            }
            if entry.bound > threshold {
                at += 1;
                continue;
            }
            if entry.version != Some(view.reach.version) {
                if self.refresh(view, &mut entry) {
                    entries[at] = entry;
                } else {
                    entries.swap_remove(at);
                    self.free.extend(entry.group);
                }
                continue;
            }
            match entry.group {
                Some(group) => {
                    visits += self.count_below(view, entry.zone(), group, threshold, found);
                    if self.groups[group].settle(&mut entry) {
                        entries[at] = entry;
                        at += 1;
                    } else {
                        entries.swap_remove(at);
                        self.free.push(group);
                    }
                }
                None => {
                    entries.swap_remove(at);
                    self.open(view, entry, &mut entries);
                }
            }
        };
        self.heap = entries.into_iter().map(Reverse).collect();
        result
    }

    /// The visits to the blocks of a group that may hold a row with a score up to `threshold`.
    fn count_below<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        zone: Zone,
        group: usize,
        threshold: u64,
        found: &Visits,
    ) -> Visits {
        let group = &mut self.groups[group];
        let filter = &view.question.filter;
        let wanted = mask(bits(group.blocks).filter(|&place| group.bounds[place] <= threshold));
        if !filter.is_empty() {
            let uncounted = wanted & !group.counted & !group.whole;
            for place in bits(uncounted) {
                let block = zone.child(place).index;
                view.postings.prefetch_block(block, filter.attributes());
            }
            for place in bits(uncounted) {
                self.cost += cost::look(0);
                let block = view.postings.block(zone.child(place).index);
                let live = block.map_or(0, |block| block.live());
                let matching = block.map_or(0, |block| filter.matches(&block, live));
                group.matching[place] = matching;
                if matching == 0 {
                    group.blocks &= !(1 << place);
                }
                let rows = |mask: u64| u64::from(mask.count_ones());
                self.share.add(rows(live), rows(matching));
            }
            group.counted |= uncounted;
        }
        let wanted = wanted & group.blocks;
        let rows = |place| group.matching(place).map_or(BLOCK as u32, u64::count_ones);
        let rows = bits(wanted).map(|place| u64::from(rows(place))).sum();
        let mut visits = Visits {
            blocks: wanted.count_ones().into(),
            bounded: rows,
            ..Visits::default()
        };
        if view.question.scored != 0 {
            visits.judged = rows;
            // As if all of some first rows had been left.
            visits.bounded = rows * (found.bounded + FEW) / (found.judged + FEW);
        }
        visits
    }
}
