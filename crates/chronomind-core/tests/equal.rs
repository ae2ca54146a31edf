//! A vector finds its node whenever there is one, and no other.

mod common;

use std::collections::{BTreeSet, HashMap};
use std::sync::atomic::AtomicU64;

use chronomind_core::arena::{HeapRegion, UNIT};
use chronomind_core::distance::{Element, Metric};
use chronomind_core::epoch::Epochs;
use chronomind_core::graph::{Graph, GraphConfig, Inserter, State};
use chronomind_core::index::{Index, IndexConfig};
use common::{Random, bytes, patient};
use proptest::prelude::*;

fn config(metric: Metric, element: Element, dimensions: u32) -> IndexConfig {
    let graph = GraphConfig {
        metric,
        element,
        dimensions,
        m: 4,
        ef_construction: 16,
        seed: 3,
    };
    IndexConfig {
        graph,
        attributes: 0,
    }
}

fn store(graph: &Graph<'_>, id: u32, vector: &[u8]) {
    let upper = graph.reserve(id).unwrap();
    assert!(graph.store(id, upper, vector));
}

#[test]
fn an_equal_vector_is_one_with_the_same_bytes() {
    for metric in Metric::ALL {
        let heap = HeapRegion::new(16 << 20);
        let index = Index::create(heap.region(), config(metric, Element::F32, 2)).unwrap();
        let graph = index.graph();
        // The same direction, the same value by `=`, and less than any distance can tell.
        let vectors = [[1.0, 0.0], [2.0, 0.0], [1.0, -0.0], [1.0, 1e-30]].map(|v| bytes(&v));
        for (id, vector) in (0..).zip(&vectors) {
            assert_eq!(graph.find_equal(vector, State::Stored), None);
            store(graph, id, vector);
            graph.link(id, &mut Inserter::default());
        }
        for (id, vector) in (0..).zip(&vectors) {
            assert_eq!(graph.find_equal(vector, State::Live), Some(id));
        }
    }
}

#[test]
fn the_linked_one_of_two_that_are_equal_is_found() {
    let heap = HeapRegion::new(16 << 20);
    let config = config(Metric::Cosine, Element::F16, 2);
    let index = Index::create(heap.region(), config).unwrap();
    let graph = index.graph();
    let vector = [1, 2, 3, 4];
    // Two that were inserted at the same time, of which one is not ready.
    for linked in [0, 1] {
        store(graph, 2 * linked, &vector);
        store(graph, 2 * linked + 1, &vector);
        graph.link(2 * linked + linked, &mut Inserter::default());
        assert_eq!(
            graph.find_equal(&vector, State::Live),
            Some(2 * linked + linked)
        );
        assert!(graph.retire(2 * linked + linked));
        assert_eq!(graph.find_equal(&vector, State::Live), None);
    }
}

/// Over several tables, and with ids that do not come in order.
#[test]
fn a_graph_that_grows_finds_all() {
    const NODES: u32 = 70_000;
    let heap = HeapRegion::new(64 << 20);
    let config = config(Metric::L2, Element::F32, 1);
    let index = Index::create(heap.region(), config).unwrap();
    let graph = index.graph();
    let vector = |id: u32| id.to_ne_bytes();
    for id in (0..NODES).step_by(2).rev().chain((1..NODES).step_by(2)) {
        store(graph, id, &vector(id));
    }
    for id in 0..NODES {
        assert_eq!(graph.find_equal(&vector(id), State::Stored), Some(id));
    }
    for id in NODES..2 * NODES {
        assert_eq!(graph.find_equal(&vector(id), State::Stored), None);
    }
    // Each of the arrays has a unit that says where its extents are.
    let counted = config.graph.bytes(u64::from(NODES)) + 4 * UNIT as u64;
    assert!(graph.bytes_held() <= counted);
}

/// Taking many that are equal out of their bucket takes its time.
#[test]
fn nodes_that_leave_their_buckets_can_be_stopped() {
    const NODES: u32 = 100;
    let heap = HeapRegion::new(16 << 20);
    let index = Index::create(heap.region(), config(Metric::L2, Element::F32, 1)).unwrap();
    let graph = index.graph();
    let vector = |id: u32| bytes(&[id as f32]);
    for id in 0..NODES {
        store(graph, id, &vector(id));
        graph.link(id, &mut Inserter::default());
    }
    assert!((1..NODES).all(|id| graph.retire(id)));
    let global = AtomicU64::new(0);
    let unlink = |patience: u32| {
        let mut left = patience;
        let mut interrupt = || {
            left = left.saturating_sub(1);
            left == 0
        };
        let epochs = Epochs::new(&global, &[]);
        graph.unlink(
            epochs,
            &mut Inserter::default(),
            &mut interrupt,
            &mut patient,
        )
    };
    let is_half_done = |patience: &u32| {
        let is_stopped = unlink(*patience).is_err();
        let is_listed = |&id: &u32| graph.find_equal(&vector(id), State::Dead).is_some();
        is_stopped && (1..NODES - 1).contains(&((1..NODES).filter(is_listed).count() as u32))
    };
    assert!((1..10 * NODES).any(|patience| is_half_done(&patience)));
    assert_eq!(graph.find_equal(&vector(0), State::Live), Some(0));
    assert_eq!(unlink(u32::MAX).unwrap(), NODES - 1);
    for id in (1..NODES).rev() {
        assert_eq!(graph.take_free(), Some(id));
        store(graph, id, &vector(id));
        assert_eq!(graph.find_equal(&vector(id), State::Stored), Some(id));
    }
    graph.check(&mut || false).unwrap();
}

/// A graph, and what should be found in it.
struct Twins<'r> {
    graph: Graph<'r>,
    inserter: Inserter,
    live: HashMap<Vec<u8>, BTreeSet<u32>>,
}

impl Twins<'_> {
    fn insert(&mut self, vector: &[u8]) {
        let id = self.graph.take_free().unwrap_or(self.graph.len());
        store(&self.graph, id, vector);
        self.graph.link(id, &mut self.inserter);
        self.live.entry(vector.to_vec()).or_default().insert(id);
    }

    fn retire(&mut self, vector: &[u8]) {
        if let Some(id) = self.live.get_mut(vector).and_then(BTreeSet::pop_first) {
            assert!(self.graph.retire(id));
        }
    }

    fn unlink(&mut self, patience: u32) {
        let (global, mut left) = (AtomicU64::new(0), patience);
        let epochs = Epochs::new(&global, &[]);
        let mut interrupt = || {
            left = left.saturating_sub(1);
            left == 0
        };
        let inserter = &mut self.inserter;
        let _ = self
            .graph
            .unlink(epochs, inserter, &mut interrupt, &mut patient);
    }

    fn check(&self, vector: &[u8]) {
        let found = self.graph.find_equal(vector, State::Live);
        match self.live.get(vector).filter(|nodes| !nodes.is_empty()) {
            Some(nodes) => assert!(found.is_some_and(|id| nodes.contains(&id))),
            None => assert_eq!(found, None),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 200,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_life_of_a_graph_finds_what_is_there(
        seed in 1_u64..1_000_000,
        kinds in 1_usize..200,
        steps in prop::collection::vec((0_usize..60, 0_usize..60, 0_u32..300), 1..12),
    ) {
        let heap = HeapRegion::new(16 << 20);
        let index = Index::create(heap.region(), config(Metric::L2, Element::F32, 2)).unwrap();
        let mut twins = Twins {
            graph: *index.graph(),
            inserter: Inserter::default(),
            live: HashMap::new(),
        };
        let mut random = Random(seed);
        let mut any = || bytes(&[random.below(kinds) as f32, 1.0]);
        for (inserts, deaths, patience) in steps {
            (0..inserts).for_each(|_| twins.insert(&any()));
            (0..deaths).for_each(|_| twins.retire(&any()));
            // Those of few steps are stopped half way.
            twins.unlink(patience);
            for kind in 0..kinds + 10 {
                twins.check(&bytes(&[kind as f32, 1.0]));
            }
        }
        twins.graph.check(&mut || false).unwrap();
    }
}
