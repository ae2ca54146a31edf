//! Scans.

use super::columns::Columns;
use super::request::Request;
use crate::error::{Error, Result};
use crate::pg::relation::Relation;
use chronomind_core::record::Tid;

/// A scan of an index.
pub struct Scan {}

impl Scan {
    /// A scan that has not been asked for anything.
    pub fn new(_index: Relation, _columns: &Columns) -> Result<Self> {
        Ok(Scan {})
    }

    /// Begins anew.
    pub fn restart(&mut self, _index: Relation, _request: Request) -> Result<()> {
        Err(Error::bug("scans are not there yet"))
    }

    /// The next row.
    pub fn next(&mut self, _index: Relation) -> Result<Option<Tid>> {
        Ok(None)
    }

    /// Lets go of all that the scan holds.
    pub fn finish(&mut self) {}
}
