//! Rows on their way into the index.

use crate::am::columns::Columns;
use crate::am::row::HeapRow;
use crate::error::{OrRaise, Result};
use crate::pg::catalog;
use crate::pg::datum::{self, Vector};
use crate::recovery::Expected;
use chronomind_core::record::Tid;
use chronomind_core::score::Row;
use pgrx::itemptr::item_pointer_get_both;
use pgrx::pg_sys::{self, Datum};
use pgrx::{direct_function_call, pg_guard};
use std::ffi::c_void;

/// Decodes rows, reusing its buffer.
pub struct RowDecoder<'a> {
    columns: &'a Columns,
    keys: Vec<u64>,
}

impl<'a> RowDecoder<'a> {
    pub fn new(columns: &'a Columns) -> Self {
        RowDecoder {
            columns,
            keys: vec![0; columns.attributes.len()],
        }
    }

    /// Hands the decoded row on.
    ///
    /// # Safety
    /// `values` and `nulls` have an entry for each column of an index with these columns, and
    /// `tid` is valid.
    pub unsafe fn decode(
        &mut self,
        values: *const Datum,
        nulls: *const bool,
        tid: pg_sys::ItemPointer,
        take: impl FnOnce(HeapRow) -> Result<()>,
    ) -> Result<()> {
        let columns = self.columns;
        // SAFETY: by the caller. Index columns: one vector, and the attributes.
        let (values, is_null, (block, offset)) = unsafe {
            let length = 1 + columns.attributes.len();
            (
                std::slice::from_raw_parts(values, length),
                std::slice::from_raw_parts(nulls, length),
                item_pointer_get_both(*tid),
            )
        };
        let mut nulls = 0;
        for (i, attribute) in columns.attributes.iter().enumerate() {
            self.keys[i] = if is_null[i + 1] {
                nulls |= 1 << i;
                0
            } else {
                // SAFETY: a value of the column's type.
                unsafe { datum::key(values[i + 1], *attribute) }
            };
        }
        let vector = if is_null[0] {
            None
        } else {
            // SAFETY: a value of the column's type.
            let vector = unsafe { Vector::new(values[0], columns.element)? };
            Some(vector.with_dimensions(columns.dimensions, columns.element)?)
        };
        take(HeapRow {
            tid: Tid { block, offset },
            vector: vector.as_ref().map(Vector::bytes),
            attributes: Row {
                keys: &self.keys,
                nulls,
            },
        })
    }
}

/// About how many rows with vectors of so many bytes a table has: the planner's guess, which takes
/// vectors for short before the first ANALYZE, and no more than the table has room for.
///
/// # Safety
/// `heap` is open.
unsafe fn estimate(heap: pg_sys::Relation, vector_bytes: usize) -> f64 {
    let (mut pages, mut rows, mut visible) = (0, 0.0, 0.0);
    // SAFETY: by the caller; without a place for widths none are computed.
    let bytes = unsafe {
        let widths = std::ptr::null_mut();
        pg_sys::estimate_rel_size(heap, widths, &mut pages, &mut rows, &mut visible);
        let table = Some(Datum::from((*heap).rd_id));
        direct_function_call::<i64>(pg_sys::pg_table_size, &[table])
    };
    bytes.map_or(rows, |bytes| rows.min(bytes as f64 / vector_bytes as f64))
}

/// How many rows, and distinct vectors of so many bytes, an index will have.
///
/// # Safety
/// The relation and `info` are what Postgres gives to `ambuild`.
pub unsafe fn expect(
    heap: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    vector_bytes: usize,
) -> Expected {
    /// What statistics of a sample are taken to be wrong by, at most.
    const SURE: f64 = 0.8;
    /// The server's WIDTH_THRESHOLD for statistics.
    const WIDE: usize = 1024;
    // SAFETY: by the caller.
    unsafe {
        let rows = estimate(heap, vector_bytes);
        let is_partial = !(*info).ii_Predicate.is_null();
        let column = (*info).ii_IndexAttrNumbers[0];
        // Of an expression nothing is known, and of a predicate too little.
        let statistics = match is_partial || column <= 0 {
            true => None,
            false => catalog::column_statistics((*heap).rd_id, column),
        };
        let least_vectors = statistics.map_or(0.0, |statistics| {
            let distinct = match statistics.distinct {
                // Wide values are counted as distinct without a look at them.
                _ if vector_bytes > WIDE => 0.0,
                share if share < 0.0 => -share * rows,
                number => number,
            };
            distinct.min(rows * (1.0 - statistics.null_share))
        });
        Expected {
            rows,
            least_rows: if is_partial { 0.0 } else { SURE * rows },
            least_vectors: SURE * least_vectors,
        }
    }
}

/// Takes the rows of a table, one by one.
type Take<'a> = dyn FnMut(HeapRow) -> Result<()> + 'a;

struct HeapScan<'a> {
    decoder: RowDecoder<'a>,
    take: &'a mut Take<'a>,
}

/// Gives every row that the index has to have, and returns how many rows the table has.
///
/// # Safety
/// The relations and `info` are what Postgres gives to `ambuild`.
pub unsafe fn scan_heap<'a>(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    columns: &'a Columns,
    take: &'a mut Take<'a>,
) -> f64 {
    // SAFETY: by the caller.
    unsafe { scan_with(heap, index, info, columns, take, std::ptr::null_mut()) }
}

/// Gives every row that the statement's snapshot sees and the index has to have.
///
/// # Safety
/// `index` is an open index on the open table `heap`, with these columns.
pub unsafe fn scan_visible<'a>(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    columns: &'a Columns,
    take: &'a mut Take<'a>,
) {
    // SAFETY: by the caller; the function called last ends the scan.
    unsafe {
        let info = pg_sys::BuildIndexInfo(index);
        // What makes the server go by the snapshot instead of by what anybody may see.
        (*info).ii_Concurrent = true;
        let snapshot = pg_sys::GetActiveSnapshot();
        let no_keys = std::ptr::null_mut();
        let scan = pg_sys::table_beginscan_strat(heap, snapshot, 0, no_keys, true, true);
        scan_with(heap, index, info, columns, take, scan);
    }
}

/// # Safety
/// As for [`scan_heap`]; `scan` is null or a scan of the table.
unsafe fn scan_with<'a>(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
    columns: &'a Columns,
    take: &'a mut Take<'a>,
    scan: pg_sys::TableScanDesc,
) -> f64 {
    let mut state = HeapScan {
        decoder: RowDecoder::new(columns),
        take,
    };
    // SAFETY: by the caller; the state outlives the scan.
    unsafe {
        pg_sys::table_index_build_scan(
            heap,
            index,
            info,
            true,
            true,
            Some(build_row),
            (&raw mut state).cast(),
            scan,
        )
    }
}

/// The door through which `table_index_build_scan` gives rows.
#[pg_guard]
unsafe extern "C-unwind" fn build_row(
    _index: pg_sys::Relation,
    tid: pg_sys::ItemPointer,
    values: *mut Datum,
    nulls: *mut bool,
    _is_alive: bool,
    state: *mut c_void,
) {
    // SAFETY: the state is what `scan_heap` passed, and Postgres gives valid rows.
    unsafe {
        let scan = &mut *state.cast::<HeapScan>();
        scan.decoder
            .decode(values, nulls, tid, &mut *scan.take)
            .or_raise();
    }
}
