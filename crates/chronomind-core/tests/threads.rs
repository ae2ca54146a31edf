//! One graph, several threads: writers, searchers and the structural check all at once.

mod common;

use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::graph::{Graph, GraphConfig, Inserter, NearSearch, State};
use chronomind_core::index::{Index, IndexConfig};
use common::{Data, Random, bytes};

const ROWS: u32 = 6_000;
const WRITERS: u32 = 4;

/// Small lists, so that most links back meet a full one, and vectors that come twice, so that ties
/// abound.
#[test]
fn inserts_searches_and_checks_get_along() {
    let data = Data::generated(ROWS as usize / 2);
    let heap = HeapRegion::new(64 << 20);
    let config = IndexConfig {
        graph: GraphConfig {
            metric: Metric::L2,
            element: Element::F32,
            dimensions: data.dimensions as u32,
            m: 6,
            ef_construction: 48,
            seed: 11,
        },
        attributes: 0,
    };
    let index = Index::create(heap.region(), config).unwrap();
    let graph = index.graph();
    let vector = |id: u32| bytes(data.row(id as usize % data.len()));
    let next = AtomicU32::new(0);
    let writing = AtomicU32::new(WRITERS);
    let write = || {
        let mut inserter = Inserter::default();
        loop {
            let id = next.fetch_add(1, Ordering::Relaxed);
            if id >= ROWS {
                break;
            }
            let upper = graph.reserve(id).unwrap();
            assert!(graph.store(id, upper, &vector(id)));
            graph.link(id, &mut inserter);
        }
        writing.fetch_sub(1, Ordering::Release);
    };
    let searched = AtomicBool::new(false);
    let search = |seed| {
        let mut random = Random(seed);
        let mut search = NearSearch::new();
        while writing.load(Ordering::Acquire) > 0 {
            let query = data.row(random.below(data.len()));
            check_search(graph, query, &mut search);
            searched.store(true, Ordering::Relaxed);
        }
    };
    let check = || {
        let mut live = 0;
        while writing.load(Ordering::Acquire) > 0 {
            let report = graph.check(&mut || false).unwrap();
            assert!(report.live >= live, "a live node is gone");
            live = report.live;
        }
    };
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            scope.spawn(write);
        }
        scope.spawn(|| search(1));
        scope.spawn(|| search(2));
        scope.spawn(check);
    });
    assert!(searched.into_inner());

    let report = graph.check(&mut || false).unwrap();
    assert_eq!((report.live, report.unlinked), (ROWS, 0));
    let mut search = NearSearch::new();
    let found = (0..ROWS)
        .filter(|&id| {
            let probe = graph.probe(&vector(id)).unwrap();
            search.find(graph, &probe, 64, &mut || false).unwrap();
            search.nearest().any(|(found, _)| found == id)
        })
        .count() as u32;
    assert!(found * 100 >= ROWS * 98, "{found} of {ROWS} found");
}

/// In order, without doubles, never to a node without a vector, and with each node's own distance.
fn check_search(graph: &Graph<'_>, query: &[f32], search: &mut NearSearch) {
    let probe = graph.probe(&bytes(query)).unwrap();
    search.find(graph, &probe, 40, &mut || false).unwrap();
    let mut seen = Vec::new();
    let mut last = f32::NEG_INFINITY;
    for (id, key) in search.nearest() {
        assert!(key >= last && !seen.contains(&id));
        assert!(matches!(graph.state(id), State::Linking | State::Live));
        let distance = graph.distance(&probe, id);
        assert!((f64::from(key).sqrt() - distance).abs() <= 1e-3 * (1.0 + distance));
        last = key;
        seen.push(id);
    }
}
