//! INSERT and UPDATE.

use super::columns::Columns;
use super::row::HeapRow;
use crate::error::{Error, Result};
use crate::pg::relation::Relation;

/// Adds a row to an index.
pub fn insert(_index: Relation, _columns: &Columns, _row: HeapRow) -> Result<()> {
    Err(Error::bug("inserts are not there yet"))
}
