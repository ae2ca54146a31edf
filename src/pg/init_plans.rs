//! Subqueries that the server computes once, when a row first needs them, if one ever does.

use pgrx::PgList;
use pgrx::pg_sys;

/// The parameters that the results of such subqueries are, of a statement and those around it.
///
/// # Safety
/// The planner's structure.
pub unsafe fn parameters(root: *mut pg_sys::PlannerInfo) -> Vec<i32> {
    let mut parameters = Vec::new();
    let mut level = root;
    // SAFETY: by the caller; the list is of SubPlan nodes, each with a list of integers.
    unsafe {
        while !level.is_null() {
            for plan in PgList::<pg_sys::SubPlan>::from_pg((*level).init_plans).iter_ptr() {
                let set = (*plan).setParam;
                let each = 0..pg_sys::list_length(set);
                parameters.extend(each.map(|at| pg_sys::list_nth_int(set, at)));
            }
            level = (*level).parent_root;
        }
    }
    parameters
}
