//! Rows on their way to a rank: gathered in columns, as orders take them.

use super::near::{Bracket, Fixed, Near};
use super::question::Question;
use super::ranked::Scored;
use crate::postings::{BLOCK, Block, bits};
use crate::score::{Batch, LANES, Order, rank};

// A visit to a block is one batch.
const _: () = assert!(BLOCK == LANES);

/// What is known of the distance of a row.
#[derive(Debug, Clone, Copy)]
pub(super) enum Distance {
    /// The row has no vector.
    Null,
    Known(f64),
    /// It can be measured from a node, and lies in between.
    Within(u32, Bracket),
}

/// A distance may be anything.
const ANY: Bracket = (f64::NEG_INFINITY, f64::INFINITY);

/// Some rows, [`LANES`] at most.
pub(super) struct Rows {
    postings: Vec<u32>,
    distances: Vec<f64>,
    brackets: Vec<Bracket>,
    null_distances: u64,
    /// [`LANES`] of each attribute.
    keys: Vec<u64>,
    nulls: Vec<u64>,
    ranks: [u64; LANES],
    /// The places of rows whose distance is still to be measured, and their nodes.
    open: Vec<usize>,
    nodes: Vec<u32>,
    measured: Vec<f64>,
}

impl Rows {
    /// Room for rows with that many attributes.
    pub(super) fn new(attributes: usize) -> Rows {
        Rows {
            postings: Vec::with_capacity(LANES),
            distances: Vec::with_capacity(LANES),
            brackets: Vec::with_capacity(LANES),
            null_distances: 0,
            keys: vec![0; attributes * LANES],
            nulls: vec![0; attributes],
            ranks: [0; LANES],
            open: Vec::new(),
            nodes: Vec::new(),
            measured: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.postings.len()
    }

    /// Adds a row.
    pub(super) fn push(
        &mut self,
        block: &Block<'_>,
        slot: usize,
        posting: u32,
        attributes: u32,
        distance: Distance,
    ) {
        let place = self.postings.len();
        self.postings.push(posting);
        let (known, bracket) = match distance {
            Distance::Null => (0.0, ANY),
            Distance::Known(distance) => (distance, ANY),
            Distance::Within(_, bracket) if bracket.0 == bracket.1 => (bracket.0, bracket),
            Distance::Within(node, bracket) => {
                self.open.push(place);
                self.nodes.push(node);
                (f64::NAN, bracket)
            }
        };
        self.distances.push(known);
        self.brackets.push(bracket);
        self.null_distances |= u64::from(matches!(distance, Distance::Null)) << place;
        for attribute in bits(u64::from(attributes)) {
            self.keys[attribute * LANES + place] = block.key(attribute, slot);
            self.nulls[attribute] |= (block.nulls(attribute) >> slot & 1) << place;
        }
    }

    /// Adds rows of a block.
    pub(super) fn gather(
        &mut self,
        block: &Block<'_>,
        number: u32,
        slots: u64,
        attributes: u32,
        fixed: Option<Fixed>,
    ) {
        let no_distance = block.no_distance();
        for slot in bits(slots) {
            let distance = match (fixed, block.node(slot)) {
                (_, None) if no_distance >> slot & 1 == 0 => Distance::Null,
                (Some(fixed), _) => fixed.distance().map_or(Distance::Null, Distance::Known),
                (None, None) => Distance::Known(f64::NAN),
                (None, Some(node)) => Distance::Within(node, ANY),
            };
            let posting = number * BLOCK as u32 + slot as u32;
            self.push(block, slot, posting, attributes, distance);
        }
    }

    /// The rows, of which not all distances are known.
    pub(super) fn batch(&self) -> Batch<'_> {
        Batch {
            distances: &self.distances,
            null_distances: self.null_distances,
            keys: &self.keys,
            stride: LANES,
            nulls: &self.nulls,
        }
    }

    /// What is known of their distances.
    pub(super) fn brackets(&self) -> &[Bracket] {
        &self.brackets
    }

    pub(super) fn postings(&self) -> &[u32] {
        &self.postings
    }

    /// Measures the distances of some rows, as far as they are not known, and ranks these rows; hands over
    /// those for which the condition holds, and forgets all.
    pub(super) fn rank<O: Order, N: Near>(
        &mut self,
        question: &Question<O>,
        near: &mut N,
        mut wanted: u64,
        mut visit: impl FnMut(Scored),
    ) {
        if wanted != 0 {
            self.measure(near, wanted);
            if let Some(condition) = &question.condition {
                wanted &= condition.holds(&self.batch());
            }
            let batch = Batch {
                distances: &self.distances,
                null_distances: self.null_distances,
                keys: &self.keys,
                stride: LANES,
                nulls: &self.nulls,
            };
            question
                .order
                .ranks(&batch, &mut self.ranks[..self.postings.len()]);
        }
        for (place, &posting) in self.postings.iter().enumerate() {
            if wanted >> place & 1 == 0 {
                continue;
            }
            let distance = match self.null_distances >> place & 1 {
                0 => Some(self.distances[place]),
                _ => None,
            };
            visit(Scored {
                score: self.ranks[place],
                posting,
                distance: rank(distance),
            });
        }
        self.postings.clear();
        self.distances.clear();
        self.brackets.clear();
        self.open.clear();
        self.nodes.clear();
        self.null_distances = 0;
        self.nulls.fill(0);
    }

    fn measure<N: Near>(&mut self, near: &mut N, wanted: u64) {
        let mut kept = 0;
        for at in 0..self.open.len() {
            if wanted >> self.open[at] & 1 != 0 {
                self.open[kept] = self.open[at];
                self.nodes[kept] = self.nodes[at];
                kept += 1;
            }
        }
        self.open.truncate(kept);
        self.nodes.truncate(kept);
        near.measure(&self.nodes, &mut self.measured);
        for (&place, distance) in self.open.iter().zip(self.measured.drain(..)) {
            self.distances[place] = distance;
        }
    }
}
