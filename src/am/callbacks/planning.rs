//! The planner's door: what a scan costs.

use crate::am::cost::Plan;
use crate::guc;
use pgrx::pg_guard;
use pgrx::pg_sys;

/// `amcostestimate`.
#[expect(clippy::too_many_arguments, reason = "the signature is Postgres's")]
#[pg_guard]
pub unsafe extern "C-unwind" fn cost_estimate(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::IndexPath,
    loop_count: f64,
    startup_cost: *mut pg_sys::Cost,
    total_cost: *mut pg_sys::Cost,
    selectivity: *mut pg_sys::Selectivity,
    correlation: *mut f64,
    pages: *mut f64,
) {
    // SAFETY: Postgres gives valid pointers, and the index of the path is open and locked.
    unsafe {
        // Fills in the selectivity of the conditions; its costs are those of a tree on disk.
        let mut generic = pg_sys::GenericCosts::default();
        pg_sys::genericcostestimate(root, path, loop_count, &mut generic);
        *selectivity = generic.indexSelectivity;
        *correlation = 0.0;
        *pages = 0.0;
        if (*path).indexorderbys.is_null() {
            // Whoever only filters is served better by an index made for that.
            #[cfg(feature = "pg18")]
            {
                (*path).path.disabled_nodes = 2;
            }
            *startup_cost = f64::INFINITY;
            *total_cost = f64::INFINITY;
            return;
        }
        let info = &*(*path).indexinfo;
        let index = pg_sys::index_open(info.indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let options = super::reloptions::of(index);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let cost = Plan {
            rows: info.tuples,
            selectivity: generic.indexSelectivity,
            conditions: pg_sys::list_length((*path).indexclauses) as usize,
            m: options.m,
            ef_search: guc::ef_search(),
            operator_cost: pg_sys::cpu_operator_cost,
            entry_cost: pg_sys::cpu_index_tuple_cost,
        }
        .ordered();
        *startup_cost = cost.startup;
        *total_cost = cost.total;
    }
}
