//! The spanning tree where it is hardest to keep: few nodes and many threads, the smallest lists,
//! and pages that hold any marks at all.

mod common;

use std::sync::Barrier;
use std::sync::atomic::{AtomicU32, Ordering};

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::graph::{Graph, GraphConfig, Inserter, NearSearch};
use chronomind_core::index::{Index, IndexConfig};
use common::{Random, bytes, join};
use proptest::prelude::*;

fn config(metric: Metric, m: u32, seed: u64) -> IndexConfig {
    let graph = GraphConfig {
        metric,
        element: Element::F32,
        dimensions: 2,
        m,
        ef_construction: 8,
        seed,
    };
    IndexConfig {
        graph,
        attributes: 0,
    }
}

fn insert(graph: &Graph<'_>, id: u32, vector: [f32; 2], inserter: &mut Inserter) {
    let upper = graph.reserve(id).unwrap();
    assert!(graph.store(id, upper, &bytes(&vector)));
    graph.link(id, inserter);
}

fn reachable(graph: &Graph<'_>) -> usize {
    let probe = graph.probe(&bytes(&[0.0, 1.0])).unwrap();
    let mut search = NearSearch::new();
    let all = graph.len() as usize + 1;
    search.find(graph, &probe, all, &mut || false).unwrap();
    search.nearest().len()
}

/// All threads begin with the same empty graph, so that most find nobody who is linked already.
#[test]
fn the_first_nodes_of_many_threads_find_each_other() {
    const THREADS: u32 = 24;
    for round in 0..200_u64 {
        let heap = HeapRegion::new(4 << 20);
        let m = 2 + (round % 3) as u32;
        let index = Index::create(heap.region(), config(Metric::L2, m, round)).unwrap();
        let graph = index.graph();
        let barrier = Barrier::new(THREADS as usize);
        let writing = AtomicU32::new(THREADS);
        let check = || {
            while writing.load(Ordering::Acquire) > 0 {
                graph.check(&mut || false).unwrap();
            }
        };
        let insert = |id: u32| {
            let mut inserter = Inserter::default();
            let upper = graph.reserve(id).unwrap();
            assert!(graph.store(id, upper, &bytes(&[id as f32 / 5.0, 1.0])));
            barrier.wait();
            graph.link(id, &mut inserter);
            writing.fetch_sub(1, Ordering::Release);
        };
        std::thread::scope(|scope| {
            let mut threads = vec![scope.spawn(check)];
            threads.extend((0..THREADS).map(|id| scope.spawn(move || insert(id))));
            join(threads);
        });
        let report = graph.check(&mut || false).unwrap();
        assert_eq!((report.live, reachable(graph)), (THREADS, THREADS as usize));
    }
}

#[test]
fn a_check_follows_newcomers_that_have_become_the_entry_point() {
    let heap = HeapRegion::new(4 << 20);
    let config = config(Metric::L2, 2, 1);
    let index = Index::create(heap.region(), config).unwrap();
    let graph = index.graph();
    let mut inserter = Inserter::default();
    let mut id = 0;
    let mut insert_next = || {
        insert(graph, id, [id as f32, 1.0], &mut inserter);
        id += 1;
    };
    insert_next();
    let first = graph.entry();
    let report = graph.check(&mut || {
        // The check has begun.
        while graph.entry() == first {
            insert_next();
        }
        false
    });
    assert_eq!(report.unwrap().live, 1);
}

/// The nearest of all are the same few nodes, which soon have children enough: looking for another
/// parent must not grow with the graph. (It took tens of seconds when it did.)
#[test]
fn popular_nodes_do_not_slow_inserts_down() {
    for (metric, m) in [(Metric::InnerProduct, 4), (Metric::L2, 2)] {
        let heap = HeapRegion::new(64 << 20);
        let index = Index::create(heap.region(), config(metric, m, 1)).unwrap();
        let graph = index.graph();
        let mut inserter = Inserter::default();
        for id in 0..20_000_u32 {
            let (sin, cos) = (id as f32 * 0.7).sin_cos();
            let far = if id < 64 { 10.0 } else { 1.0 };
            insert(graph, id, [far * sin, far * cos], &mut inserter);
        }
        assert_eq!(graph.check(&mut || false).unwrap().live, 20_000);
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 300,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    /// Whatever the pages say, everything is reached from everything afterwards, which shows when
    /// any of them becomes the entry point.
    #[test]
    fn a_tree_grows_from_any_marks(
        seed in 1_u64..1_000_000,
        count in 1_u32..40,
        m in 2_u32..5,
        marked in 0_usize..=4,
    ) {
        let heap = HeapRegion::new(8 << 20);
        let index = Index::create(heap.region(), config(Metric::L2, m, seed)).unwrap();
        let graph = index.graph();
        let mut random = Random(seed);
        let point = |random: &mut Random| [random.normal(), random.below(4) as f32];
        for id in 0..count {
            let upper = graph.reserve(id).unwrap();
            graph.store(id, upper, &bytes(&point(&mut random)));
        }
        for id in 0..count {
            let length = random.below(2 * m as usize + 1);
            let words: Vec<u32> = (0..length)
                .map(|_| {
                    let near = random.below(8) as u32 + id.saturating_sub(4);
                    let spanning = u32::from(random.below(4) < marked) << 30;
                    let pruned = u32::from(random.below(2) == 0) << 31;
                    (near.min(count - 1) + 1) | spanning | pruned
                })
                .collect();
            graph.restore_list(id, 0, &words, count);
        }
        let mut inserter = Inserter::default();
        let unlinked: Vec<u32> = (0..count).filter(|&id| !graph.finish_restore(id)).collect();
        graph.reconnect(&mut inserter, &mut || false).unwrap();
        for id in unlinked {
            graph.link(id, &mut inserter);
        }
        prop_assert_eq!(graph.check(&mut || false).unwrap().live, count);
        prop_assert_eq!(reachable(graph), count as usize);
        for id in count..count + 60 {
            insert(graph, id, point(&mut random), &mut inserter);
            prop_assert_eq!(graph.check(&mut || false).unwrap().live, id + 1);
            prop_assert_eq!(reachable(graph), id as usize + 1);
        }
    }
}
