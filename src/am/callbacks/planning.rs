//! The planner's door: what a scan costs.

use crate::am::cost::{Cost, PASSING, Plan, Sought, is_bounded, is_selective};
use crate::am::hook_watch;
use crate::am::text::QueryText;
use crate::pg::asked;
use crate::pg::node::{Constant, Node, Shape};
use crate::pg::relation::Relation;
use crate::recovery;
use crate::shmem::registry::Found;
use crate::{guc, preload};
use pgrx::pg_sys;
use pgrx::{PgList, pg_guard};

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
        let info = &*(*path).indexinfo;
        let is_ordered = !(*path).indexorderbys.is_null();
        // Later, when tables are joined, the hook has been called.
        let table = (*path).path.parent;
        if (*table).cheapest_total_path.is_null() {
            hook_watch::expect(table.addr());
        }
        // The index returns no columns, not even where none is wanted.
        let is_index_only = (*path).path.pathtype == pg_sys::NodeTag::T_IndexOnlyScan;
        let is_exact_wanted = is_ordered && !asked::may_be_approximate(root, path);
        if !preload::is_done() || is_index_only || is_exact_wanted {
            // There is always another path.
            #[cfg(feature = "pg18")]
            {
                (*path).path.disabled_nodes += 2;
            }
            *startup_cost = Cost::PROHIBITIVE.startup;
            *total_cost = Cost::PROHIBITIVE.total;
            return;
        }
        let (m, is_on_pages) = look(info);
        let text = query_text(path);
        let plan = Plan {
            rows: info.tuples,
            selectivity: generic.indexSelectivity,
            conditions: pg_sys::list_length((*path).indexclauses) as usize,
            sought: text.as_ref().map_or(Sought::Nearest, Sought::from),
            is_bounded: text.as_ref().is_some_and(is_bounded),
            m,
            ef_search: guc::ef_search(),
            operator_cost: pg_sys::cpu_operator_cost,
            entry_cost: pg_sys::cpu_index_tuple_cost,
            pages_cost: match is_on_pages {
                true => f64::from(info.pages) * pg_sys::seq_page_cost,
                false => 0.0,
            },
        };
        if text.is_some_and(|text| text.predicate.as_ref().is_some_and(is_selective)) {
            *selectivity *= PASSING;
        }
        let cost = match is_ordered {
            true => plan.ordered(),
            false => plan.unordered(),
        };
        // Whatever the settings of costs are; of a NaN, too, this is the lesser.
        *startup_cost = cost.startup.min(Cost::PROHIBITIVE.startup);
        *total_cost = cost.total.min(Cost::PROHIBITIVE.total);
    }
}

/// The neighbours of a node, and whether the index is known not to fit memory.
///
/// # Safety
/// An index of ours that the planner considers.
unsafe fn look(info: &pg_sys::IndexOptInfo) -> (u32, bool) {
    const KEPT: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;
    // SAFETY: the planner holds a lock on the index.
    unsafe {
        let index = pg_sys::index_open(info.indexoid, KEPT);
        let m = super::reloptions::of(index).m;
        // Nothing is read: a damaged index must not be in the way of other plans.
        let found = recovery::find_known(Relation::from_raw(index));
        pg_sys::index_close(index, KEPT);
        (m, matches!(found, Some(Found::Unfit(_))))
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
