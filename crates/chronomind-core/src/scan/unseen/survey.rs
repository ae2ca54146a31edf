//! What it would cost to score every row that may be wanted, without scoring any.

use std::cmp::Reverse;

use super::super::cost;
use super::super::question::View;
use super::{Entry, Unseen};
use crate::postings::{BLOCK, Zone, bits, mask};
use crate::score::Order;

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
    /// costs more than a limit, which is asked for again whenever more is known: it is given the
    /// number of rows that are known to pass the filter.
    ///
    /// The work done stays done: zones that are bounded and rows that are counted need not be again.
    pub(in crate::scan) fn survey<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        threshold: u64,
        limit: impl Fn(u64) -> u64,
        budget: u64,
    ) -> Survey {
        let end = self.cost + budget;
        let heap = std::mem::take(&mut self.heap).into_vec();
        let mut entries: Vec<Entry> = heap.into_iter().map(|Reverse(entry)| entry).collect();
        let (mut at, mut total) = (0, 0);
        let result = loop {
            let limit = limit(self.passing);
            if total > limit {
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
                    total += self.count_below(view, entry.zone(), group, threshold);
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

    /// What it costs to visit the blocks of a group that may hold a row with a score up to `threshold`.
    fn count_below<O: Order>(
        &mut self,
        view: &View<'_, '_, O>,
        zone: Zone,
        group: usize,
        threshold: u64,
    ) -> u64 {
        let group = &mut self.groups[group];
        let filter = &view.question.filter;
        let wanted = mask(bits(group.blocks).filter(|&place| group.bounds[place] <= threshold));
        if filter.is_empty() {
            return cost::visits(u64::from(wanted.count_ones()), 0, 0)
                + bits(wanted)
                    .map(|place| {
                        u64::from(group.matching(place).map_or(BLOCK as u32, u64::count_ones))
                    })
                    .sum::<u64>();
        }
        for place in bits(wanted & !group.counted) {
            let block = zone.child(place).index;
            view.postings.prefetch_block(block, filter.attributes());
        }
        let mut total = 0;
        for place in bits(wanted) {
            if group.counted >> place & 1 == 0 {
                self.cost += cost::look(0);
                let block = view.postings.block(zone.child(place).index);
                let matching = block.map_or(0, |block| filter.matches(&block, block.live()));
                group.matching[place] = matching;
                group.counted |= 1 << place;
                self.passing += u64::from(matching.count_ones());
            }
            let matching = group.matching[place];
            if matching == 0 {
                group.blocks &= !(1 << place);
            } else {
                total += cost::visits(1, matching.count_ones().into(), 0);
            }
        }
        total
    }
}
