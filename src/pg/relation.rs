//! An open index, as page code sees it.

use std::ffi::{CStr, OsStr};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use pgrx::pg_sys;

use super::text;
use crate::error::Result;

/// The server's `InvalidSubTransactionId`.
const NO_SUBTRANSACTION: pg_sys::SubTransactionId = 0;

/// A fork of a relation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fork {
    /// The index itself.
    Main,
    /// What an unlogged index starts from after a crash.
    Init,
}

impl Fork {
    pub(super) fn number(self) -> pg_sys::ForkNumber::Type {
        match self {
            Fork::Main => pg_sys::ForkNumber::MAIN_FORKNUM,
            Fork::Init => pg_sys::ForkNumber::INIT_FORKNUM,
        }
    }
}

/// The file that an index is in: a new one at each REINDEX or TRUNCATE.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Locator {
    /// OID of the tablespace.
    pub tablespace: u32,
    /// OID of the database.
    pub database: u32,
    /// Number of the file.
    pub file: u32,
}

/// An open relation. Copying the value does not open it once more.
#[derive(Debug, Clone, Copy)]
pub struct Relation(pg_sys::Relation);

impl Relation {
    /// # Safety
    /// `relation` must be open, with a lock, for as long as the value or a copy of it is used.
    pub unsafe fn from_raw(relation: pg_sys::Relation) -> Relation {
        Relation(relation)
    }

    pub(crate) fn as_raw(self) -> pg_sys::Relation {
        self.0
    }

    /// Its OID.
    pub fn oid(self) -> pg_sys::Oid {
        // SAFETY: the relation is open.
        unsafe { (*self.0).rd_id }
    }

    /// Its name, for messages.
    pub fn name(self) -> String {
        // SAFETY: an open relation has its catalog row.
        text::name(unsafe { &(*(*self.0).rd_rel).relname })
    }

    /// The file that it is in.
    pub fn locator(self) -> Locator {
        // SAFETY: the relation is open.
        #[cfg(feature = "pg15")]
        unsafe {
            let node = (*self.0).rd_node;
            Locator {
                tablespace: node.spcNode.to_u32(),
                database: node.dbNode.to_u32(),
                file: node.relNode.to_u32(),
            }
        }
        // SAFETY: the relation is open.
        #[cfg(not(feature = "pg15"))]
        unsafe {
            let locator = (*self.0).rd_locator;
            Locator {
                tablespace: locator.spcOid.to_u32(),
                database: locator.dbOid.to_u32(),
                file: locator.relNumber.to_u32(),
            }
        }
    }

    /// What Postgres numbers the owner of a temporary relation by, -1 for other relations.
    pub fn backend(self) -> i32 {
        // SAFETY: the relation is open.
        unsafe { (*self.0).rd_backend }
    }

    /// Two words that are computed once and remembered until the relation changes: its file is
    /// replaced, or it goes.
    pub fn remembered(self, compute: impl FnOnce() -> Result<[u64; 2]>) -> Result<[u64; 2]> {
        // SAFETY: the field is the access method's own: null, or what was put there below, which
        // the server frees and clears when it learns of a change.
        unsafe {
            let held = (*self.0).rd_amcache.cast::<[u64; 2]>();
            if !held.is_null() {
                return Ok(*held);
            }
            let words = compute()?;
            let memory = pg_sys::MemoryContextAlloc((*self.0).rd_indexcxt, size_of::<[u64; 2]>());
            memory.cast::<[u64; 2]>().write(words);
            (*self.0).rd_amcache = memory;
            Ok(words)
        }
    }

    /// Forgets what [`Relation::remembered`] holds.
    pub fn forget(self) {
        // SAFETY: as in `remembered`, which gives nobody the place itself.
        unsafe {
            let held = std::mem::replace(&mut (*self.0).rd_amcache, std::ptr::null_mut());
            if !held.is_null() {
                pg_sys::pfree(held);
            }
        }
    }

    /// The blocks that its main fork has now. Others may be adding more.
    pub fn blocks(self) -> u32 {
        let main = pg_sys::ForkNumber::MAIN_FORKNUM;
        // SAFETY: the relation is open.
        unsafe { pg_sys::RelationGetNumberOfBlocksInFork(self.0, main) }
    }

    /// Whether changes to its pages go into the WAL: the server's macro `RelationNeedsWAL`.
    pub fn needs_wal(self) -> bool {
        // SAFETY: an open relation has its catalog row; the setting does not change while we run.
        unsafe {
            let relation = &*self.0;
            #[cfg(feature = "pg15")]
            let new_file = relation.rd_firstRelfilenodeSubid;
            #[cfg(not(feature = "pg15"))]
            let new_file = relation.rd_firstRelfilelocatorSubid;
            let permanent =
                (*relation.rd_rel).relpersistence as u8 == pg_sys::RELPERSISTENCE_PERMANENT;
            let always = pg_sys::wal_level >= pg_sys::WalLevel::WAL_LEVEL_REPLICA as i32;
            let old = relation.rd_createSubid == NO_SUBTRANSACTION && new_file == NO_SUBTRANSACTION;
            permanent && (always || old)
        }
    }
}

/// The absolute path of a relation's main fork. Not the relative one that Postgres itself uses:
/// a procedural language may have changed the working directory of this process.
pub fn path(database: u32, tablespace: u32, file: u32, backend: i32) -> PathBuf {
    // SAFETY: computes a path from numbers; the server allocates the string, which is freed here.
    unsafe {
        let path = pg_sys::GetRelationPath(
            database.into(),
            tablespace.into(),
            file.into(),
            backend,
            pg_sys::ForkNumber::MAIN_FORKNUM,
        );
        #[cfg(feature = "pg18")]
        let text = CStr::from_ptr(path.str_.as_ptr());
        #[cfg(not(feature = "pg18"))]
        let text = CStr::from_ptr(path);
        let directory = CStr::from_ptr(pg_sys::DataDir);
        let absolute = Path::new(OsStr::from_bytes(directory.to_bytes()))
            .join(OsStr::from_bytes(text.to_bytes()));
        #[cfg(not(feature = "pg18"))]
        pg_sys::pfree(path.cast());
        absolute
    }
}
