//! The memory of an index that is being built.
//!
//! How much it will take is known only when the table has been read: the server's guess of its rows says
//! nothing of equal vectors, and little of a predicate. So a build is refused at once only where statistics
//! say that it cannot fit; else it takes memory until it is done or there is none, which is while the table
//! is being read, before the long work of linking.

use chronomind_core::arena::{Region, UNIT};
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::record::Definition;

use super::{config, file_of, files, reclaim};
use crate::error::{Error, Result};
use crate::pg::notice;
use crate::pg::relation::Relation;
use crate::shmem;
use crate::shmem::level::KEPT;
use crate::shmem::registry::{Claim, Claiming, ENTRIES, Key};
use pgrx::PgSqlErrorCode;

/// What a table is believed to have for an index.
#[derive(Debug, Clone, Copy)]
pub struct Expected {
    /// Rows, at most.
    pub rows: f64,
    /// Rows, at least.
    pub least_rows: f64,
    /// Distinct vectors, at least.
    pub least_vectors: f64,
}

/// An index under construction; its memory is given back when it is dropped unfinished.
pub struct Creation {
    relation: Relation,
    index: Index<'static>,
    claim: Claim,
    room: Room,
}

/// What there was when a build began, for an error that says why it failed.
#[derive(Clone, Copy)]
pub struct Room {
    config: IndexConfig,
    rows: u64,
    free: u64,
}

impl Creation {
    /// Claims memory for an index. Fails at once where it cannot fit.
    pub fn begin(
        relation: Relation,
        definition: &Definition,
        expected: Expected,
    ) -> Result<Creation> {
        let (file, oid) = (file_of(relation), relation.oid().to_u32());
        // This transaction may have used what it replaces now; the server has made sure that it does no more.
        shmem::registry()?.let_go_of(file, oid);
        reclaim()?;
        let region = shmem::region()?;
        let config = config(definition);
        let whole = |rows: f64| rows.clamp(0.0, f64::from(u32::MAX)) as u64;
        let rows = whole(expected.rows);
        let key = Key {
            file,
            incarnation: definition.incarnation,
            origin: files::origin(file)?,
        };
        let take_from_former = || -> Result<()> {
            shmem::registry()?.take_from_former(file, oid, region);
            Ok(())
        };
        if config.bytes(rows, rows) > free_bytes(region) {
            take_from_former()?;
        }
        let room = Room {
            config,
            rows,
            free: free_bytes(region),
        };
        let least = config.bytes(whole(expected.least_vectors), whole(expected.least_rows));
        if least > room.free {
            return Err(room.too_small(least, "At least"));
        }
        let claim = match shmem::registry()?.claim(&key, oid) {
            Claiming::Mine(claim) => claim,
            Claiming::Others => return Err(Error::bug("a new index has the identity of another")),
            Claiming::Full => {
                return Err(Error::mistake(
                    PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
                    format!("shared memory holds {ENTRIES} chrono indexes already"),
                )
                .detail("It has places for no more, of all databases together.")
                .hint(notice::FEWER_INDEXES));
            }
        };
        let index = match Index::create(region, config) {
            Ok(index) => index,
            Err(_) => {
                take_from_former()?;
                Index::create(region, config).map_err(|error| room.explain(error, 0))?
            }
        };
        claim.set_root(&index);
        Ok(Creation {
            relation,
            index,
            claim,
            room,
        })
    }

    /// The memory to fill.
    pub fn index(&self) -> &Index<'static> {
        &self.index
    }

    /// What to say when it does not suffice.
    pub fn room(&self) -> Room {
        self.room
    }

    /// The pages are written: everybody may use the index.
    pub fn finish(self) {
        self.relation.forget();
        self.claim.ready(KEPT);
    }
}

impl Room {
    /// The error of a build that failed after so many rows.
    pub fn explain(&self, error: chronomind_core::Error, rows: u64) -> Error {
        match error {
            chronomind_core::Error::OutOfMemory { .. } => {
                // Whatever the server believes, these rows are there and did not fit.
                let expected = self.rows.max(rows.saturating_add(1));
                let needed = self.config.bytes(expected, expected);
                self.too_small(
                    needed,
                    &format!("Memory ran out after {rows} rows. At most"),
                )
            }
            error => error.into(),
        }
    }

    fn too_small(&self, needed: u64, how: &str) -> Error {
        let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
        Error::exhausted(
            "the index does not fit chronomind's shared memory",
            needed.saturating_sub(self.free),
        )
        .detail(format!(
            "{how} {} MB are needed ({needed} bytes), and {} MB were free.",
            megabytes(needed),
            megabytes(self.free)
        ))
        .hint(
            "Increase chronomind.shared_memory_size and restart the server, or drop indexes that are not \
             needed. REINDEX without CONCURRENTLY gives the memory of the old index up first.",
        )
    }
}

fn free_bytes(region: Region<'static>) -> u64 {
    u64::from(region.units().saturating_sub(region.used())) * UNIT as u64
}
