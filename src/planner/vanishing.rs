//! What a `numeric` has digits for and a float has not.

use chronomind_core::score::Binary;
use pgrx::pg_sys;

use super::functions::{self, Meaning};
use crate::pg::node::{self, Node, Shape};

/// True for a `numeric` that may be so near to zero, or so far, that it is neither as a float: what
/// Postgres has digits for, the index would take for ties.
pub fn may_vanish(node: Node<'_>) -> bool {
    const DECAYS: [u32; 4] = [
        pg_sys::F_EXP_NUMERIC,
        pg_sys::F_POW_NUMERIC_NUMERIC,
        pg_sys::F_POWER_NUMERIC_NUMERIC,
        pg_sys::F_NUMERIC_POWER,
    ];
    if node::is_too_deep() {
        return true;
    }
    if node.type_of() != pg_sys::NUMERICOID || node.is_fixed() {
        return false;
    }
    match node.shape() {
        Shape::Relabelled(inner) => may_vanish(inner),
        Shape::Greatest(nodes) | Shape::Least(nodes) | Shape::Coalesce(nodes) => {
            nodes.into_iter().any(may_vanish)
        }
        Shape::NullIf { arguments, .. } => arguments.into_iter().any(may_vanish),
        Shape::Case {
            branches,
            otherwise,
            ..
        } => {
            let mut values = branches.into_iter().map(|(_, value)| value);
            values.any(may_vanish) || otherwise.is_some_and(may_vanish)
        }
        Shape::Call { function, .. } if DECAYS.contains(&function.to_u32()) => true,
        Shape::Call {
            function,
            arguments,
            ..
        } => match functions::meaning(function) {
            // A decay vanishes beside anything else.
            Some(Meaning::Binary(Binary::Add | Binary::Subtract)) => {
                arguments.into_iter().all(may_vanish)
            }
            _ => arguments.into_iter().any(may_vanish),
        },
        _ => false,
    }
}
