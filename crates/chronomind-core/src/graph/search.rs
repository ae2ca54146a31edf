//! The walk: from the entry point down to the nodes nearest to a vector.
//!
//! Greedy descent through the upper layers, then a beam on layer 0 (Malkov and Yashunin 2016,
//! algorithms 2 and 5). Readers take no lock, write nothing shared and wait for nobody.
//!
//! One step of the descent is no greedy one: the layer just above is walked with a beam too, and the walk
//! begins from all that this finds. From one node alone, a beam that comes into a dense group of vectors is
//! filled by it and finds no way out; no width helps much where there are many such groups. Of a million
//! rows, a beam of 40 that began with one node did not find 6.7% of them by their own vectors, and 2%
//! when it began with ten.

use super::beam::{Beam, Candidate, Visited};
use super::entry::Entry;
use super::links::id_of;
use super::node::{Code, Node};
use super::{Graph, Probe};
use crate::arena::Records;
use crate::distance::{Estimates, Metric, Products, TOGETHER};
use crate::error::{Error, Interrupt, Result};
use crate::primitive::{AtomicU64, Ordering};
use crate::scan::Bracket;

/// Nodes whose vectors are asked for together, while those before are measured.
const BATCH: usize = 8;
/// Nodes whose codes are asked for together: the neighbours of one at the usual m.
const WINDOW: usize = 32;
/// A walk begins from one node of the layer above for so many places of its beam.
const STARTS_PART: usize = 4;
/// And from so many at most, for they are found in one step.
const MOST_STARTS: usize = 128;
/// Expanded candidates between two looks at the interrupt check.
const STRIDE: u32 = 256;

/// The buffers of one walk, kept from one to the next.
#[derive(Default)]
pub(crate) struct Walk {
    pub(crate) beam: Beam,
    pub(crate) visited: Visited,
    pending: Vec<u32>,
    /// Distances computed.
    pub(crate) measured: u64,
}

impl Walk {
    /// Begins with some nodes and a beam of `ef`.
    pub(super) fn begin(
        &mut self,
        ef: usize,
        keeps_spill: bool,
        starts: impl IntoIterator<Item = Candidate>,
    ) {
        self.beam.reset(ef, keeps_spill);
        self.visited.clear();
        for start in starts {
            if self.visited.insert(start.id()) {
                self.beam.push(start);
            }
        }
    }

    /// The nearest nodes found, in order.
    pub(super) fn found(&self) -> impl Iterator<Item = Candidate> + '_ {
        let nearest = self.beam.nearest().iter();
        nearest.map(|found| Candidate::new(found.id(), found.key()))
    }

    /// Memory of the walk, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.beam.bytes() + self.visited.bytes()
    }
}

impl<'r> Graph<'r> {
    /// Follows the nearest neighbour on each layer from the entry's down to just above `layer`.
    pub(crate) fn descend(&self, probe: &Probe, entry: Entry, layer: u32) -> Candidate {
        let mut best = Candidate::new(entry.id, self.key(probe, entry.id));
        let mut ids = Vec::with_capacity(self.shape.slots);
        for at in (layer + 1..=entry.layer).rev() {
            loop {
                ids.clear();
                let list = self.list(best.id(), at);
                // Acquire: pairs with the Release that published the id.
                ids.extend(
                    list.iter()
                        .filter_map(|slot| id_of(slot.load(Ordering::Acquire))),
                );
                let mut nearest = best;
                self.keys(probe, &ids, |id, key| {
                    let candidate = Candidate::new(id, key);
                    if candidate < nearest {
                        nearest = candidate;
                    }
                });
                if nearest == best {
                    break;
                }
                best = nearest;
            }
        }
        best
    }

    /// Makes `starts` the nodes from which a walk of a layer with a beam of `ef` begins: near ones on the
    /// layer above, or the entry point if it lies no higher.
    pub(crate) fn approach(
        &self,
        walk: &mut Walk,
        probe: &Probe,
        entry: Entry,
        layer: u32,
        ef: usize,
        starts: &mut Vec<Candidate>,
    ) {
        let nearest = self.descend(probe, entry, layer + 1);
        starts.clear();
        if entry.layer <= layer {
            starts.push(nearest);
            return;
        }
        walk.begin(ef.div_ceil(STARTS_PART).min(MOST_STARTS), false, [nearest]);
        // Never stopped: it is a short walk.
        let _ = self.expand(walk, probe, layer + 1, &mut || false);
        starts.extend(walk.found());
    }

    /// Expands candidates on one layer until none in the beam is left.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so.
    pub(crate) fn expand(
        &self,
        walk: &mut Walk,
        probe: &Probe,
        layer: u32,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<()> {
        let mut count = 0_u32;
        while self.expand_next(walk, probe, layer).is_some() {
            count += 1;
            if count.is_multiple_of(STRIDE) && interrupt() {
                return Err(Error::Stopped);
            }
        }
        Ok(())
    }

    /// Expands the nearest candidate in the beam that is not expanded: measures those of its
    /// neighbours that have not been met.
    #[inline(always)]
    pub(crate) fn expand_next(
        &self,
        walk: &mut Walk,
        probe: &Probe,
        layer: u32,
    ) -> Option<Candidate> {
        let candidate = walk.beam.next()?;
        let list = self.list(candidate.id(), layer);
        walk.pending.clear();
        gather(list, &mut walk.visited, &mut walk.pending);
        if layer == 0
            && let Some(next) = walk.beam.peek()
        {
            self.node(next.id()).prefetch_links();
        }
        walk.measured += walk.pending.len() as u64;
        let beam = &mut walk.beam;
        self.keys(probe, &walk.pending, |id, key| {
            beam.push(Candidate::new(id, key))
        });
        Some(candidate)
    }

    /// Begins a walk of layer 0 with a beam of `ef` nodes, from those that the upper layers lead to.
    pub(crate) fn enter(&self, walk: &mut Walk, probe: &Probe, ef: usize, keeps_spill: bool) {
        let mut starts = Vec::new();
        if let Some(entry) = self.entry() {
            self.approach(walk, probe, entry, 0, ef, &mut starts);
            // A search that goes on to the end must reach all that the entry point reaches.
            starts.push(Candidate::new(entry.id, self.key(probe, entry.id)));
        }
        walk.begin(ef, keeps_spill, starts);
    }

    /// The keys of some nodes, in order, as near to those of [`Graph::full_keys`] as a walk needs them:
    /// from their codes, where these are clear.
    #[inline(always)]
    pub(crate) fn keys(&self, probe: &Probe, ids: &[u32], mut visit: impl FnMut(u32, f32)) {
        let Some((codes, products)) = &self.codes else {
            return self.full_keys(probe, ids, visit);
        };
        self.estimates(codes, *products, probe, ids, |ids, estimates| {
            for (at, &id) in ids.iter().enumerate() {
                let key = if estimates.clear[at] {
                    estimates.keys[at]
                } else {
                    self.full_key(probe, id)
                };
                visit(id, key);
            }
        });
    }

    /// What the codes of some nodes tell of their keys, in order, [`TOGETHER`] at most at once.
    #[inline(always)]
    fn estimates(
        &self,
        codes: &Records<'r>,
        products: Products,
        probe: &Probe,
        ids: &[u32],
        mut visit: impl FnMut(&[u32], &Estimates),
    ) {
        let query = probe.code();
        for ids in ids.chunks(WINDOW) {
            // All are asked for before any is measured: a walk waits for memory more than for sums.
            let mut found = [self.code(codes, ids[0]); WINDOW];
            for (found, &id) in found.iter_mut().zip(ids) {
                *found = self.code(codes, id);
                found.prefetch();
            }
            let (found, _) = found.as_chunks::<TOGETHER>();
            for (ids, found) in ids.chunks(TOGETHER).zip(found) {
                let codes = found.each_ref().map(Code::elements);
                let scales = found.each_ref().map(Code::scale);
                let sums = products.sums(query.elements(), &codes);
                visit(ids, &query.estimate(self.config.metric, &sums, &scales));
            }
        }
    }

    /// Appends for some nodes, in order, a distance that theirs is not below and one that it is not above:
    /// cheaper to know than the distances. Where there are no codes, the distances themselves.
    pub(crate) fn brackets(&self, probe: &Probe, ids: &[u32], brackets: &mut Vec<Bracket>) {
        let Some((codes, products)) = &self.codes else {
            return self.distances(probe, ids, |_, distance| {
                brackets.push((distance, distance))
            });
        };
        let metric = self.config.metric;
        let (least, most) = metric.range();
        let distance = |key: f64| match metric {
            Metric::L2 => key.max(0.0).sqrt(),
            _ => key,
        };
        self.estimates(codes, *products, probe, ids, |ids, estimates| {
            for at in 0..ids.len() {
                let key = f64::from(estimates.keys[at]);
                let error = f64::from(estimates.errors[at]);
                brackets.push(if (key + error).is_finite() {
                    (
                        distance(key - error).max(least),
                        distance(key + error).min(most),
                    )
                } else {
                    (least, most)
                });
            }
        });
    }

    /// The keys of some nodes, in order. While one batch is measured the next is on its way.
    #[inline(always)]
    pub(crate) fn full_keys(&self, probe: &Probe, ids: &[u32], mut visit: impl FnMut(u32, f32)) {
        let fetch = |ids: &[u32]| fetch(ids, |id| self.node(id), Node::prefetch_vector);
        let mut batches = ids.chunks(BATCH);
        let mut fetched = batches.next().map(|ids| (ids, fetch(ids)));
        while let Some((ids, nodes)) = fetched {
            fetched = batches.next().map(|ids| (ids, fetch(ids)));
            for (ids, nodes) in ids.chunks(4).zip(nodes.chunks_exact(4)) {
                // Always four: one is summed in another order, and a node's key must not depend on
                // who asks, or a scan could not tell by its rank whether a row was given out.
                let vectors = std::array::from_fn(|at| nodes[at].vector());
                let raw = self.kernel.four(probe.values(), vectors);
                for (at, &id) in ids.iter().enumerate() {
                    visit(id, self.finish(probe, raw[at], nodes[at]));
                }
            }
        }
    }

    /// The key of one node, as [`Graph::full_keys`] gives it.
    fn full_key(&self, probe: &Probe, id: u32) -> f32 {
        let mut found = f32::NAN;
        self.full_keys(probe, &[id], |_, key| found = key);
        found
    }

    /// The key of one node, as [`Graph::keys`] gives it.
    pub(crate) fn key(&self, probe: &Probe, id: u32) -> f32 {
        let mut found = f32::NAN;
        self.keys(probe, &[id], |_, key| found = key);
        found
    }

    #[inline(always)]
    fn finish(&self, probe: &Probe, raw: f32, node: Node<'r>) -> f32 {
        self.config
            .metric
            .key(raw, probe.inverse_norm() * node.inverse_norm())
    }
}

/// Asks for what belongs to at most [`BATCH`] ids; places past the end hold that of the first.
#[inline(always)]
fn fetch<T: Copy>(ids: &[u32], of: impl Fn(u32) -> T, prefetch: impl Fn(&T)) -> [T; BATCH] {
    let mut found = [of(ids[0]); BATCH];
    for (found, &id) in found.iter_mut().zip(ids) {
        *found = of(id);
        prefetch(found);
    }
    found
}

#[inline(always)]
fn gather(list: &[AtomicU64], visited: &mut Visited, pending: &mut Vec<u32>) {
    for slot in list {
        // Acquire: pairs with the Release that published the id; its vector is read next.
        if let Some(id) = id_of(slot.load(Ordering::Acquire))
            && visited.insert(id)
        {
            pending.push(id);
        }
    }
}

/// A search for the nodes nearest to a vector, with the buffers that the next one takes over.
#[derive(Default)]
pub struct NearSearch {
    walk: Walk,
    found: Vec<Candidate>,
}

impl NearSearch {
    /// A search that has not looked at the graph yet.
    pub fn new() -> NearSearch {
        NearSearch::default()
    }

    /// Looks for the nearest nodes with a beam of `ef`. Afterwards [`NearSearch::nearest`] holds that
    /// many, or all that can be reached.
    ///
    /// # Errors
    /// [`Error::Stopped`] when the interrupt check says so.
    pub fn find(
        &mut self,
        graph: &Graph<'_>,
        probe: &Probe,
        ef: usize,
        interrupt: &mut Interrupt<'_>,
    ) -> Result<()> {
        graph.enter(&mut self.walk, probe, ef, false);
        graph.expand(&mut self.walk, probe, 0, interrupt)?;
        let ids: Vec<u32> = self.walk.beam.nearest().iter().map(|c| c.id()).collect();
        self.found.clear();
        graph.full_keys(probe, &ids, |id, key| {
            self.found.push(Candidate::new(id, key))
        });
        self.found.sort_unstable();
        Ok(())
    }

    /// The nodes found with their keys, nearest first.
    pub fn nearest(&self) -> impl ExactSizeIterator<Item = (u32, f32)> + Clone + '_ {
        self.found
            .iter()
            .map(|candidate| (candidate.id(), candidate.key()))
    }
}
