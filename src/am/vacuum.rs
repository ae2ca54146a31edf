//! VACUUM.

use super::columns::Columns;
use crate::error::{Error, Result};
use crate::pg::relation::Relation;
use chronomind_core::record::Tid;
use pgrx::pg_sys;

/// Marks the rows that are gone.
pub fn bulk_delete(
    _index: Relation,
    _columns: &Columns,
    _is_dead: &mut dyn FnMut(Tid) -> bool,
    _stats: &mut pg_sys::IndexBulkDeleteResult,
) -> Result<()> {
    Err(Error::bug("vacuum is not there yet"))
}

/// Ends a vacuum.
pub fn cleanup(
    _index: Relation,
    _columns: &Columns,
    _stats: &mut pg_sys::IndexBulkDeleteResult,
) -> Result<()> {
    Err(Error::bug("vacuum is not there yet"))
}
