//! The graph as the stream of near rows that a scan merges with its zones.
//!
//! Nodes are settled one after the other, each when its neighbours have been measured, so that the
//! search stops as soon as the scan has what it needs. The first `ef` are found by a beam; when all in it
//! are settled, the nearest of all that the walk has met is the next, again and again.
//!
//! # How far everything has been seen
//!
//! A walk that has settled all it met up to some distance `x` has not met all nodes that are that
//! near: it misses some that it could only have reached through others still farther away. How many
//! depends on the query much more than on the number of nodes settled: a query amid its neighbours
//! loses nothing where one that lies between clusters loses everything. What tells the two apart is
//! how much farther the walk has gone than the nodes that are wanted (Al-Jazzazi et al. 2025,
//! "Distance Adaptive Beam Search", prove it for navigable graphs). So under [`Care::Thorough`]
//! everything counts as seen up to `x` less a tenth. Where distances hardly differ a tenth may never be
//! reached, and inner products have no scale; it is enough, then, to have settled twice as many
//! nodes, and three times `ef` more, which serves small numbers of wanted rows as well as large ones.
//! Under [`Care::Plain`] it is twice as many, two and a half times beyond the first `ef`, and nothing
//! else: how careful an order by distance is, `ef` alone decides.
//!
//! # Products that overflow
//!
//! Where the sum of products of the query and a stored vector may overflow, the distance may be NaN, which
//! is nowhere in an order by distance that a graph could follow. Such a query is not searched for in the
//! graph, and the scan gets every row from its zones.
//!
//! # When nodes die meanwhile
//!
//! A search may be continued when those that it has met are gone ([`unlink`](super::unlink)). A dead or
//! free node is not settled: it has no rows that the search is for, and its vector may be overwritten.
//! And where all ways on led through such nodes the walk is at its end long before the graph is, so it
//! begins again if any have left.

use super::search::Walk;
use super::{Graph, Probe};
use crate::distance::Metric;
use crate::primitive::AtomicU32;
use crate::scan::{Bracket, Care, Near};

/// The nodes settled in one step: a part of those before, and at least so many.
const STEP_PART: usize = 16;
const STEP: usize = 8;
/// At most so many; and as many while the first `ef` are looked for, before which nobody can use any.
const LARGEST_STEP: usize = 64;

/// The part of the settled nodes that is sure under [`Care::Plain`] beyond the first `ef`.
const SURE: (usize, usize) = (2, 5);

/// A search of the graph for one query, continued step by step.
pub struct GraphNear<'r> {
    graph: Graph<'r>,
    probe: Probe,
    ef: usize,
    overflows: bool,
    walk: Walk,
    stage: Stage,
    /// How often dead nodes had left the graph when the walk began.
    departures: u32,
    /// Nodes settled since they were last asked for.
    settled: Vec<u32>,
    /// Keys by which they were settled, of all of them, ascending.
    keys: Vec<f32>,
    brackets: Vec<Bracket>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Stage {
    New,
    /// The first `ef` nodes are being looked for.
    First,
    Further,
    Exhausted,
    /// Nobody wants more of it.
    Released,
}

impl<'r> GraphNear<'r> {
    /// A search that has not begun, with a beam of `ef` nodes.
    pub fn new(graph: Graph<'r>, probe: Probe, ef: usize) -> GraphNear<'r> {
        GraphNear {
            overflows: graph.overflows(&probe),
            graph,
            probe,
            ef,
            walk: Walk::default(),
            stage: Stage::New,
            departures: 0,
            settled: Vec::new(),
            keys: Vec::new(),
            brackets: Vec::new(),
        }
    }

    fn metric(&self) -> Metric {
        self.graph.config().metric
    }

    /// The distance of the settled node at a place in their order, if there is one that is a number.
    fn settled_at(&self, place: Option<usize>) -> Option<f64> {
        let key = self.keys.get(place?).filter(|key| !key.is_nan())?;
        Some(self.metric().distance(*key))
    }
}

/// How much farther than a distance a walk has to go: a tenth. The cosine distance is half the square
/// of one that obeys the triangle inequality, and the inner product is none.
fn margin(metric: Metric) -> Option<f64> {
    match metric {
        Metric::L2 | Metric::L1 => Some(1.1),
        Metric::Cosine => Some(1.1 * 1.1),
        Metric::InnerProduct => None,
    }
}

impl Near for GraphNear<'_> {
    fn advance(&mut self) -> bool {
        if self.overflows || self.stage == Stage::Released {
            return false;
        }
        if self.stage == Stage::New {
            self.departures = self.graph.departures();
            self.keys.clear();
            self.graph.enter(&mut self.walk, &self.probe, self.ef, true);
            self.stage = Stage::First;
        }
        let most = match self.stage {
            Stage::First => LARGEST_STEP,
            _ => (self.keys.len() / STEP_PART).clamp(STEP, LARGEST_STEP),
        };
        for _ in 0..most {
            match self.graph.expand_next(&mut self.walk, &self.probe, 0) {
                Some(candidate) if self.graph.has_rows(candidate.id()) => {
                    let at = self
                        .keys
                        .partition_point(|key| key.total_cmp(&candidate.key()).is_le());
                    self.keys.insert(at, candidate.key());
                    self.settled.push(candidate.id());
                }
                Some(_) => {}
                None => break,
            }
        }
        if self.walk.beam.peek().is_none() {
            self.stage = if self.stage == Stage::First && self.walk.beam.open() {
                Stage::Further
            } else if self.departures != self.graph.departures() {
                Stage::New
            } else {
                Stage::Exhausted
            };
        }
        self.stage != Stage::Exhausted
    }

    fn drain(&mut self, settled: &mut Vec<(u32, Bracket)>) {
        // Their codes have been measured just now, and are at hand.
        self.graph
            .brackets(&self.probe, &self.settled, &mut self.brackets);
        settled.extend(self.settled.drain(..).zip(self.brackets.drain(..)));
    }

    fn frontier(&self, care: Care) -> f64 {
        let least = match self.metric() {
            Metric::InnerProduct => f64::NEG_INFINITY,
            Metric::L2 | Metric::Cosine | Metric::L1 => 0.0,
        };
        let next = match self.stage {
            Stage::New | Stage::First | Stage::Released => return least,
            Stage::Further => self.walk.beam.peek(),
            Stage::Exhausted => None,
        };
        let Some(next) = next.map(|candidate| candidate.key()) else {
            return f64::INFINITY;
        };
        let settled = self
            .keys
            .partition_point(|key| key.total_cmp(&next).is_lt());
        match care {
            Care::Plain => {
                let sure = match settled > self.ef {
                    true => settled / SURE.1 * SURE.0,
                    false => settled / 2,
                };
                self.settled_at(Some(sure)).unwrap_or(least)
            }
            Care::Thorough => {
                let margin = margin(self.metric()).map(|by| self.metric().distance(next) / by);
                let many = settled.checked_sub(3 * self.ef).map(|beyond| beyond / 2);
                margin
                    .unwrap_or(least)
                    .max(self.settled_at(many).unwrap_or(least))
            }
        }
    }

    fn cost(&self) -> u64 {
        self.walk.measured
    }

    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>) {
        self.graph
            .distances(&self.probe, nodes, |_, distance| distances.push(distance));
    }

    fn brackets(&mut self, nodes: &[u32], brackets: &mut Vec<Bracket>) {
        self.graph.brackets(&self.probe, nodes, brackets);
    }

    fn head(&self, node: u32) -> &AtomicU32 {
        self.graph.postings_of(node)
    }

    fn overflows(&self) -> bool {
        self.overflows
    }

    fn release(&mut self) {
        let measured = self.walk.measured;
        self.walk = Walk::default();
        self.walk.measured = measured;
        (self.settled, self.keys) = (Vec::new(), Vec::new());
        self.stage = Stage::Released;
    }

    fn bytes(&self) -> usize {
        self.walk.bytes()
            + self.keys.capacity() * size_of::<f32>()
            + self.settled.capacity() * size_of::<u32>()
            + self.brackets.capacity() * size_of::<Bracket>()
    }
}
