//! What the parts of a search cost, in one unit: a row of a block bounded by its vector's code, some 40
//! nanoseconds. Only ratios matter, and only for effort.

use std::ops::AddAssign;

use crate::score::LANES;

/// A distance measured by the graph on its way: from a code that lies anywhere.
const WALKED: u64 = 3;
/// A row's distance measured in full.
const MEASURED: u64 = 4;
/// A look at a block, or at the zones below one.
const LOOK: u64 = 3;
/// So many rows of a block are bounded by their attributes at the price of one.
const JUDGED_TOGETHER: u64 = 2;
/// So many zones, of which all but the distances is known, are bounded at the price of one.
const TOGETHER: u64 = 8;

/// A search of the graph before it settles the first node.
pub(super) const START: u64 = 512 * WALKED;
/// A further node that the graph is sure of.
pub(super) const SETTLE: u64 = 26 * WALKED;
/// A step: some 80 microseconds. Tests cut steps short at every turn.
pub(super) const BUDGET: u64 = if cfg!(test) { 64 } else { 2_048 };

/// A further row in an order by distance: the graph settles two or three nodes to be sure of one, and the more
/// it has settled, the fewer of their neighbours are new.
const FURTHER: u64 = 20 * WALKED;
/// So many rows are measured in full for one that is wanted, when all are bounded by their codes.
const TRIED: u64 = 5;

/// A search of the graph for the first so many rows of an order by distance. In tests, whose tables are
/// small, so little that they come to the graph at all.
pub(super) fn first(rows: u64) -> u64 {
    if cfg!(test) {
        return rows;
    }
    START.saturating_add(further(rows))
}

/// So many rows more.
pub(super) fn further(rows: u64) -> u64 {
    if cfg!(test) {
        return rows;
    }
    rows.saturating_mul(FURTHER)
}

/// All rows of a table bounded by their codes, for so many that are wanted.
pub(super) fn pass(rows: u64, wanted: u64) -> u64 {
    let tried = if cfg!(test) { 0 } else { measure(TRIED) };
    (rows + rows / LANES as u64 * LOOK).saturating_add(wanted.saturating_mul(tried))
}

/// So many distances measured by the graph.
pub(super) fn walk(distances: u64) -> u64 {
    distances * WALKED
}

/// So many rows measured in full.
pub(super) fn measure(rows: u64) -> u64 {
    rows * MEASURED
}

/// So many zones bounded, or rows compared with a filter, that lie together.
pub(super) fn look(boxes: u64) -> u64 {
    LOOK + boxes
}

/// So many zones of a group bounded, of which all but how far the graph has seen is known.
pub(super) fn bound_again(boxes: u64) -> u64 {
    1 + boxes / TOGETHER
}

/// What visits to blocks are made of.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Visits {
    pub(super) blocks: u64,
    /// Rows bounded by their attributes.
    pub(super) judged: u64,
    /// Rows bounded by their codes.
    pub(super) bounded: u64,
    /// Rows measured in full.
    pub(super) measured: u64,
}

impl Visits {
    pub(super) fn cost(&self) -> u64 {
        self.blocks * LOOK + self.judged / JUDGED_TOGETHER + self.bounded + measure(self.measured)
    }
}

impl AddAssign for Visits {
    fn add_assign(&mut self, other: Visits) {
        self.blocks += other.blocks;
        self.judged += other.judged;
        self.bounded += other.bounded;
        self.measured += other.measured;
    }
}
