//! The search over a real graph: every order and filter against a linear scan.

mod common;

use std::collections::HashSet;

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::graph::{GraphConfig, GraphNear, Inserter};
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::postings::{Condition, Filter, Place, Test};
use chronomind_core::scan::{Found, Scan};
use chronomind_core::score::{
    AttributeKind, Blend, Expr, Nearest, Order, Program, Ranking, Row, encode_float, encode_int,
    rank,
};
use common::{Data, Random, bytes};

const HOUR: i64 = 3_600_000_000;
/// created_at, importance.
const ATTRIBUTES: usize = 2;
/// More than enough.
const MEMORY: usize = 1 << 24;

struct Memories<'r> {
    index: Index<'r>,
    rows: Vec<[u64; ATTRIBUTES]>,
    data: Data,
}

/// A memory an hour. Every tenth is told twice, as a second posting of the same node, and every
/// hundredth has no vector.
fn remember<'r>(heap: &'r HeapRegion, metric: Metric, data: Data) -> Memories<'r> {
    let graph = GraphConfig {
        metric,
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
    let index = Index::create(heap.region(), config).unwrap();
    let mut inserter = Inserter::default();
    let mut random = Random(11);
    let mut rows = Vec::new();
    let publish = |keys: [u64; ATTRIBUTES], place: Place<'_>, rows: &mut Vec<_>| {
        let id = rows.len() as u32;
        index.postings().reserve(id).unwrap();
        let row = Row {
            keys: &keys,
            nulls: 0,
        };
        assert!(index.postings().publish(id, id.into(), place, &row));
        rows.push(keys);
    };
    for at in 0..data.len() {
        let node = at as u32;
        let upper = index.graph().reserve(node).unwrap();
        assert!(index.graph().store(node, upper, &bytes(data.row(at))));
        index.graph().link(node, &mut inserter);
        let mut keys = || {
            let age = (data.len() as i64 - at as i64) * HOUR;
            [encode_int(-age), encode_float(random.uniform().into())]
        };
        publish(keys(), index.place(node), &mut rows);
        if at % 10 == 0 {
            publish(keys(), index.place(node), &mut rows);
        }
        if at % 100 == 0 {
            publish(keys(), Place::NullVector, &mut rows);
        }
    }
    Memories { index, rows, data }
}

impl Memories<'_> {
    fn near(&self, query: usize) -> GraphNear<'_> {
        let probe = self
            .index
            .graph()
            .probe(&bytes(self.data.query(query)))
            .unwrap();
        GraphNear::new(*self.index.graph(), probe, 40)
    }

    /// The first `k` rows of the search.
    fn search<O: Order>(&self, query: usize, order: O, filter: &Filter, k: usize) -> Vec<Found> {
        let mut near = self.near(query);
        let mut scan = Scan::new(order, filter.clone(), None, ATTRIBUTES, 10, MEMORY);
        let postings = self.index.postings();
        let found = std::iter::from_fn(|| scan.next(postings, &mut near, &mut || false).unwrap());
        found.take(k).collect()
    }

    /// Adds up how many of the true first rows come first, when more are asked for than were said to be, and
    /// checks that they come in order.
    fn in_order<O: Order + Clone>(
        &self,
        query: usize,
        distances: &[Option<f64>],
        order: O,
        filter: &Filter,
        wanted: usize,
        sums: &mut [(u32, u32); 3],
    ) {
        let truth = self.linear(distances, &order, filter);
        let mut near = self.near(query);
        let mut scan = Scan::new(order, filter.clone(), None, ATTRIBUTES, wanted, MEMORY);
        let postings = self.index.postings();
        let found = std::iter::from_fn(|| scan.next(postings, &mut near, &mut || false).unwrap());
        let ranks: Vec<u64> = found.take(FIRST[2]).map(|row| rank(row.score)).collect();
        assert!(ranks.is_sorted());
        assert_eq!(ranks.len(), FIRST[2]);
        for (k, (hits, total)) in FIRST.into_iter().zip(sums) {
            // Four distances at a time are rounded differently from one.
            let worst = truth[k - 1] + (1 << 32);
            *hits += ranks[..k].iter().filter(|rank| **rank <= worst).count() as u32;
            *total += k as u32;
        }
    }

    /// Checks that a search for all rows gives all of them, each once, in order.
    fn all_in_order<O: Order>(
        &self,
        query: usize,
        distances: &[Option<f64>],
        order: O,
        filter: &Filter,
        memory: usize,
    ) {
        let rows = self.linear(distances, &order, filter).len();
        let mut near = self.near(query);
        let mut scan = Scan::new(order, filter.clone(), None, ATTRIBUTES, usize::MAX, memory);
        let postings = self.index.postings();
        let found = std::iter::from_fn(|| scan.next(postings, &mut near, &mut || false).unwrap());
        let found: Vec<Found> = found.collect();
        let distinct: HashSet<u32> = found.iter().map(|row| row.posting).collect();
        assert_eq!((found.len(), distinct.len()), (rows, rows));
        assert!(found.iter().map(|row| rank(row.score)).is_sorted());
        assert_eq!(scan.statistics().late, 0);
    }

    /// The distance of every row.
    fn distances(&self, query: usize) -> Vec<Option<f64>> {
        let graph = self.index.graph();
        let probe = graph.probe(&bytes(self.data.query(query))).unwrap();
        let node = |id| {
            let (block, slot) = self.index.postings().live(id).unwrap();
            block.node(slot)
        };
        let ids = 0..self.rows.len() as u32;
        ids.map(|id| node(id).map(|node| graph.distance(&probe, node)))
            .collect()
    }

    /// Scores of the rows that pass, best first, by a linear scan.
    fn linear(&self, distances: &[Option<f64>], order: &impl Order, filter: &Filter) -> Vec<u64> {
        let rows = self.rows.iter().zip(distances);
        let scores = rows.map(|(keys, distance)| (Row { keys, nulls: 0 }, distance));
        let passing = scores.filter(|(row, _)| filter.matches_row(row));
        let mut scores: Vec<u64> = passing
            .map(|(row, distance)| order.rank(*distance, &row))
            .collect();
        scores.sort_unstable();
        scores
    }

    /// How many of the true first ten the search finds, and how many there are.
    fn hits<O: Order>(
        &self,
        query: usize,
        distances: &[Option<f64>],
        order: O,
        filter: &Filter,
    ) -> (usize, usize) {
        let truth = self.linear(distances, &order, filter);
        let found = self.search(query, order, filter, 10);
        assert_eq!(
            found.len(),
            truth.len().min(10),
            "a filtered search is never short"
        );
        // Four distances at a time are rounded differently from one.
        let worst = truth[found.len() - 1] + (1 << 32);
        let hits = found.iter().filter(|row| rank(row.score) <= worst).count();
        (hits, found.len())
    }
}

/// How many of the first rows are looked at.
const FIRST: [usize; 3] = [50, 300, 1_000];

/// The standard blend.
fn blend(recency_weight: f64, importance_weight: f64) -> Ranking {
    let blend = Blend {
        recency_weight,
        importance_weight,
        base_rate: 0.001,
        as_of: 0,
    };
    let column = |name| Some(Expr::attribute(name));
    let expr = blend.expr(column("created_at"), column("importance"), None);
    let resolve = |name: &str| match name {
        "created_at" => Some((0, AttributeKind::Timestamp)),
        _ => Some((1, AttributeKind::Float)),
    };
    Ranking {
        program: Program::compile(&expr, Metric::Cosine, resolve, &[]).unwrap(),
        descending: false,
        nulls_first: false,
    }
}

fn at_least(attribute: usize, key: u64) -> Filter {
    [Condition {
        attribute,
        test: Test::Within(key, u64::MAX),
    }]
    .into_iter()
    .collect()
}

#[test]
fn finds_the_best_rows_of_every_order_under_every_filter() {
    let heap = HeapRegion::new(1 << 28);
    let memories = remember(&heap, Metric::Cosine, Data::load(2_500));
    let filters = [
        ("none", Filter::default()),
        ("half", at_least(1, encode_float(0.5))),
        ("a tenth", at_least(1, encode_float(0.9))),
        ("a thousandth", at_least(1, encode_float(0.999))),
        ("newest", at_least(0, encode_int(-60 * HOUR))),
    ];
    let orders = [
        (None, 0.9),
        (Some((0.1, 0.0)), 0.95),
        (Some((0.3, 0.0)), 0.99),
        (Some((0.3, 0.2)), 0.99),
        (Some((0.9, 0.0)), 0.99),
    ];
    let mut sums = [[(0, 0); 5]; 5];
    for query in 0..20 {
        let distances = memories.distances(query);
        for ((_, filter), sums) in filters.iter().zip(&mut sums) {
            for ((order, _), (hits, total)) in orders.iter().zip(sums) {
                let (more, of) = match order {
                    Some((recency, importance)) => {
                        let order = blend(*recency, *importance);
                        memories.hits(query, &distances, order, filter)
                    }
                    None => memories.hits(query, &distances, Nearest, filter),
                };
                *hits += more;
                *total += of;
            }
        }
    }
    for ((name, _), sums) in filters.iter().zip(sums) {
        for ((order, least), (hits, total)) in orders.iter().zip(sums) {
            let overlap = hits as f64 / total as f64;
            assert!(overlap >= *least, "{name}, {order:?}: {overlap}");
        }
    }
}

/// A product that overflows on both sides of zero is no number, and NaN is the greatest of all.
#[test]
fn rows_whose_products_overflow_come_where_nan_does() {
    for (metric, dimensions, long) in [
        (Metric::InnerProduct, 3, 3e38),
        (Metric::InnerProduct, 64, 2e19),
        (Metric::Cosine, 64, 3.4e38),
    ] {
        let mut data = Data::generated(2_000);
        data.rows.truncate(1_500 * dimensions);
        data.dimensions = dimensions;
        // Of the oldest and of the newest, whose zones come last and first in orders by time.
        for row in [7, 700, 1_490] {
            let values = &mut data.rows[row * dimensions..][..dimensions];
            for (at, value) in values.iter_mut().enumerate() {
                *value = if at % 2 == 0 { long } else { -long };
            }
        }
        data.queries = vec![if dimensions == 3 { 2.0 } else { 1e19 }; dimensions];
        let heap = HeapRegion::new(1 << 28);
        let memories = remember(&heap, metric, data);
        let distances = memories.distances(0);
        let nans = distances.iter().flatten().filter(|d| d.is_nan()).count();
        assert!(nans > 0, "{metric:?}: nothing is tested");
        for text in [
            "0 - distance",
            "importance - 1e-45 * distance",
            "1 / (1 + exp(distance)) + created_at / 3600000000",
        ] {
            let resolve = |name: &str| match name {
                "created_at" => Some((0, AttributeKind::Timestamp)),
                _ => Some((1, AttributeKind::Float)),
            };
            let order = Ranking {
                program: Program::compile(&text.parse().unwrap(), metric, resolve, &[]).unwrap(),
                descending: true,
                nulls_first: false,
            };
            let expected = memories.linear(&distances, &order, &Filter::default());
            for memory in [0, MEMORY] {
                let mut near = memories.near(0);
                let filter = Filter::default();
                let mut scan = Scan::new(order.clone(), filter, None, ATTRIBUTES, 10, memory);
                let postings = memories.index.postings();
                let mut next = || scan.next(postings, &mut near, &mut || false).unwrap();
                let found: Vec<u64> = std::iter::from_fn(&mut next)
                    .map(|row| row.score.map_or(u64::MAX, |score| !encode_float(score)))
                    .collect();
                assert_eq!(
                    found, expected,
                    "{metric:?}, {dimensions}, {text}, {memory}"
                );
            }
        }
    }
}

/// Also where the caller goes on beyond what it said: then the search leaves the graph at some time.
#[test]
fn no_row_comes_after_one_that_sorts_behind_it() {
    let heap = HeapRegion::new(1 << 28);
    let memories = remember(&heap, Metric::Cosine, Data::load(8_000));
    let filters = [Filter::default(), at_least(1, encode_float(0.5))];
    let mut sums = [(0, 0); 3];
    for query in 0..8 {
        let distances = memories.distances(query);
        for (filter, wanted) in filters.iter().flat_map(|f| [10, 50, 1_000].map(|w| (f, w))) {
            memories.in_order(query, &distances, Nearest, filter, wanted, &mut sums);
            for (recency, importance) in [(0.1, 0.0), (0.3, 0.2)] {
                let order = blend(recency, importance);
                memories.in_order(query, &distances, order, filter, wanted, &mut sums);
            }
        }
    }
    for ((hits, total), k) in sums.iter().zip(FIRST) {
        let overlap = f64::from(*hits) / f64::from(*total);
        assert!(overlap >= 0.985, "of the first {k}: {overlap}");
    }
}

#[test]
fn whoever_wants_all_rows_gets_them_in_order() {
    let heap = HeapRegion::new(1 << 28);
    let memories = remember(&heap, Metric::Cosine, Data::load(2_500));
    let filters = [Filter::default(), at_least(1, encode_float(0.3))];
    for query in 0..3 {
        let distances = memories.distances(query);
        for (filter, memory) in filters
            .iter()
            .flat_map(|f| [64 << 10, MEMORY].map(|m| (f, m)))
        {
            memories.all_in_order(query, &distances, Nearest, filter, memory);
            memories.all_in_order(query, &distances, blend(0.3, 0.2), filter, memory);
        }
    }
}

#[test]
fn a_search_that_goes_on_gives_every_row_once() {
    let heap = HeapRegion::new(1 << 28);
    for metric in [Metric::L2, Metric::InnerProduct] {
        let memories = remember(&heap, metric, Data::generated(1_500));
        let filter = at_least(1, encode_float(0.3));
        for query in 0..2 {
            let found = memories.search(query, Nearest, &filter, usize::MAX);
            let distances = memories.distances(query);
            assert_eq!(
                found.len(),
                memories.linear(&distances, &Nearest, &filter).len()
            );
            let distinct: HashSet<u32> = found.iter().map(|row| row.posting).collect();
            assert_eq!(distinct.len(), found.len());
            let nulls = found
                .iter()
                .rev()
                .take_while(|row| row.score.is_none())
                .count();
            assert_eq!(nulls, found.iter().filter(|row| row.node.is_none()).count());
        }
    }
}
