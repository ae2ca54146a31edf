//! What the files of indexes tell: which are gone, and which are others than before.
//!
//! Nobody tells us reliably that an index is dropped: DROP, TRUNCATE and REINDEX, an aborted CREATE
//! and DROP DATABASE each do it in their own way and only on commit. But all of them remove or empty
//! the file, so whoever needs memory looks which files are gone.

use std::os::unix::fs::MetadataExt;
use std::time::UNIX_EPOCH;

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

/// Which file it is that lies at this path: another number for another file, with near certainty. It is
/// that of the file's place in the file system and of when it was made, which nothing changes while a
/// server runs; where a file system does not tell when, that of its place alone.
pub fn origin(file: File) -> u64 {
    let path = relation::path(file.database, file.tablespace, file.number, file.backend);
    let Ok(metadata) = std::fs::metadata(path) else {
        return 0;
    };
    let made = metadata.created().ok();
    let made = made.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |time| time.as_nanos() as u64);
    made.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ metadata.ino()
}
