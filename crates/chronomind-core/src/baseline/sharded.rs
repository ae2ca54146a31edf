//! Sixteen graphs, each behind its own lock: an insert stops a sixteenth of the index, and a search
//! pays for that by visiting every shard.

use super::locked::RwLockIndex;
use super::{Scratch, VectorIndex};
use crate::error::Result;
use crate::graph::Graph;

/// Shards of a [`ShardedIndex`].
pub const SHARDS: usize = 16;

/// An index split by id.
pub struct ShardedIndex<'r> {
    shards: [RwLockIndex<'r>; SHARDS],
}

impl<'r> ShardedIndex<'r> {
    /// Puts each graph, which nobody else may use, behind a lock.
    pub fn new(graphs: [Graph<'r>; SHARDS]) -> ShardedIndex<'r> {
        ShardedIndex {
            shards: graphs.map(RwLockIndex::new),
        }
    }
}

impl VectorIndex for ShardedIndex<'_> {
    fn insert(&self, id: u32, vector: &[u8], scratch: &mut Scratch) -> Result<()> {
        let shards = SHARDS as u32;
        self.shards[(id % shards) as usize].insert(id / shards, vector, scratch)
    }

    fn search(
        &self,
        query: &[u8],
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
        out: &mut Vec<(u32, f64)>,
    ) {
        let mut all = Vec::with_capacity(SHARDS * k);
        for (at, shard) in self.shards.iter().enumerate() {
            shard.search(query, k, ef, scratch, out);
            all.extend(
                out.iter()
                    .map(|&(id, distance)| (id * SHARDS as u32 + at as u32, distance)),
            );
        }
        all.sort_unstable_by(|a, b| a.1.total_cmp(&b.1));
        all.truncate(k);
        out.clear();
        out.append(&mut all);
    }
}
