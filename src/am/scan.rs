//! Scans: rows in the order of a distance or a score, one at a time.
//!
//! In memory each step of the search runs under a pin that ends before anything else is called, so
//! a cursor holds nothing between its fetches. Without memory rows are ranked from the pages, all of them in
//! each pass.

use chronomind_core::graph::{Graph, GraphNear};
use chronomind_core::postings::BLOCK;
use chronomind_core::primitive::AtomicU32;
use chronomind_core::record::Tid;
use chronomind_core::scan::{Bracket, Care, Fixed, Found, Near, Scan as Search, Step};
use chronomind_core::score::Order as _;
use pgrx::pg_sys::Oid;

use super::columns::Columns;
use super::pages_scan::PagesScan;
use super::plan::{Ordering, Plan};
use super::recording::{self, Record};
use super::request::Request;
use crate::error::Result;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::Relation;
use crate::pg::settings;
use crate::recovery::{self, Memory, Opened};
use crate::{guc, shmem};

/// A scan of an index.
#[derive(Default)]
pub struct Scan {
    source: Source,
    /// Opened by the first start. All starts serve one snapshot, whose rows it has.
    memory: Option<Memory>,
    last: Option<Found>,
    /// The score of the last row of all, also when there are no more.
    last_score: Option<f64>,
}

#[derive(Default)]
enum Source {
    /// Not begun, or over.
    #[default]
    Nothing,
    Memory(Box<InMemory>),
    Pages(Box<OnPages>),
}

struct InMemory {
    index: Oid,
    memory: Memory,
    search: Search<Ordering>,
    stream: Stream,
}

struct OnPages {
    index: Relation,
    scan: PagesScan,
}

impl Scan {
    /// Begins anew.
    pub fn restart(&mut self, index: Relation, columns: &Columns, request: Request) -> Result<()> {
        self.finish();
        self.last = None;
        self.last_score = None;
        let opened = match self.memory.take().filter(Memory::is_complete) {
            Some(memory) => Opened::Memory(memory),
            None => recovery::open_to_search(index)?,
        };
        let longest = match &opened {
            Opened::Memory(memory) => memory.index.graph().longest(),
            // Nobody knows, and the pages need not.
            Opened::Pages => f32::INFINITY,
        };
        let plan = Plan::new(request, columns, longest)?;
        self.source = match opened {
            Opened::Memory(memory) => {
                self.memory = Some(memory);
                Source::Memory(Box::new(InMemory::new(index.oid(), memory, plan)))
            }
            Opened::Pages => Source::Pages(Box::new(OnPages {
                index,
                scan: PagesScan::new(index, plan, settings::work_memory())?,
            })),
        };
        Ok(())
    }

    /// The next row.
    pub fn next_row(&mut self) -> Result<Option<Tid>> {
        self.last = match &mut self.source {
            Source::Nothing => None,
            Source::Memory(memory) => memory.next()?,
            Source::Pages(pages) => pages.scan.next(pages.index)?,
        };
        if let Some(found) = self.last {
            self.last_score = found.score;
        }
        Ok(self.last.map(|found| Tid::unpack(found.tid)))
    }

    /// Tells that the last row did not pass what is above the scan, so that its place in the order does not
    /// matter.
    pub fn pass_over(&mut self) {
        if let Source::Memory(memory) = &mut self.source {
            memory.search.pass_over();
        }
    }

    /// What is known of the row that [`Scan::next_row`] returned last.
    pub fn last(&self) -> Option<Found> {
        self.last
    }

    /// Lets go of all that the scan holds.
    pub fn finish(&mut self) {
        let last_score = self.last_score;
        match std::mem::take(&mut self.source) {
            Source::Nothing => {}
            Source::Memory(mut memory) => recording::add(|| memory.record(last_score)),
            Source::Pages(pages) => recording::add(|| Some(pages.record(last_score))),
        }
    }
}

impl OnPages {
    fn record(&self, last_score: Option<f64>) -> Record {
        let (ranked, given) = self.scan.counts();
        Record {
            index: self.index.oid(),
            near_rows: 0,
            zone_rows: ranked,
            zones_visited: 0,
            zones: 0,
            given,
            last_score,
            bound: None,
        }
    }
}

impl InMemory {
    fn new(index: Oid, memory: Memory, plan: Plan) -> InMemory {
        let graph = *memory.index.graph();
        let attributes = memory.index.postings().attributes();
        let stream = Stream::new(graph, plan.vector.as_deref());
        let search = Search::new(
            plan.ordering,
            plan.filter,
            plan.condition,
            attributes,
            plan.wanted,
            settings::work_memory(),
        );
        let search = match guc::scan_order() {
            guc::ScanOrder::Strict => search,
            guc::ScanOrder::Relaxed => search.as_found(),
        };
        InMemory {
            index,
            memory,
            search,
            stream,
        }
    }

    fn next(&mut self) -> Result<Option<Found>> {
        let epochs = shmem::epochs()?;
        let postings = self.memory.index.postings();
        loop {
            interrupt::check();
            let step = {
                let _pin = shmem::pin(epochs);
                fault::at(Point::SearchPinned);
                self.search.step(postings, &mut self.stream)
            };
            fault::at(Point::SearchStep);
            match step {
                Step::Found(found) => return Ok(Some(found)),
                Step::Working => {}
                Step::Done => return Ok(None),
            }
        }
    }

    fn record(&mut self, last_score: Option<f64>) -> Option<Record> {
        let epochs = shmem::epochs().ok()?;
        let _pin = shmem::pin(epochs);
        let postings = self.memory.index.postings();
        let statistics = self.search.statistics();
        let bound = self.search.bound(postings, &self.stream);
        let (rows, _) = postings.counts();
        Some(Record {
            index: self.index,
            near_rows: statistics.near_rows,
            zone_rows: statistics.zone_rows,
            zones_visited: statistics.blocks,
            zones: rows.div_ceil(BLOCK as u64),
            given: statistics.given,
            last_score,
            bound: bound.and_then(|bound| self.search.order().score(bound)),
        })
    }
}

/// The stream of near nodes: the graph, or nothing for a query that is near to nothing.
enum Stream {
    Graph(Box<GraphNear<'static>>),
    Fixed(Fixed),
}

impl Stream {
    fn new(graph: Graph<'static>, vector: Option<&[u8]>) -> Stream {
        let Some(vector) = vector else {
            return Stream::Fixed(Fixed::Null);
        };
        match graph.probe(vector) {
            Some(probe) => {
                let near = GraphNear::new(graph, probe, guc::ef_search() as usize);
                Stream::Graph(Box::new(near))
            }
            None => Stream::Fixed(Fixed::NaN),
        }
    }
}

impl Near for Stream {
    fn advance(&mut self) -> bool {
        match self {
            Stream::Graph(near) => near.advance(),
            Stream::Fixed(near) => near.advance(),
        }
    }

    fn drain(&mut self, settled: &mut Vec<(u32, Bracket)>) {
        match self {
            Stream::Graph(near) => near.drain(settled),
            Stream::Fixed(near) => near.drain(settled),
        }
    }

    fn frontier(&self, care: Care) -> f64 {
        match self {
            Stream::Graph(near) => near.frontier(care),
            Stream::Fixed(near) => near.frontier(care),
        }
    }

    fn cost(&self) -> u64 {
        match self {
            Stream::Graph(near) => near.cost(),
            Stream::Fixed(near) => near.cost(),
        }
    }

    fn measure(&mut self, nodes: &[u32], distances: &mut Vec<f64>) {
        match self {
            Stream::Graph(near) => near.measure(nodes, distances),
            Stream::Fixed(near) => near.measure(nodes, distances),
        }
    }

    fn brackets(&mut self, nodes: &[u32], brackets: &mut Vec<Bracket>) {
        match self {
            Stream::Graph(near) => near.brackets(nodes, brackets),
            Stream::Fixed(near) => near.brackets(nodes, brackets),
        }
    }

    fn overflows(&self) -> bool {
        match self {
            Stream::Graph(near) => near.overflows(),
            Stream::Fixed(near) => near.overflows(),
        }
    }

    fn head(&self, node: u32) -> &AtomicU32 {
        match self {
            Stream::Graph(near) => near.head(node),
            Stream::Fixed(near) => near.head(node),
        }
    }

    fn bytes(&self) -> usize {
        match self {
            Stream::Graph(near) => near.bytes(),
            Stream::Fixed(near) => near.bytes(),
        }
    }

    fn release(&mut self) {
        match self {
            Stream::Graph(near) => near.release(),
            Stream::Fixed(near) => near.release(),
        }
    }

    fn fixed(&self) -> Option<Fixed> {
        match self {
            Stream::Graph(near) => near.fixed(),
            Stream::Fixed(near) => near.fixed(),
        }
    }
}
