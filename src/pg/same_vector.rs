//! Which expressions are one vector.

use pgrx::pg_sys::{self, NodeTag};

use super::node::{Node, list};

impl<'p> Node<'p> {
    /// True where both are the same vector, whatever lengths they are cast to.
    pub fn is_same_vector(self, other: Node<'p>) -> bool {
        let (one, other) = (self.of_any_length(), other.of_any_length());
        if one.equals(other) {
            return true;
        }
        // SAFETY: the tag says of which type a node is; the copies are changed alone.
        unsafe {
            let is_constant = |node: Node<'_>| (*node.as_raw()).type_ == NodeTag::T_Const;
            if !is_constant(one) || !is_constant(other) {
                return false;
            }
            let (one, other) = (one.copy(), other.copy());
            for node in [one, other] {
                (*node.as_raw().cast::<pg_sys::Const>()).consttypmod = -1;
            }
            one.equals(other)
        }
    }

    /// The expression without casts to another length of the same type.
    fn of_any_length(self) -> Node<'p> {
        let inner = self.unlabelled();
        // SAFETY: a valid expression; where it is a cast to a length, it is a call.
        let argument = unsafe {
            let is_call = (*inner.as_raw()).type_ == NodeTag::T_FuncExpr;
            if !is_call || !pg_sys::exprIsLengthCoercion(inner.as_raw(), std::ptr::null_mut()) {
                return inner;
            }
            let call = &*inner.as_raw().cast::<pg_sys::FuncExpr>();
            list(call.args).into_iter().next()
        };
        match argument {
            Some(argument) if argument.type_of() == inner.type_of() => argument.of_any_length(),
            _ => inner,
        }
    }
}
