//! The graph as the stream of near rows that a scan merges with its zones.

use super::beam::Visited;
use super::{Graph, NearSearch, Probe};
use crate::distance::Metric;
use crate::primitive::AtomicU32;
use crate::scan::Near;

/// The most nodes that one step adds to the window.
const LARGEST_STEP: usize = 1024;

/// A search of the graph for one query, widened step by step.
pub struct GraphNear<'r> {
    graph: Graph<'r>,
    probe: Probe,
    search: NearSearch,
    ef: usize,
    window: usize,
    drained: Visited,
    frontier: f64,
}

impl<'r> GraphNear<'r> {
    /// A search that has not begun; its first window holds `ef` nodes.
    pub fn new(graph: Graph<'r>, probe: Probe, ef: usize) -> GraphNear<'r> {
        let frontier = match graph.config().metric {
            Metric::InnerProduct => f64::NEG_INFINITY,
            Metric::L2 | Metric::Cosine | Metric::L1 => 0.0,
        };
        GraphNear {
            graph,
            probe,
            search: NearSearch::new(),
            ef,
            window: 0,
            drained: Visited::default(),
            frontier,
        }
    }

    /// Memory of the search, in bytes.
    pub fn bytes(&self) -> usize {
        self.search.bytes() + self.drained.bytes()
    }
}

impl Near for GraphNear<'_> {
    fn advance(&mut self) -> bool {
        if self.search.exhausted() {
            return false;
        }
        self.window += self.window.clamp(self.ef, LARGEST_STEP.max(self.ef));
        // A step is short, so it is never stopped: the caller looks for interrupts between steps.
        let _ = self
            .search
            .widen(&self.graph, &self.probe, self.window, &mut || false);
        // The far half of a beam is not expanded as thoroughly as the near half, so only that one
        // counts as seen.
        if let Some((_, key)) = self.search.nearest().take(self.window / 2 + 1).last() {
            self.frontier = self.frontier.max(self.graph.config().metric.distance(key));
        }
        true
    }

    fn drain(&mut self, settled: &mut Vec<(u32, f64)>) {
        for (id, key) in self.search.nearest() {
            if self.drained.insert(id) {
                settled.push((id, self.graph.config().metric.distance(key)));
            }
        }
    }

    fn frontier(&self) -> f64 {
        self.frontier
    }

    fn cost(&self) -> u64 {
        self.search.measured()
    }

    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>) {
        self.graph
            .distances(&self.probe, nodes, |_, distance| distances.push(distance));
    }

    fn head(&self, node: u32) -> &AtomicU32 {
        self.graph.postings_of(node)
    }
}
