//! The index on its own pages: the truth that shared memory is rebuilt from.
//!
//! The problem: a crash, a standby, a backup and pg_upgrade know nothing of shared memory, so
//! whatever an index must not lose goes through the buffer cache and the WAL, at about the size of
//! the row itself. The form of the bytes is in [`chronomind_core::record`]; this folder moves them.
//!
//! | | |
//! |---|---|
//! | [`bulk`] | the build writes a whole index |
//! | [`append`] | an insert adds a vector and a posting, or a posting alone, in one record |
//! | [`tombstone`] | vacuum marks postings dead |
//! | [`links`] | the neighbour lists are written anew |
//! | [`walk`] | everything is read, in the order of the file |
//! | [`exact`] | single vectors, and postings alone, are read |
//!
//! **Locks.** Buffer locks are taken in the order meta page, last vector page, last posting page,
//! new pages. Whoever appends or extends holds the meta page's exclusive lock meanwhile, so the
//! lengths of the segments stand still for whoever holds it shared. All others lock one page at a
//! time. No foreign code runs under a lock, but for the `reserve` closure of an append.
//!
//! **Replay** locks the pages of a record in the order in which it names them, which is the same,
//! and holds all of them until it is done, so that on a standby, too, a vector is there before its
//! posting.

pub mod append;
pub mod bulk;
mod chain;
pub mod exact;
pub mod links;
mod meta;
pub mod tombstone;
pub mod walk;

pub use meta::{Snapshot, create_empty, snapshot};

use chronomind_core::record::{Damage, Kind, PageBytes, PageView, view};

use crate::error::{Error, Result};
use crate::pg::relation::Relation;

/// The block of the meta page.
const META: u32 = 0;

/// Damage in a block, as an error that names both and says what to do.
fn damaged(index: Relation, block: u32, damage: &Damage) -> Error {
    Error::corruption(&index.name(), format!("block {block}: {damage}"))
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
        .and_then(|page| page.ok_or(Damage::Header)?.of(kind, record))
        .map_err(|damage| damaged(index, block, &damage))
}
