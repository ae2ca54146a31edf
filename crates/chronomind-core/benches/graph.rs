//! The graph beside its baselines, in one run: inserts, searches, and nine searches to an insert, by
//! 1, 2, 4 and 8 threads.
//!
//! Time is wall time of one operation divided among the threads, so the throughput shown is that of
//! all threads together. Every index searches with the least beam that finds .98 of the true ten
//! nearest, which is told; sixteen small graphs need a narrower one than a large graph does.
// The macros at the end write a public function without documentation.
#![allow(missing_docs)]

use std::cell::RefCell;
use std::sync::atomic::{AtomicU32, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use chronomind_core::arena::HeapRegion;
use chronomind_core::baseline::{RwLockIndex, Scratch, ShardedIndex, VectorIndex};
use chronomind_core::distance::{Element, Metric};
use chronomind_core::graph::{Graph, GraphConfig};
use chronomind_core::index::{Index, IndexConfig};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};

#[path = "../tests/common/mod.rs"]
mod common;
use common::{Data, Random, bytes};

/// Rows that are in an index before anything is timed.
const BASE: usize = 20_000;
/// Bytes of an index's memory: taken as it grows, and far more than a run inserts.
const REGION: usize = 2 << 30;
const K: usize = 10;
const RECALL: f64 = 0.98;
const THREADS: [usize; 4] = [1, 2, 4, 8];

type Make = for<'r> fn(&mut dyn FnMut() -> Graph<'r>) -> Box<dyn VectorIndex + 'r>;

const INDEXES: [(&str, Make); 3] = [
    ("lock-free", |graph| Box::new(graph())),
    ("rwlock", |graph| Box::new(RwLockIndex::new(graph()))),
    ("16 shards", |graph| {
        Box::new(ShardedIndex::new(std::array::from_fn(|_| graph())))
    }),
];

/// What is inserted and what is asked, in the bytes of stored vectors.
struct Work {
    data: Data,
    queries: Vec<Vec<u8>>,
}

impl Work {
    fn load() -> Work {
        let data = Data::load(60_000);
        let queries = (0..data.query_count())
            .map(|at| bytes(data.query(at)))
            .collect();
        Work { data, queries }
    }

    /// Row `id`; past the end of the data rows come again, a little displaced.
    fn row(&self, id: u32) -> Vec<u8> {
        let row = self.data.row(id as usize % self.data.len());
        if (id as usize) < self.data.len() {
            return bytes(row);
        }
        let mut random = Random(u64::from(id));
        let moved: Vec<f32> = row
            .iter()
            .map(|value| value + 0.02 * (random.uniform() - 0.5))
            .collect();
        bytes(&moved)
    }

    /// An empty graph.
    fn graph<'r>(&self, heap: &'r HeapRegion) -> Graph<'r> {
        let config = IndexConfig {
            graph: GraphConfig {
                metric: Metric::Cosine,
                element: Element::F32,
                dimensions: self.data.dimensions as u32,
                m: 16,
                ef_construction: 64,
                seed: 5,
            },
            attributes: 0,
        };
        *Index::create(heap.region(), config).unwrap().graph()
    }
}

/// An index under test: what it holds so far, and the beam it searches with.
struct Bed<'r> {
    name: &'static str,
    index: Box<dyn VectorIndex + 'r>,
    next: AtomicU32,
    asked: AtomicUsize,
    ef: usize,
}

impl<'r> Bed<'r> {
    fn new(heap: &'r HeapRegion, work: &Work, (name, make): (&'static str, Make)) -> Bed<'r> {
        let index = make(&mut || work.graph(heap));
        let bed = Bed {
            name,
            index,
            next: AtomicU32::new(0),
            asked: AtomicUsize::new(0),
            ef: K,
        };
        bed.run(work, BASE as u64, 2, 100);
        bed
    }

    /// The time that `count` operations take, of which some in a hundred are inserts.
    fn run(&self, work: &Work, count: u64, threads: usize, inserts: u64) -> Duration {
        let start = Instant::now();
        std::thread::scope(|scope| {
            for thread in 0..threads as u64 {
                scope.spawn(move || {
                    let mut scratch = Scratch::default();
                    let mut out = Vec::new();
                    for at in (thread..count).step_by(threads) {
                        // Spread evenly: 10 in 100 is every tenth of each thread's own.
                        let own = at / threads as u64;
                        if own * inserts / 100 != (own + 1) * inserts / 100 {
                            self.insert(work, &mut scratch);
                        } else {
                            self.search(work, &mut scratch, &mut out);
                        }
                    }
                });
            }
        });
        start.elapsed()
    }

    fn insert(&self, work: &Work, scratch: &mut Scratch) {
        let id = self.next.fetch_add(1, Ordering::Relaxed);
        self.index.insert(id, &work.row(id), scratch).unwrap();
    }

    fn search(&self, work: &Work, scratch: &mut Scratch, out: &mut Vec<(u32, f64)>) {
        let at = self.asked.fetch_add(1, Ordering::Relaxed) % work.queries.len();
        self.index
            .search(&work.queries[at], K, self.ef, scratch, out);
    }

    /// Sets the least beam that reaches the recall.
    fn match_recall(&mut self, work: &Work, truth: &[f64]) {
        let mut scratch = Scratch::default();
        let mut out = Vec::new();
        let index = &self.index;
        let mut recall = |ef| {
            let mut hits = 0;
            for (query, &tenth) in work.queries.iter().zip(truth) {
                index.search(query, K, ef, &mut scratch, &mut out);
                hits += out
                    .iter()
                    .filter(|(_, distance)| *distance <= tenth)
                    .count();
            }
            hits as f64 / (K * truth.len()) as f64
        };
        let reached = (K..1_000).step_by(2).find(|&ef| recall(ef) >= RECALL);
        self.ef = reached.expect("no beam finds enough");
        eprintln!("{}: recall {RECALL} at a beam of {}", self.name, self.ef);
    }
}

/// How far each query's tenth nearest of the base rows is, by a linear scan. Whatever is no farther
/// counts as found: twins are as good as one another.
fn truth(work: &Work) -> Vec<f64> {
    /// Kernels for one and for four vectors round differently.
    const ROUNDING: f64 = 1e-6;
    let heap = HeapRegion::new(REGION);
    let graph = work.graph(&heap);
    let ids: Vec<u32> = (0..BASE as u32).collect();
    for &id in &ids {
        graph.store(id, graph.reserve(id).unwrap(), &work.row(id));
    }
    let tenth = |query: &Vec<u8>| {
        let mut all = Vec::with_capacity(BASE);
        let probe = graph.probe(query).unwrap();
        graph.distances(&probe, &ids, |_, distance| all.push(distance));
        *all.select_nth_unstable_by(K - 1, f64::total_cmp).1 + ROUNDING
    };
    work.queries.iter().map(tenth).collect()
}

fn graph(c: &mut Criterion) {
    let work = Work::load();
    let truth = truth(&work);
    let mut beams = [K; INDEXES.len()];

    let heaps = INDEXES.map(|_| HeapRegion::new(REGION));
    let mut beds: Vec<Bed<'_>> = Vec::new();
    for ((kind, heap), beam) in INDEXES.into_iter().zip(&heaps).zip(&mut beams) {
        let mut bed = Bed::new(heap, &work, kind);
        bed.match_recall(&work, &truth);
        *beam = bed.ef;
        beds.push(bed);
    }
    let mut group = c.benchmark_group("search");
    group.throughput(Throughput::Elements(1));
    for threads in THREADS {
        for bed in &beds {
            group.bench_function(BenchmarkId::new(bed.name, threads), |b| {
                b.iter_custom(|count| bed.run(&work, count, threads, 0));
            });
        }
    }
    group.finish();
    drop(beds);

    // What is inserted stays, so every figure gets an index of its own.
    for (name, inserts) in [("insert", 100), ("mixed 90 to 10", 10)] {
        let mut group = c.benchmark_group(name);
        group.throughput(Throughput::Elements(1));
        for threads in THREADS {
            for (kind, beam) in INDEXES.into_iter().zip(beams) {
                let heap = HeapRegion::new(REGION);
                let bed = RefCell::new(None);
                group.bench_function(BenchmarkId::new(kind.0, threads), |b| {
                    // Built here, so that a filter on names spares the others.
                    let mut bed = bed.borrow_mut();
                    let bed = bed.get_or_insert_with(|| Bed {
                        ef: beam,
                        ..Bed::new(&heap, &work, kind)
                    });
                    b.iter_custom(|count| bed.run(&work, count, threads, inserts));
                });
            }
        }
        group.finish();
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(300))
        .measurement_time(Duration::from_secs(1));
    targets = graph
}
criterion_main!(benches);
