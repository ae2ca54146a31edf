//! INSERT and UPDATE.
//!
//! Memory is reserved first, then the row is entered and logged, then it is linked and shown, which
//! cannot fail. A row whose vector is known (an UPDATE of other columns, a duplicate) becomes one more
//! posting of its node and touches no link. INSERT never fails for lack of memory: the index then
//! lives on its pages alone.

use std::cell::RefCell;

use chronomind_core::distance;
use chronomind_core::epoch::Epochs;
use chronomind_core::graph::{Inserter, State};
use chronomind_core::postings::Place;
use chronomind_core::record::{Flags, Kind, NO_NODE, Posting};

use super::columns::Columns;
use super::row::HeapRow;
use crate::error::Result;
use crate::pages::append::{Host, Ids, Node, append};
use crate::pages::segment;
use crate::pg::fault::{self, Point};
use crate::pg::notice;
use crate::pg::relation::Relation;
use crate::recovery::{self, Memory, OnPages, Opened};
use crate::shmem::{self, asking};

thread_local! {
    /// Kept from one insert of this backend to the next.
    static INSERTER: RefCell<Inserter> = RefCell::default();
}

/// Adds a row to an index.
pub fn insert(index: Relation, columns: &Columns, row: HeapRow) -> Result<()> {
    let has_distance = row
        .vector
        .is_some_and(|vector| distance::scale(columns.metric, columns.element, vector).is_some());
    let posting = Posting {
        tid: row.tid,
        flags: match (row.vector, has_distance) {
            (None, _) => Flags::NULL_VECTOR,
            (Some(_), false) => Flags::NO_DISTANCE,
            (Some(_), true) => Flags::default(),
        },
        node: NO_NODE,
        nulls: row.attributes.nulls,
        keys: row.attributes.keys,
    };
    let vector = row.vector.filter(|_| has_distance);
    loop {
        let is_done = match recovery::open(index)? {
            Opened::Pages => {
                let mut pages = PagesAlone(OnPages::of(index)?);
                append(index, vector, posting, &mut pages)?.is_some()
            }
            Opened::Memory(memory) => insert_into(&memory, index, vector, posting, row)?,
        };
        if is_done {
            return Ok(());
        }
    }
}

/// False when the memory is not the index's any more: then nothing is done.
fn insert_into(
    memory: &Memory,
    index: Relation,
    vector: Option<&[u8]>,
    posting: Posting<'_>,
    row: HeapRow,
) -> Result<bool> {
    let epochs = shmem::epochs()?;
    let graph = memory.index.graph();
    let mut entry = Entry {
        memory,
        epochs,
        vector,
        row,
        no_distance: posting.flags.contains(Flags::NO_DISTANCE),
        twin: None,
        taken: None,
        is_last_try: false,
        new_node: None,
        state: Entering::No,
    };
    // The system may take its time over memory, and appenders wait for one another.
    let put_off = asking::PutOff::begin();
    let mut ids = append(index, vector, posting, &mut entry)?;
    if ids.is_none() && entry.state != Entering::Elsewhere {
        fault::at(Point::InsertRefused);
        recovery::reclaim()?;
        entry.is_last_try = true;
        ids = append(index, vector, posting, &mut entry)?;
    }

    drop(put_off);
    if entry.state == Entering::Elsewhere {
        return Ok(false);
    }

    // From here to the end nothing may fail: the row is durable and must get into memory.
    let (Some(ids), Entering::Done) = (ids, &entry.state) else {
        if memory.should_warn() {
            notice::does_not_fit(&index.name());
        }
        return Ok(true);
    };
    let _pin = shmem::pin(epochs);
    if let (Some(vector), Some(upper)) = (vector, entry.new_node) {
        graph.store(ids.node, upper, vector);
        fault::at(Point::InsertStored);
        INSERTER.with_borrow_mut(|inserter| graph.link(ids.node, inserter));
        fault::at(Point::InsertLinked);
        memory.index.add_drift(1);
    }
    memory.index.postings().show(ids.posting);
    Ok(true)
}

/// A row that lives on the pages alone, while nobody loads them.
struct PagesAlone(OnPages);

impl Host for PagesAlone {
    fn node(&mut self) -> Node {
        Node::New
    }

    fn posting(&mut self) -> Option<u32> {
        None
    }

    fn block(&self, _kind: Kind, _sequence: u32) -> Option<u32> {
        None
    }

    fn reserve(&mut self, _ids: Ids, _pages: &[u32]) -> Result<bool> {
        Ok(self.0.is_alone())
    }

    fn add_page(&mut self, _kind: Kind, _sequence: u32, _block: u32) -> bool {
        true
    }

    fn enter(&mut self, _ids: Ids) -> bool {
        true
    }
}

/// A row on its way into memory.
struct Entry<'a> {
    memory: &'a Memory,
    epochs: Epochs<'static>,
    vector: Option<&'a [u8]>,
    row: HeapRow<'a>,
    no_distance: bool,
    /// A node that has the same vector.
    twin: Option<u32>,
    /// A node that was free, until the row is entered.
    taken: Option<u32>,
    /// Memory for another row will not come.
    is_last_try: bool,
    /// Where the upper lists of a new node begin.
    new_node: Option<u32>,
    state: Entering,
}

#[derive(PartialEq, Eq)]
enum Entering {
    /// Not yet.
    No,
    /// There is no memory for the row: it lives on the pages alone.
    Never,
    /// The memory is not the index's any more: the row goes where that is now.
    Elsewhere,
    Done,
}

impl Entry<'_> {
    /// Claims the memory of the row.
    fn claim(&mut self, ids: Ids, pages: &[u32]) -> chronomind_core::Result<()> {
        let index = &self.memory.index;
        index.postings().reserve(ids.posting)?;
        fault::claim(Point::InsertMemory)?;
        for &page in pages {
            index.pages().reserve(page)?;
        }
        if ids.node != NO_NODE && self.twin.is_none() {
            self.new_node = Some(index.graph().reserve(ids.node)?);
        }
        Ok(())
    }

    fn give_back(&mut self) {
        if let Some(node) = self.taken.take() {
            self.memory.index.graph().give_free(node);
        }
    }
}

impl Host for Entry<'_> {
    fn node(&mut self) -> Node {
        let graph = self.memory.index.graph();
        // Nodes die under the same lock, so one that has the vector now will keep it.
        self.twin = self.vector.and_then(|vector| {
            let _pin = shmem::pin(self.epochs);
            graph.find_equal(vector, State::Live)
        });
        if let Some(twin) = self.twin {
            return Node::Known(twin);
        }
        if self.taken.is_none() && self.memory.is_complete() {
            self.taken = graph.take_free();
        }
        self.taken.map_or(Node::New, Node::Free)
    }

    fn posting(&mut self) -> Option<u32> {
        // What memory lacks may be a row that has taken the place on the pages.
        let is_complete = self.memory.is_complete();
        is_complete.then(|| self.memory.index.postings().next_free())?
    }

    fn block(&self, kind: Kind, sequence: u32) -> Option<u32> {
        self.memory.index.pages().get(segment(kind), sequence)
    }

    fn reserve(&mut self, ids: Ids, pages: &[u32]) -> Result<bool> {
        if self.memory.is_retired() {
            self.state = Entering::Elsewhere;
            self.give_back();
            return Ok(false);
        }
        match self.claim(ids, pages) {
            Ok(()) => return Ok(true),
            Err(chronomind_core::Error::OutOfMemory { .. }) => {}
            // More memory would not help.
            Err(error) => return Err(error.into()),
        }
        if self.is_last_try {
            // Before the row is logged, so that vacuum does not take its node for one without rows.
            self.memory.give_up();
            self.state = Entering::Never;
        } else {
            // Under the lock still: who is terminated before the next try drops nothing.
            self.give_back();
        }
        Ok(self.is_last_try)
    }

    fn add_page(&mut self, kind: Kind, sequence: u32, block: u32) -> bool {
        let pages = self.memory.index.pages();
        // Memory that lacks the row is not asked where its pages are.
        pages.set(segment(kind), sequence, block) || self.state == Entering::Never
    }

    fn enter(&mut self, ids: Ids) -> bool {
        let is_taken = |taken: &mut u32| *taken == ids.node;
        if self.state == Entering::Never {
            self.taken.take_if(is_taken);
            return true;
        }
        let index = &self.memory.index;
        let place = match ids.node {
            NO_NODE if self.no_distance => Place::NoDistance,
            NO_NODE => Place::NullVector,
            node => index.place(node),
        };
        let (tid, row) = (self.row.tid.pack(), &self.row.attributes);
        if !index.postings().enter(ids.posting, tid, place, row) {
            // Nor is anything else in it to be trusted.
            self.memory.give_up();
            return false;
        }
        self.taken.take_if(is_taken);
        self.state = Entering::Done;
        true
    }
}

impl Drop for Entry<'_> {
    fn drop(&mut self) {
        self.give_back();
    }
}
