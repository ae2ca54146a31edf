//! Scans as Postgres asks for them.

use chronomind_core::postings::Filter;

/// What a scan returns its rows by.
#[derive(Debug, Clone, PartialEq)]
pub enum Order {
    /// Nothing: every order is right.
    None,
    /// The distance to a vector, of the column's elements and dimensions.
    Distance(Vec<u8>),
    /// The score of a `chrono_query`.
    Score(Vec<u8>),
    /// The distance to NULL, in which all rows are equal.
    Null,
}

/// A scan as Postgres asks for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Request {
    /// What the rows are returned by.
    pub order: Order,
    /// What their attributes must be.
    pub filter: Filter,
    /// How many rows will be asked for, all of them beyond those that there are. `None` where nobody told.
    pub rows: Option<usize>,
    /// The filter lets more rows pass than the conditions do: Postgres looks at each again.
    pub recheck: bool,
}
