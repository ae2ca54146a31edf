//! What may be evaluated ahead of the rows, and what is exact enough to be compared.

use chronomind_core::score::{Binary, Expr, Unary};
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

/// True for a value in which no `numeric` was rounded otherwise than Postgres rounds it, so that it
/// may be compared, or taken the floor of.
///
/// A `numeric` may be a whole number, or whole numbers divided by each other, once they are put into
/// one division ([`as_one_division`]): whether that is rounded or not, it is the float that is
/// nearest, and so is what it is compared with. Anything else can be a little off.
pub fn is_comparable(node: Node<'_>, place: Place<'_>) -> bool {
    if is_evaluable(node, place) {
        return true;
    }
    if node::is_too_deep() {
        return false;
    }
    if is_numeric(node) {
        return is_quotient(node) || is_choice(node, place);
    }
    let all = |nodes: Vec<Node<'_>>| nodes.into_iter().all(|node| is_comparable(node, place));
    match node.shape() {
        Shape::Constant(_) | Shape::Parameter | Shape::Clock | Shape::Subject => true,
        Shape::Relabelled(inner) => is_comparable(inner, place),
        Shape::Call { arguments, .. }
        | Shape::Greatest(arguments)
        | Shape::Least(arguments)
        | Shape::Coalesce(arguments)
        | Shape::NullIf { arguments, .. } => all(arguments),
        Shape::Case {
            branches,
            otherwise,
            ..
        } => {
            let values = branches.into_iter().map(|(_, value)| value);
            all(values.chain(otherwise).collect())
        }
        // A column; a boolean, whose own comparisons have been looked at.
        _ => true,
    }
}

fn is_numeric(node: Node<'_>) -> bool {
    node.type_of() == pg_sys::NUMERICOID
}

/// True for a `numeric` that is one of several which are divided at most once.
fn is_choice(node: Node<'_>, place: Place<'_>) -> bool {
    let is_extract = |node: Node<'_>| match node.shape() {
        Shape::Call { function, .. } => {
            matches!(functions::meaning(function), Some(Meaning::Extract(_)))
        }
        _ => false,
    };
    let fits = |node: &Node<'_>| {
        is_evaluable(*node, place)
            || is_whole(*node)
            || is_extract(*node)
            || is_choice(*node, place)
    };
    match node.shape() {
        _ if node::is_too_deep() => false,
        Shape::Constant(_) => true,
        Shape::Relabelled(inner) => is_choice(inner, place),
        Shape::Call {
            function,
            arguments,
            ..
        } => {
            let changes_sign = matches!(
                functions::meaning(function),
                Some(Meaning::Same | Meaning::Unary(Unary::Negate | Unary::Abs))
            );
            changes_sign && arguments.iter().all(|one| is_numeric(*one) && fits(one))
        }
        Shape::Greatest(parts) | Shape::Least(parts) | Shape::Coalesce(parts) => {
            parts.iter().all(fits)
        }
        Shape::NullIf { arguments, .. } => arguments.iter().all(fits),
        Shape::Case {
            branches,
            otherwise,
            ..
        } => branches
            .iter()
            .map(|(_, value)| value)
            .chain(&otherwise)
            .all(fits),
        _ => false,
    }
}

/// True for whole numbers divided by constant ones.
fn is_quotient(node: Node<'_>) -> bool {
    match node.shape() {
        Shape::Relabelled(inner) => is_quotient(inner),
        Shape::Call {
            function,
            arguments,
            ..
        } => match (functions::meaning(function), &arguments[..]) {
            (Some(Meaning::Extract(_)), _) => true,
            (Some(Meaning::Binary(Binary::Divide)), &[left, right]) => {
                is_quotient(left) && is_whole(right)
            }
            _ => is_whole(node),
        },
        _ => is_whole(node),
    }
}

/// True for a whole number as a `numeric`: a constant, or a cast of an integer.
fn is_whole(node: Node<'_>) -> bool {
    const INTEGERS: [Oid; 3] = [pg_sys::INT2OID, pg_sys::INT4OID, pg_sys::INT8OID];
    match node.shape() {
        Shape::Constant(Constant::Number(value)) => value.fract() == 0.0 && value.abs() < EXACT,
        Shape::Relabelled(inner) => is_whole(inner),
        Shape::Call {
            function,
            arguments,
            ..
        } => {
            functions::meaning(function) == Some(Meaning::Same)
                && arguments
                    .iter()
                    .all(|one| INTEGERS.contains(&one.type_of()))
        }
        _ => false,
    }
}

/// A division of a division by constants as one, which rounds once.
pub fn as_one_division(expr: Expr) -> Expr {
    let Expr::Binary(Binary::Divide, left, right) = expr else {
        return expr;
    };
    match (as_one_division(*left), *right) {
        (Expr::Binary(Binary::Divide, dividend, first), Expr::Constant(second)) => match *first {
            Expr::Constant(first) if (first * second).abs() < EXACT => *dividend / (first * second),
            first => *dividend / first / second,
        },
        (left, right) => left / right,
    }
}
