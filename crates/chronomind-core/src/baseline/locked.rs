//! One lock around the whole graph: searches share it, an insert has it to itself.

use std::sync::{PoisonError, RwLock};

use super::{Scratch, VectorIndex};
use crate::error::Result;
use crate::graph::Graph;

/// A graph behind one reader-writer lock.
pub struct RwLockIndex<'r> {
    graph: RwLock<Graph<'r>>,
}

impl<'r> RwLockIndex<'r> {
    /// Puts a graph, which nobody else may use, behind a lock.
    pub fn new(graph: Graph<'r>) -> RwLockIndex<'r> {
        RwLockIndex {
            graph: RwLock::new(graph),
        }
    }
}

// A panic elsewhere poisons the lock, but the graph behind it is valid at any moment.
impl VectorIndex for RwLockIndex<'_> {
    fn insert(&self, id: u32, vector: &[u8], scratch: &mut Scratch) -> Result<()> {
        let graph = self.graph.write().unwrap_or_else(PoisonError::into_inner);
        graph.insert(id, vector, scratch)
    }

    fn search(
        &self,
        query: &[u8],
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
        out: &mut Vec<(u32, f64)>,
    ) {
        let graph = self.graph.read().unwrap_or_else(PoisonError::into_inner);
        graph.search(query, k, ef, scratch, out);
    }
}
