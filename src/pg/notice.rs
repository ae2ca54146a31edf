//! What users are told without their statement failing.

use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

/// An index is searched without shared memory.
pub fn does_not_fit(index: &str) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
        format!("index \"{index}\" does not fit chronomind's shared memory"),
        "",
    )
    .set_detail("Its pages are searched instead, which is exact and slow.")
    .set_hint("Increase chronomind.shared_memory_size and restart the server.")
    .report(PgLogLevel::WARNING);
}
