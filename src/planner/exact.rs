//! What may be evaluated ahead of the rows, and what is exact enough to be compared.

use chronomind_core::score::Binary;
use pgrx::pg_sys::{self, Oid};

use super::functions::{self, Meaning};
use super::parts::Place;
use crate::pg::node::{self, Constant, Node, Shape};

/// Up to here every integer is a float.
const EXACT: f64 = (1_u64 << 53) as f64;

/// Whether a part is evaluated once, when the scan begins, and by Postgres.
pub fn is_evaluable(node: Node<'_>, place: Place<'_>) -> bool {
    if place.certain {
        node.is_fixed()
    } else {
        is_harmless(node)
    }
}

/// True for a value that no integer beyond 2^53 is taken for.
pub fn is_small(node: Node<'_>) -> bool {
    match node.shape() {
        Shape::Constant(Constant::Number(value)) => value.abs() < EXACT,
        _ => node.type_of() != pg_sys::INT8OID,
    }
}

/// True for a fixed value whose evaluation does not fail.
fn is_harmless(node: Node<'_>) -> bool {
    match node.shape() {
        _ if node::is_too_deep() => false,
        Shape::Constant(_) | Shape::Parameter | Shape::Clock => true,
        Shape::Relabelled(inner) => is_harmless(inner),
        Shape::Call {
            function,
            arguments,
            ..
        } => functions::is_harmless(function) && arguments.into_iter().all(is_harmless),
        _ => false,
    }
}

/// True for a `numeric` that is the same number as the `double precision` that stands for it, or as
/// near to it as no two of the values it can be compared with.
pub fn is_unrounded(node: Node<'_>) -> bool {
    const INTEGERS: [Oid; 3] = [pg_sys::INT2OID, pg_sys::INT4OID, pg_sys::INT8OID];
    if INTEGERS.contains(&node.type_of()) || node.is_fixed() {
        return true;
    }
    if node::is_too_deep() {
        return false;
    }
    let is_constant = |node: &Node<'_>| matches!(node.shape(), Shape::Constant(_));
    match node.shape() {
        Shape::Relabelled(inner) => is_unrounded(inner),
        Shape::Call {
            function,
            arguments,
            ..
        } => match functions::meaning(function) {
            Some(Meaning::Extract(_)) => true,
            Some(Meaning::Same) => arguments.into_iter().all(is_unrounded),
            Some(Meaning::Binary(Binary::Divide | Binary::Multiply)) => {
                arguments.iter().any(is_constant) && arguments.into_iter().all(is_unrounded)
            }
            _ => false,
        },
        _ => false,
    }
}
