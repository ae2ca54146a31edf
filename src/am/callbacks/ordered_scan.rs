//! The access method's own client: an index scan by a score, outside of any plan.

use std::marker::PhantomData;

use chronomind_core::scan::Found;
use pgrx::pg_sys::{self, Datum};

use super::{ORDER_BY_SCORE, ScanState};
use crate::am::query::ScoreQuery;
use crate::error::Result;
use crate::pg::row::TableRow;
use crate::pg::table::{Table, TableIndex};

/// A scan of a table's rows, best first, of those that the statement's snapshot sees.
pub struct OrderedScan<'t> {
    scan: pg_sys::IndexScanDesc,
    row: TableRow,
    /// The bytes of the query, which the scan's key refers to.
    _query: Vec<u64>,
    _table: PhantomData<&'t Table>,
}

impl<'t> OrderedScan<'t> {
    /// Begins.
    pub fn begin(table: &'t Table, index: &'t TableIndex, query: &ScoreQuery) -> Result<Self> {
        let query = varlena(&query.encode()?);
        // SAFETY: both relations are open as long as the scan; its key is copied by the scan, what
        // the key refers to is kept in it.
        unsafe {
            let snapshot = pg_sys::GetActiveSnapshot();
            #[cfg(not(feature = "pg18"))]
            let scan = pg_sys::index_beginscan(table.as_raw(), index.as_raw(), snapshot, 0, 1);
            #[cfg(feature = "pg18")]
            let scan = pg_sys::index_beginscan(
                table.as_raw(),
                index.as_raw(),
                snapshot,
                std::ptr::null_mut(),
                0,
                1,
            );
            // Not through ScanKeyEntryInitialize, which wants a comparison function.
            let mut key = pg_sys::ScanKeyData {
                sk_flags: pg_sys::SK_ORDER_BY as i32,
                sk_attno: 1,
                sk_strategy: ORDER_BY_SCORE,
                sk_argument: Datum::from(query.as_ptr()),
                ..Default::default()
            };
            pg_sys::index_rescan(scan, std::ptr::null_mut(), 0, &mut key, 1);
            Ok(OrderedScan {
                scan,
                row: TableRow::of_pages(table),
                _query: query,
                _table: PhantomData,
            })
        }
    }

    /// Goes to the next row, and tells what the index knows of it.
    pub fn next_row(&mut self) -> Option<Found> {
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        // SAFETY: scan and place are this value's; the scan's state is ours.
        unsafe {
            let found = pg_sys::index_getnext_slot(self.scan, forward, self.row.as_raw());
            let state = &*(*self.scan).opaque.cast::<ScanState>();
            state.scan.last().filter(|_| found)
        }
    }

    /// The row.
    pub fn row(&self) -> &TableRow {
        &self.row
    }
}

impl Drop for OrderedScan<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: this value's own; after an error the server has cleaned up itself. The place of the
            // row, which goes after this, has a pin of its own on the row's page.
            unsafe { pg_sys::index_endscan(self.scan) }
        }
    }
}

/// A value of variable length with these bytes, aligned as Postgres wants it.
fn varlena(bytes: &[u8]) -> Vec<u64> {
    let length = pg_sys::VARHDRSZ + bytes.len();
    let mut words = vec![0_u64; length.div_ceil(8)];
    // SAFETY: the words have room for header and bytes.
    unsafe {
        let start = words.as_mut_ptr().cast::<u8>();
        pgrx::varlena::set_varsize_4b(start.cast(), length as i32);
        start
            .add(pg_sys::VARHDRSZ)
            .copy_from_nonoverlapping(bytes.as_ptr(), bytes.len());
    }
    words
}
