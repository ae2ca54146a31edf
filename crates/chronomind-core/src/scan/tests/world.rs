//! Rows and their distances, a graph over them, orders, and the linear scan.

use std::collections::{HashMap, HashSet};
use std::sync::atomic::AtomicU32;

use crate::arena::HeapRegion;
use crate::distance::Metric;
use crate::postings::{Filter, Place, Postings};
use crate::scan::{Bracket, Care, Fixed, Found, Near, Scan};
use crate::score::{
    AttributeKind, Batch, Bounds, Boxes, Distances, Nearest, Order, Parts, Program, Ranking, Row,
    encode_float, rank,
};

pub(super) const HOUR: i64 = 3_600_000_000;
/// created_at, importance, decay rate, label.
pub(super) const ATTRIBUTES: usize = 4;

#[derive(Debug, Clone, Copy)]
pub(super) enum At {
    Node(u32),
    NullVector,
    NoDistance,
}

#[derive(Debug, Clone)]
pub(super) struct Model {
    pub(super) id: u32,
    pub(super) at: At,
    pub(super) keys: [Option<u64>; ATTRIBUTES],
    pub(super) dead: bool,
}

impl Model {
    pub(super) fn row<T>(&self, then: impl FnOnce(Row<'_>) -> T) -> T {
        let nulls = (0..ATTRIBUTES).fold(0, |m, i| m | u32::from(self.keys[i].is_none()) << i);
        then(Row {
            keys: &self.keys.map(Option::unwrap_or_default),
            nulls,
        })
    }
}

/// Nodes with their distances, and the chains of their postings.
pub(super) struct World<'r> {
    pub(super) postings: Postings<'r>,
    pub(super) heads: Vec<AtomicU32>,
    pub(super) distances: Vec<f64>,
}

impl<'r> World<'r> {
    pub(super) fn new(heap: &'r HeapRegion, distances: Vec<f64>) -> World<'r> {
        let blocks = heap.words(Postings::block_words(ATTRIBUTES)).unwrap();
        let zones = heap.words(Postings::zone_words(ATTRIBUTES)).unwrap();
        World {
            postings: Postings::new(blocks, zones, ATTRIBUTES),
            heads: distances.iter().map(|_| AtomicU32::new(0)).collect(),
            distances,
        }
    }

    /// With rows at any of the nodes, which count from the first again after the last.
    pub(super) fn of(heap: &'r HeapRegion, distances: Vec<f64>, rows: &mut [Model]) -> World<'r> {
        let world = World::new(heap, distances);
        for model in rows {
            if let At::Node(node) = &mut model.at {
                *node %= world.distances.len() as u32;
            }
            world.publish(model);
        }
        world
    }

    pub(super) fn publish(&self, model: &Model) {
        let place = match model.at {
            At::Node(node) => Place::Node {
                node,
                head: &self.heads[node as usize],
            },
            At::NullVector => Place::NullVector,
            At::NoDistance => Place::NoDistance,
        };
        self.postings.reserve(model.id).unwrap();
        let tid = u64::from(model.id) + 1;
        assert!(model.row(|row| self.postings.publish(model.id, tid, place, &row)));
        if model.dead {
            assert!(self.postings.mark_dead(model.id));
        }
    }

    pub(super) fn distance(&self, at: At) -> Option<f64> {
        match at {
            At::Node(node) => Some(self.distances[node as usize]),
            At::NullVector => None,
            At::NoDistance => Some(f64::NAN),
        }
    }
}

/// A graph that settles nodes in order, so many a step, but never those that it has lost.
pub(super) struct Sorted<'a, 'r> {
    world: &'a World<'r>,
    order: Vec<u32>,
    has_begun: bool,
    settled: usize,
    drained: usize,
    chunk: usize,
    /// How many of the settled it is not sure to have seen everything before.
    pub(super) margin: usize,
    pub(super) overflows: bool,
    released: bool,
    /// Distances that were asked for.
    pub(super) measured: usize,
}

impl<'a, 'r> Sorted<'a, 'r> {
    pub(super) fn new(world: &'a World<'r>, chunk: usize, lost: &HashSet<u32>) -> Sorted<'a, 'r> {
        let mut order: Vec<u32> = (0..world.distances.len() as u32).collect();
        order.retain(|node| !lost.contains(node));
        order.sort_by(|&a, &b| world.distances[a as usize].total_cmp(&world.distances[b as usize]));
        Sorted {
            world,
            order,
            has_begun: false,
            settled: 0,
            drained: 0,
            chunk,
            margin: 0,
            overflows: false,
            released: false,
            measured: 0,
        }
    }

    /// Has every so manieth node settled only after so many others that are farther away, of which the
    /// stream knows nothing when it tells how far it has seen.
    pub(super) fn late(mut self, every: usize, by: usize) -> Self {
        for at in (0..self.order.len()).rev().filter(|at| at % every == 0) {
            let end = (at + by).min(self.order.len() - 1);
            self.order[at..=end].rotate_left(1);
        }
        self
    }
}

impl Near for Sorted<'_, '_> {
    fn advance(&mut self) -> bool {
        if self.overflows || self.released {
            return false;
        }
        self.has_begun = true;
        self.settled = (self.settled + self.chunk).min(self.order.len());
        self.settled < self.order.len()
    }

    fn drain(&mut self, settled: &mut Vec<(u32, Bracket)>) {
        let nodes = self.order[self.drained..self.settled].to_vec();
        let mut brackets = Vec::new();
        self.brackets(&nodes, &mut brackets);
        settled.extend(nodes.into_iter().zip(brackets));
        self.drained = self.settled;
    }

    fn frontier(&self, _care: Care) -> f64 {
        if self.overflows || self.released || !self.has_begun {
            return f64::NEG_INFINITY;
        }
        if self.settled == self.order.len() {
            return f64::INFINITY;
        }
        match self.settled.checked_sub(1 + self.margin) {
            Some(last) => self.world.distances[self.order[last] as usize],
            None => f64::NEG_INFINITY,
        }
    }

    fn cost(&self) -> u64 {
        self.settled as u64 * 16
    }

    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>) {
        self.measured += nodes.len();
        distances.extend(
            nodes
                .iter()
                .map(|&node| self.world.distances[node as usize]),
        );
    }

    /// Bounds of all kinds: the distance, somewhat less, nothing.
    fn brackets(&mut self, nodes: &[u32], brackets: &mut Vec<Bracket>) {
        brackets.extend(nodes.iter().map(|&node| {
            let distance = self.world.distances[node as usize];
            [
                (distance, distance),
                (distance - 0.05, distance + 0.02),
                (f64::NEG_INFINITY, f64::INFINITY),
            ][node as usize % 3]
        }));
    }

    fn head(&self, node: u32) -> &AtomicU32 {
        &self.world.heads[node as usize]
    }

    fn overflows(&self) -> bool {
        self.overflows
    }

    fn bytes(&self) -> usize {
        if self.released { 0 } else { self.settled * 16 }
    }

    fn release(&mut self) {
        self.released = true;
    }
}

#[derive(Debug, Clone)]
pub(super) enum AnyOrder {
    Nearest,
    Blend(Ranking),
    Ranked(Ranking),
}

impl AnyOrder {
    /// What ranks a score got.
    pub(super) fn rank_of(&self, score: Option<f64>) -> u64 {
        match (self, score) {
            (AnyOrder::Ranked(ranking), Some(score)) if ranking.descending => !encode_float(score),
            (AnyOrder::Ranked(ranking), None) if ranking.nulls_first => 0,
            _ => rank(score),
        }
    }

    fn inner(&self) -> &dyn Order {
        match self {
            AnyOrder::Nearest => &Nearest,
            AnyOrder::Blend(order) => order,
            AnyOrder::Ranked(order) => order,
        }
    }
}

impl Order for AnyOrder {
    fn attributes(&self) -> u32 {
        self.inner().attributes()
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        self.inner().ranks(rows, ranks);
    }

    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64 {
        self.inner().bound(nearest, zone)
    }

    fn parts(&self, boxes: &Boxes<'_>, parts: &mut Parts) {
        self.inner().parts(boxes, parts);
    }

    fn parts_of_rows(&self, rows: &Batch<'_>, parts: &mut Parts) {
        self.inner().parts_of_rows(rows, parts);
    }

    fn bounds(&self, parts: &Parts, distances: &Distances<'_>, bounds: &mut [u64]) {
        self.inner().bounds(parts, distances, bounds);
    }

    fn score(&self, rank: u64) -> Option<f64> {
        self.inner().score(rank)
    }
}

/// Compiles an expression over the attributes `t`, `importance`, `rate` and `label`.
pub(super) fn program(text: &str) -> Program {
    let kinds = [
        ("t", AttributeKind::Timestamp),
        ("importance", AttributeKind::Float),
        ("rate", AttributeKind::Float),
        ("label", AttributeKind::Int),
    ];
    let resolve = |name: &str| {
        let at = kinds.iter().position(|(known, _)| *known == name)?;
        Some((at, kinds[at].1))
    };
    // The only metric of which a distance may be negative.
    let metric = Metric::InnerProduct;
    Program::compile(&text.parse().unwrap(), metric, resolve, &[]).unwrap()
}

/// A row without a vector may come before any other.
pub(super) fn labelled() -> AnyOrder {
    AnyOrder::Ranked(Ranking {
        program: program("coalesce(distance, 0.2) - label"),
        descending: false,
        nulls_first: false,
    })
}

pub(super) fn blend(recency_weight: f64, importance_weight: f64) -> Ranking {
    let weights = format!("{recency_weight}, {importance_weight}");
    Ranking {
        program: program(&format!(
            "chrono_score(distance, t, importance, rate, {weights}, 0, 0.01)"
        )),
        descending: false,
        nulls_first: false,
    }
}

/// What a linear scan gives: rank of the score of each live row that passes.
pub(super) fn linear(
    world: &World<'_>,
    rows: &[Model],
    order: &impl Order,
    filter: &Filter,
    condition: Option<&Program>,
    fixed: Option<Fixed>,
) -> HashMap<u32, u64> {
    let live = rows.iter().filter(|model| !model.dead);
    live.filter(|model| model.row(|row| filter.matches_row(&row)))
        .map(|model| {
            let distance = match (world.distance(model.at), fixed) {
                (Some(_), Some(fixed)) => fixed.distance(),
                (distance, _) => distance,
            };
            (model, distance)
        })
        .filter(|(model, distance)| {
            condition.is_none_or(|condition| {
                model.row(|row| {
                    let nulls: [u64; ATTRIBUTES] =
                        std::array::from_fn(|at| u64::from(row.nulls >> at & 1));
                    let batch = Batch {
                        distances: &[distance.unwrap_or_default()],
                        null_distances: u64::from(distance.is_none()),
                        keys: row.keys,
                        stride: 1,
                        nulls: &nulls,
                    };
                    condition.holds(&batch) & 1 != 0
                })
            })
        })
        .map(|(model, distance)| (model.id, model.row(|row| order.rank(distance, &row))))
        .collect()
}

pub(super) fn drain<N: Near>(
    scan: &mut Scan<impl Order>,
    postings: &Postings<'_>,
    near: &mut N,
) -> Vec<Found> {
    let found = std::iter::from_fn(|| scan.next(postings, near, &mut || false).unwrap());
    found.collect()
}
