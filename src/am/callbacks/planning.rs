//! The planner's door: what a scan costs.

use crate::am::cost::{PASSING, Plan, Sought, is_bounded};
use crate::am::text::QueryText;
use crate::guc;
use crate::pg::node::{Constant, Node, Shape};
use crate::preload;
use pgrx::pg_sys;
use pgrx::{PgList, pg_guard};

/// More than what the planner adds for what is turned off, and finite, since it calculates with it.
const UNSERVED: f64 = 1e100;

/// Whether an index is of our access method, by the function that estimates its costs.
pub fn is_ours(index: &pg_sys::IndexOptInfo) -> bool {
    let ours = cost_estimate as *const ();
    index
        .amcostestimate
        .is_some_and(|estimate| std::ptr::eq(estimate as *const (), ours))
}

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
        if preload::require().is_err() {
            // No scan of it would succeed, but a sort does.
            #[cfg(feature = "pg18")]
            {
                (*path).path.disabled_nodes = 2;
            }
            *startup_cost = UNSERVED;
            *total_cost = UNSERVED;
            return;
        }
        let info = &*(*path).indexinfo;
        let index = pg_sys::index_open(info.indexoid, pg_sys::NoLock as pg_sys::LOCKMODE);
        let options = super::reloptions::of(index);
        pg_sys::index_close(index, pg_sys::NoLock as pg_sys::LOCKMODE);
        let text = query_text(path);
        let plan = Plan {
            rows: info.tuples,
            selectivity: generic.indexSelectivity,
            conditions: pg_sys::list_length((*path).indexclauses) as usize,
            sought: text.as_ref().map_or(Sought::Nearest, Sought::from),
            is_bounded: text.as_ref().is_some_and(is_bounded),
            m: options.m,
            ef_search: guc::ef_search(),
            operator_cost: pg_sys::cpu_operator_cost,
            entry_cost: pg_sys::cpu_index_tuple_cost,
        };
        if text.is_some_and(|text| text.predicate.is_some()) {
            *selectivity *= PASSING;
        }
        let cost = plan.ordered();
        *startup_cost = cost.startup;
        *total_cost = cost.total;
    }
}

/// What a path asks the index for, where it does not ask for the bare distance.
///
/// # Safety
/// A path of an index of ours.
unsafe fn query_text(path: *mut pg_sys::IndexPath) -> Option<QueryText> {
    // SAFETY: by the caller; the list is of expressions.
    unsafe {
        let orders = PgList::<pg_sys::Node>::from_pg((*path).indexorderbys);
        let order = Node::new(orders.get_ptr(0)?)?;
        let Shape::Call { arguments, .. } = order.shape() else {
            return None;
        };
        let &[vector, query] = &arguments[..] else {
            return None;
        };
        // The bare distance is that of two vectors, and the second may come from any text.
        if query.type_of() == vector.type_of() {
            return None;
        }
        let Shape::Call { arguments, .. } = query.shape() else {
            return None;
        };
        match arguments.first()?.shape() {
            Shape::Constant(Constant::Text(text)) => text.parse().ok(),
            _ => None,
        }
    }
}
