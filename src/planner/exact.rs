//! What may be evaluated ahead of the rows, and what is exact enough to be compared.
//!
//! The index computes in `double precision`. Where a value takes a step (a comparison, `floor`, a cast to
//! an integer, the division of integers), it has to be on the same side of it as Postgres's value is. So
//! how far a value may be from Postgres's is carried along from the columns up, as an [`Exactness`], and a
//! step is taken only where that says it is the same step.

use chronomind_core::score::{Binary, Expr, Unary};
use pgrx::pg_sys::{self, Oid};

use super::exactness::Exactness::{self, Decimal, Exact, Quotient, Quotients, Rough, Unknown};
use super::exactness::{EXACT, constant, is_step, same, whole_numbers};
use super::functions::{self, Meaning, Source};
use super::parts::Place;
use super::translate::Translator;
use crate::pg::node::{self, Constant, Node, Shape};

/// True for a fixed value whose evaluation does not fail, and that Postgres has anyway.
fn is_harmless(node: Node<'_>, lazy: &[i32]) -> bool {
    match node.shape() {
        _ if node::is_too_deep() => false,
        Shape::Parameter => node
            .execution_parameter()
            .is_none_or(|id| !lazy.contains(&id)),
        Shape::Constant(_) | Shape::Clock => true,
        Shape::Relabelled(inner) => is_harmless(inner, lazy),
        Shape::Call {
            function,
            arguments,
            ..
        } => {
            functions::is_harmless(function)
                && arguments.into_iter().all(|one| is_harmless(one, lazy))
        }
        _ => false,
    }
}

/// True where a quotient that became a float is compared with what may be no whole number: Postgres rounds
/// the quotient as a `numeric` first, or divides twice, and the float may be that of another side.
pub(super) fn are_rounded_apart(sides: [(Node<'_>, Exactness); 2]) -> bool {
    let is_rounded = |(node, exactness): (Node<'_>, Exactness)| {
        let is_float = [pg_sys::FLOAT4OID, pg_sys::FLOAT8OID].contains(&node.type_of());
        is_float && matches!(exactness, Quotient | Quotients)
    };
    let [left, right] = sides;
    (is_rounded(left) && !is_whole_constant(right.0))
        || (is_rounded(right) && !is_whole_constant(left.0))
}

impl<'p> Translator<'_, 'p> {
    /// Whether a part is evaluated once, when the scan begins, and by Postgres.
    pub(super) fn is_evaluable(&self, node: Node<'p>, place: Place<'p>) -> bool {
        if place.certain {
            node.is_fixed()
        } else {
            is_harmless(node, &self.lazy)
        }
    }

    /// How exact the index's value of a part is.
    pub(super) fn exactness(&self, node: Node<'p>, place: Place<'p>) -> Exactness {
        let kind = node.type_of();
        if node::is_too_deep() {
            return Unknown;
        }
        if self.target.attribute(node).is_some() {
            return Exactness::of_type(kind);
        }
        let shape = node.shape();
        if let Shape::Constant(Constant::Number(value)) = shape {
            return constant(kind, value);
        }
        if self.is_evaluable(node, place) {
            return Exactness::of_type(kind);
        }
        let any = |nodes: &mut dyn Iterator<Item = Node<'p>>| {
            nodes.fold(Exact(0.0), |all, one| all.or(self.exactness(one, place)))
        };
        match shape {
            Shape::Constant(_) => Exact(0.0),
            Shape::Parameter | Shape::Clock => Exactness::of_type(kind),
            Shape::Relabelled(inner) => self.exactness(inner, place),
            Shape::Subject => place.subject.map_or(Unknown, |subject| {
                let place = Place {
                    subject: None,
                    ..place
                };
                self.exactness(subject, place)
            }),
            Shape::Greatest(nodes) | Shape::Least(nodes) | Shape::Coalesce(nodes) => {
                any(&mut nodes.into_iter())
            }
            Shape::NullIf { arguments, .. } => any(&mut arguments.into_iter().take(1)),
            Shape::Case {
                subject,
                branches,
                otherwise,
            } => {
                let place = Place {
                    subject: subject.or(place.subject),
                    ..place
                };
                let values = branches.into_iter().map(|(_, value)| value);
                values
                    .chain(otherwise)
                    .fold(Exact(0.0), |all, one| all.or(self.exactness(one, place)))
            }
            Shape::Call {
                function,
                arguments,
                ..
            } => self.of_call(kind, function, &arguments, place),
            // Booleans, whose own comparisons are looked at when they are translated.
            _ if kind == pg_sys::BOOLOID => Exact(1.0),
            _ => Unknown,
        }
    }

    /// The same of a numeric that [`as_one_division`] was made of.
    pub(super) fn exactness_of_one_division(&self, node: Node<'p>, place: Place<'p>) -> Exactness {
        match self.exactness(node, place) {
            Quotients if is_chain(node) => Quotient,
            exactness => exactness,
        }
    }

    fn of_call(
        &self,
        kind: Oid,
        function: Oid,
        arguments: &[Node<'p>],
        place: Place<'p>,
    ) -> Exactness {
        let of = |node: Node<'p>| self.exactness(node, place);
        let all = || {
            let all = arguments.iter().map(|&one| of(one));
            all.fold(Exact(0.0), Exactness::or)
        };
        if function == self.target.distance_function() {
            // Conditions allow for what it errs by, scores do not.
            return match self.allows_for_distance {
                true => Exact(f64::INFINITY),
                false => Rough,
            };
        }
        let is_ours = |known| known == Some(function);
        if is_ours(self.target.score_function()) || is_ours(self.target.importance_function()) {
            return all().computed();
        }
        let is_numeric = kind == pg_sys::NUMERICOID;
        match (functions::meaning(function), arguments) {
            (Some(Meaning::Same), &[argument]) => same(function, of(argument)),
            (Some(Meaning::Unary(Unary::Negate | Unary::Abs)), &[argument]) => of(argument),
            (Some(Meaning::Unary(step)), &[argument]) if is_step(step) => {
                match (of(argument), Exactness::of_type(kind)) {
                    (exactness, _) if !exactness.takes_step(step) => Unknown,
                    (Exact(bound), Exact(most)) => Exact((bound + 1.0).min(most)),
                    (Exact(bound), _) => Exactness::whole(bound + 1.0),
                    (_, most) => most,
                }
            }
            (Some(Meaning::Unary(Unary::Float4)), &[argument]) => match of(argument) {
                // What is rounded twice may be another number.
                Decimal | Quotient | Quotients => Rough,
                exactness => exactness.computed(),
            },
            (Some(Meaning::Binary(binary)), &[left, right]) => match kind {
                pg_sys::INT2OID | pg_sys::INT4OID | pg_sys::INT8OID | pg_sys::NUMERICOID => {
                    whole_numbers(binary, kind, of(left), of(right))
                }
                _ if binary == Binary::Divide => match (of(left), of(right)) {
                    (Quotient | Quotients, Exact(_)) if is_whole_constant(right) => Quotients,
                    (left, right) => left.or(right).computed(),
                },
                _ => all().computed(),
            },
            (Some(Meaning::Unary(_)), _) if is_numeric => all().computed().or(Rough),
            (Some(Meaning::Unary(_) | Meaning::Single(_)), _) => all().computed(),
            (Some(Meaning::Quotient), &[left, _]) => match (all(), of(left)) {
                (Exact(bound), Exact(most)) if bound <= EXACT => Exact(most),
                _ => Unknown,
            },
            (Some(Meaning::Extract(source)), &[field, _]) => {
                let is_epoch = matches!(field.shape(), Shape::Constant(Constant::Text(field))
                    if field.eq_ignore_ascii_case("epoch"));
                match source {
                    Source::Interval | Source::Timestamp if is_epoch => Quotient,
                    // Days, and whole seconds
                    _ => Exact(EXACT),
                }
            }
            _ if kind == pg_sys::BOOLOID => Exact(1.0),
            _ => Unknown,
        }
    }
}

/// True for a whole number that is written out, or cast from one.
pub(super) fn is_whole_constant(node: Node<'_>) -> bool {
    matches!(node.shape(), Shape::Constant(Constant::Number(value)) if value.fract() == 0.0 && value.abs() < EXACT)
}

/// True for divisions by constants, one after the other.
fn is_chain(node: Node<'_>) -> bool {
    match node.shape() {
        Shape::Relabelled(inner) => is_chain(inner),
        Shape::Call {
            function,
            arguments,
            ..
        } => match (functions::meaning(function), &arguments[..]) {
            (Some(Meaning::Extract(_)), _) => true,
            (Some(Meaning::Binary(Binary::Divide)), &[left, right]) => {
                is_whole_constant(right) && is_chain(left)
            }
            (Some(Meaning::Same), _) => true,
            _ => false,
        },
        _ => true,
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
