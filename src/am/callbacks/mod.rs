//! The doors through which Postgres calls the access method.
//!
//! Everything that comes as a raw pointer is decoded here, and everything below is safe code that
//! returns errors; they are raised here. Postgres jumps out of its functions on ERROR: a door
//! catches that, and the panics of Rust, so that destructors run.
#![allow(unsafe_code)]

mod asked;
mod checking;
mod ordered_scan;
mod planning;
mod query;
mod reloptions;
mod rows;
mod scan_keys;
mod statistics;
mod stats;

use super::columns::Columns;
use super::options::Options;
use super::scan::Scan;
use super::{build, insert, vacuum, validate};
use crate::error::{Error, OrRaise, Result};
use crate::pg::call::Call;
use crate::pg::catalog;
use crate::pg::datum::Vector;
use crate::pg::relation::Relation;
use crate::pg::table::TableIndex;
use crate::pg::{notice, text};
use crate::{preload, recovery};
use chronomind_core::distance::{self, Element};
use chronomind_core::record::Tid;
use pgrx::itemptr::item_pointer_set_all;
use pgrx::pg_sys::{self, Datum};
use pgrx::{PgBox, PgLogLevel, PgMemoryContexts, PgSqlErrorCode, ereport, pg_guard};
use std::ffi::{c_char, c_int, c_void};

pub use asked::install;
pub use ordered_scan::OrderedScan;
pub use planning::is_ours;
pub use reloptions::define as define_options;
pub use scan_keys::{ORDER_BY_DISTANCE, ORDER_BY_NUMERIC_SCORE, ORDER_BY_SCORE};

/// `chrono_handler`: what the access method can do.
#[pgrx::pg_extern(sql = false)]
fn chrono_handler(_call: pg_sys::FunctionCallInfo) -> PgBox<pg_sys::IndexAmRoutine> {
    // SAFETY: allocates a node of the type that its tag says.
    let mut am =
        unsafe { PgBox::<pg_sys::IndexAmRoutine>::alloc_node(pg_sys::NodeTag::T_IndexAmRoutine) };
    am.amstrategies = 5;
    am.amsupport = catalog::SUPPORT_FUNCTIONS;
    am.amcanorderbyop = true;
    am.amcanmulticol = true;
    am.amoptionalkey = true;
    am.amsearcharray = true;
    am.amsearchnulls = true;
    am.amparallelvacuumoptions = pg_sys::VACUUM_OPTION_PARALLEL_BULKDEL as u8;
    am.amkeytype = pg_sys::Oid::INVALID;

    am.ambuild = Some(build_index);
    am.ambuildempty = Some(build_empty);
    am.aminsert = Some(insert_row);
    am.ambulkdelete = Some(bulk_delete);
    am.amvacuumcleanup = Some(vacuum_cleanup);
    am.amcostestimate = Some(planning::cost_estimate);
    am.amoptions = Some(options);
    am.ambuildphasename = Some(build_phase_name);
    am.amvalidate = Some(validate_class);
    am.ambeginscan = Some(begin_scan);
    am.amrescan = Some(rescan);
    am.amgettuple = Some(get_tuple);
    am.amendscan = Some(end_scan);
    am.into_pg_boxed()
}

/// The relation and its columns, where the library can serve it.
///
/// # Safety
/// `index` is an open index of our access method.
unsafe fn open(index: pg_sys::Relation) -> Result<(Relation, Columns)> {
    preload::require()?;
    // SAFETY: by the caller.
    unsafe {
        let columns = Columns::new(&catalog::index_columns(index))?;
        Ok((Relation::from_raw(index), columns))
    }
}

/// The relation and its columns, as [`open`] gives them, where the pages were made for such columns.
///
/// # Safety
/// As for [`open`].
unsafe fn open_built(index: pg_sys::Relation) -> Result<(Relation, Columns)> {
    // SAFETY: by the caller.
    let (relation, columns) = unsafe { open(index)? };
    recovery::expect_definition(relation, |definition| columns.fit(definition))?;
    Ok((relation, columns))
}

#[pg_guard]
unsafe extern "C-unwind" fn build_index(
    heap: pg_sys::Relation,
    index: pg_sys::Relation,
    info: *mut pg_sys::IndexInfo,
) -> *mut pg_sys::IndexBuildResult {
    // SAFETY: Postgres gives open relations and a valid description.
    unsafe {
        let (relation, columns) = open(index).or_raise();
        let options = sound_options(index);
        let expected = rows::expect(heap, info, columns.vector_bytes());
        let built = build::build(relation, &columns, options, expected, |take| {
            rows::scan_heap(heap, index, info, &columns, take)
        })
        .or_raise();
        let mut result = PgBox::<pg_sys::IndexBuildResult>::alloc0();
        result.heap_tuples = built.heap_rows;
        result.index_tuples = built.index_rows;
        result.into_pg()
    }
}

/// The parameters to build an index with. Tells where they are not those that it has.
///
/// # Safety
/// `index` is an open index of our access method.
unsafe fn sound_options(index: pg_sys::Relation) -> Options {
    // SAFETY: by the caller.
    let (own, relation) = unsafe { (reloptions::of(index), Relation::from_raw(index)) };
    let sound = own.sound();
    if sound != own {
        notice::wider_beam(&relation.name(), own.ef_construction, sound.ef_construction);
    }
    sound
}

#[pg_guard]
unsafe extern "C-unwind" fn build_empty(index: pg_sys::Relation) {
    // SAFETY: Postgres gives an open relation.
    unsafe {
        let (relation, columns) = open(index).or_raise();
        let options = sound_options(index);
        build::build_empty(relation, &columns, options).or_raise();
    }
}

#[expect(clippy::too_many_arguments, reason = "the signature is Postgres's")]
#[pg_guard]
unsafe extern "C-unwind" fn insert_row(
    index: pg_sys::Relation,
    values: *mut Datum,
    nulls: *mut bool,
    tid: pg_sys::ItemPointer,
    _heap: pg_sys::Relation,
    _check: pg_sys::IndexUniqueCheck::Type,
    _is_unchanged: bool,
    _info: *mut pg_sys::IndexInfo,
) -> bool {
    // SAFETY: Postgres gives an open relation and a value for each of its columns.
    unsafe {
        let (relation, columns) = open_built(index).or_raise();
        rows::RowDecoder::new(&columns)
            .decode(values, nulls, tid, |row| {
                insert::insert(relation, &columns, row)
            })
            .or_raise();
    }
    // Nothing is unique, so there is no doubt to report.
    false
}

#[pg_guard]
unsafe extern "C-unwind" fn bulk_delete(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
    callback: pg_sys::IndexBulkDeleteCallback,
    state: *mut c_void,
) -> *mut pg_sys::IndexBulkDeleteResult {
    // SAFETY: Postgres gives a valid description, an open relation, and a callback with its state.
    unsafe {
        let (relation, _) = open_built((*info).index).or_raise();
        let Some(callback) = callback else {
            Error::bug("a vacuum without a callback").raise()
        };
        let mut is_dead = |tid: Tid| {
            let mut item = pg_sys::ItemPointerData::default();
            item_pointer_set_all(&mut item, tid.block, tid.offset);
            pg_sys::ffi::pg_guard_ffi_boundary(|| callback(&mut item, state))
        };
        let stats = or_new(stats);
        vacuum::bulk_delete(relation, &mut is_dead, &mut *stats).or_raise();
        stats
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn vacuum_cleanup(
    info: *mut pg_sys::IndexVacuumInfo,
    stats: *mut pg_sys::IndexBulkDeleteResult,
) -> *mut pg_sys::IndexBulkDeleteResult {
    // SAFETY: Postgres gives a valid description and an open relation.
    unsafe {
        if (*info).analyze_only {
            return stats;
        }
        let (relation, _) = open_built((*info).index).or_raise();
        let was_swept = !stats.is_null();
        let stats = or_new(stats);
        vacuum::cleanup(relation, was_swept, &mut *stats).or_raise();
        stats
    }
}

/// What Postgres adds up over the calls of a vacuum.
fn or_new(stats: *mut pg_sys::IndexBulkDeleteResult) -> *mut pg_sys::IndexBulkDeleteResult {
    if !stats.is_null() {
        return stats;
    }
    // SAFETY: every field may be zero.
    unsafe { PgBox::<pg_sys::IndexBulkDeleteResult>::alloc0() }.into_pg()
}

#[pg_guard]
unsafe extern "C-unwind" fn options(reloptions: Datum, validate: bool) -> *mut pg_sys::bytea {
    // SAFETY: passed through.
    unsafe { reloptions::parse(reloptions, validate).or_raise() }
}

#[pg_guard]
unsafe extern "C-unwind" fn build_phase_name(phase: i64) -> *mut c_char {
    build::phase_name(phase).map_or(std::ptr::null_mut(), |name| name.as_ptr().cast_mut())
}

#[pg_guard]
unsafe extern "C-unwind" fn validate_class(class: pg_sys::Oid) -> bool {
    let problems = validate::problems(class).or_raise();
    let is_valid = problems.is_empty();
    for problem in problems {
        ereport!(
            PgLogLevel::INFO,
            PgSqlErrorCode::ERRCODE_INVALID_OBJECT_DEFINITION,
            text::for_message(problem)
        );
    }
    is_valid
}

/// What the columns of an index of ours mean.
pub fn columns_of_open(index: Relation) -> Result<Columns> {
    // SAFETY: the index is open and of our access method.
    Columns::new(&unsafe { catalog::index_columns(index.as_raw()) })
}

/// What an index's columns mean.
pub fn columns_of(index: &TableIndex) -> Result<Columns> {
    // SAFETY: the index is open and of our access method.
    Columns::new(&unsafe { catalog::index_columns(index.as_raw()) })
}

/// An argument of type `vector` as a query in the elements of the index, `None` for NULL. Fails where
/// it does not fit the index.
pub fn query_vector(call: Call, number: usize, columns: &Columns) -> Result<Option<Vec<u8>>> {
    let Some(datum) = call.datum(number) else {
        return Ok(None);
    };
    // SAFETY: the argument is declared as a vector.
    let vector = unsafe { Vector::new(datum, Element::F32)? };
    let vector = vector.with_dimensions(columns.dimensions, Element::F32)?;
    let query = distance::convert(vector.bytes(), columns.element).ok_or_else(|| {
        let range = PgSqlErrorCode::ERRCODE_NUMERIC_VALUE_OUT_OF_RANGE;
        Error::mistake(
            range,
            "the query has an element that is out of range for type halfvec",
        )
    })?;
    Ok(Some(query))
}

/// What a scan keeps between calls.
struct ScanState {
    columns: Columns,
    recheck: bool,
    /// Rows that had passed everything above the scan when it was last asked for one.
    passed: Option<i64>,
    scan: Scan,
}

#[pg_guard]
unsafe extern "C-unwind" fn begin_scan(
    index: pg_sys::Relation,
    keys: c_int,
    orders: c_int,
) -> pg_sys::IndexScanDesc {
    // SAFETY: Postgres gives an open relation. The state is dropped with the memory context of the
    // scan, also when the statement fails.
    unsafe {
        let (_, columns) = open_built(index).or_raise();
        let scan = Scan::default();
        let descriptor = pg_sys::RelationGetIndexScan(index, keys, orders);
        let state = ScanState {
            columns,
            recheck: false,
            passed: None,
            scan,
        };
        (*descriptor).opaque = PgMemoryContexts::CurrentMemoryContext
            .leak_and_drop_on_delete(state)
            .cast();
        descriptor
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn rescan(
    scan: pg_sys::IndexScanDesc,
    keys: pg_sys::ScanKey,
    _key_count: c_int,
    orders: pg_sys::ScanKey,
    _order_count: c_int,
) {
    // SAFETY: Postgres gives a scan of ours, and as many keys as it was begun with. New keys
    // replace the old ones; without new ones the old ones hold.
    unsafe {
        let scan = &mut *scan;
        let keys = replace_keys(scan.keyData, keys, scan.numberOfKeys);
        let orders = replace_keys(scan.orderByData, orders, scan.numberOfOrderBys);
        let state = &mut *scan.opaque.cast::<ScanState>();
        let request = scan_keys::request(keys, orders, &state.columns).or_raise();
        state.recheck = request.recheck;
        state.passed = None;
        let relation = Relation::from_raw(scan.indexRelation);
        state
            .scan
            .restart(relation, &state.columns, request)
            .or_raise();
        statistics::count_search(scan);
    }
}

/// # Safety
/// `kept` has room for `count` keys, and `new` has as many or is null.
unsafe fn replace_keys<'a>(
    kept: pg_sys::ScanKey,
    new: pg_sys::ScanKey,
    count: c_int,
) -> &'a [pg_sys::ScanKeyData] {
    let count = count as usize;
    if count == 0 {
        return &[];
    }
    // SAFETY: by the caller. The two may be one and the same.
    unsafe {
        if !new.is_null() {
            std::ptr::copy(new, kept, count);
        }
        std::slice::from_raw_parts(kept, count)
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn get_tuple(
    scan: pg_sys::IndexScanDesc,
    direction: pg_sys::ScanDirection::Type,
) -> bool {
    if direction != pg_sys::ScanDirection::ForwardScanDirection {
        Error::bug("a backward scan of a chrono index").raise();
    }
    // SAFETY: Postgres gives a scan of ours.
    unsafe {
        let scan = &mut *scan;
        let state = &mut *scan.opaque.cast::<ScanState>();
        let passed = asked::passed(scan);
        if passed.is_some() && passed == state.passed {
            state.scan.pass_over();
        }
        state.passed = passed;
        let Some(tid) = state.scan.next_row().or_raise() else {
            return false;
        };
        item_pointer_set_all(&mut scan.xs_heaptid, tid.block, tid.offset);
        scan.xs_recheck = state.recheck;
        scan.xs_recheckorderby = false;
        true
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn end_scan(scan: pg_sys::IndexScanDesc) {
    // SAFETY: Postgres gives a scan of ours, and none of its calls again.
    unsafe { (*(*scan).opaque.cast::<ScanState>()).scan.finish() }
}
