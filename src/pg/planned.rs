//! Calls that the planner alone can make.
//!
//! A plan asks an index by `chrono_query('...', ...)`, whose text may name any column of the index and
//! drop rows. The planner writes into it what the statement says, and what policies let it look at; a
//! text of somebody's own would be an oracle on rows and columns that one may not read. So the
//! function wants to see that its call comes from the planner.
//!
//! It sees it by how the call is said to be displayed, `COERCE_SQL_SYNTAX`. The grammar alone makes such
//! calls otherwise, for constructs like `EXTRACT` that stand for functions of `pg_catalog`; whatever a
//! statement, a view or a function body calls by name is an explicit call, an operator or a cast, and
//! so is what the server makes of it when it folds constants or aggregates. Copies of a plan keep it,
//! also on the way to a parallel worker, and EXPLAIN shows a function that it has no syntax for as a
//! call.

use pgrx::pg_sys::{self, NodeTag, Oid};

use super::call::Call;
use super::make;
use super::node::Node;

const MARK: pg_sys::CoercionForm::Type = pg_sys::CoercionForm::COERCE_SQL_SYNTAX;

/// Makes the call of a function that returns that type.
pub fn call<'p>(function: Oid, result: Oid, arguments: &[Node<'p>]) -> Node<'p> {
    let call = make::call(function, result, arguments);
    // SAFETY: just made, as a node of this type.
    unsafe { (*call.as_raw().cast::<pg_sys::FuncExpr>()).funcformat = MARK };
    call
}

impl Call {
    /// True where the call was made by [`call`].
    pub fn is_planned(&self) -> bool {
        let expression = self.expression();
        // SAFETY: null, or the expression that the call was planned from; the tag says of which type.
        unsafe {
            expression
                .as_ref()
                .is_some_and(|node| node.type_ == NodeTag::T_FuncExpr)
                && (*expression.cast::<pg_sys::FuncExpr>()).funcformat == MARK
        }
    }
}
