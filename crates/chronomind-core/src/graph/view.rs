//! The graph as one process sees it, and the vector a walk measures from.

use super::entry::{self, Entry};
use super::equal;
use super::free::FreeHead;
use super::lengths::Lengths;
use super::links;
use super::node::{Code, Node, NodeShape, State, upper_slots};
use crate::arena::{RecordShape, Records, RecordsHeader, Region};
use crate::distance::{self, CodeQuery, Element, Kernel, Metric, Products};
use crate::error::{Error, Result};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::record::MAX_NODES;

/// Layers above this one are never used: with m = 2 they would hold a node in 2^30.
const MAX_LAYER: u32 = 30;

// What pages can hold, lists can name.
const _: () = assert!(links::MAX_IDS == MAX_NODES);

/// What an index fixes when it is created.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct GraphConfig {
    /// The distance.
    pub metric: Metric,
    /// How an element of a vector is stored.
    pub element: Element,
    /// Elements of a vector.
    pub dimensions: u32,
    /// Neighbours of a node on the upper layers; twice as many on layer 0. 2 to 100.
    pub m: u32,
    /// Beam width while linking.
    pub ef_construction: u32,
    /// Seed of the layers.
    pub seed: u64,
}

impl GraphConfig {
    /// Bytes of a stored vector.
    pub fn vector_bytes(&self) -> usize {
        self.dimensions as usize * self.element.size()
    }

    /// The records of codes, if walks measure any.
    fn codes(&self) -> Option<RecordShape> {
        let dimensions = self.dimensions as usize;
        distance::has_codes(self.metric, dimensions)
            .then(|| RecordShape::new(Code::stride(dimensions)))
    }

    /// Slots of a list on a layer.
    fn slots(&self, layer: u32) -> usize {
        self.m as usize * if layer == 0 { 2 } else { 1 }
    }

    /// The highest layer of node `id`: geometric with ratio 1/m, as in the paper (section 4.1).
    pub fn layer_of(&self, id: u32) -> u32 {
        // splitmix64 (Steele, Lea and Flood 2014): one round scrambles the ordinal.
        let mut word = self
            .seed
            .wrapping_add(u64::from(id).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        word = (word ^ (word >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        word = (word ^ (word >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        word ^= word >> 31;
        let uniform = ((word >> 11) as f64 + 1.0) / (1_u64 << 53) as f64;
        ((-uniform.ln() / f64::from(self.m).ln()) as u32).min(MAX_LAYER)
    }

    /// What distances of a stored vector are scaled by: 1 / |vector| under cosine, else 1. None
    /// when the vector has no distance from anything: zero under cosine.
    pub fn inverse_norm(&self, vector: &[u8]) -> Option<f32> {
        distance::scale(self.metric, self.element, vector)
    }

    fn node_shape(&self) -> NodeShape {
        NodeShape::new(self.m as usize, self.vector_bytes())
    }

    fn records(&self) -> (RecordShape, RecordShape) {
        (
            RecordShape::new(self.node_shape().stride()),
            RecordShape::new(self.m as usize * size_of::<AtomicU64>()),
        )
    }

    /// Bytes of the region that a graph of `nodes` nodes takes, a little more than will be used.
    pub fn bytes(&self, nodes: u64) -> u64 {
        let (node, upper) = self.records();
        let codes = self.codes().map_or(0, |codes| codes.bytes(nodes));
        let upper = upper.bytes(nodes.div_ceil(u64::from(self.m).max(2) - 1));
        codes + node.bytes(nodes) + upper + equal::bytes(nodes)
    }
}

/// The shared part of a graph; zeroed memory is an empty one.
#[repr(C)]
pub struct GraphHeader {
    nodes: RecordsHeader,
    upper: RecordsHeader,
    codes: RecordsHeader,
    buckets: RecordsHeader,
    entry: AtomicU64,
    /// One more than the highest stored id.
    pub(super) len: AtomicU32,
    /// Upper lists handed out.
    upper_len: AtomicU32,
    /// The greatest length of a vector that was ever stored, as the bits of an `f32`.
    longest: AtomicU32,
    lengths: Lengths,
    pub(super) free: FreeHead,
    /// Nodes that have ever died, and those of them whose place is free again; both wrap.
    pub(super) retired: AtomicU32,
    pub(super) freed: AtomicU32,
    /// How often dead nodes have left the graph; wraps.
    pub(super) departures: AtomicU32,
}

/// A view of a graph.
#[derive(Clone, Copy)]
pub struct Graph<'r> {
    pub(super) header: &'r GraphHeader,
    nodes: Records<'r>,
    upper: Records<'r>,
    pub(super) buckets: Records<'r>,
    pub(crate) shape: NodeShape,
    pub(crate) config: GraphConfig,
    pub(crate) kernel: Kernel,
    /// The codes, if there are any, and what measures them.
    pub(crate) codes: Option<(Records<'r>, Products)>,
}

impl<'r> Graph<'r> {
    /// The view of the graph that `header` heads.
    pub fn new(region: Region<'r>, header: &'r GraphHeader, config: GraphConfig) -> Graph<'r> {
        let (node, upper) = config.records();
        Graph {
            header,
            nodes: Records::new(region, &header.nodes, node),
            upper: Records::new(region, &header.upper, upper),
            buckets: Records::new(region, &header.buckets, equal::shape()),
            shape: config.node_shape(),
            config,
            kernel: Kernel::new(config.metric, config.element),
            codes: config.codes().map(|shape| {
                let codes = Records::new(region, &header.codes, shape);
                (codes, Products::new())
            }),
        }
    }

    /// What the index fixed.
    pub fn config(&self) -> &GraphConfig {
        &self.config
    }

    /// One more than the highest stored id.
    pub fn len(&self) -> u32 {
        self.header.len.load(Ordering::Acquire)
    }

    /// True when no node is stored.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Claims the memory that node `id` needs and returns where its upper lists start, for
    /// [`Graph::store`]. One caller at a time for an id.
    ///
    /// # Errors
    /// When the region is full; what was claimed on the way stays the node's.
    pub fn reserve(&self, id: u32) -> Result<u32> {
        self.reserve_record(id)?;
        self.reserve_bucket(id)?;
        let layers = self.config.layer_of(id);
        if layers == 0 {
            return Ok(0);
        }
        let node = self.node(id);
        // A node that is used again has its lists, and so has one that was reserved and not stored.
        let first = node.upper().unwrap_or_else(|| {
            // Relaxed: the number only has to be unique.
            let first = self.header.upper_len.fetch_add(layers, Ordering::Relaxed);
            node.set_upper(first);
            first
        });
        for record in first..first + layers {
            self.upper.reserve(record)?;
        }
        Ok(first)
    }

    /// Stores the vector of node `id`; `upper` is what [`Graph::reserve`] returned for it. No search
    /// meets the node before [`Graph::link`]. Returns false when it is not free.
    pub fn store(&self, id: u32, upper: u32, vector: &[u8]) -> bool {
        // Callers keep vectors without a distance out of the graph.
        let inverse_norm = self.config.inverse_norm(vector).unwrap_or(0.0);
        let layer = self.config.layer_of(id);
        let mut elements = vec![0; self.config.dimensions as usize];
        let code = self.codes.map(|(codes, _)| {
            let mut values = vec![0.0; elements.len()];
            distance::decode(self.config.element, vector, &mut values);
            let scale = distance::encode(&values, &mut elements);
            (self.code(&codes, id), &elements[..], scale)
        });
        // Before anybody takes it for stored, so that whoever has a vector is found by it.
        let enlist = || self.enlist(id, vector);
        let node = self.node(id);
        let length = distance::length(self.config.element, vector);
        // Relaxed: as in `Lengths`. Bits order as positive floats do.
        self.header
            .longest
            .fetch_max(length.to_bits(), Ordering::Relaxed);
        self.header.lengths.enter(length);
        let stored = node.store(vector, code, inverse_norm, layer, upper, enlist);
        if stored {
            // Release: pairs with the Acquire in `len`.
            self.header.len.fetch_max(id + 1, Ordering::Release);
        } else {
            self.header.lengths.leave(length);
        }
        stored
    }

    /// Counts a node out whose vector nobody can meet any more, before its place is free.
    pub(super) fn forget_length(&self, node: &Node<'_>) {
        let length = distance::length(self.config.element, node.vector());
        self.header.lengths.leave(length);
    }

    /// The state of node `id`; [`State::Free`] when it has no memory.
    pub fn state(&self, id: u32) -> State {
        self.known(id).map_or(State::Free, |node| node.state())
    }

    /// The nodes that have memory, in order, each with its state at the moment that it is come to.
    ///
    /// Not every id below [`len`](Self::len) has memory: on a standby, rows that came and went between
    /// two looks at the pages leave ids without any, whole extents of them.
    pub fn nodes(&self) -> impl Iterator<Item = (u32, State)> + use<'r> {
        let graph = *self;
        (0..self.len()).filter_map(move |id| Some((id, graph.known(id)?.state())))
    }

    /// The nodes that are live, in order.
    pub(super) fn live(&self) -> impl Iterator<Item = u32> + use<'r> {
        let nodes = self.nodes();
        nodes.filter_map(|(id, state)| (state == State::Live).then_some(id))
    }

    /// The stored bytes of a node's vector, if it has any.
    pub fn vector(&self, id: u32) -> Option<&'r [u8]> {
        match self.state(id) {
            State::Free | State::Filling => None,
            _ => Some(self.node(id).vector()),
        }
    }

    /// Whether node `id` has this vector, and may have rows.
    pub fn holds(&self, id: u32, vector: &[u8]) -> bool {
        matches!(self.state(id), State::Stored | State::Linking | State::Live)
            && self.node(id).vector() == vector
    }

    /// The head of the chain of a node's postings (posting id + 1, 0 for none).
    pub fn postings_of(&self, id: u32) -> &'r AtomicU32 {
        &self.node(id).header.postings
    }

    /// Makes sure that node `id` has a record, whose head of postings can then be used before the
    /// node is stored.
    ///
    /// # Errors
    /// When the region is full; the graph is as before.
    pub fn reserve_record(&self, id: u32) -> Result<()> {
        if id >= links::MAX_IDS {
            return Err(Error::TooManyRecords);
        }
        if let Some((codes, _)) = &self.codes {
            codes.reserve(id)?;
        }
        self.nodes.reserve(id)
    }

    /// Restores one list of a node from what the index's pages hold. On layer 0 the node needs a
    /// record, above it must be stored. Page lists are only hints: words that name the node itself
    /// or none below `len` are dropped, and so are lists above the node's layer. For a loader, before
    /// anybody searches.
    pub fn restore_list(&self, id: u32, layer: u32, words: &[u32], len: u32) {
        let list = if layer == 0 {
            self.node(id).slots
        } else {
            self.list(id, layer)
        };
        for &word in words {
            let word = u64::from(word);
            if let Some(other) = links::id_of(word)
                && other < len
                && other != id
                && (layer == 0 || self.config.layer_of(other) >= layer)
            {
                links::add(list, other, links::marks_of(word), f32::NAN);
            }
        }
    }

    /// Makes a stored node live with the lists that were restored. False when there are none: it
    /// has to be linked. Names of places that are free are dropped, so [`Graph::vacate`] comes first.
    pub fn finish_restore(&self, id: u32) -> bool {
        let node = self.node(id);
        if self.free_nodes() > 0 {
            self.drop_free(id);
        }
        // Relaxed: the loader's own writes.
        let is_empty = |slot: &AtomicU64| slot.load(Ordering::Relaxed) == 0;
        if node.slots.iter().all(is_empty) || !node.begin(State::Stored, State::Linking) {
            return false;
        }
        entry::raise(
            self.entry_word(),
            Entry {
                id,
                layer: node.layer(),
            },
        );
        node.finish_linking();
        true
    }

    /// Copies the slot words of one list of a node, without their distances, for the index's pages: as many
    /// as a list has, all 0 where the node has no memory.
    pub fn copy_links(&self, id: u32, layer: u32, out: &mut Vec<u32>) {
        out.clear();
        if self.known(id).is_none() {
            out.resize(self.config.slots(layer), 0);
            return;
        }
        // Relaxed: only the words are copied, nothing behind them is read.
        out.extend(
            self.list(id, layer)
                .iter()
                .map(|slot| slot.load(Ordering::Relaxed) as u32),
        );
    }

    /// Where searches start.
    pub fn entry(&self) -> Option<Entry> {
        entry::load(&self.header.entry)
    }

    /// The distance of node `id` from the probe.
    pub fn distance(&self, probe: &Probe, id: u32) -> f64 {
        let mut found = f64::NAN;
        self.distances(probe, &[id], |_, distance| found = distance);
        found
    }

    /// The distances of some nodes, in order.
    pub fn distances(&self, probe: &Probe, ids: &[u32], mut visit: impl FnMut(u32, f64)) {
        self.full_keys(probe, ids, |id, key| {
            visit(id, self.config.metric.distance(key))
        });
    }

    /// Makes a probe of a query vector, given in the bytes of a stored one. None when it has no
    /// distance from anything: zero under cosine.
    pub fn probe(&self, query: &[u8]) -> Option<Probe> {
        let mut values = vec![0.0; self.config.dimensions as usize];
        distance::decode(self.config.element, query, &mut values);
        if self.config.metric == Metric::Cosine && !distance::normalise(&mut values) {
            return None;
        }
        let mut code = CodeQuery::default();
        if self.codes.is_some() {
            code.set(&values);
        }
        Some(Probe {
            values,
            inverse_norm: 1.0,
            code,
        })
    }

    /// An upper bound of the lengths of the vectors that are there.
    pub fn longest(&self) -> f32 {
        // Relaxed: see `store`.
        let longest = f32::from_bits(self.header.longest.load(Ordering::Relaxed));
        longest.min(self.header.lengths.most())
    }

    /// Whether a distance of the probe from some node may be NaN.
    pub(super) fn overflows(&self, probe: &Probe) -> bool {
        let longest = self.longest();
        let length = distance::squared_norm(&probe.values).sqrt() as f32;
        self.config.metric.overflows(length, longest)
    }

    /// Bytes of the region that the graph holds.
    pub fn bytes_held(&self) -> u64 {
        self.arrays().map(|array| array.bytes_held()).sum()
    }

    /// All arrays, for giving them back.
    pub(crate) fn arrays(&self) -> impl Iterator<Item = Records<'r>> + use<'r> {
        let codes = self.codes.map(|(codes, _)| codes);
        [self.nodes, self.upper, self.buckets]
            .into_iter()
            .chain(codes)
    }

    /// The code of a node.
    #[inline(always)]
    pub(crate) fn code(&self, codes: &Records<'r>, id: u32) -> Code<'r> {
        Code::at(codes, self.config.dimensions as usize, id)
    }

    pub(crate) fn entry_word(&self) -> &'r AtomicU64 {
        &self.header.entry
    }

    /// Node `id`, which has memory: it was reserved by the caller, or met in a list, a bucket, the list of
    /// free nodes or among [`nodes`](Self::nodes), or has a state other than [`State::Free`].
    ///
    /// # Panics
    /// When it has none. Whoever goes through ids by counting takes [`nodes`](Self::nodes) instead.
    #[inline(always)]
    pub(crate) fn node(&self, id: u32) -> Node<'r> {
        Node::at(&self.nodes, self.shape, id)
    }

    /// Node `id`, if it has memory.
    #[inline]
    pub(super) fn known(&self, id: u32) -> Option<Node<'r>> {
        Node::find(&self.nodes, self.shape, id)
    }

    /// The neighbour list of a node on a layer, empty above its highest.
    #[inline(always)]
    pub(crate) fn list(&self, id: u32, layer: u32) -> &'r [AtomicU64] {
        let node = self.node(id);
        if layer == 0 {
            return node.slots;
        }
        match node.upper().filter(|_| layer <= node.layer()) {
            Some(first) => {
                let m = self.config.m as usize;
                upper_slots(&self.upper, first + layer - 1, m)
            }
            None => &[],
        }
    }

    /// Makes `probe` the vector of node `id`.
    pub(crate) fn probe_node(&self, id: u32, probe: &mut Probe) {
        let node = self.node(id);
        probe.values.resize(self.config.dimensions as usize, 0.0);
        distance::decode(self.config.element, node.vector(), &mut probe.values);
        probe.inverse_norm = node.inverse_norm();
        if let Some((codes, _)) = &self.codes {
            let code = self.code(codes, id);
            probe.code.set_code(code.elements(), code.scale());
        }
    }
}

/// A vector that distances are measured from.
#[derive(Debug, Clone, Default)]
pub struct Probe {
    values: Vec<f32>,
    inverse_norm: f32,
    /// The same in a form that codes are measured from, if there are any.
    code: CodeQuery,
}

impl Probe {
    #[inline(always)]
    pub(crate) fn values(&self) -> &[f32] {
        &self.values
    }

    #[inline(always)]
    pub(crate) fn code(&self) -> &CodeQuery {
        &self.code
    }

    #[inline(always)]
    pub(crate) fn inverse_norm(&self) -> f32 {
        self.inverse_norm
    }
}
