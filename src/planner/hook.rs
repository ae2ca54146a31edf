//! The door through which Postgres's planner asks for more paths.
//!
//! For a table with a chrono index, in a statement that wants the first rows of an order that the
//! index can compute, an ordinary index path is added. What comes of it is up to the planner: joins,
//! partitions, prepared plans and EXPLAIN know nothing of it.
//!
//! The index finds the order of near rows by a walk that is nearly always right, not always. So the
//! path is offered only where an order is all that is asked for: never to a statement that groups,
//! makes rows distinct, numbers them, combines sets or asks for ties, and never where all rows are
//! wanted, which a sort does better.
//!
//! This file may say `unsafe`.
#![allow(unsafe_code)]

use std::sync::OnceLock;

use chronomind_core::score::Expr;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgList, pg_guard};

use super::clauses;
use super::predicate;
use super::target::Target;
use super::translate::Translator;
use crate::am::callbacks::is_ours;
use crate::am::hook_watch;
use crate::am::text::QueryText;
use crate::guc;
use crate::pg::asked;
use crate::pg::index_info::IndexInfo;
use crate::pg::init_plans;
use crate::pg::node::{Constant, Node, Shape, is_built_in};

type Hook = unsafe extern "C-unwind" fn(
    *mut pg_sys::PlannerInfo,
    *mut pg_sys::RelOptInfo,
    pg_sys::Index,
    *mut pg_sys::RangeTblEntry,
);

/// Whoever was asked before us.
static PREVIOUS: OnceLock<Option<Hook>> = OnceLock::new();

/// Makes the planner ask. For the server's start only.
pub fn install() {
    // SAFETY: the server is starting, in a single thread.
    unsafe {
        PREVIOUS.get_or_init(|| {
            let previous = pg_sys::set_rel_pathlist_hook;
            pg_sys::set_rel_pathlist_hook = Some(set_rel_pathlist);
            hook_watch::is_ours(asked::pathlist_hook());
            previous
        });
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn set_rel_pathlist(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    number: pg_sys::Index,
    entry: *mut pg_sys::RangeTblEntry,
) {
    hook_watch::asked();
    // SAFETY: Postgres gives valid structures, and whoever was asked before us gets the same.
    unsafe {
        if let Some(Some(previous)) = PREVIOUS.get() {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(root, rel, number, entry));
        }
        let may_offer = is_plain_table(rel, entry) && has_plain_scan(rel);
        if guc::enable_order_pushdown() && may_offer && wants_first_rows(root) {
            offer_paths(root, rel);
            // The costs of our own paths were estimated, too.
            hook_watch::asked();
        }
    }
}

/// # Safety
/// The planner's structures.
unsafe fn is_plain_table(rel: *mut pg_sys::RelOptInfo, entry: *mut pg_sys::RangeTblEntry) -> bool {
    // SAFETY: by the caller.
    unsafe {
        (*entry).rtekind == pg_sys::RTEKind::RTE_RELATION
            && !(*entry).inh
            && (*entry).tablesample.is_null()
            && !(*rel).indexlist.is_null()
            && !pg_sys::is_dummy_rel(rel)
    }
}

/// False where another library reads the table in a way of its own only: the table's own pages then need
/// not have all of its rows.
///
/// # Safety
/// The planner's structure.
unsafe fn has_plain_scan(rel: *mut pg_sys::RelOptInfo) -> bool {
    use pg_sys::NodeTag::{T_BitmapHeapScan, T_IndexOnlyScan, T_IndexScan, T_SeqScan};
    // SAFETY: by the caller; the list is of Path nodes.
    unsafe {
        let paths = PgList::<pg_sys::Path>::from_pg((*rel).pathlist);
        let is_plain = |path: *mut pg_sys::Path| {
            matches!(
                (*path).pathtype,
                T_SeqScan | T_IndexScan | T_IndexOnlyScan | T_BitmapHeapScan
            )
        };
        paths.is_empty() || paths.iter_ptr().any(is_plain)
    }
}

/// # Safety
/// The planner's structure.
unsafe fn wants_first_rows(root: *mut pg_sys::PlannerInfo) -> bool {
    // SAFETY: by the caller.
    unsafe {
        // Cursors, and subqueries under a LIMIT, have a fraction without a LIMIT of their own.
        asked::is_order_alone(root) && (limit(root).is_some() || (*root).tuple_fraction > 0.0)
    }
}

/// The LIMIT of a statement; one of NULL is none.
///
/// # Safety
/// The planner's structure.
unsafe fn limit<'p>(root: *mut pg_sys::PlannerInfo) -> Option<Node<'p>> {
    // SAFETY: by the caller.
    let limit = unsafe { Node::new((*(*root).parse).limitCount) };
    limit.filter(|limit| !matches!(limit.shape(), Shape::Constant(Constant::Null)))
}

/// What the rows are to be sorted by first.
struct SortKey<'p> {
    pathkey: *mut pg_sys::PathKey,
    node: Node<'p>,
    descending: bool,
    nulls_first: bool,
}

/// # Safety
/// The planner's structures.
unsafe fn offer_paths(root: *mut pg_sys::PlannerInfo, rel: *mut pg_sys::RelOptInfo) {
    // SAFETY: by the caller; the list is of IndexOptInfo nodes.
    unsafe {
        let indexes = PgList::<pg_sys::IndexOptInfo>::from_pg((*rel).indexlist);
        let ours = |info: &*mut pg_sys::IndexOptInfo| is_ours(&**info);
        let mut indexes = indexes.iter_ptr().filter(ours).peekable();
        if indexes.peek().is_none() {
            return;
        }
        let Some(key) = sort_key(root, rel) else {
            return;
        };
        // Not everybody may run the functions in the path, and a plan may be kept for another role.
        (*(*root).glob).dependsOnRole = true;
        for index in indexes.filter_map(|info| IndexInfo::new(info)) {
            if index.is_complete()
                && let Some(path) = path(root, rel, index, &key)
            {
                pg_sys::add_path(rel, path.cast());
            }
        }
    }
}

/// The first sort key, where it is an expression of this table alone.
///
/// # Safety
/// The planner's structures.
unsafe fn sort_key<'p>(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
) -> Option<SortKey<'p>> {
    // SAFETY: by the caller; the list is of PathKey nodes.
    unsafe {
        let keys = PgList::<pg_sys::PathKey>::from_pg((*root).query_pathkeys);
        let pathkey = keys.get_ptr(0)?;
        let class = (*pathkey).pk_eclass;
        if (*class).ec_has_volatile || asked::is_compared(rel, class) {
            return None;
        }
        let member = member(class, (*rel).relids)?;
        #[cfg(feature = "pg18")]
        let descending = (*pathkey).pk_cmptype == pg_sys::CompareType::COMPARE_GT;
        #[cfg(not(feature = "pg18"))]
        let descending = (*pathkey).pk_strategy == pg_sys::BTGreaterStrategyNumber as i32;
        Some(SortKey {
            pathkey,
            node: Node::new((*member).em_expr)?,
            descending,
            nulls_first: (*pathkey).pk_nulls_first,
        })
    }
}

/// The member of an equivalence class that is computed from certain tables.
///
/// # Safety
/// The planner's structures.
unsafe fn member(
    class: *mut pg_sys::EquivalenceClass,
    relids: pg_sys::Relids,
) -> Option<*mut pg_sys::EquivalenceMember> {
    // SAFETY: by the caller; the list is of EquivalenceMember nodes.
    unsafe {
        #[cfg(feature = "pg18")]
        {
            let mut iterator = pg_sys::EquivalenceMemberIterator::default();
            pg_sys::setup_eclass_member_iterator(&mut iterator, class, relids);
            std::iter::from_fn(|| {
                let member = pg_sys::eclass_member_iterator_next(&mut iterator);
                (!member.is_null()).then_some(member)
            })
            .find(|&one| pg_sys::bms_equal((*one).em_relids, relids))
        }
        #[cfg(not(feature = "pg18"))]
        {
            let members = PgList::<pg_sys::EquivalenceMember>::from_pg((*class).ec_members);
            members
                .iter_ptr()
                .find(|&one| pg_sys::bms_equal((*one).em_relids, relids))
        }
    }
}

/// The path of an index, where it can compute the order.
///
/// # Safety
/// The planner's structures, the index being one of the relation's.
unsafe fn path(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    index: IndexInfo<'_>,
    key: &SortKey<'_>,
) -> Option<*mut pg_sys::IndexPath> {
    let target = Target::new(index)?;
    // SAFETY: by the caller.
    let mut translator = Translator::new(&target, unsafe { init_plans::parameters(root) });
    let mut score = translator.score(key.node)?;
    let (vector, query) = translator.distance_operands()?;
    // SAFETY: by the caller.
    unsafe {
        let clauses = clauses::sort(root, rel, index);
        let mut conditions: Vec<Node<'_>> = clauses
            .others
            .iter()
            .filter_map(|&info| Node::new((*info).clause))
            .collect();
        let is_operator = matches!(
            key.node.shape(),
            Shape::Call { function, operator: Some(_), .. } if function == target.distance_function()
        );
        let is_plain = is_operator && !key.descending && !key.nulls_first;
        let is_presence = |condition: &Node<'_>| predicate::is_presence(&target, *condition);
        if is_plain {
            // Rows without a distance come last anyway.
            conditions.retain(|condition| !is_presence(condition));
        } else if key.nulls_first && conditions.iter().any(is_presence) {
            score = predicate::with_absent_last(&mut translator, &score).unwrap_or(score);
        }
        let predicate = predicate::of(&mut translator, conditions.into_iter());
        // Before PostgreSQL 17 only where it has no `= ANY` and one sort key.
        let has_own_path = cfg!(any(feature = "pg17", feature = "pg18"))
            || !clauses.has_arrays && pg_sys::list_length((*root).query_pathkeys) == 1;
        if is_plain && predicate.is_none() && has_own_path {
            return None;
        }
        let text = QueryText {
            score,
            descending: key.descending,
            nulls_first: key.nulls_first,
            predicate,
            wanted: wanted(root, &mut translator),
        };
        let parameters = translator.finish();
        let text = text.to_string();
        // The reader has limits of its own.
        text.parse::<QueryText>().ok()?;
        let order = target
            .order(
                |result| sorts(key.pathkey, result),
                vector,
                &text,
                query,
                &parameters,
            )?
            .copy();
        let path = pg_sys::create_index_path(
            root,
            index.as_raw(),
            clauses.indexed,
            pg_sys::lappend(std::ptr::null_mut(), order.as_raw().cast()),
            pg_sys::lappend_int(std::ptr::null_mut(), 0),
            pg_sys::lappend(std::ptr::null_mut(), key.pathkey.cast()),
            pg_sys::ScanDirection::ForwardScanDirection,
            false,
            (*rel).lateral_relids,
            1.0,
            false,
        );
        (*path).path.parallel_safe &= pg_sys::is_parallel_safe(root, order.as_raw());
        Some(path)
    }
}

/// Whether a sort key's family sorts values of a type in its direction. A family of a user's may
/// sort them in an order of its own.
///
/// # Safety
/// The planner's structure.
unsafe fn sorts(key: *mut pg_sys::PathKey, result: Oid) -> bool {
    // SAFETY: by the caller; a lookup by identifiers.
    unsafe {
        #[cfg(feature = "pg18")]
        let operator = pg_sys::get_opfamily_member_for_cmptype(
            (*key).pk_opfamily,
            result,
            result,
            (*key).pk_cmptype,
        );
        #[cfg(not(feature = "pg18"))]
        let operator = pg_sys::get_opfamily_member(
            (*key).pk_opfamily,
            result,
            result,
            (*key).pk_strategy as i16,
        );
        operator != Oid::INVALID && is_built_in((*key).pk_opfamily)
    }
}

/// How many rows will be asked for: a number, or a parameter where the plan is for any LIMIT.
///
/// # Safety
/// The planner's structure.
unsafe fn wanted<'p>(
    root: *mut pg_sys::PlannerInfo,
    translator: &mut Translator<'_, 'p>,
) -> Option<Expr> {
    // SAFETY: by the caller.
    unsafe {
        let (parse, fraction) = (&*(*root).parse, (*root).tuple_fraction);
        let rows = if (*root).limit_tuples > 0.0 {
            (*root).limit_tuples
        } else if let Some(limit) = limit(root) {
            let offset = Node::new(parse.limitOffset);
            let parts: Vec<Node<'p>> = offset.into_iter().chain([limit]).collect();
            return parts.iter().all(|part| part.is_fixed()).then(|| {
                let mut parts = parts.into_iter().map(|part| translator.fixed(part));
                let first = parts.next().unwrap_or(Expr::Null);
                parts.fold(first, |sum, part| sum + part)
            });
        } else if fraction >= 1.0 {
            fraction
        } else {
            return None;
        };
        Some(Expr::Constant(rows))
    }
}
