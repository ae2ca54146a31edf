//! INSERT and UPDATE.
//!
//! Memory is reserved first, then the row is logged, then it is linked and published, which cannot
//! fail. A row whose vector is known (an UPDATE of other columns, a duplicate) becomes one more
//! posting of its node and touches no link. INSERT never fails for lack of memory: the index then
//! lives on its pages alone.

use std::cell::RefCell;

use chronomind_core::distance;
use chronomind_core::graph::{Inserter, NearSearch};
use chronomind_core::index::Index;
use chronomind_core::postings::Place;
use chronomind_core::record::{Flags, NO_NODE, Posting};

use super::columns::Columns;
use super::row::HeapRow;
use crate::error::Result;
use crate::pages::append::{Ids, append};
use crate::pg::notice;
use crate::pg::relation::Relation;
use crate::recovery::{self, Memory, Opened};
use crate::shmem;

/// Kept from one insert of this backend to the next.
#[derive(Default)]
struct Buffers {
    search: NearSearch,
    inserter: Inserter,
}

thread_local! {
    static BUFFERS: RefCell<Buffers> = RefCell::default();
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
    match recovery::open(index)? {
        Opened::Pages => {
            append(index, vector, posting, |_| ())?;
            recovery::disown(index)
        }
        Opened::Memory(memory) => BUFFERS
            .with_borrow_mut(|buffers| insert_into(&memory, index, vector, posting, row, buffers)),
    }
}

fn insert_into(
    memory: &Memory,
    index: Relation,
    vector: Option<&[u8]>,
    posting: Posting<'_>,
    row: HeapRow,
    buffers: &mut Buffers,
) -> Result<()> {
    let epochs = shmem::epochs()?;
    let twin = vector.and_then(|vector| {
        let graph = memory.index.graph();
        let probe = graph.probe(vector)?;
        let _pin = shmem::pin(epochs);
        graph.find_equal(vector, &probe, &mut buffers.search)
    });
    let new_vector = vector.filter(|_| twin.is_none());
    let mut upper = None;
    let posting = Posting {
        node: twin.unwrap_or(NO_NODE),
        ..posting
    };
    let ids = append(index, new_vector, posting, |ids| {
        upper = reserve(&memory.index, ids, new_vector.is_some());
    })?;

    // From here to the end nothing may fail: the row is durable and must get into memory.
    let upper = upper.or_else(|| {
        recovery::reclaim().ok()?;
        reserve(&memory.index, ids, new_vector.is_some())
    });
    let Some(upper) = upper else {
        if memory.give_up() {
            notice::does_not_fit(&index.name());
        }
        return Ok(());
    };
    let _pin = shmem::pin(epochs);
    let graph = memory.index.graph();
    if let Some(vector) = new_vector {
        graph.store(ids.node, upper, vector);
        graph.link(ids.node, &mut buffers.inserter);
    }
    let place = if ids.node != NO_NODE {
        memory.index.place(ids.node)
    } else if posting.flags.contains(Flags::NO_DISTANCE) {
        Place::NoDistance
    } else {
        Place::NullVector
    };
    memory
        .index
        .postings()
        .publish(ids.posting, row.tid.pack(), place, &row.attributes);
    Ok(())
}

/// Claims the memory of a row, and says where its upper lists begin. None when there is none left.
fn reserve(index: &Index<'static>, ids: Ids, new_node: bool) -> Option<u32> {
    index.postings().reserve(ids.posting).ok()?;
    if new_node {
        index.graph().reserve(ids.node).ok()
    } else {
        Some(0)
    }
}
