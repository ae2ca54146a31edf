//! One index in the region: its root, and everything that hangs on it.
//!
//! The root is an extent of one unit whose number is all a process needs to open the index. It
//! holds what the index fixed at creation and the headers of its arrays.
//!
//! This file may say `unsafe`: it lays the root out and gives everything back.
#![allow(unsafe_code)]

use crate::arena::{Extent, RecordsHeader, Region, UNIT, WordRecords, Zeroable};
use crate::directory::{self, Directory};
use crate::distance::{Element, Metric};
use crate::error::{Error, Result};
use crate::graph::{Graph, GraphConfig, GraphHeader};
use crate::postings::{BLOCK, Place, Postings, bits, split};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};
use crate::score::Row;

#[repr(C)]
struct Root {
    metric: AtomicU32,
    element: AtomicU32,
    dimensions: AtomicU32,
    m: AtomicU32,
    ef_construction: AtomicU32,
    attributes: AtomicU32,
    seed: AtomicU64,
    drift: AtomicU32,
    graph: GraphHeader,
    blocks: RecordsHeader,
    zones: RecordsHeader,
    pages: RecordsHeader,
}

const _: () = assert!(size_of::<Root>() <= UNIT);

// SAFETY: atomics and structures of atomics.
unsafe impl Zeroable for Root {}

/// What an index fixes when it is created.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct IndexConfig {
    /// The graph.
    pub graph: GraphConfig,
    /// Attributes of a posting.
    pub attributes: usize,
}

impl IndexConfig {
    /// Bytes of the region that an index of so many nodes and postings takes, a little more than
    /// will be used.
    pub fn bytes(&self, nodes: u64, postings: u64) -> u64 {
        UNIT as u64 + self.graph.bytes(nodes) + Postings::bytes(postings, self.attributes)
    }
}

/// A posting as it is shown to whoever looks at it alone.
#[derive(Debug, Clone, Copy)]
pub struct Published<'a> {
    /// Its id.
    pub id: u32,
    /// Where its row is.
    pub tid: u64,
    /// Its node, if it has a place in the graph.
    pub node: Option<u32>,
    /// False for a vector that has no distance from anything.
    pub has_distance: bool,
    /// The row is gone.
    pub dead: bool,
    /// Its attributes.
    pub row: Row<'a>,
}

/// A view of an index.
#[derive(Clone, Copy)]
pub struct Index<'r> {
    region: Region<'r>,
    root: u32,
    drift: &'r AtomicU32,
    graph: Graph<'r>,
    postings: Postings<'r>,
    pages: Directory<'r>,
}

impl<'r> Index<'r> {
    /// An empty index.
    ///
    /// # Errors
    /// [`Error::OutOfMemory`].
    pub fn create(region: Region<'r>, config: IndexConfig) -> Result<Index<'r>> {
        let extent = region.claim(1)?;
        // SAFETY: claimed just now and zeroed; a root fits a unit.
        let root: &Root = unsafe { region.at(extent.first, 0) };
        let graph = config.graph;
        // Relaxed: whoever hands the number on publishes the root with it.
        root.metric.store(graph.metric as u32, Ordering::Relaxed);
        root.element.store(graph.element as u32, Ordering::Relaxed);
        root.dimensions.store(graph.dimensions, Ordering::Relaxed);
        root.m.store(graph.m, Ordering::Relaxed);
        root.ef_construction
            .store(graph.ef_construction, Ordering::Relaxed);
        root.attributes
            .store(config.attributes as u32, Ordering::Relaxed);
        root.seed.store(graph.seed, Ordering::Relaxed);
        // SAFETY: this root is new, and every view of it is made by `view` with its own config.
        Ok(unsafe { Index::view(region, extent.first, root, config) })
    }

    /// The index whose root is unit `root`.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] when the root makes no sense.
    ///
    /// # Safety
    /// [`Index::root`] of an index of this region that is not released before `'r` ends.
    pub unsafe fn open(region: Region<'r>, root: u32) -> Result<Index<'r>> {
        // SAFETY: the caller names a root.
        let shared: &Root = unsafe { region.at(root, 0) };
        let word = |cell: &AtomicU32| cell.load(Ordering::Relaxed);
        let broken = Error::Inconsistent {
            what: "the root of an index makes no sense",
            id: root,
        };
        let config = IndexConfig {
            graph: GraphConfig {
                metric: Metric::from_u8(word(&shared.metric) as u8).ok_or(broken)?,
                element: Element::from_u8(word(&shared.element) as u8).ok_or(broken)?,
                dimensions: word(&shared.dimensions),
                m: word(&shared.m),
                ef_construction: word(&shared.ef_construction),
                seed: shared.seed.load(Ordering::Relaxed),
            },
            attributes: word(&shared.attributes) as usize,
        };
        // SAFETY: the config is the root's own.
        Ok(unsafe { Index::view(region, root, shared, config) })
    }

    /// # Safety
    /// `config` is what the root was created with.
    unsafe fn view(
        region: Region<'r>,
        unit: u32,
        root: &'r Root,
        config: IndexConfig,
    ) -> Index<'r> {
        // SAFETY: the arrays belong to this root, whose attributes fix their words.
        let words = |header, words| unsafe { WordRecords::new(region, header, words) };
        let attributes = config.attributes;
        let postings = Postings::new(
            words(&root.blocks, Postings::block_words(attributes)),
            words(&root.zones, Postings::zone_words(attributes)),
            attributes,
        );
        let graph = Graph::new(region, &root.graph, config.graph);
        let pages = Directory::new(words(&root.pages, directory::WORDS));
        Index {
            region,
            root: unit,
            drift: &root.drift,
            graph,
            postings,
            pages,
        }
    }

    /// The number that [`Index::open`] takes.
    pub fn root(&self) -> u32 {
        self.root
    }

    /// The graph.
    pub fn graph(&self) -> &Graph<'r> {
        &self.graph
    }

    /// The postings.
    pub fn postings(&self) -> &Postings<'r> {
        &self.postings
    }

    /// Nodes that have come or gone since their lists were last written to the pages.
    pub fn drift(&self) -> u32 {
        // Relaxed, here and below: a number that says when to write them anew.
        self.drift.load(Ordering::Relaxed)
    }

    /// Counts nodes that have come or gone.
    pub fn add_drift(&self, nodes: u32) {
        self.drift.fetch_add(nodes, Ordering::Relaxed);
    }

    /// Takes nodes back that [`drift`](Self::drift) had counted when their lists were written.
    pub fn end_drift(&self, nodes: u32) {
        self.drift.fetch_sub(nodes, Ordering::Relaxed);
    }

    /// Where its pages are.
    pub fn pages(&self) -> &Directory<'r> {
        &self.pages
    }

    /// The place of postings of a node.
    pub fn place(&self, node: u32) -> Place<'r> {
        Place::Node {
            node,
            head: self.graph.postings_of(node),
        }
    }

    /// Visits every published posting, dead ones too, in order of id, until `visit` fails.
    ///
    /// # Errors
    /// The first that `visit` returns.
    pub fn each_posting<E>(
        &self,
        mut visit: impl FnMut(Published<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let mut keys = vec![0; self.postings.attributes()];
        for number in 0.. {
            let Some(block) = self.postings.block(number) else {
                break;
            };
            for slot in bits(block.ready()) {
                let id = number * BLOCK as u32 + slot as u32;
                if let Some(posting) = self.posting(id, &mut keys) {
                    visit(posting)?;
                }
            }
        }
        Ok(())
    }

    /// A posting, if it is published, dead or alive. `keys` is as long as a posting has attributes.
    pub fn posting<'k>(&self, id: u32, keys: &'k mut [u64]) -> Option<Published<'k>> {
        let (number, slot) = split(id);
        let block = self.postings.block(number)?;
        if block.ready() >> slot & 1 == 0 {
            return None;
        }
        let all = ((1_u64 << self.postings.attributes()) - 1) as u32;
        Some(Published {
            id,
            tid: block.tid(slot),
            node: block.node(slot),
            has_distance: block.no_distance() >> slot & 1 == 0,
            dead: block.live() >> slot & 1 == 0,
            row: block.row(slot, all, keys),
        })
    }

    /// Bytes of the region that the index holds.
    pub fn bytes_held(&self) -> u64 {
        UNIT as u64
            + self.graph.bytes_held()
            + self.postings.bytes_held()
            + self.pages.array().bytes_held()
    }

    /// Gives all memory back.
    ///
    /// # Safety
    /// Nobody uses the index any more, in any process, and nobody will open it.
    pub unsafe fn release(self) {
        for array in self.graph.arrays() {
            // SAFETY: as the caller promises.
            unsafe { array.release() };
        }
        let [blocks, zones] = self.postings.arrays();
        for array in [blocks, zones, self.pages.array()] {
            // SAFETY: as the caller promises.
            unsafe { array.release() };
        }
        // SAFETY: as the caller promises; the root is the last to go.
        unsafe {
            self.region.release(Extent {
                first: self.root,
                units: 1,
            })
        };
    }
}
