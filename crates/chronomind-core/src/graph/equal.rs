//! Which node has exactly this vector? A hash table from the bytes of vectors to nodes.
//!
//! Every row version is an index entry of its own, so an UPDATE of anything brings the vector of the
//! old version once more. It must become a row of the same node, and finding that by distance takes a
//! walk of the graph, which may miss it.
//!
//! A table that grows as the graph does would have to be moved while others read it. So there is one for
//! each doubling of the ids, which is as large as these are many and never moves: the id of a node tells
//! its table, the hash of its vector the [bucket](super::bucket). A look-up goes through one bucket of
//! each table, with one node in it on average: with a million nodes these are seven. A node has its
//! place in a table as soon as it has memory at all, so none that has a vector is ever missing: it is in
//! its bucket from before it is `Stored` until it has been `Dead` for a while.
//!
//! Vectors are equal when their bytes are. Two that are inserted at the same time may still get a node
//! each, neither being linked when the other is looked for.

use std::hash::BuildHasher;

use foldhash::fast::FixedState;

use super::Graph;
use super::bucket::Bucket;
use super::node::{State, bucket_head};
use crate::arena::RecordShape;
use crate::error::Result;
use crate::primitive::AtomicU32;

/// Buckets of the first table: a unit of the region.
const FIRST: u32 = 1 << 14;

/// How buckets lie in the region: all tables in one array, a table from the place that its first
/// node has among the nodes.
pub(super) fn shape() -> RecordShape {
    RecordShape::new(size_of::<AtomicU32>())
}

/// Bytes of the region that the tables for so many nodes take.
pub(super) fn bytes(nodes: u64) -> u64 {
    shape().bytes(nodes.next_power_of_two().max(u64::from(FIRST)))
}

/// A power of two of buckets, for the nodes with as many ids from the same number on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Table {
    first: u32,
    buckets: u32,
}

impl Table {
    /// That of a node.
    fn of(id: u32) -> Table {
        let first = if id < FIRST { 0 } else { 1 << id.ilog2() };
        Table {
            first,
            buckets: first.max(FIRST),
        }
    }

    /// Those of all nodes below `len`.
    fn all(len: u32) -> impl Iterator<Item = Table> {
        let from = move |id| (id < len).then(|| Table::of(id));
        std::iter::successors(from(0), move |table| from(table.first + table.buckets))
    }

    /// The place of the bucket for a hash.
    fn bucket(&self, hash: u32) -> u32 {
        self.first + (hash & (self.buckets - 1))
    }
}

/// The hash of a stored vector: the same in every process of a server.
pub(super) fn hash(vector: &[u8]) -> u32 {
    FixedState::default().hash_one(vector) as u32
}

impl<'r> Graph<'r> {
    /// A node in the given state that has exactly these bytes as its vector, if there is one. Under a
    /// pin, or while nobody calls [`Graph::unlink`].
    ///
    /// A row that is to be seen may become one of a node that is `Live`, if no node dies meanwhile (see
    /// [`Graph::retire`]). Searches do not reach those that are not linked.
    pub fn find_equal(&self, vector: &[u8], state: State) -> Option<u32> {
        let hash = hash(vector);
        let is_it = |&id: &u32| {
            let node = self.node(id);
            node.hash() == hash && node.state() == state && node.vector() == vector
        };
        // Ids need not come in order, so that a table may have no node, nor memory, before a later one has.
        Table::all(self.len())
            .filter(|table| self.has_buckets(*table))
            .find_map(|table| self.bucket(table, hash).nodes().find(is_it))
    }

    /// Whether a node that has a vector is in its bucket. As [`Graph::find_equal`].
    pub(super) fn is_listed(&self, id: u32) -> bool {
        let bucket = self.bucket(Table::of(id), self.node(id).hash());
        bucket.nodes().any(|listed| listed == id)
    }

    /// Makes sure that there is a bucket for node `id`.
    ///
    /// # Errors
    /// When the region is full.
    pub(super) fn reserve_bucket(&self, id: u32) -> Result<()> {
        let table = Table::of(id);
        if self.has_buckets(table) {
            return Ok(());
        }
        // From the first to the last, which tells of all.
        (table.first..table.first + table.buckets)
            .step_by(shape().per_extent())
            .try_for_each(|bucket| self.buckets.reserve(bucket))
    }

    fn has_buckets(&self, table: Table) -> bool {
        let last = table.first + table.buckets - 1;
        self.buckets.is_reserved(last)
    }

    /// Puts a node into its bucket. For whoever stores its vector.
    pub(super) fn enlist(&self, id: u32, vector: &[u8]) {
        let hash = hash(vector);
        self.node(id).set_hash(hash);
        self.bucket(Table::of(id), hash).push(id);
    }

    /// Takes a node out of its bucket, if it is in. Its vector is there still, and nobody else takes
    /// nodes out meanwhile.
    pub(super) fn strike_off(&self, id: u32) {
        let bucket = self.bucket(Table::of(id), self.node(id).hash());
        bucket.remove(id);
    }

    fn bucket(
        &self,
        table: Table,
        hash: u32,
    ) -> Bucket<'r, impl Fn(u32) -> &'r AtomicU32 + use<'r>> {
        let graph = *self;
        let head = bucket_head(&self.buckets, table.bucket(hash));
        Bucket::new(head, move |id| &graph.node(id).header.next_in_bucket)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::UNIT;

    #[test]
    fn tables_lie_one_behind_the_other() {
        let mut free = 0;
        for table in Table::all(1 << 30) {
            assert_eq!((table.first, free % FIRST), (free, 0));
            for id in [table.first, table.first + table.buckets - 1] {
                assert_eq!(Table::of(id), table);
            }
            for hash in [0, 1, 12_345_678, u32::MAX] {
                let bucket = table.bucket(hash);
                assert!((free..free + table.buckets).contains(&bucket));
            }
            free += table.buckets;
        }
        assert_eq!(free, 1 << 30);
        assert_eq!(Table::all(0).count(), 0);
        assert_eq!(Table::all(FIRST).count(), 1);
        assert_eq!(Table::all(FIRST + 1).count(), 2);
        assert_eq!(Table::all(1_000_000).count(), 7);
    }

    #[test]
    fn the_memory_of_all_tables_is_counted() {
        assert_eq!(shape().per_extent(), FIRST as usize);
        for nodes in [0, 1, FIRST, FIRST + 1, 100_000] {
            let buckets: u64 = Table::all(nodes)
                .map(|table| u64::from(table.buckets))
                .sum();
            assert_eq!(bytes(u64::from(nodes)), (4 * buckets).max(UNIT as u64));
        }
    }
}
