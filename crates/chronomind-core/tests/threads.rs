//! One graph, several threads: writers, searchers, vacuum and the structural check all at once.

mod common;

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::epoch::{Epochs, Participant};
use chronomind_core::graph::{Graph, GraphConfig, GraphNear, Inserter, NearSearch, State};
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::scan::Near;
use common::{Data, Random, bytes, join, lock, patient};

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
        let mut threads: Vec<_> = (0..WRITERS).map(|_| scope.spawn(write)).collect();
        threads.extend([1, 2].map(|seed| scope.spawn(move || search(seed))));
        threads.push(scope.spawn(check));
        join(threads);
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
        let is_linked = matches!(graph.state(id), State::Linking | State::Live | State::Dead);
        assert!(is_linked, "{:?}", graph.state(id));
        let distance = graph.distance(&probe, id);
        assert!((f64::from(key).sqrt() - distance).abs() <= 1e-3 * (1.0 + distance));
        last = key;
        seen.push(id);
    }
}

/// Vacuums in the test of churn.
const ROUNDS: usize = 16;

/// Who is where in the test of churn; every thread has a participant.
struct Churn<'a> {
    graph: Graph<'a>,
    data: &'a Data,
    epochs: Epochs<'a>,
    /// Orders appends. The rows of all nodes, and which of them are in the graph for good.
    rows: Mutex<(Vec<usize>, Vec<u32>)>,
    is_over: AtomicBool,
}

impl Churn<'_> {
    fn write(&self, me: usize) {
        let mut random = Random(me as u64 + 1);
        let mut inserter = Inserter::default();
        while !self.is_over.load(Ordering::Acquire) {
            let row = random.below(self.data.len());
            let (id, upper) = {
                let (rows, live) = &mut *lock(&self.rows);
                if live.len() > 3_000 {
                    continue;
                }
                let id = self.graph.take_free().unwrap_or(rows.len() as u32);
                let upper = self.graph.reserve(id).unwrap();
                if id as usize == rows.len() {
                    rows.push(row);
                }
                rows[id as usize] = row;
                (id, upper)
            };
            let pin = self.epochs.pin(me);
            let vector = bytes(self.data.row(row));
            assert!(self.graph.store(id, upper, &vector));
            self.graph.link(id, &mut inserter);
            // Nobody retires it yet.
            assert!(self.graph.find_equal(&vector, State::Live).is_some());
            drop(pin);
            lock(&self.rows).1.push(id);
        }
    }

    /// Retires now few, now nearly all, and takes them out.
    fn vacuum(&self) {
        let mut random = Random(99);
        let mut inserter = Inserter::default();
        for round in 0..ROUNDS {
            let least = if round % 4 == 3 { 1_500 } else { 500 };
            while lock(&self.rows).1.len() < least {
                std::thread::yield_now();
            }
            let percent = [30, 2, 60, 99][round % 4];
            let dead = {
                let (_, live) = &mut *lock(&self.rows);
                let before = live.len();
                live.retain(|&id| random.below(100) >= percent || !self.graph.retire(id));
                (before - live.len()) as u32
            };
            assert_eq!(self.unlink(&mut inserter), dead);
        }
        self.is_over.store(true, Ordering::Release);
    }

    fn unlink(&self, inserter: &mut Inserter) -> u32 {
        self.graph
            .unlink(self.epochs, inserter, &mut || false, &mut patient)
            .unwrap()
    }

    fn search(&self, me: usize) {
        let mut random = Random(me as u64 + 1);
        let mut search = NearSearch::new();
        while !self.is_over.load(Ordering::Acquire) {
            let _pin = self.epochs.pin(me);
            let row = self.data.row(random.below(self.data.len()));
            check_search(&self.graph, row, &mut search);
            if let Some(id) = self.graph.find_equal(&bytes(row), State::Live) {
                assert_eq!(self.graph.vector(id), Some(&bytes(row)[..]));
            }
        }
    }

    /// Cursors, which remember nodes from one pin to the next.
    fn scroll(&self, me: usize) {
        let mut random = Random(me as u64 + 1);
        while !self.is_over.load(Ordering::Acquire) {
            let query = bytes(self.data.row(random.below(self.data.len())));
            let mut near = GraphNear::new(self.graph, self.graph.probe(&query).unwrap(), 40);
            let (mut settled, mut met) = (Vec::new(), HashMap::new());
            let mut goes_on = true;
            while goes_on {
                let pin = self.epochs.pin(me);
                goes_on = near.advance();
                near.drain(&mut settled);
                drop(pin);
                for (id, _) in settled.drain(..) {
                    // The walk begins again when all that it held has left.
                    let times = met.entry(id).or_insert(0);
                    *times += 1;
                    assert!(*times <= 1 + ROUNDS);
                }
                std::thread::yield_now();
            }
        }
    }

    fn check(&self) {
        while !self.is_over.load(Ordering::Acquire) {
            self.graph.check(&mut || false).unwrap();
        }
    }
}

#[test]
fn nodes_die_and_come_back_beside_everybody_else() {
    churn(8, 95);
}

/// Lists of four, three of which newcomers may take for the tree.
#[test]
fn nodes_die_and_come_back_where_lists_are_short() {
    churn(2, 0);
}

/// Of a hundred nodes at least so many are to be found.
fn churn(m: u32, least_found: usize) {
    const WRITERS: usize = 3;
    const SEARCHERS: usize = 2;
    const SCROLLERS: usize = 2;
    let data = Data::generated(4_000);
    let heap = HeapRegion::new(64 << 20);
    let config = IndexConfig {
        graph: GraphConfig {
            metric: Metric::L2,
            element: Element::F32,
            dimensions: data.dimensions as u32,
            m,
            ef_construction: 32,
            seed: 11,
        },
        attributes: 0,
    };
    let index = Index::create(heap.region(), config).unwrap();
    let global = AtomicU64::new(0);
    let participants: [Participant; WRITERS + SEARCHERS + SCROLLERS] = Default::default();
    let churn = Churn {
        graph: *index.graph(),
        data: &data,
        epochs: Epochs::new(&global, &participants),
        rows: Mutex::default(),
        is_over: AtomicBool::new(false),
    };
    std::thread::scope(|scope| {
        let churn = &churn;
        let mut participants = 0..;
        let mut next = |count| participants.by_ref().take(count).collect::<Vec<usize>>();
        let mut threads = Vec::new();
        threads.extend(
            next(WRITERS)
                .into_iter()
                .map(|me| scope.spawn(move || churn.write(me))),
        );
        threads.extend(
            next(SEARCHERS)
                .into_iter()
                .map(|me| scope.spawn(move || churn.search(me))),
        );
        threads.extend(
            next(SCROLLERS)
                .into_iter()
                .map(|me| scope.spawn(move || churn.scroll(me))),
        );
        threads.push(scope.spawn(|| churn.check()));
        threads.push(scope.spawn(|| churn.vacuum()));
        join(threads);
    });

    let report = churn.graph.check(&mut || false).unwrap();
    let (rows, live) = churn.rows.into_inner().unwrap();
    assert_eq!((report.live, report.unlinked), (live.len() as u32, 0));
    let mut search = NearSearch::new();
    let is_found = |&&id: &&u32| {
        let query = bytes(data.row(rows[id as usize]));
        let probe = churn.graph.probe(&query).unwrap();
        search
            .find(&churn.graph, &probe, 64, &mut || false)
            .unwrap();
        search.nearest().any(|(found, _)| found == id)
    };
    let found = live.iter().filter(is_found).count();
    assert!(
        found * 100 >= live.len() * least_found,
        "{found} of {}",
        live.len()
    );
}
