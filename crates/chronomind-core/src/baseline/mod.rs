//! What the lock-free graph must beat: the same algorithm under locks.
//!
//! A comparison between two implementations of HNSW says little about locks, because everything else
//! differs too. Here the graph, the kernels and the memory are the same, and only the way that
//! threads keep out of each other's way differs: not at all ([`Graph`] itself), one lock around
//! everything ([`RwLockIndex`]), or a lock around each of sixteen smaller graphs ([`ShardedIndex`]).

mod locked;
mod sharded;

pub use locked::RwLockIndex;
pub use sharded::{SHARDS, ShardedIndex};

use crate::error::Result;
use crate::graph::{Graph, Inserter, NearSearch};

/// Buffers of one thread, kept from one call to the next.
#[derive(Default)]
pub struct Scratch {
    inserter: Inserter,
    search: NearSearch,
}

/// An index of vectors that many threads use at once.
pub trait VectorIndex: Sync {
    /// Adds the vector of `id`, in the bytes of a stored one. Ids are dense: the memory that is
    /// claimed covers all ids up to the highest.
    ///
    /// # Errors
    /// When the region is full; the index is as before.
    fn insert(&self, id: u32, vector: &[u8], scratch: &mut Scratch) -> Result<()>;

    /// Fills `out` with the `k` nearest ids and their distances, nearest first, as a beam of `ef`
    /// finds them. Empty for a query that has no distance from anything.
    fn search(
        &self,
        query: &[u8],
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
        out: &mut Vec<(u32, f64)>,
    );
}

impl VectorIndex for Graph<'_> {
    fn insert(&self, id: u32, vector: &[u8], scratch: &mut Scratch) -> Result<()> {
        let upper = self.reserve(id)?;
        self.store(id, upper, vector);
        self.link(id, &mut scratch.inserter);
        Ok(())
    }

    fn search(
        &self,
        query: &[u8],
        k: usize,
        ef: usize,
        scratch: &mut Scratch,
        out: &mut Vec<(u32, f64)>,
    ) {
        out.clear();
        let Some(probe) = self.probe(query) else {
            return;
        };
        let search = &mut scratch.search;
        // Never stopped, so there is no error.
        let _ = search.find(self, &probe, ef.max(k), &mut || false);
        let metric = self.config().metric;
        out.extend(
            search
                .nearest()
                .take(k)
                .map(|(id, key)| (id, metric.distance(key))),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::HeapRegion;
    use crate::distance::{Element, Metric};
    use crate::graph::GraphConfig;
    use crate::index::{Index, IndexConfig};

    const CONFIG: IndexConfig = IndexConfig {
        graph: GraphConfig {
            metric: Metric::L2,
            element: Element::F32,
            dimensions: 2,
            m: 8,
            ef_construction: 32,
            seed: 1,
        },
        attributes: 0,
    };

    fn point(id: u32) -> Vec<u8> {
        let angle = id as f32 * 2.4;
        let radius = (id as f32).sqrt();
        [radius * angle.cos(), radius * angle.sin()]
            .into_iter()
            .flat_map(f32::to_ne_bytes)
            .collect()
    }

    /// All three answer alike, whoever inserted what, as long as the beam covers everything.
    #[test]
    fn the_three_are_one_index() {
        const COUNT: u32 = 600;
        let heap = HeapRegion::new(64 << 20);
        let graph = || *Index::create(heap.region(), CONFIG).unwrap().graph();
        let free = graph();
        let locked = RwLockIndex::new(graph());
        let sharded = ShardedIndex::new(std::array::from_fn(|_| graph()));
        let indexes: [&dyn VectorIndex; 3] = [&free, &locked, &sharded];
        for index in indexes {
            std::thread::scope(|scope| {
                for thread in 0..4 {
                    scope.spawn(move || {
                        let mut scratch = Scratch::default();
                        for id in (thread..COUNT).step_by(4) {
                            index.insert(id, &point(id), &mut scratch).unwrap();
                        }
                    });
                }
            });
        }
        let mut scratch = Scratch::default();
        let mut answer = |index: &dyn VectorIndex, id| {
            let mut out = Vec::new();
            index.search(&point(id), 5, COUNT as usize, &mut scratch, &mut out);
            out
        };
        for id in 0..COUNT {
            let expected = answer(&free, id);
            assert_eq!((expected.len(), expected[0]), (5, (id, 0.0)));
            assert_eq!(answer(&locked, id), expected);
            assert_eq!(answer(&sharded, id), expected);
        }
    }
}
