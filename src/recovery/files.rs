//! Memory of indexes whose files are gone.
//!
//! Nobody tells us reliably that an index is dropped: DROP, TRUNCATE and REINDEX, an aborted CREATE
//! and DROP DATABASE each do it in their own way and only on commit. But all of them remove or empty
//! the file, so whoever needs memory looks which files are gone.

use crate::error::Result;
use crate::pg::relation;
use crate::shmem;
use crate::shmem::registry::File;

/// Takes back the memory of indexes whose files are gone.
pub fn reclaim() -> Result<()> {
    shmem::registry()?.sweep(shmem::region()?, is_gone);
    Ok(())
}

/// A dropped relation's first file stays behind empty until the next checkpoint; a living index has
/// at least its meta page.
fn is_gone(file: File) -> bool {
    let path = relation::path(file.database, file.tablespace, file.number, file.backend);
    match std::fs::metadata(path) {
        Ok(metadata) => metadata.len() == 0,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    }
}
