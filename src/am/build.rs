//! CREATE INDEX and REINDEX.
//!
//! The heap scan stores vectors in shared memory and collects postings; threads link the nodes; the
//! main thread then writes everything to pages, where it becomes durable, and only then lets others
//! see the index. An ERROR on the way gives the memory back.

use std::ffi::CStr;
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};

use super::columns::Columns;
use super::links;
use super::options::Options;
use super::row::HeapRow;
use crate::error::{Error, Result};
use crate::pages;
use crate::pages::bulk::BulkWriter;
use crate::pg::fault::{self, Point};
use crate::pg::relation::Relation;
use crate::pg::{progress, settings, threads};
use crate::recovery::{self, Creation, Expected, Room};
use chronomind_core::graph::{Inserter, State};
use chronomind_core::index::{Index, Published};
use chronomind_core::postings::Place;
use chronomind_core::record::{Definition, Flags, NO_NODE, Posting, Tid};
use chronomind_core::score::Row;

const LINKING: i64 = 2;
const WRITING: i64 = 3;

/// What a build did.
pub struct Built {
    /// Rows seen in the table.
    pub heap_rows: f64,
    /// Rows that are in the index.
    pub index_rows: f64,
}

/// Builds an index from its table. `scan` gives every row to the function it is called with, and
/// returns how many rows the table has.
pub fn build(
    index: Relation,
    columns: &Columns,
    options: Options,
    expected: Expected,
    scan: impl FnOnce(&mut dyn FnMut(HeapRow) -> Result<()>) -> f64,
) -> Result<Built> {
    let definition = definition(columns, options);
    let creation = Creation::begin(index, &definition, expected)?;
    let memory = creation.index();
    fault::at(Point::BuildClaimed);

    let mut collector = Collector::new(memory, creation.room(), columns);
    let heap_rows = scan(&mut |row| collector.take(row));
    let index_rows = collector.finish()?;
    fault::at(Point::BuildStored);

    link(memory)?;
    fault::at(Point::BuildLinked);
    write(index, definition, memory)?;
    fault::at(Point::BuildWritten);
    creation.finish();
    fault::at(Point::BuildReady);
    Ok(Built {
        heap_rows,
        index_rows: f64::from(index_rows),
    })
}

/// Writes the empty index that an unlogged one becomes after a crash.
pub fn build_empty(index: Relation, columns: &Columns, options: Options) -> Result<()> {
    pages::create_empty(index, definition(columns, options))
}

/// Name of a phase in `pg_stat_progress_create_index`.
pub fn phase_name(phase: i64) -> Option<&'static CStr> {
    match phase {
        1 => Some(c"reading table"),
        LINKING => Some(c"linking nodes"),
        WRITING => Some(c"writing pages"),
        _ => None,
    }
}

fn definition(columns: &Columns, options: Options) -> Definition {
    Definition {
        incarnation: recovery::new_incarnation(),
        metric: columns.metric,
        element: columns.element,
        dimensions: columns.dimensions,
        m: options.m as u16,
        ef_construction: options.ef_construction as u16,
        attributes: columns
            .attributes
            .iter()
            .map(|attribute| attribute.oid().to_u32())
            .collect(),
    }
}

/// Takes the rows of the heap scan in.
///
/// Postings are put in the order of the first time among the attributes, so that their blocks have
/// narrow zones. They are sorted in runs that keep to `maintenance_work_mem`: a longer table has
/// somewhat wider zones, nothing else.
struct Collector<'a> {
    memory: &'a Index<'static>,
    shared: Room,
    time: Option<usize>,
    rows: Vec<Collected>,
    keys: Vec<u64>,
    room: usize,
    budget: usize,
    nodes: u32,
    postings: u32,
    /// Rows taken.
    taken: u64,
}

struct Collected {
    tid: u64,
    node: NodeOr,
    nulls: u32,
    /// Where its keys begin.
    keys: usize,
}

#[derive(Clone, Copy)]
enum NodeOr {
    Node(u32),
    NullVector,
    NoDistance,
}

impl<'a> Collector<'a> {
    fn new(memory: &'a Index<'static>, room: Room, columns: &Columns) -> Collector<'a> {
        Collector {
            memory,
            shared: room,
            time: columns
                .attributes
                .iter()
                .position(|attribute| attribute.is_time()),
            rows: Vec::new(),
            keys: Vec::new(),
            room: 0,
            budget: settings::maintenance_memory(),
            nodes: 0,
            postings: 0,
            taken: 0,
        }
    }

    fn take(&mut self, row: HeapRow) -> Result<()> {
        let node = match row.vector {
            None => NodeOr::NullVector,
            Some(vector) => self.node_of(vector)?,
        };
        self.taken += 1;
        self.rows.push(Collected {
            tid: row.tid.pack(),
            node,
            nulls: row.attributes.nulls,
            keys: self.keys.len(),
        });
        self.keys.extend_from_slice(row.attributes.keys);
        self.room += size_of::<Collected>() + size_of_val(row.attributes.keys);
        if self.room > self.budget {
            self.publish_run()?;
        }
        Ok(())
    }

    /// The node with this vector, stored now if there is none.
    fn node_of(&mut self, vector: &[u8]) -> Result<NodeOr> {
        let graph = self.memory.graph();
        if graph.config().inverse_norm(vector).is_none() {
            return Ok(NodeOr::NoDistance);
        }
        if let Some(twin) = graph.find_equal(vector, State::Stored) {
            return Ok(NodeOr::Node(twin));
        }
        let id = self.nodes;
        let upper = fault::claim(Point::BuildMemory)
            .and_then(|()| graph.reserve(id))
            .map_err(|error| self.shared.explain(error, self.taken))?;
        graph.store(id, upper, vector);
        self.nodes += 1;
        Ok(NodeOr::Node(id))
    }

    fn publish_run(&mut self) -> Result<()> {
        if let Some(time) = self.time {
            let keys = &self.keys;
            self.rows.sort_by_key(|row| keys[row.keys + time]);
        }
        let attributes = self.memory.postings().attributes();
        for row in self.rows.drain(..) {
            let place = match row.node {
                NodeOr::Node(node) => self.memory.place(node),
                NodeOr::NullVector => Place::NullVector,
                NodeOr::NoDistance => Place::NoDistance,
            };
            let keys = &self.keys[row.keys..][..attributes];
            let (room, taken) = (self.shared, self.taken);
            let postings = self.memory.postings();
            let reserved = postings.reserve(self.postings);
            reserved.map_err(|error| room.explain(error, taken))?;
            let attributes = Row {
                keys,
                nulls: row.nulls,
            };
            if !postings.publish(self.postings, row.tid, place, &attributes) {
                return Err(Error::bug("a posting of a new index is there already"));
            }
            self.postings += 1;
        }
        self.keys.clear();
        self.room = 0;
        Ok(())
    }

    fn finish(mut self) -> Result<u32> {
        self.publish_run()?;
        Ok(self.postings)
    }
}

/// Links all stored nodes, on several threads.
fn link(memory: &Index<'static>) -> Result<()> {
    let graph = *memory.graph();
    let len = graph.len();
    if len == 0 {
        return Ok(());
    }
    progress::begin_phase(LINKING, u64::from(len));
    let next = AtomicU32::new(0);
    let work = |stop: &AtomicBool| {
        let mut inserter = Inserter::default();
        // Relaxed, both: a number to share out and a flag; threads are joined before anyone reads.
        while !stop.load(Ordering::Relaxed) {
            let id = next.fetch_add(1, Ordering::Relaxed);
            if id >= len {
                break;
            }
            graph.link(id, &mut inserter);
        }
    };
    threads::run(settings::build_threads(), work, || {
        progress::done(u64::from(next.load(Ordering::Relaxed).min(len)));
    })
}

/// Writes the index to its pages.
fn write(index: Relation, definition: Definition, memory: &Index<'static>) -> Result<()> {
    let graph = memory.graph();
    progress::begin_phase(WRITING, u64::from(graph.len()));
    let mut writer = BulkWriter::begin(index, definition)?;
    for id in 0..graph.len() {
        let vector = graph.vector(id).ok_or_else(|| missing(id))?;
        writer.vector(vector)?;
        if id.is_multiple_of(1024) {
            progress::done(u64::from(id));
        }
    }
    memory.each_posting(|posting| {
        writer.posting(&Posting {
            tid: Tid::unpack(posting.tid),
            flags: flags(&posting),
            node: posting.node.unwrap_or(NO_NODE),
            nulls: posting.row.nulls,
            keys: posting.row.keys,
        })
    })?;
    links::write(memory, graph.len(), &mut writer)?;
    writer.finish(graph.entry().map_or(NO_NODE, |entry| entry.id))?;
    Ok(())
}

fn flags(posting: &Published<'_>) -> Flags {
    match (posting.node, posting.has_distance) {
        (Some(_), _) => Flags::default(),
        (None, true) => Flags::NULL_VECTOR,
        (None, false) => Flags::NO_DISTANCE,
    }
}

fn missing(id: u32) -> Error {
    Error::bug(format!("node {id} was built without a vector"))
}
