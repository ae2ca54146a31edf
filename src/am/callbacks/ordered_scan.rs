//! The access method's own client: an index scan by a score, outside of any plan.

use std::marker::PhantomData;

use chronomind_core::distance::Element;
use chronomind_core::scan::Found;
use pgrx::pg_sys::{self, Datum};

use super::{ORDER_BY_SCORE, ScanState};
use crate::am::query::ScoreQuery;
use crate::error::Result;
use crate::pg::datum::Vector;
use crate::pg::table::{Table, TableIndex};
use pgrx::FromDatum;

/// A scan of a table's rows, best first, of those that the statement's snapshot sees.
pub struct OrderedScan<'t> {
    scan: pg_sys::IndexScanDesc,
    slot: *mut pg_sys::TupleTableSlot,
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
            let slot = pg_sys::table_slot_create(table.as_raw(), std::ptr::null_mut());
            Ok(OrderedScan {
                scan,
                slot,
                _query: query,
                _table: PhantomData,
            })
        }
    }

    /// Goes to the next row, and tells what the index knows of it.
    pub fn next_row(&mut self) -> Option<Found> {
        let forward = pg_sys::ScanDirection::ForwardScanDirection;
        // SAFETY: scan and slot are this value's; the scan's state is ours.
        unsafe {
            let found = pg_sys::index_getnext_slot(self.scan, forward, self.slot);
            let state = &*(*self.scan).opaque.cast::<ScanState>();
            state.scan.last().filter(|_| found)
        }
    }

    /// A column of the row, `None` for NULL. The type must be the column's.
    pub fn column<T: FromDatum>(&self, number: i16) -> Option<T> {
        let mut is_null = false;
        // SAFETY: the slot holds a row of the table, which has the column.
        unsafe {
            let datum = pg_sys::slot_getattr(self.slot, i32::from(number), &mut is_null);
            T::from_datum(datum, is_null)
        }
    }

    /// The elements of a vector column of the row as they are stored, `None` for NULL.
    pub fn vector(&self, number: i16, element: Element) -> Result<Option<Vec<u8>>> {
        let mut is_null = false;
        // SAFETY: the slot holds a row of the table, which has the column; a vector is a varlena.
        unsafe {
            let datum = pg_sys::slot_getattr(self.slot, i32::from(number), &mut is_null);
            let vector = (!is_null).then(|| Vector::new(datum, element));
            Ok(vector.transpose()?.map(|vector| vector.bytes().to_vec()))
        }
    }

    /// The row as a value of the table's row type.
    pub fn row(&self) -> Datum {
        // SAFETY: the slot holds a row; the value is palloc'd.
        unsafe { pg_sys::ExecFetchSlotHeapTupleDatum(self.slot) }
    }

    /// Where this version of the row is.
    pub fn tid(&self) -> pg_sys::ItemPointerData {
        // SAFETY: the slot holds a row.
        unsafe { (*self.slot).tts_tid }
    }
}

impl Drop for OrderedScan<'_> {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: both are this value's; after an error the server has cleaned up itself.
            unsafe {
                pg_sys::ExecDropSingleTupleTableSlot(self.slot);
                pg_sys::index_endscan(self.scan);
            }
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
