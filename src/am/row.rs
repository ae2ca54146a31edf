//! Rows as the index takes them.

use chronomind_core::record::Tid;
use chronomind_core::score::Row;

/// A version of a row of the table.
#[derive(Debug, Clone, Copy)]
pub struct HeapRow<'a> {
    /// Where it is.
    pub tid: Tid,
    /// The elements of its vector as they are in the table; `None` for NULL.
    pub vector: Option<&'a [u8]>,
    /// Its attributes; the key of a NULL is 0.
    pub attributes: Row<'a>,
}
