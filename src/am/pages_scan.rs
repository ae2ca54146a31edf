//! A scan without memory: every row ranked from the pages.
//!
//! For an index that does not fit shared memory. Exact, and as slow as reading the index.
//!
//! The rows of an index may be many more than a process has memory for. So a pass over the pages keeps the
//! best that `work_mem` holds, or the few that will probably be asked for; whoever asks for more gets them
//! from another pass, which begins behind the last row of the one before. Rows of one rank come in the order
//! of their places in the table, so that each is given once. A row that the scan's snapshot sees is the same in
//! each pass: its posting and its vector stay until that is gone.

use std::collections::BinaryHeap;

use chronomind_core::distance::{Kernel, Metric, decode, normalise, scale};
use chronomind_core::record::{Definition, Flags, PostingView};
use chronomind_core::scan::Found;
use chronomind_core::score::{Order, Row};
use pgrx::PgSqlErrorCode;

use super::plan::Plan;
use crate::error::{Error, Result};
use crate::pages::exact::{ExactReader, postings};
use crate::pages::{self, Snapshot};
use crate::pg::relation::Relation;

/// Rows that a pass keeps at least, and more where so many are expected to be asked for: a pass costs as much
/// for one row as for these.
const FEW: usize = 256;

/// A scan of the pages of an index.
pub struct PagesScan {
    plan: Plan,
    snapshot: Snapshot,
    /// How many rows a pass may keep.
    most: usize,
    /// How many the next one keeps.
    wanted: usize,
    /// What the last pass found and was not given out, the best one last.
    rows: Vec<Ranked>,
    /// The last row that was given out.
    last: Option<Place>,
    /// Nothing lies behind `rows`.
    is_last_pass: bool,
    /// Rows that were ranked in all passes.
    ranked: u64,
    given: u64,
}

/// Where a row stands in the order: its rank, and its place in the table.
type Place = (u64, u64);

struct Ranked {
    place: Place,
    posting: u32,
    node: Option<u32>,
    distance: Option<f64>,
}

impl PartialEq for Ranked {
    fn eq(&self, other: &Ranked) -> bool {
        self.place == other.place
    }
}

impl Eq for Ranked {}

impl PartialOrd for Ranked {
    fn partial_cmp(&self, other: &Ranked) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Ranked {
    fn cmp(&self, other: &Ranked) -> std::cmp::Ordering {
        self.place.cmp(&other.place)
    }
}

/// The best of many rows, in a bounded room.
struct Best {
    most: usize,
    /// The worst one first.
    heap: BinaryHeap<Ranked>,
    /// Some found no room.
    is_cut: bool,
}

impl Best {
    fn new(most: usize) -> Best {
        Best {
            most,
            heap: BinaryHeap::new(),
            is_cut: false,
        }
    }

    /// Fails where the process gets no more memory: as much as it may take need not be there.
    fn add(&mut self, row: Ranked) -> Result<()> {
        let held = self.heap.len();
        if held < self.most {
            if held == self.heap.capacity() {
                let more = held.max(FEW).min(self.most - held);
                let reserved = self.heap.try_reserve_exact(more);
                reserved.map_err(|_| no_memory(held))?;
            }
            self.heap.push(row);
            return Ok(());
        }
        self.is_cut = true;
        if let Some(mut worst) = self.heap.peek_mut()
            && row < *worst
        {
            *worst = row;
        }
        Ok(())
    }

    /// The best one last.
    fn into_rows(self) -> Vec<Ranked> {
        let mut rows = self.heap.into_vec();
        rows.sort_unstable_by(|one, other| other.cmp(one));
        rows
    }
}

fn no_memory(rows: usize) -> Error {
    Error::mistake(PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY, "out of memory")
        .detail(format!(
            "A search of pages holds {rows} rows and needs more."
        ))
        .hint("Lower work_mem: what it does not hold is found in further passes.")
}

impl PagesScan {
    /// Begins a scan that keeps to so many bytes.
    pub fn new(index: Relation, plan: Plan, memory: usize) -> Result<PagesScan> {
        let most = (memory / size_of::<Ranked>()).max(FEW);
        Ok(PagesScan {
            wanted: plan.wanted.clamp(FEW, most),
            most,
            snapshot: pages::snapshot(index)?,
            plan,
            rows: Vec::new(),
            last: None,
            is_last_pass: false,
            ranked: 0,
            given: 0,
        })
    }

    /// The next row.
    pub fn next(&mut self, index: Relation) -> Result<Option<Found>> {
        if self.rows.is_empty() && !self.is_last_pass {
            self.pass(index)?;
        }
        let Some(row) = self.rows.pop() else {
            return Ok(None);
        };
        self.last = Some(row.place);
        self.given += 1;
        Ok(Some(Found {
            tid: row.place.1,
            posting: row.posting,
            node: row.node,
            distance: row.distance,
            score: self.plan.ordering.score(row.place.0),
        }))
    }

    /// Rows that were ranked, and those of them that were given out.
    pub fn counts(&self) -> (u64, u64) {
        (self.ranked, self.given)
    }

    /// Finds the best rows behind the last one.
    fn pass(&mut self, index: Relation) -> Result<()> {
        // Before as much is taken again.
        self.rows = Vec::new();
        let mut best = Best::new(self.wanted);
        let reader = ExactReader::open(index, &self.snapshot)?;
        let ruler = Ruler::new(&self.snapshot.meta.definition, self.plan.vector.as_deref());
        let mut vector = vec![0; self.snapshot.layout.vector_bytes()];
        let mut keys = vec![0; self.snapshot.layout.attributes()];
        postings(index, &self.snapshot, |id, posting| {
            if posting.flags().contains(Flags::DEAD) {
                return Ok(());
            }
            keys.iter_mut()
                .zip(posting.keys())
                .for_each(|(slot, key)| *slot = key);
            let row = Row {
                keys: &keys,
                nulls: posting.nulls(),
            };
            if !self.plan.filter.matches_row(&row) {
                return Ok(());
            }
            let distance = distance(&reader, &ruler, &posting, &mut vector)?;
            let place = (
                self.plan.ordering.rank(distance, &row),
                posting.tid().pack(),
            );
            if self.last.is_none_or(|last| place > last) {
                self.ranked += 1;
                best.add(Ranked {
                    place,
                    posting: id,
                    node: posting.has_node().then(|| posting.node()),
                    distance,
                })?;
            }
            Ok(())
        })?;
        self.is_last_pass = !best.is_cut;
        self.rows = best.into_rows();
        // Whoever wants more than was expected may want all.
        self.wanted = self.most;
        Ok(())
    }
}

fn distance(
    reader: &ExactReader<'_>,
    ruler: &Ruler,
    posting: &PostingView<'_>,
    vector: &mut [u8],
) -> Result<Option<f64>> {
    if ruler.query.is_none() || posting.flags().contains(Flags::NULL_VECTOR) {
        return Ok(None);
    }
    if !posting.has_node() {
        return Ok(Some(f64::NAN));
    }
    reader.vector(posting.node(), vector)?;
    Ok(ruler.distance(vector))
}

/// Measures distances from the query.
struct Ruler {
    metric: Metric,
    kernel: Kernel,
    element: chronomind_core::distance::Element,
    /// `None` for NULL; the inner is empty for a query without a distance from anything.
    query: Option<Vec<f32>>,
    has_distance: bool,
}

impl Ruler {
    fn new(definition: &Definition, query: Option<&[u8]>) -> Ruler {
        let Definition {
            metric, element, ..
        } = *definition;
        let mut has_distance = true;
        let query = query.map(|bytes| {
            let mut values = vec![0.0; definition.dimensions as usize];
            decode(element, bytes, &mut values);
            has_distance = metric != Metric::Cosine || normalise(&mut values);
            values
        });
        Ruler {
            metric,
            kernel: Kernel::new(metric, element),
            element,
            query,
            has_distance,
        }
    }

    fn distance(&self, vector: &[u8]) -> Option<f64> {
        let query = self.query.as_ref()?;
        match scale(self.metric, self.element, vector) {
            Some(scale) if self.has_distance => {
                let raw = self.kernel.one(query, vector);
                Some(self.metric.distance(self.metric.key(raw, scale)))
            }
            _ => Some(f64::NAN),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranked(rank: u64, tid: u64) -> Ranked {
        Ranked {
            place: (rank, tid),
            posting: 0,
            node: None,
            distance: None,
        }
    }

    #[test]
    fn the_best_are_kept_in_order_and_it_is_known_whether_there_are_others() {
        let all: Vec<Place> = (0..1_000)
            .map(|i| (i * 7_919 % 100, i * 31 % 1_009))
            .collect();
        let mut sorted = all.clone();
        sorted.sort_unstable();
        for most in [1, 10, 999, 1_000, 1_001] {
            let mut best = Best::new(most);
            for &(rank, tid) in &all {
                best.add(ranked(rank, tid)).unwrap();
            }
            assert_eq!(best.is_cut, most < all.len());
            let kept: Vec<Place> = best.into_rows().iter().rev().map(|row| row.place).collect();
            assert_eq!(kept, sorted[..most.min(all.len())]);
        }
    }

    #[test]
    fn passes_give_each_row_once() {
        let all: Vec<Place> = (0..500).map(|i| (i % 3, i)).collect();
        let mut given = Vec::new();
        let mut last = None;
        loop {
            let mut best = Best::new(64);
            for &(rank, tid) in &all {
                if last.is_none_or(|last| (rank, tid) > last) {
                    best.add(ranked(rank, tid)).unwrap();
                }
            }
            let is_cut = best.is_cut;
            given.extend(best.into_rows().iter().rev().map(|row| row.place));
            last = given.last().copied();
            if !is_cut {
                break;
            }
        }
        let mut sorted = all.clone();
        sorted.sort_unstable();
        assert_eq!(given, sorted);
    }
}
