//! What the parts of a search cost, in one unit: a row of a block bounded by its vector's code, some 40
//! nanoseconds. Only ratios matter, and only for effort.

/// A distance measured by the graph on its way: from a code that lies anywhere.
const WALKED: u64 = 3;
/// A row's distance measured in full.
const MEASURED: u64 = 4;
/// A look at a block, or at the zones below one.
const LOOK: u64 = 6;

/// A search of the graph before it settles the first node.
pub(super) const START: u64 = 512 * WALKED;
/// A further node that the graph is sure of.
pub(super) const SETTLE: u64 = 26 * WALKED;
/// A step: some 80 microseconds. Tests cut steps short at every turn.
pub(super) const BUDGET: u64 = if cfg!(test) { 64 } else { 2_048 };

/// So many distances measured by the graph.
pub(super) fn walk(distances: u64) -> u64 {
    distances * WALKED
}

/// So many zones bounded, or rows compared with a filter, that lie together.
pub(super) fn look(boxes: u64) -> u64 {
    LOOK + boxes
}

/// A visit to a block that bounds and measures so many rows.
pub(super) fn visit(bounded: u64, measured: u64) -> u64 {
    LOOK + bounded + measured * MEASURED
}
