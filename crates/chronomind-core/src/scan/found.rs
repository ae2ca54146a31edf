//! What the search hands to its caller.

/// A row that the search gives out.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Found {
    /// Where the row is.
    pub tid: u64,
    /// Its posting.
    pub posting: u32,
    /// Its node, if it has a place in the graph.
    pub node: Option<u32>,
    /// Its distance: `None` for NULL.
    pub distance: Option<f64>,
    /// Its score: `None` for NULL.
    pub score: Option<f64>,
}

/// What a step led to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Step {
    /// The next row.
    Found(Found),
    /// Nothing yet.
    Working,
    /// There are no more rows.
    Done,
}

/// What a search has done so far.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Statistics {
    /// Rows given out.
    pub given: u64,
    /// Rows scored because the graph settled their nodes.
    pub near_rows: u64,
    /// Rows scored in blocks.
    pub zone_rows: u64,
    /// Visits to blocks; a block may be visited again for rows put off at first.
    pub blocks: u64,
    /// Times that the bound of a zone, blocks included, was computed.
    pub zones: u64,
    /// Rows not given out, because others that sort behind them had been before they were found.
    pub late: u64,
    /// Passes over the zones that memory made necessary, 0 where it sufficed.
    pub passes: u64,
}
