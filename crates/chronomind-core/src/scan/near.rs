//! What the search asks of the graph.

use crate::primitive::AtomicU32;

/// How sure the search must be that the graph has missed nothing.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Care {
    /// As sure as a search for the nearest is.
    Plain,
    /// Surer: its answer is compared with rows from elsewhere, or has to be among the few that pass.
    Thorough,
}

/// Two distances that one lies between. It is known where they are the same.
pub type Bracket = (f64, f64);

/// Nodes in order of their distance to the query, and the distance of any node.
pub trait Near {
    /// Takes one bounded step. False when there was none left to take.
    fn advance(&mut self) -> bool;

    /// Appends the nodes settled since the last call, each with a distance that its is not below and one
    /// that it is not above. No node comes twice for nothing, but it may.
    fn drain(&mut self, settled: &mut Vec<(u32, Bracket)>);

    /// Every node nearer than this has been settled, as far as the graph can tell. Before the first
    /// step: the least distance there is.
    fn frontier(&self, care: Care) -> f64;

    /// Distances computed by the steps so far; those of [`Near::measure`] are the caller's to count.
    fn cost(&self) -> u64;

    /// Appends the distances of some nodes, in their order. A node's is always the same, to the bit.
    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>);

    /// Appends for some nodes, in their order, a distance that theirs is not below and one that it is not
    /// above: cheaper than to measure them.
    fn brackets(&mut self, nodes: &[u32], brackets: &mut Vec<Bracket>);

    /// The head of a node's chain of postings.
    fn head(&self, node: u32) -> &AtomicU32;

    /// Memory of the stream, in bytes.
    fn bytes(&self) -> usize;

    /// Lets go of that memory. The stream settles nothing any more and has seen nothing for sure; it goes on
    /// telling distances.
    fn release(&mut self);

    /// Whether the distance of a node may be NaN. The stream has nothing to give then, and its frontier stays
    /// where it is.
    fn overflows(&self) -> bool;

    /// The distance of every row that has a vector, where it is the same for all of them.
    fn fixed(&self) -> Option<Fixed> {
        None
    }
}

/// The distance of every vector from a query that has no distance from anything.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fixed {
    /// The query is NULL.
    Null,
    /// The query has no direction: a zero vector under cosine.
    NaN,
}

impl Fixed {
    pub(super) fn distance(self) -> Option<f64> {
        match self {
            Fixed::Null => None,
            Fixed::NaN => Some(f64::NAN),
        }
    }
}

/// The stream of such a query: nothing is near it, and every row comes from the zones.
impl Near for Fixed {
    fn advance(&mut self) -> bool {
        false
    }

    fn drain(&mut self, _settled: &mut Vec<(u32, Bracket)>) {}

    fn frontier(&self, _care: Care) -> f64 {
        f64::INFINITY
    }

    fn cost(&self) -> u64 {
        0
    }

    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>) {
        distances.extend(nodes.iter().map(|_| f64::NAN));
    }

    fn brackets(&mut self, nodes: &[u32], brackets: &mut Vec<Bracket>) {
        brackets.extend(nodes.iter().map(|_| (f64::NEG_INFINITY, f64::INFINITY)));
    }

    fn overflows(&self) -> bool {
        false
    }

    fn head(&self, _node: u32) -> &AtomicU32 {
        static NONE: AtomicU32 = AtomicU32::new(0);
        &NONE
    }

    fn bytes(&self) -> usize {
        0
    }

    fn release(&mut self) {}

    fn fixed(&self) -> Option<Fixed> {
        Some(*self)
    }
}
