//! What a statement asks of an order of rows.
//!
//! A walk over the graph gives rows in an order that is nearly always right, not always. So it may
//! serve a statement that asks for nothing but an order. What takes the order for exact needs a sort:
//! groups, distinct rows, numbers and ranks, ties, sets, the least and the greatest value, merge joins.

use std::ffi::CStr;

use pgrx::PgList;
use pgrx::pg_sys;

/// The name of the only column of the subquery that the planner makes of a `min` or a `max`
/// (`build_minmax_path`).
const LEAST_OR_GREATEST: &CStr = c"agg_target";

/// The function that the planner asks for more paths of a table, as a number; 0 for none.
pub fn pathlist_hook() -> usize {
    // SAFETY: a word that is written when libraries are loaded, by this thread.
    let hook = unsafe { (&raw const pg_sys::set_rel_pathlist_hook).read() };
    hook.map_or(0, |hook| hook as usize)
}

/// True where an index path in an order of the distance is one of a statement that asks for nothing but
/// an order.
///
/// # Safety
/// The planner's structures, the path being one that an order was found for.
pub unsafe fn may_be_approximate(
    root: *mut pg_sys::PlannerInfo,
    path: *mut pg_sys::IndexPath,
) -> bool {
    // SAFETY: by the caller; the list is of PathKey nodes.
    unsafe {
        let keys = PgList::<pg_sys::PathKey>::from_pg((*path).path.pathkeys);
        let is_compared =
            |key: *mut pg_sys::PathKey| is_compared((*path).path.parent, (*key).pk_eclass);
        is_order_alone(root) && !keys.get_ptr(0).is_some_and(is_compared)
    }
}

/// True where the rows are sorted, and nothing else is made of their order.
///
/// # Safety
/// The planner's structure.
pub unsafe fn is_order_alone(root: *mut pg_sys::PlannerInfo) -> bool {
    // SAFETY: by the caller.
    unsafe {
        let parse = &*(*root).parse;
        parse.groupClause.is_null()
            && parse.groupingSets.is_null()
            && parse.distinctClause.is_null()
            && parse.setOperations.is_null()
            && parse.havingQual.is_null()
            && !parse.hasAggs
            && !parse.hasWindowFuncs
            && parse.limitOption != pg_sys::LimitOption::LIMIT_OPTION_WITH_TIES
            && !(*root).sort_pathkeys.is_null()
            && std::ptr::eq((*root).query_pathkeys, (*root).sort_pathkeys)
            && !is_least_or_greatest(root)
    }
}

/// True for the subquery that the planner makes of a `min` or `max` to ask an index: it has an order
/// and a LIMIT, and no aggregate any more.
///
/// # Safety
/// The planner's structure.
unsafe fn is_least_or_greatest(root: *mut pg_sys::PlannerInfo) -> bool {
    // SAFETY: by the caller; the list is of TargetEntry nodes.
    unsafe {
        let parent = (*root).parent_root;
        if parent.is_null() || !(*(*parent).parse).hasAggs {
            return false;
        }
        let columns = PgList::<pg_sys::TargetEntry>::from_pg((*(*root).parse).targetList);
        columns.get_ptr(0).is_some_and(|column| {
            let name = (*column).resname;
            columns.len() == 1 && !name.is_null() && CStr::from_ptr(name) == LEAST_OR_GREATEST
        })
    }
}

/// True where a sort key is known, or compared, to equal something else. A merge join on it would take
/// the order of rows for exact.
///
/// # Safety
/// The planner's structures.
pub unsafe fn is_compared(
    rel: *mut pg_sys::RelOptInfo,
    class: *mut pg_sys::EquivalenceClass,
) -> bool {
    // SAFETY: by the caller.
    unsafe { !stands_alone(class) || is_joined_by(rel, class) }
}

/// True where nothing else is known to equal the sort key.
///
/// # Safety
/// The planner's structure.
unsafe fn stands_alone(class: *mut pg_sys::EquivalenceClass) -> bool {
    // SAFETY: by the caller; the list is of EquivalenceMember nodes.
    unsafe {
        let members = PgList::<pg_sys::EquivalenceMember>::from_pg((*class).ec_members);
        members
            .iter_ptr()
            .filter(|&one| !(*one).em_is_child)
            .count()
            == 1
    }
}

/// True where an outer join compares the sort key with something that it need not equal.
///
/// # Safety
/// The planner's structures.
unsafe fn is_joined_by(rel: *mut pg_sys::RelOptInfo, class: *mut pg_sys::EquivalenceClass) -> bool {
    // SAFETY: by the caller; the list is of RestrictInfo nodes, and a class that was merged into
    // another one refers to it.
    unsafe {
        let is_same = |mut side: *mut pg_sys::EquivalenceClass| {
            while !side.is_null() && !(*side).ec_merged.is_null() {
                side = (*side).ec_merged;
            }
            std::ptr::eq(side, class)
        };
        let clauses = PgList::<pg_sys::RestrictInfo>::from_pg((*rel).joininfo);
        clauses
            .iter_ptr()
            .any(|clause| is_same((*clause).left_ec) || is_same((*clause).right_ec))
    }
}
