//! What users are told without their statement failing.

use super::text::for_message;
use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

/// An index is searched without shared memory.
pub fn does_not_fit(index: &str) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_OUT_OF_MEMORY,
        for_message(format!(
            "index \"{index}\" does not fit chronomind's shared memory"
        )),
        "",
    )
    .set_detail("Its pages are searched instead, which is exact and slow, until there is room for it.")
    .set_hint(
        "Increase chronomind.shared_memory_size and restart the server, or drop indexes that are not needed.",
    )
    .report(PgLogLevel::WARNING);
}

/// What to do about too many indexes.
pub const FEWER_INDEXES: &str = "Drop indexes that are not needed, or let many partitions or tenants share one \
    index that has what tells them apart as a column.";

/// An index is searched without shared memory, which has places for so many and holds as many.
pub fn has_no_place(index: &str, places: usize) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!(
            "index \"{index}\" is not in chronomind's shared memory, which holds {places} indexes already"
        ),
        "",
    )
    .set_detail("Its pages are searched instead, which is exact and slow, until there is a place for it.")
    .set_hint(FEWER_INDEXES)
    .report(PgLogLevel::WARNING);
}

/// An index that did not fit is in shared memory now. For the log of the server.
pub fn fits_again(index: &str) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!("index \"{index}\" is in chronomind's shared memory again"),
        "",
    )
    .report(PgLogLevel::LOG);
}

/// The server reserves so much shared memory at its start. For its log.
pub fn reserves(bytes: usize, reason: &str) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_SUCCESSFUL_COMPLETION,
        format!(
            "chronomind reserves {} MB of shared memory for indexes: {reason}",
            bytes >> 20
        ),
        "",
    )
    .report(PgLogLevel::LOG);
}

/// An index is built with other parameters than it has, which do not go together.
pub fn wider_beam(index: &str, own: u32, used: u32) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_INVALID_PARAMETER_VALUE,
        for_message(format!(
            "index \"{index}\" is built with ef_construction = {used} instead of {own}"
        )),
        "",
    )
    .set_detail("ef_construction must be greater than or equal to 2 * m.")
    .set_hint("ALTER INDEX ... SET (ef_construction = ...) or RESET (ef_construction) mends it.")
    .report(PgLogLevel::WARNING);
}

/// An index is searched without shared memory because of how many rows it has.
pub fn has_too_many_rows(index: &str) {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_PROGRAM_LIMIT_EXCEEDED,
        format!("index \"{index}\" has more rows than chronomind can hold in memory"),
        "",
    )
    .set_detail(
        "Its pages are searched instead, which is exact and slow. More memory would not help.",
    )
    .set_hint("Partition the table, with an index on each partition.")
    .report(PgLogLevel::WARNING);
}
