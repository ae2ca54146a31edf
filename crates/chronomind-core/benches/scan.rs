//! What a search for the first ten rows costs, and how much of the true ten it finds, for one order
//! and filter after the other.
//!
//! The words of the command line choose among them by parts of their names; a number is how many
//! rows there are, those past the end of the data being copies with noise. `k=50,300` asks for so many
//! rows in place of ten, `wanted=10` tells the search another number, and `heap=0.1` lets the caller keep
//! a tenth of the rows that it is given and go on until it has as many as it asks for. Each is done with rows
//! as they are found and in order, with `in_order=1` in order alone; `queries=50` asks only so many queries. `late` is how many
//! rows in a thousand came after one that sorts behind them. Times are of the second of two rounds of
//! all queries, and `first` is the median of the first.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Instant;

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::graph::{GraphConfig, GraphNear, Inserter};
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::postings::{Condition, Filter, Test};
use chronomind_core::scan::{Near, Scan};
use chronomind_core::score::{
    AttributeKind, Order, Program, Ranking, Row, encode_float, encode_int,
};

#[path = "../tests/common/mod.rs"]
mod common;
use common::{Data, Random, bytes};

const NAMES: [(&str, AttributeKind); 5] = [
    ("created_at", AttributeKind::Timestamp),
    ("importance", AttributeKind::Float),
    ("rate", AttributeKind::Float),
    ("label", AttributeKind::Int),
    ("share", AttributeKind::Float),
];
const ATTRIBUTES: usize = NAMES.len();
const DAY: f64 = 86_400e6;
/// Days from the first row to the last.
const DAYS: f64 = 7_800.0;
const MEMORY: usize = 4 << 20;

/// Orders, greater is better; the time is 0 at the newest row. The last ones mix in attributes that
/// have nothing to do with when a row arrived.
const ORDERS: [(&str, &str); 14] = [
    ("nearest", "-distance"),
    (
        "sum .7 .3, 30 days",
        "0.7 * (1 - distance) + 0.3 * exp(created_at / 86400000000 / 43.28)",
    ),
    (
        "sum .5 .5, 30 days",
        "0.5 * (1 - distance) + 0.5 * exp(created_at / 86400000000 / 43.28)",
    ),
    (
        "sum .9 .1, 30 days",
        "0.9 * (1 - distance) + 0.1 * exp(created_at / 86400000000 / 43.28)",
    ),
    (
        "sum .7 .3, 180 days",
        "0.7 * (1 - distance) + 0.3 * exp(created_at / 86400000000 / 259.7)",
    ),
    (
        "sum .9 .1, 180 days",
        "0.9 * (1 - distance) + 0.1 * exp(created_at / 86400000000 / 259.7)",
    ),
    (
        "product, 30 days",
        "(1 - distance) * exp(created_at / 86400000000 / 43.28)",
    ),
    (
        "hyperbolic, 30 days",
        "(1 - distance) / (1 - created_at / 86400000000 / 30)",
    ),
    ("newest", "created_at"),
    ("farthest", "distance"),
    (
        "label",
        "1 - distance + CASE WHEN label = 7 THEN 0.05 ELSE 0 END",
    ),
    ("importance .2", "0.8 * (1 - distance) + 0.2 * importance"),
    (
        "three terms",
        "0.5 * (1 - distance) + 0.3 * exp(created_at / 86400000000 / 43.28) + 0.2 * importance",
    ),
    (
        "three terms, own rates",
        "0.5 * (1 - distance) + 0.3 * exp(rate * created_at / 3600000000) + 0.2 * importance",
    ),
];

/// What is asked for.
#[derive(Clone, Copy)]
struct Ask {
    k: usize,
    wanted: usize,
    /// The part of the rows that the caller keeps.
    heap: f64,
    as_found: bool,
}

impl Ask {
    /// Every combination of what the words name.
    fn all(words: &[String]) -> Vec<Ask> {
        let values = |name: &str, usual: f64| -> Vec<f64> {
            let found = words.iter().find_map(|word| word.strip_prefix(name));
            found.map_or(vec![usual], |text| {
                let numbers = text.split(',').map(|text| text.parse());
                numbers.map(|number| number.expect("a number")).collect()
            })
        };
        let (ks, wanted) = (values("k=", 10.0), values("wanted=", 0.0));
        let heaps = values("heap=", 1.0).into_iter();
        // 1 is in order.
        let ways = words.iter().find_map(|word| word.strip_prefix("in_order="));
        let ways: Vec<bool> = ways.map_or(vec![true, false], |ways| vec![ways != "1"]);
        let both = heaps.flat_map(|heap| ways.iter().map(|&way| (heap, way)).collect::<Vec<_>>());
        let asks = both.flat_map(|(heap, as_found)| {
            let of = |&k: &f64| Ask {
                k: k as usize,
                wanted: if wanted[0] > 0.0 { wanted[0] } else { k } as usize,
                heap,
                as_found,
            };
            ks.iter().map(of).collect::<Vec<_>>()
        });
        asks.collect()
    }

    /// Whether the caller keeps a row.
    fn keeps(self, id: u32) -> bool {
        let word = (u64::from(id) + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        (((word ^ word >> 32) >> 11) as f64 / (1_u64 << 53) as f64) < self.heap
    }
}

struct Memories<'r> {
    index: Index<'r>,
    rows: Vec<[u64; ATTRIBUTES]>,
    nodes: Vec<u32>,
}

impl<'r> Memories<'r> {
    fn build(heap: &'r HeapRegion, data: &Data, count: usize) -> Memories<'r> {
        let graph = GraphConfig {
            metric: Metric::Cosine,
            element: Element::F32,
            dimensions: data.dimensions as u32,
            m: 16,
            ef_construction: 64,
            seed: 5,
        };
        let config = IndexConfig {
            graph,
            attributes: ATTRIBUTES,
        };
        let index = Index::create(heap.region(), config).expect("the heap has room");
        for id in 0..count as u32 {
            let upper = index.graph().reserve(id).expect("the heap has room");
            index.graph().store(id, upper, &noised(data, id as usize));
        }
        let next = AtomicU32::new(0);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| {
                    let mut inserter = Inserter::default();
                    loop {
                        let id = next.fetch_add(1, Ordering::Relaxed);
                        if id as usize >= count {
                            break;
                        }
                        index.graph().link(id, &mut inserter);
                    }
                });
            }
        });

        let mut random = Random(11);
        let mut uniform = move || f64::from(random.uniform());
        let (mut rows, mut nodes) = (Vec::new(), Vec::new());
        for id in 0..count as u32 {
            // Copies take turns, so that equal times do not mean equal texts.
            let copies = (count as u32).div_ceil(data.len() as u32);
            let node = id % copies * data.len() as u32 + id / copies;
            let node = if copies > 1 && (node as usize) < count {
                node
            } else {
                id
            };
            let age = (1.0 - f64::from(id + 1) / count as f64) * DAYS * DAY;
            let keys = [
                encode_int(-age as i64),
                encode_float(uniform()),
                encode_float(0.0003 * 100_f64.powf(uniform())),
                encode_int((uniform() * 100.0) as i64),
                encode_float(uniform()),
            ];
            index.postings().reserve(id).expect("the heap has room");
            let row = Row {
                keys: &keys,
                nulls: 0,
            };
            let place = index.place(node);
            assert!(index.postings().publish(id, id.into(), place, &row));
            rows.push(keys);
            nodes.push(node);
        }
        Memories { index, rows, nodes }
    }

    /// Asks every query and prints a line.
    fn run<O: Order + Clone>(
        &self,
        ask: Ask,
        name: &str,
        queries: &[Vec<u8>],
        order: &O,
        filter: &Filter,
    ) {
        let (graph, postings) = (self.index.graph(), self.index.postings());
        let (mut hits, mut total, mut late) = (0, 0, 0);
        let mut times = [Vec::new(), Vec::new()];
        let mut sums = [0; 5];
        let truth: Vec<Truth> = queries
            .iter()
            .map(|query| self.truth(ask, query, order, filter))
            .collect();
        // All queries once before any is asked again, so that the caches have forgotten the first.
        for times in &mut times {
            for (query, truth) in queries.iter().zip(&truth) {
                let start = Instant::now();
                let probe = graph.probe(query).expect("a query has a direction");
                let mut near = GraphNear::new(*graph, probe, 40);
                let (order, filter) = (order.clone(), filter.clone());
                let mut scan = Scan::new(order, filter, None, ATTRIBUTES, ask.wanted, MEMORY);
                if ask.as_found {
                    scan = scan.as_found();
                }
                let mut found = Vec::new();
                while found.len() < ask.k {
                    let row = scan.next(postings, &mut near, &mut || false);
                    let Some(row) = row.expect("nobody stops it") else {
                        break;
                    };
                    match ask.keeps(row.posting) {
                        true => found.push(row),
                        false => scan.pass_over(),
                    }
                }
                times.push(start.elapsed().as_secs_f64() * 1e6);

                assert_eq!(found.len(), truth.count, "an answer is never short");
                let mut last = f64::INFINITY;
                for score in found.iter().filter_map(|row| row.score) {
                    late += u64::from(score > last);
                    last = last.min(score);
                }
                let good = found.iter().filter(|row| truth.has(row.posting));
                hits += good.count();
                total += truth.count;
                let statistics = scan.statistics();
                let counts = [
                    near.cost(),
                    statistics.near_rows,
                    statistics.zone_rows,
                    statistics.blocks,
                    statistics.zones,
                ];
                sums.iter_mut()
                    .zip(counts)
                    .for_each(|(sum, count)| *sum += count);
            }
        }
        let [mut cold, mut warm] = times;
        let mut means = sums.map(|sum| sum / (2 * queries.len() as u64)).into_iter();
        let mut mean = || means.next().unwrap_or_default();
        println!(
            "{name:<24}{:>8.4}{:>8.2}{:>9.0}{:>9.0}{:>9.0}{:>9}{:>7}{:>7}{:>7}{:>7}",
            hits as f64 / total as f64,
            late as f64 * 1e3 / total as f64,
            quantile(&mut warm, 0.5),
            quantile(&mut warm, 0.95),
            quantile(&mut cold, 0.5),
            mean(),
            mean(),
            mean(),
            mean(),
            mean(),
        );
    }

    /// The true answer, by a linear scan.
    fn truth<O: Order>(&self, ask: Ask, query: &[u8], order: &O, filter: &Filter) -> Truth {
        let graph = self.index.graph();
        let probe = graph.probe(query).expect("a query has a direction");
        let mut distances = Vec::with_capacity(self.nodes.len());
        graph.distances(&probe, &self.nodes, |_, distance| distances.push(distance));
        let mut ranks: Vec<(u64, u32)> = (0..)
            .zip(self.rows.iter().zip(distances))
            .map(|(id, (keys, distance))| (id, Row { keys, nulls: 0 }, distance))
            .filter(|(id, row, _)| filter.matches_row(row) && ask.keeps(*id))
            .map(|(id, row, distance)| (order.rank(Some(distance), &row), id))
            .collect();
        ranks.sort_unstable();
        let count = ranks.len().min(ask.k);
        let worst = ranks[..count].last().map_or(0, |(rank, _)| *rank);
        ranks.retain(|(rank, _)| *rank <= worst);
        let mut good: Vec<u32> = ranks.into_iter().map(|(_, id)| id).collect();
        good.sort_unstable();
        Truth { count, good }
    }
}

/// An answer.
struct Truth {
    /// How many rows there are to find.
    count: usize,
    /// The rows that are as good as the last of them, ascending.
    good: Vec<u32>,
}

impl Truth {
    fn has(&self, id: u32) -> bool {
        self.good.binary_search(&id).is_ok()
    }
}

fn quantile(values: &mut [f64], part: f64) -> f64 {
    values.sort_by(f64::total_cmp);
    values[(values.len() as f64 * part) as usize]
}

/// Row `id` of the data, past their end of a copy with noise of a third of its length.
fn noised(data: &Data, id: usize) -> Vec<u8> {
    let row = data.row(id % data.len());
    if id < data.len() {
        return bytes(row);
    }
    let mut random = Random(id as u64 * 7_919 + 13);
    let length = row.iter().map(|value| value * value).sum::<f32>().sqrt();
    let noise = 0.35 * length / (data.dimensions as f32).sqrt();
    let moved: Vec<f32> = row
        .iter()
        .map(|value| value + noise * random.normal())
        .collect();
    bytes(&moved)
}

fn program(text: &str) -> Program {
    let resolve = |name: &str| {
        let at = NAMES.iter().position(|(known, _)| *known == name)?;
        Some((at, NAMES[at].1))
    };
    let expr = text.parse().expect("an expression");
    Program::compile(&expr, Metric::Cosine, resolve, &[]).expect("known names")
}

fn ranking(text: &str) -> Ranking {
    Ranking {
        program: program(text),
        descending: true,
        nulls_first: true,
    }
}

/// Filters that let a share of the rows pass: the newest, some amid the others, some of every age.
fn filters(memories: &Memories<'_>) -> Vec<(String, Filter)> {
    let mut filters = Vec::new();
    let mut add = |name: String, attribute: usize, low: u64, high: u64| {
        let test = Test::Within(low, high);
        filters.push((name, [Condition { attribute, test }].into_iter().collect()));
    };
    let count = memories.rows.len() as f64;
    let time = |part: f64| memories.rows[(part * (count - 1.0)) as usize][0];
    for share in [0.5, 0.1, 0.01, 0.001] {
        let percent = share * 100.0;
        add(format!("newest {percent}%"), 0, time(1.0 - share), u64::MAX);
        add(format!("amid {percent}%"), 0, time(0.4), time(0.4 + share));
        add(
            format!("of every age {percent}%"),
            4,
            0,
            encode_float(share),
        );
    }
    add(
        "one label of 100".to_owned(),
        3,
        encode_int(7),
        encode_int(7),
    );
    filters
}

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let asks = Ask::all(&words);
    let most = words.iter().find_map(|word| word.strip_prefix("queries="));
    let most = most.map_or(usize::MAX, |most| most.parse().expect("a number"));
    let words: Vec<String> = words
        .into_iter()
        .filter(|word| !word.contains('='))
        .collect();
    let count = words.iter().find_map(|word| word.parse().ok());
    let chosen = |name: &str| {
        let mut names = words
            .iter()
            .filter(|word| word.parse::<usize>().is_err())
            .peekable();
        names.peek().is_none() || names.any(|word| name.contains(word.as_str()))
    };
    let data = Data::load(60_451);
    let count = count.unwrap_or(data.len());
    let heap = HeapRegion::new((count * 3_000).next_multiple_of(1 << 26));
    let memories = Memories::build(&heap, &data, count);
    let queries: Vec<Vec<u8>> = (0..data.query_count().min(most))
        .map(|at| bytes(data.query(at)))
        .collect();
    println!(
        "{:<24}{:>8}{:>8}{:>9}{:>9}{:>9}{:>9}{:>7}{:>7}{:>7}{:>7}",
        "",
        "overlap",
        "late",
        "p50 us",
        "p95",
        "first",
        "graph",
        "near",
        "zone",
        "blocks",
        "bounds"
    );
    for ask in asks {
        let how = if ask.as_found { "as found" } else { "in order" };
        println!(
            "{how}, k = {}, wanted = {}, kept: {}",
            ask.k, ask.wanted, ask.heap
        );
        for (name, text) in ORDERS {
            if chosen(name) {
                let order = ranking(text);
                memories.run(ask, name, &queries, &order, &Filter::default());
            }
        }
        for (name, filter) in filters(&memories) {
            if chosen(&name) {
                memories.run(ask, &name, &queries, &ranking("-distance"), &filter);
            }
        }
    }
}
