//! What the files of indexes tell: which are gone, and which are others than before.
//!
//! Nobody tells us reliably that an index is dropped: DROP, TRUNCATE and REINDEX, an aborted CREATE
//! and DROP DATABASE each do it in their own way and only on commit. But all of them remove or empty
//! the file, so whoever needs memory looks which files are gone.

use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::UNIX_EPOCH;

use crate::error::{Error, Result};
use crate::pg::relation;
use crate::shmem;
use crate::shmem::registry::File;
use pgrx::PgSqlErrorCode;

/// Takes back the memory of indexes whose files are gone.
pub fn reclaim() -> Result<()> {
    shmem::registry()?.sweep(shmem::region()?, is_gone);
    Ok(())
}

/// A dropped relation's first file stays behind empty until the next checkpoint; a living index has
/// at least its meta page.
fn is_gone(file: File) -> bool {
    let path = relation::path(file.database, file.tablespace, file.number, file.backend);
    is_gone_from(&path)
}

/// The same of a path. A file that is not found may be on a file system that is not there for a moment: it is
/// gone only where the directory is found that its database is in, or that of its database; or where its
/// tablespace has been dropped, of which not even the link is left.
fn is_gone_from(path: &Path) -> bool {
    match std::fs::metadata(path) {
        Ok(metadata) => return metadata.len() == 0,
        Err(error) if error.kind() != ErrorKind::NotFound => return false,
        Err(_) => {}
    }
    let above: Vec<&Path> = path.ancestors().skip(1).take(3).collect();
    let is_found = |directory: &&Path| directory.is_dir();
    if above.iter().take(2).any(is_found) {
        return true;
    }
    // pg_tblspc/OID/VERSION/DATABASE: the third is the link.
    let is_missing = |link: &Path| {
        let found = std::fs::symlink_metadata(link);
        found.is_err_and(|error| error.kind() == ErrorKind::NotFound)
    };
    above
        .get(2)
        .is_some_and(|link| is_missing(link) && link.parent().is_some_and(Path::is_dir))
}

/// Which file it is that lies at this path: another number for another file, with near certainty. It is
/// that of the file's place in the file system and of when it was made, which nothing changes while a
/// server runs; where a file system does not tell when, that of its place alone.
pub fn origin(file: File) -> Result<u64> {
    let path = relation::path(file.database, file.tablespace, file.number, file.backend);
    origin_of(&path)
}

/// The same of a path. A file that cannot be looked at is no other file: the index would be loaded once more.
fn origin_of(path: &Path) -> Result<u64> {
    let metadata = std::fs::metadata(path).map_err(|error| {
        Error::mistake(
            PgSqlErrorCode::ERRCODE_IO_ERROR,
            format!("could not stat file \"{}\": {error}", path.display()),
        )
    })?;
    let made = metadata.created().ok();
    let made = made.and_then(|time| time.duration_since(UNIX_EPOCH).ok());
    let made = made.map_or(0, |time| time.as_nanos() as u64);
    Ok(made.wrapping_mul(0x9e37_79b9_7f4a_7c15) ^ metadata.ino())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_looked_at_has_no_origin() {
        let path = std::env::temp_dir().join(format!("chronomind-origin-{}", std::process::id()));
        let error = origin_of(&path).err().map(|error| error.code());
        assert_eq!(error, Some(PgSqlErrorCode::ERRCODE_IO_ERROR));
        std::fs::write(&path, "a page").unwrap();
        let origin = origin_of(&path).ok();
        assert!(origin.is_some() && origin == origin_of(&path).ok());
        std::fs::remove_file(&path).unwrap();
    }

    #[test]
    fn a_file_is_gone_only_where_its_directory_is_there() {
        let root = std::env::temp_dir().join(format!("chronomind-files-{}", std::process::id()));
        let table_spaces = root.join("pg_tblspc");
        let version = root.join("mounted/PG_16_1");
        let link = table_spaces.join("16400");
        let path = link.join("PG_16_1/16384/16500");
        std::fs::create_dir_all(version.join("16384")).unwrap();
        std::fs::create_dir_all(&table_spaces).unwrap();
        std::os::unix::fs::symlink(root.join("mounted"), &link).unwrap();

        std::fs::write(&path, "a page").unwrap();
        assert!(!is_gone_from(&path));
        std::fs::write(&path, "").unwrap();
        assert!(is_gone_from(&path), "emptied");
        std::fs::remove_file(&path).unwrap();
        assert!(is_gone_from(&path), "dropped");
        std::fs::remove_dir(version.join("16384")).unwrap();
        assert!(is_gone_from(&path), "its database was dropped");
        std::fs::rename(&version, root.join("elsewhere")).unwrap();
        assert!(!is_gone_from(&path), "what was mounted is not there");
        std::fs::remove_dir_all(root.join("mounted")).unwrap();
        assert!(!is_gone_from(&path), "the link leads nowhere");
        std::fs::remove_file(&link).unwrap();
        assert!(is_gone_from(&path), "its tablespace was dropped");
        std::fs::remove_dir_all(&root).unwrap();
        assert!(!is_gone_from(&path), "nothing of the server is found");
    }
}
