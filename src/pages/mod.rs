//! The index on its own pages: the truth that shared memory is rebuilt from.
//!
//! The problem: a crash, a standby, a backup and pg_upgrade know nothing of shared memory, so
//! whatever an index must not lose goes through the buffer cache and the WAL, at about the size of
//! the row itself. The form of the bytes is in [`chronomind_core::record`]; this folder moves them.
//!
//! | | |
//! |---|---|
//! | [`bulk`] | the build writes a whole index |
//! | [`append`] | an insert writes a vector and a posting, or a posting alone, in one record |
//! | [`tombstone`] | vacuum marks postings dead |
//! | [`links`] | the neighbour lists are written anew |
//! | [`walk`] | everything is read, in the order of the file |
//! | [`changes`] | what is new is read, where others write |
//! | [`exact`] | single vectors, and postings alone, are read |
//!
//! **Locks.** Buffer locks are taken in the order meta page, vector pages, posting page, new
//! pages. Whoever appends or extends holds the meta page's exclusive lock meanwhile, so the
//! lengths of the segments stand still for whoever holds it shared. All others lock one page at a
//! time. No foreign code runs under a lock, but for the host of an append and what a sweep tells of the
//! dead, neither of which calls the server.
//!
//! **Replay** locks the pages of a record in the order in which it names them, which is the same,
//! and holds all of them until it is done, so that on a standby, too, a vector is there before its
//! posting.

pub mod append;
pub mod bulk;
mod chain;
pub mod changes;
pub mod exact;
pub mod links;
mod meta;
pub mod tombstone;
pub mod walk;

pub use meta::{Snapshot, create_empty, snapshot};

use chronomind_core::record::{Damage, Flags, Kind, PageBytes, PageView, PostingView, view};

use crate::error::{Error, Result};
use crate::pg::relation::Relation;

/// The block of the meta page.
const META: u32 = 0;

/// The number of an appended segment in the directory of its pages.
pub fn segment(kind: Kind) -> usize {
    usize::from(kind == Kind::Postings)
}

/// The meta record is that of another index.
pub fn is_of_other_columns(index: Relation) -> Error {
    let what = "the meta record is not one of an index over these columns";
    damaged(index, META, &Damage::Meta(what))
}

/// Damage in a block, as an error that names both and says what to do.
fn damaged(index: Relation, block: u32, damage: &Damage) -> Error {
    Error::corruption(&index.name(), format!("block {block}: {damage}"))
}

/// Whether a live posting took the place of another since the snapshot: then the snapshot may lack its
/// node. Fails where nobody has it.
fn is_later(index: Relation, block: u32, to: &Snapshot, posting: &PostingView<'_>) -> Result<bool> {
    let node = posting.node();
    if !posting.has_node() || posting.flags().contains(Flags::DEAD) || node < to.nodes {
        return Ok(false);
    }
    if node < snapshot(index)?.nodes {
        return Ok(true);
    }
    Err(damaged(index, block, &Damage::Node(node)))
}

/// A page of a segment, of records of `record` bytes.
fn view_of(
    index: Relation,
    block: u32,
    page: &PageBytes,
    kind: Kind,
    record: usize,
) -> Result<PageView<'_>> {
    view(page)
        .and_then(|page| page.ok_or(Damage::Header)?.of(kind, record)?.on(block))
        .map_err(|damage| damaged(index, block, &damage))
}
