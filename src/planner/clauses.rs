//! The conditions that an index can check, found anew.
//!
//! The planner matches conditions to indexes for its own paths only, and keeps the function that
//! does it to itself. What is matched here is what it would match: comparisons of a column of the
//! index with a value, `= ANY`, `IS NULL`, and a boolean column by itself. A condition that may see
//! no row that a policy hides is left to the filter above the scan.
//!
//! This file may say `unsafe`.
#![allow(unsafe_code)]

use pgrx::PgList;
use pgrx::pg_sys::{self, NodeTag, Oid, RestrictInfo};

use crate::pg::index_info::IndexInfo;
use crate::pg::node::Node;

/// `boolean = boolean`
const BOOLEAN_EQUALS: u32 = 91;

/// The conditions of a statement on one table, for an index of it.
pub struct Clauses {
    /// Those that the index checks, as Postgres wants them in an index path.
    pub indexed: *mut pg_sys::List,
    /// Some of them are `= ANY`, for which the server has no ordered path of its own before
    /// PostgreSQL 17.
    pub has_arrays: bool,
    /// All others that may be looked at before the policies.
    pub others: Vec<*mut RestrictInfo>,
}

/// Sorts the conditions.
///
/// # Safety
/// The planner's structures, the index being one of the relation's.
pub unsafe fn sort(
    root: *mut pg_sys::PlannerInfo,
    rel: *mut pg_sys::RelOptInfo,
    index: IndexInfo<'_>,
) -> Clauses {
    let mut clauses = Clauses {
        indexed: std::ptr::null_mut(),
        has_arrays: false,
        others: Vec::new(),
    };
    // SAFETY: by the caller; the list is of RestrictInfo nodes.
    unsafe {
        let all = PgList::<RestrictInfo>::from_pg((*index.as_raw()).indrestrictinfo);
        let usable = |info: &*mut RestrictInfo| {
            !(**info).pseudoconstant && pg_sys::restriction_is_securely_promotable(*info, rel)
        };
        clauses.others = all.iter_ptr().filter(usable).collect();
        // Postgres wants them in the order of the columns.
        for column in 1..index.columns() {
            clauses.others.retain(|&info| {
                let Some(matched) = matched(root, info, index, column) else {
                    return true;
                };
                let clause = (*info).clause.cast::<pg_sys::Node>();
                clauses.has_arrays |= (*clause).type_ == NodeTag::T_ScalarArrayOpExpr;
                let made = index_clause(info, matched, column);
                clauses.indexed = pg_sys::lappend(clauses.indexed, made.cast());
                false
            });
        }
    }
    clauses
}

/// The condition as the column's operator family has it: itself, turned around, or spelled out.
///
/// # Safety
/// As for [`sort`].
unsafe fn matched(
    root: *mut pg_sys::PlannerInfo,
    info: *mut RestrictInfo,
    index: IndexInfo<'_>,
    column: usize,
) -> Option<*mut RestrictInfo> {
    let family = index.family(column);
    let collation = index.collation(column);
    let collates = |other: Oid| collation == Oid::INVALID || collation == other;
    // SAFETY: by the caller; the tag says of which type a node is.
    unsafe {
        let clause = Node::new((*info).clause)?;
        if index.input_type(column) == pg_sys::BOOLOID
            && let Some(spelled) = boolean(root, clause, index, column)
        {
            return Some(spelled);
        }
        match (*clause.as_raw()).type_ {
            NodeTag::T_OpExpr => {
                let call = &*clause.as_raw().cast::<pg_sys::OpExpr>();
                let (left, right) = operands(call.args)?;
                if !collates(call.inputcollid) {
                    None
                } else if index.holds(column, left) && right.is_fixed() {
                    pg_sys::op_in_opfamily(call.opno, family).then_some(info)
                } else if index.holds(column, right) && left.is_fixed() {
                    let turned = pg_sys::get_commutator(call.opno);
                    let known = turned != Oid::INVALID && pg_sys::op_in_opfamily(turned, family);
                    known.then(|| pg_sys::commute_restrictinfo(info, turned))
                } else {
                    None
                }
            }
            NodeTag::T_ScalarArrayOpExpr => {
                let call = &*clause.as_raw().cast::<pg_sys::ScalarArrayOpExpr>();
                let (left, right) = operands(call.args)?;
                let fits = call.useOr
                    && collates(call.inputcollid)
                    && index.holds(column, left)
                    && right.is_fixed()
                    && pg_sys::op_in_opfamily(call.opno, family);
                fits.then_some(info)
            }
            NodeTag::T_NullTest => {
                let test = &*clause.as_raw().cast::<pg_sys::NullTest>();
                let argument = Node::new(test.arg)?;
                (!test.argisrow && index.holds(column, argument)).then_some(info)
            }
            _ => None,
        }
    }
}

/// A boolean column as a condition, spelled out as a comparison.
///
/// # Safety
/// As for [`sort`].
unsafe fn boolean(
    root: *mut pg_sys::PlannerInfo,
    clause: Node<'_>,
    index: IndexInfo<'_>,
    column: usize,
) -> Option<*mut RestrictInfo> {
    use crate::pg::node::Shape;
    let (operand, value) = match clause.shape() {
        Shape::Not(argument) if index.holds(column, argument) => (argument, false),
        Shape::Is(argument, Some(value)) if index.holds(column, argument) => (argument, value),
        _ if index.holds(column, clause) => (clause, true),
        _ => return None,
    };
    // SAFETY: makes nodes of valid ones.
    unsafe {
        let constant = pg_sys::makeBoolConst(value, false);
        let equals = pg_sys::make_opclause(
            BOOLEAN_EQUALS.into(),
            pg_sys::BOOLOID,
            false,
            operand.as_raw().cast(),
            constant.cast(),
            Oid::INVALID,
            Oid::INVALID,
        );
        Some(restriction(root, equals))
    }
}

/// A condition that stands by itself: the server's `make_simple_restrictinfo`.
///
/// # Safety
/// As for [`sort`].
unsafe fn restriction(
    root: *mut pg_sys::PlannerInfo,
    clause: *mut pg_sys::Expr,
) -> *mut RestrictInfo {
    let none = std::ptr::null_mut();
    // SAFETY: by the caller.
    unsafe {
        #[cfg(feature = "pg15")]
        {
            pg_sys::make_restrictinfo(root, clause, true, false, false, 0, none, none, none)
        }
        #[cfg(not(feature = "pg15"))]
        {
            pg_sys::make_restrictinfo(root, clause, true, false, false, false, 0, none, none, none)
        }
    }
}

/// # Safety
/// A list of expressions.
unsafe fn operands<'p>(arguments: *mut pg_sys::List) -> Option<(Node<'p>, Node<'p>)> {
    // SAFETY: by the caller.
    unsafe {
        let list = PgList::<pg_sys::Node>::from_pg(arguments);
        let pair = (list.len() == 2).then_some((list.get_ptr(0)?, list.get_ptr(1)?))?;
        Some((Node::new(pair.0)?, Node::new(pair.1)?))
    }
}

/// # Safety
/// As for [`sort`].
unsafe fn index_clause(
    info: *mut RestrictInfo,
    matched: *mut RestrictInfo,
    column: usize,
) -> *mut pg_sys::IndexClause {
    // SAFETY: allocates a node of the type that its tag says.
    unsafe {
        let mut clause = pgrx::PgBox::<pg_sys::IndexClause>::alloc_node(NodeTag::T_IndexClause);
        clause.rinfo = info;
        clause.indexquals = pg_sys::lappend(std::ptr::null_mut(), matched.cast());
        clause.lossy = false;
        clause.indexcol = column as pg_sys::AttrNumber;
        clause.indexcols = std::ptr::null_mut();
        clause.into_pg()
    }
}
