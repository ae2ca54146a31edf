//! Whether the library was loaded when the server started.
//!
//! Shared memory can only be asked for at that time. Loaded later, by the first call of one of its
//! functions, the library can compute a score but cannot serve an index.

use crate::error::{Error, Result};
use pgrx::PgSqlErrorCode;
use std::sync::atomic::{AtomicBool, Ordering};

/// Set before the server forks and never changed after, hence no ordering.
static PRELOADED: AtomicBool = AtomicBool::new(false);

/// Remembers that the server is being started.
pub fn mark() {
    PRELOADED.store(true, Ordering::Relaxed);
}

/// Whether the library was loaded at server start.
pub fn is_done() -> bool {
    PRELOADED.load(Ordering::Relaxed)
}

/// Fails unless the library was loaded at server start.
pub fn require() -> Result<()> {
    if is_done() {
        return Ok(());
    }
    Err(missing())
}

/// What to tell whoever needs shared memory that is not there.
pub fn missing() -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "chronomind was not loaded at server start",
    )
    .detail("Its indexes live in shared memory, which can only be reserved then.")
    .hint("Set shared_preload_libraries = 'chronomind' in postgresql.conf and restart the server.")
}
