//! Rows on their way to a rank: gathered in columns, as orders take them.

use super::near::{Fixed, Near};
use super::question::Question;
use super::ranked::Scored;
use crate::postings::{BLOCK, Block, bits};
use crate::score::{Batch, LANES, Order, rank};

// A visit to a block is one batch.
const _: () = assert!(BLOCK == LANES);

/// Some rows, [`LANES`] at most.
pub(super) struct Rows {
    postings: Vec<u32>,
    distances: Vec<f64>,
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
            null_distances: 0,
            keys: vec![0; attributes * LANES],
            nulls: vec![0; attributes],
            ranks: [0; LANES],
            open: Vec::new(),
            nodes: Vec::new(),
            measured: Vec::new(),
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.postings.len() == LANES
    }

    /// Adds a row whose distance is known, `None` for NULL.
    pub(super) fn push(
        &mut self,
        block: &Block<'_>,
        slot: usize,
        posting: u32,
        attributes: u32,
        distance: Option<f64>,
    ) {
        let place = self.postings.len();
        self.postings.push(posting);
        self.distances.push(distance.unwrap_or_default());
        self.null_distances |= u64::from(distance.is_none()) << place;
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
            let node = block.node(slot);
            let distance = match (fixed, node) {
                (_, None) if no_distance >> slot & 1 == 0 => None,
                (Some(fixed), _) => fixed.distance(),
                (None, None) => Some(f64::NAN),
                (None, Some(node)) => {
                    self.open.push(self.postings.len());
                    self.nodes.push(node);
                    Some(f64::NAN)
                }
            };
            let posting = number * BLOCK as u32 + slot as u32;
            self.push(block, slot, posting, attributes, distance);
        }
    }

    /// Measures the distances that are not known.
    pub(super) fn measure<N: Near>(&mut self, near: &mut N) {
        near.measure(&self.nodes, &mut self.measured);
        for (&place, distance) in self.open.iter().zip(self.measured.drain(..)) {
            self.distances[place] = distance;
        }
        self.open.clear();
        self.nodes.clear();
    }

    /// Ranks the rows, hands over those for which the condition holds and forgets them all.
    pub(super) fn rank<O: Order>(&mut self, question: &Question<O>, mut visit: impl FnMut(Scored)) {
        let count = self.postings.len();
        let batch = Batch {
            distances: &self.distances,
            null_distances: self.null_distances,
            keys: &self.keys,
            stride: LANES,
            nulls: &self.nulls,
        };
        let holds = match &question.condition {
            Some(condition) => condition.holds(&batch),
            None => u64::MAX,
        };
        question.order.ranks(&batch, &mut self.ranks[..count]);
        for (place, &posting) in self.postings.iter().enumerate() {
            if holds >> place & 1 == 0 {
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
        self.null_distances = 0;
        self.nulls.fill(0);
    }
}
