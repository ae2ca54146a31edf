//! CREATE INDEX and REINDEX.

use super::columns::Columns;
use super::options::Options;
use super::row::HeapRow;
use crate::error::{Error, Result};
use crate::pg::relation::Relation;
use std::ffi::CStr;

/// What a build did.
pub struct Built {
    /// Rows seen in the table.
    pub heap_rows: f64,
    /// Rows that are in the index.
    pub index_rows: f64,
}

/// Builds an index from its table. `scan` gives every row to the function it is called with, and
/// returns how many rows the table has.
pub fn build(
    _index: Relation,
    _columns: &Columns,
    _options: Options,
    _scan: impl FnOnce(&mut dyn FnMut(HeapRow) -> Result<()>) -> f64,
) -> Result<Built> {
    Err(Error::bug("builds are not there yet"))
}

/// Writes the empty index that an unlogged one becomes after a crash.
pub fn build_empty(_index: Relation, _columns: &Columns, _options: Options) -> Result<()> {
    Err(Error::bug("builds are not there yet"))
}

/// Name of a phase in `pg_stat_progress_create_index`.
pub fn phase_name(_phase: i64) -> Option<&'static CStr> {
    None
}
