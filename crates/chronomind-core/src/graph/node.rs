//! A node as it lies in the arena: header, neighbour slots and vector in one record.
//!
//! | bytes | what |
//! |---|---|
//! | 0..32 | [`NodeHeader`] |
//! | 32..32+16m | `2m` neighbour slots of layer 0 |
//! | next multiple of 64.. | the vector's bytes, as stored on the index's pages |
//!
//! One record is fetched together, and the vector starts on a cache line. Slots of the layers above
//! lie in an array of their own, `m` words a layer, because few nodes have any; and so do the codes of
//! vectors ([`Code`]), of which a walk measures hundreds for each node that it expands, so that they
//! share pages and caches with nothing else.
//!
//! This file may say `unsafe`: it reads and writes record bytes.
#![allow(unsafe_code)]

use crate::arena::{Records, Zeroable, prefetch};
use crate::distance::Scale;
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

const SLOTS_AT: usize = size_of::<NodeHeader>();

/// The life of a node. Zeroed memory is `Free`.
///
/// | from | to | by whom |
/// |---|---|---|
/// | Free | Filling | whoever stores the vector; one compare-and-swap decides |
/// | Filling | Stored | the same, when the bytes are in place |
/// | Stored | Linking | whoever links it: its inserter, or the loader after a restart |
/// | Linking | Live | the same, when its own lists and the links back stand |
/// | Live | Dead | vacuum, when its last row is gone: [`Graph::retire`](super::Graph::retire) |
/// | Stored, Linking | Dead | the same, where whoever was to go on has failed, and its row is gone |
/// | Dead | Free | [`Graph::unlink`](super::Graph::unlink), when nobody can meet it any more |
///
/// Free again, a node keeps its id, and with it its layers, and whoever stores the next vector in it
/// begins anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[repr(u32)]
pub enum State {
    /// No vector; the lists are empty.
    Free = 0,
    /// Somebody is storing the vector.
    Filling = 1,
    /// The vector is in place, no link leads to it.
    Stored = 2,
    /// Somebody is linking it; readers may meet it.
    Linking = 3,
    /// Linked.
    Live = 4,
    /// Has no rows any more; readers may still meet it, nobody links to it.
    Dead = 5,
}

impl State {
    fn from_word(word: u32) -> State {
        match word {
            0 => State::Free,
            1 => State::Filling,
            2 => State::Stored,
            3 => State::Linking,
            4 => State::Live,
            _ => State::Dead,
        }
    }

    /// Whether links may lead to the node.
    pub(crate) fn is_linked(self) -> bool {
        matches!(self, State::Linking | State::Live | State::Dead)
    }
}

/// The fixed part of a node.
#[repr(C)]
pub(crate) struct NodeHeader {
    state: AtomicU32,
    /// Highest layer.
    layer: AtomicU32,
    /// First of the node's records in the array of upper lists + 1, 0 while it has none.
    upper: AtomicU32,
    /// Head of the chain of the node's postings: posting id + 1, 0 for none.
    pub(crate) postings: AtomicU32,
    /// 1 / |vector| as bits.
    inverse_norm: AtomicU32,
    /// The next on the list of free nodes, see [`free`](super::free).
    pub(crate) next_free: AtomicU32,
    /// The hash of the vector, see [`equal`](super::equal).
    hash: AtomicU32,
    /// The next node in the same bucket, see [`bucket`](super::bucket).
    pub(crate) next_in_bucket: AtomicU32,
}

const _: () = assert!(size_of::<NodeHeader>() == 32);

// SAFETY: atomics only.
unsafe impl Zeroable for NodeHeader {}

/// Where the parts of a record lie for one index.
#[derive(Debug, Clone, Copy)]
pub(crate) struct NodeShape {
    pub(crate) slots: usize,
    vector_at: usize,
    vector_bytes: usize,
}

impl NodeShape {
    pub(crate) fn new(m: usize, vector_bytes: usize) -> NodeShape {
        let slots = 2 * m;
        NodeShape {
            slots,
            vector_at: (SLOTS_AT + size_of::<AtomicU64>() * slots).next_multiple_of(64),
            vector_bytes,
        }
    }

    /// Bytes of a record.
    pub(crate) fn stride(&self) -> usize {
        (self.vector_at + self.vector_bytes).next_multiple_of(64)
    }
}

/// A node of an index, as this process sees it.
#[derive(Clone, Copy)]
pub(crate) struct Node<'r> {
    pub(crate) header: &'r NodeHeader,
    /// The neighbour list of layer 0.
    pub(crate) slots: &'r [AtomicU64],
    vector: *const u8,
    vector_bytes: usize,
}

impl<'r> Node<'r> {
    #[inline(always)]
    pub(crate) fn at(nodes: &Records<'r>, shape: NodeShape, id: u32) -> Node<'r> {
        // SAFETY: a record of an array of nodes.
        unsafe { Node::on(nodes.record(id).as_ptr(), shape) }
    }

    /// The same, if it has memory.
    #[inline(always)]
    pub(crate) fn find(nodes: &Records<'r>, shape: NodeShape, id: u32) -> Option<Node<'r>> {
        let record = nodes.locate(id)?;
        // SAFETY: a record of an array of nodes.
        Some(unsafe { Node::on(record.as_ptr(), shape) })
    }

    /// # Safety
    /// `record` is that of a node of this shape, in an array that lives for `'r`.
    #[inline(always)]
    unsafe fn on(record: *mut u8, shape: NodeShape) -> Node<'r> {
        // SAFETY: a record has `stride` bytes: the header, the slots and the vector, in this order;
        // header and slots are only ever touched as atomics.
        unsafe {
            Node {
                header: &*record.cast::<NodeHeader>(),
                slots: std::slice::from_raw_parts(record.add(SLOTS_AT).cast(), shape.slots),
                vector: record.add(shape.vector_at),
                vector_bytes: shape.vector_bytes,
            }
        }
    }

    pub(crate) fn state(&self) -> State {
        // Acquire: pairs with the Release in `set_state` and `begin`.
        State::from_word(self.header.state.load(Ordering::Acquire))
    }

    /// Takes the node from one state to the next, if nobody else has.
    pub(crate) fn begin(&self, from: State, to: State) -> bool {
        let state = &self.header.state;
        // Acquire on success: what the owner of `from` wrote is used by the owner of `to`.
        state
            .compare_exchange(from as u32, to as u32, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }

    /// Ends a state that this caller owns.
    fn set_state(&self, to: State) {
        // Release: what was written in the state that ends is in place before.
        self.header.state.store(to as u32, Ordering::Release);
    }

    pub(crate) fn finish_linking(&self) {
        self.set_state(State::Live);
    }

    /// Ends the life of a node that nobody can meet any more and whose lists are empty.
    pub(crate) fn finish(&self) {
        // Relaxed: released by the state.
        self.header.postings.store(0, Ordering::Relaxed);
        self.set_state(State::Free);
    }

    /// Stores vector, code, norm and layers, calls `before_stored` and shows the node. Returns false
    /// when it is not free, and has done nothing.
    pub(crate) fn store(
        &self,
        vector: &[u8],
        code: Option<(Code<'_>, &[i8], Scale)>,
        inverse_norm: f32,
        layer: u32,
        upper: u32,
        before_stored: impl FnOnce(),
    ) -> bool {
        debug_assert_eq!(vector.len(), self.vector_bytes);
        if !self.begin(State::Free, State::Filling) {
            return false;
        }
        // SAFETY: the record has room for the vector; the state `Filling` is this caller's alone,
        // and no reader looks at the bytes before `Stored`, or before a link, which comes later.
        unsafe {
            self.vector
                .cast_mut()
                .copy_from_nonoverlapping(vector.as_ptr(), self.vector_bytes);
        }
        if let Some((code, elements, scale)) = code {
            code.write(elements, scale);
        }
        self.header
            .inverse_norm
            .store(inverse_norm.to_bits(), Ordering::Relaxed);
        self.header.layer.store(layer, Ordering::Relaxed);
        self.header.upper.store(upper + 1, Ordering::Relaxed);
        before_stored();
        self.set_state(State::Stored);
        true
    }

    /// The vector's bytes. To be asked for only of nodes at least `Stored`, as all linked ones are.
    #[inline(always)]
    pub(crate) fn vector(&self) -> &'r [u8] {
        // SAFETY: inside the record, and whoever reached the node through a link or saw `Stored` has
        // an Acquire that follows the writes. It is written again only when the node was free in
        // between, which no pin under which it could be reached outlasts (see `unlink`).
        unsafe { std::slice::from_raw_parts(self.vector, self.vector_bytes) }
    }

    #[inline(always)]
    pub(crate) fn inverse_norm(&self) -> f32 {
        // Relaxed, here and in the next two: written before `Stored`, see `vector`.
        f32::from_bits(self.header.inverse_norm.load(Ordering::Relaxed))
    }

    /// The hash of the vector, of a node that was met in a bucket.
    #[inline(always)]
    pub(crate) fn hash(&self) -> u32 {
        // Relaxed: written before the node came into the bucket.
        self.header.hash.load(Ordering::Relaxed)
    }

    /// Writes the hash, before the node comes into a bucket.
    pub(crate) fn set_hash(&self, hash: u32) {
        self.header.hash.store(hash, Ordering::Relaxed);
    }

    pub(crate) fn layer(&self) -> u32 {
        self.header.layer.load(Ordering::Relaxed)
    }

    /// The first of the node's upper lists, once memory was claimed for them.
    pub(crate) fn upper(&self) -> Option<u32> {
        self.header.upper.load(Ordering::Relaxed).checked_sub(1)
    }

    /// Notes the first of the upper lists of a node that is not stored yet.
    pub(crate) fn set_upper(&self, first: u32) {
        // Relaxed: for this caller; `store` writes it for those who meet the node.
        self.header.upper.store(first + 1, Ordering::Relaxed);
    }

    /// Asks for the cache lines of header and links.
    #[inline(always)]
    pub(crate) fn prefetch_links(&self) {
        prefetch(self.header, SLOTS_AT + size_of_val(self.slots));
    }

    /// Asks for the cache lines of the vector and of the header, which holds the norm.
    #[inline(always)]
    pub(crate) fn prefetch_vector(&self) {
        prefetch(self.header, 1);
        prefetch(self.vector, self.vector_bytes.min(PREFETCH_BYTES));
    }
}

/// The fixed part of a code: its [`Scale`], as bits.
type CodeHeader = [AtomicU32; 3];

/// The code of a node's vector. It is written in the state `Filling` and read like the vector.
#[derive(Clone, Copy)]
pub(crate) struct Code<'r> {
    header: &'r CodeHeader,
    elements: *const i8,
    count: usize,
}

impl<'r> Code<'r> {
    /// Bytes of a record that holds a code of so many elements.
    pub(crate) fn stride(elements: usize) -> usize {
        (size_of::<CodeHeader>() + elements).next_multiple_of(64)
    }

    #[inline(always)]
    pub(crate) fn at(codes: &Records<'r>, count: usize, id: u32) -> Code<'r> {
        let record = codes.record(id).as_ptr();
        // SAFETY: a record has `stride` bytes: the header, only ever touched as atomics, and the elements.
        unsafe {
            Code {
                header: &*record.cast::<CodeHeader>(),
                elements: record.add(size_of::<CodeHeader>()).cast(),
                count,
            }
        }
    }

    fn write(&self, elements: &[i8], scale: Scale) {
        debug_assert_eq!(elements.len(), self.count);
        // SAFETY: the record has room for the elements, and the state `Filling` of its node is this
        // caller's alone.
        unsafe {
            self.elements
                .cast_mut()
                .copy_from_nonoverlapping(elements.as_ptr(), self.count);
        }
        let numbers = [scale.unit, scale.length, scale.error];
        for (word, number) in self.header.iter().zip(numbers) {
            // Relaxed: released by the state that follows.
            word.store(number.to_bits(), Ordering::Relaxed);
        }
    }

    /// The elements. To be asked for only of nodes at least `Stored`.
    #[inline(always)]
    pub(crate) fn elements(&self) -> &'r [i8] {
        // SAFETY: as in `Node::vector`.
        unsafe { std::slice::from_raw_parts(self.elements, self.count) }
    }

    /// What the elements stand for, of the same nodes.
    #[inline(always)]
    pub(crate) fn scale(&self) -> Scale {
        // Relaxed: written before `Stored`.
        let number = |at: usize| f32::from_bits(self.header[at].load(Ordering::Relaxed));
        Scale {
            unit: number(0),
            length: number(1),
            error: number(2),
        }
    }

    /// Asks for its cache lines.
    #[inline(always)]
    pub(crate) fn prefetch(&self) {
        let bytes = size_of::<CodeHeader>() + self.count.min(PREFETCH_BYTES);
        prefetch(self.header, bytes);
    }
}

/// The hardware follows a stream by itself once its beginning is there.
const PREFETCH_BYTES: usize = 512;

/// The head of a bucket (see [`equal`](super::equal)).
pub(crate) fn bucket_head<'r>(buckets: &Records<'r>, bucket: u32) -> &'r AtomicU32 {
    // SAFETY: a record of the array of buckets is one word.
    unsafe { buckets.at(bucket, 0) }
}

/// The neighbour list of one of the upper layers.
pub(crate) fn upper_slots<'r>(upper: &Records<'r>, record: u32, m: usize) -> &'r [AtomicU64] {
    // SAFETY: a record of the array of upper lists is `m` words.
    unsafe { upper.slice(record, 0, m) }
}
