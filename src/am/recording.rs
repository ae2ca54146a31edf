//! What scans did, for those who ask: `chrono_explain` records the scans of one statement.
//!
//! A scan ends deep inside the executor, which has no place for what it found out. So the backend
//! has one, which is open only while somebody records.

use std::cell::RefCell;

use pgrx::pg_sys::Oid;

thread_local! {
    static RECORDS: RefCell<Option<Vec<Record>>> = const { RefCell::new(None) };
}

/// What one scan of an index did.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// The index.
    pub index: Oid,
    /// Rows scored because the graph led to them.
    pub near_rows: u64,
    /// Rows scored in zones.
    pub zone_rows: u64,
    /// Visits to zones.
    pub zones_visited: u64,
    /// Zones that the index has.
    pub zones: u64,
    /// Rows given out.
    pub given: u64,
    /// The score of the row that was given out last.
    pub last_score: Option<f64>,
    /// What no unseen row scores better than. `None` where none is unseen.
    pub bound: Option<f64>,
}

/// Records the scans of this backend until it is dropped. Recordings nest.
pub struct Recording {
    outer: Option<Vec<Record>>,
}

impl Recording {
    /// Begins.
    pub fn start() -> Recording {
        Recording {
            outer: RECORDS.replace(Some(Vec::new())),
        }
    }

    /// What has been recorded since, in the order in which the scans ended.
    pub fn take(&self) -> Vec<Record> {
        RECORDS.with_borrow_mut(|records| records.as_mut().map(std::mem::take).unwrap_or_default())
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        RECORDS.set(self.outer.take());
    }
}

/// Records a scan, if anybody wants to know.
pub fn add(record: impl FnOnce() -> Option<Record>) {
    if RECORDS.with_borrow(Option::is_none) {
        return;
    }
    // Made outside of the borrow: it may look at the index.
    let record = record();
    RECORDS.with_borrow_mut(|records| {
        if let Some(records) = records {
            records.extend(record);
        }
    });
}
