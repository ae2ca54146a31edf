//! What the parts of a search cost, in one unit: a row of a block bounded by its vector's code, some 40
//! nanoseconds. Only ratios matter, and only for effort.

/// A distance measured by the graph on its way: from a code that lies anywhere.
const WALKED: u64 = 3;
/// A row's distance measured in full.
const MEASURED: u64 = 4;
/// A look at a block, or at the zones below one.
const LOOK: u64 = 6;
/// The rows of a block bounded by their attributes.
const JUDGED: u64 = 12;
/// So many zones, of which all but the distances is known, are bounded at the price of one.
const TOGETHER: u64 = 8;

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

/// So many zones of a group bounded, of which all but how far the graph has seen is known.
pub(super) fn bound_again(boxes: u64) -> u64 {
    1 + boxes / TOGETHER
}

/// A visit to some blocks together that bounds by their codes, and measures, so many rows.
pub(super) fn visits(blocks: u64, bounded: u64, measured: u64) -> u64 {
    blocks * (LOOK + JUDGED) + bounded + measured * MEASURED
}
