//! The search against a linear scan, over a graph that is perfect, lossy or not there.

mod changing;
mod deferred;
mod effort;
mod exact;
mod world;

use std::collections::{HashMap, HashSet};

use proptest::prelude::*;

use super::*;
use crate::arena::{HeapRegion, UNIT};
use crate::postings::{Condition, Test};
use crate::score::{Ranking, encode_float, encode_int, rank};
use world::*;

/// More than enough.
const MEMORY: usize = 1 << 24;

/// A search for all rows.
fn unfiltered(order: &AnyOrder, wanted: usize, memory: usize) -> Scan<AnyOrder> {
    let filter = Filter::default();
    Scan::new(order.clone(), filter, None, ATTRIBUTES, wanted, memory)
}

/// Checks that the rows are those of the linear scan, each once, with their scores.
fn check_set(
    order: &AnyOrder,
    found: &[Found],
    expected: &HashMap<u32, u64>,
) -> std::result::Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    let mut seen = HashSet::new();
    for row in found {
        prop_assert!(seen.insert(row.posting), "{} came twice", row.posting);
        prop_assert_eq!(expected.get(&row.posting), Some(&order.rank_of(row.score)));
        prop_assert_eq!(row.tid, u64::from(row.posting) + 1);
    }
    Ok(())
}

fn is_ascending(order: &AnyOrder, found: impl IntoIterator<Item = Found>) -> bool {
    let ranks = found.into_iter().map(|row| order.rank_of(row.score));
    ranks.is_sorted()
}

/// Pseudo-random numbers below 1.
fn uniform(seed: u64) -> f64 {
    let word = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((word ^ word >> 32) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A stream of rows, one an hour, each with a vector of its own at a distance that has nothing to
/// do with its time, close together as in high dimensions.
fn stream<'r>(heap: &'r HeapRegion, rows: u32) -> (World<'r>, Vec<Model>) {
    let distances = (0..u64::from(rows))
        .map(|i| 0.4 + 0.6 * uniform(i).powf(0.3))
        .collect();
    let world = World::new(heap, distances);
    let models = (0..rows).map(|id| Model {
        id,
        at: At::Node(id),
        keys: [
            Some(encode_int((i64::from(id) - i64::from(rows)) * HOUR)),
            Some(encode_float(uniform(u64::from(id) + 1_000_000))),
            None,
            Some(encode_int(i64::from(id % 1_000))),
        ],
        dead: false,
    });
    let models: Vec<Model> = models.collect();
    models.iter().for_each(|model| world.publish(model));
    (world, models)
}
