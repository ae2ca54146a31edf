//! From SQL's expressions to scores.
//!
//! An expression is taken when every part of it is the distance to one query vector, a column of
//! the index, a value that stands still while a scan runs, or a function of such parts that the
//! index evaluates to what Postgres evaluates it to. Otherwise it is left alone.
//!
//! - What stands still becomes a parameter, in the largest pieces there are, and is evaluated by
//!   Postgres when the scan begins. Only where Postgres may never evaluate a piece (behind `WHEN`,
//!   or the second argument of `COALESCE`) it must not fail either, so that smaller pieces are taken.
//! - `numeric` is evaluated as `double precision`, and the distance is summed otherwise than by pgvector.
//!   That is close enough to order by, but not to take steps by: comparisons, `floor`, casts to integers
//!   are taken where the value is exact enough for the step to be Postgres's ([`super::exact`]).
//! - Where Postgres would raise an error for a row (a division by zero, say), the index goes on with
//!   the value of IEEE 754, and such a row is like any other.
//! - A `bigint` or a timestamp is a float too: exact up to 2^53, which in microseconds is 285 years.
//!   Greater ones are good enough to order by, and `bigint` is compared with what is smaller.
//! - Two query vectors are one where they are certain to be equal. A condition on the distance to another
//!   one counts where that turns out to be the same when the scan begins.
//! - An expression of more parts than a person would write is left alone, since whoever walks over
//!   it does so by recursion.

use chronomind_core::score::{Binary, Expr, Unary, Variadic};
use pgrx::pg_sys::Oid;

use super::exactness::is_step;
use super::functions::{self, Meaning};
use super::parts::{Class, Place};
use super::score;
use super::target::Target;
use super::vanishing::may_vanish;
use crate::pg::make;
use crate::pg::node::{Constant, Node, Shape};

/// Parts that an expression may have.
const PARTS: usize = 500;
/// Translates the expressions of one scan, which share their query vector and parameters.
pub struct Translator<'t, 'p> {
    pub(super) target: &'t Target<'p>,
    /// The indexed vector and the query vector, once the distance has been met.
    operands: Option<(Node<'p>, Node<'p>)>,
    parameters: Vec<Node<'p>>,
    /// Parts that the expression at hand may still have.
    left: usize,
    /// Parameters that Postgres computes when a row first needs them.
    pub(super) lazy: Vec<i32>,
    /// The expression at hand is a condition, which will allow for the error of the distance.
    pub(super) allows_for_distance: bool,
    /// What has to be false for the condition at hand to count.
    unless: Vec<Node<'p>>,
}

impl<'t, 'p> Translator<'t, 'p> {
    /// For an index, in a statement that computes these parameters when a row first needs them.
    pub fn new(target: &'t Target<'p>, lazy: Vec<i32>) -> Self {
        Translator {
            target,
            operands: None,
            parameters: Vec::new(),
            left: PARTS,
            lazy,
            allows_for_distance: false,
            unless: Vec::new(),
        }
    }

    /// The indexed vector and the query vector, where what was translated mentions the distance.
    pub fn distance_operands(&self) -> Option<(Node<'p>, Node<'p>)> {
        self.operands
    }

    /// The parameters of all that was translated, from the first.
    pub fn finish(self) -> Vec<Node<'p>> {
        self.parameters
    }

    /// A fixed value.
    pub fn fixed(&mut self, node: Node<'p>) -> Expr {
        match node.shape() {
            Shape::Constant(Constant::Number(value)) => Expr::Constant(value),
            Shape::Constant(Constant::Null) => Expr::Null,
            _ => self.parameter(node),
        }
    }

    /// Translates a score, or leaves everything as it was.
    pub fn score(&mut self, node: Node<'p>) -> Option<Expr> {
        self.allows_for_distance = false;
        if may_vanish(node) {
            return None;
        }
        self.translate(node, Place::SCORE)
    }

    /// Translates a condition, which may then hold for rows for which it does not, or leaves everything as
    /// it was. Whoever asks allows for the error of the distance.
    pub fn condition(&mut self, node: Node<'p>) -> Option<Expr> {
        self.allows_for_distance = true;
        let condition = self.translate(node, Place::CONDITION);
        let unless = std::mem::take(&mut self.unless);
        let condition = condition?;
        Some(unless.into_iter().fold(condition, |condition, other| {
            Expr::binary(Binary::Or, self.parameter(other), condition)
        }))
    }

    fn translate(&mut self, node: Node<'p>, place: Place<'p>) -> Option<Expr> {
        let (operands, parameters) = (self.operands, self.parameters.len());
        self.left = PARTS;
        let translated = self.value(node, place);
        if translated.is_none() {
            self.operands = operands;
            self.parameters.truncate(parameters);
        }
        translated
    }

    /// A fixed value that is known when the scan begins.
    pub(super) fn parameter(&mut self, node: Node<'p>) -> Expr {
        let node = self.target.number(node);
        let known = self.parameters.iter().position(|known| known.equals(node));
        let at = known.unwrap_or_else(|| {
            self.parameters.push(node);
            self.parameters.len() - 1
        });
        Expr::Parameter(at as u32 + 1)
    }

    /// Counts a part; `None` where it is one too many.
    pub(super) fn count(&mut self) -> Option<()> {
        self.left = self.left.checked_sub(1)?;
        Some(())
    }

    /// Translates a part.
    pub(super) fn value(&mut self, node: Node<'p>, place: Place<'p>) -> Option<Expr> {
        self.count()?;
        let class = Class::of(node.type_of())?;
        if let Some((name, kind)) = self.target.attribute(node) {
            return (Class::of(kind.oid()) == Some(class)).then(|| Expr::attribute(name));
        }
        let shape = node.shape();
        if class == Class::Interval {
            return self.elapsed(shape, place);
        }
        match shape {
            Shape::Constant(Constant::Number(value)) => return Some(Expr::Constant(value)),
            Shape::Constant(Constant::Null) => return Some(Expr::Null),
            Shape::Relabelled(inner) => return self.value(inner, place),
            _ => {}
        }
        if self.is_evaluable(node, place) {
            return Some(self.parameter(node));
        }
        self.compound(shape, place)
    }

    fn compound(&mut self, shape: Shape<'p>, whole: Place<'p>) -> Option<Expr> {
        // Only what a condition is made of has its leeway.
        let place = whole.exact();
        match shape {
            Shape::Call {
                function,
                operator,
                arguments,
                collation,
            } => self.call(function, operator, &arguments, collation, whole),
            Shape::Subject => {
                let subject = place.subject?;
                self.value(
                    subject,
                    Place {
                        subject: None,
                        ..place
                    },
                )
            }
            Shape::Case {
                subject,
                branches,
                otherwise,
            } => self.case(subject, &branches, otherwise, place),
            Shape::Greatest(arguments) => {
                self.variadic(Variadic::Greatest, &arguments, place, place)
            }
            Shape::Least(arguments) => self.variadic(Variadic::Least, &arguments, place, place),
            Shape::Coalesce(arguments) => {
                self.variadic(Variadic::Coalesce, &arguments, place, place.uncertain())
            }
            Shape::NullIf {
                operator,
                arguments,
            } => {
                let [left, right] = arguments[..] else {
                    return None;
                };
                let equal = self.comparison(operator, left, right, place)?;
                let value = self.value(left, place)?;
                Some(Expr::case([(equal, Expr::Null)], value))
            }
            Shape::Distinct {
                operator,
                arguments,
                collation,
            } => {
                let &[left, right] = &arguments[..] else {
                    return None;
                };
                let equal = self.binary_operator(operator, left, right, collation, place)?;
                let (left, right) = (self.is_null(left, place)?, self.is_null(right, place)?);
                let one_null = Expr::binary(Binary::NotEqual, left, right);
                let differ = Expr::unary(Unary::Not, equal);
                Some(Expr::variadic(Variadic::Coalesce, [differ, one_null]))
            }
            Shape::And(arguments) => self.connective(Binary::And, &arguments, whole),
            Shape::Or(arguments) => self.connective(Binary::Or, &arguments, whole),
            Shape::Not(argument) => {
                let holds = self.value(argument, whole.negated())?;
                Some(Expr::unary(Unary::Not, holds))
            }
            Shape::IsNull(argument) => self.is_null(argument, whole),
            Shape::IsNotNull(argument) => {
                let holds = self.is_null(argument, whole.negated())?;
                Some(Expr::unary(Unary::Not, holds))
            }
            Shape::Is(argument, expected) => self.is(argument, expected, whole),
            Shape::IsNot(argument, expected) => {
                let holds = self.is(argument, expected, whole.negated())?;
                Some(Expr::unary(Unary::Not, holds))
            }
            Shape::AnyOf {
                operator,
                any,
                left,
                elements,
                collation,
            } => {
                let connective = if any { Binary::Or } else { Binary::And };
                let mut compared = elements.into_iter().map(|element| {
                    self.binary_operator(operator, left, element, collation, whole.uncertain())
                });
                let first = compared.next()??;
                compared.try_fold(first, |all, one| Some(Expr::binary(connective, all, one?)))
            }
            Shape::Constant(_)
            | Shape::Parameter
            | Shape::Clock
            | Shape::Relabelled(_)
            | Shape::Other => None,
        }
    }

    fn call(
        &mut self,
        function: Oid,
        operator: Option<Oid>,
        arguments: &[Node<'p>],
        collation: Oid,
        whole: Place<'p>,
    ) -> Option<Expr> {
        let place = whole.exact();
        if function == self.target.distance_function() {
            return self.distance(arguments, place);
        }
        if Some(function) == self.target.score_function() {
            return score::translate(self, arguments, place);
        }
        if Some(function) == self.target.importance_function() {
            return score::translate_importance(self, arguments, place);
        }
        match (functions::meaning(function), arguments) {
            (Some(Meaning::Same), &[argument]) => self.value(argument, place),
            (Some(Meaning::Unary(unary)), &[argument]) => {
                if is_step(unary) && !self.exactness(argument, place).takes_step(unary) {
                    return None;
                }
                Some(Expr::unary(unary, self.value(argument, place)?))
            }
            (Some(Meaning::Binary(binary)), &[left, right]) => {
                self.binary(binary, left, right, place)
            }
            (Some(Meaning::Single(binary)), &[left, right]) => {
                let exact = self.binary(binary, left, right, place)?;
                Some(Expr::unary(Unary::Float4, exact))
            }
            (Some(Meaning::Quotient), &[left, right]) => {
                // The quotient of a number beyond 2^53 may be the next one.
                let is_exact = |side| self.exactness(side, place).is_small();
                if !is_exact(left) || !is_exact(right) {
                    return None;
                }
                let exact = self.binary(Binary::Divide, left, right, place)?;
                Some(Expr::unary(Unary::Trunc, exact))
            }
            (Some(Meaning::Extract(source)), &[field, argument]) => {
                self.extract(source, field, argument, place)
            }
            (_, &[left, right]) => self.binary_operator(operator?, left, right, collation, whole),
            _ => None,
        }
    }

    fn distance(&mut self, arguments: &[Node<'p>], place: Place<'p>) -> Option<Expr> {
        let &[left, right] = arguments else {
            return None;
        };
        // The distance is the same in both directions.
        let (vector, query) = if self.target.is_vector(left) {
            (left, right)
        } else if self.target.is_vector(right) {
            (right, left)
        } else {
            return None;
        };
        if !query.is_fixed() {
            return None;
        }
        let Some((_, known)) = self.operands else {
            // It is evaluated when the scan begins, also where no row comes to this place.
            if !self.is_evaluable(query, place) {
                return None;
            }
            self.operands = Some((vector, query));
            return Some(Expr::Distance);
        };
        if !known.is_same_vector(query) {
            // A condition may wait until it is known whether they are.
            if !self.allows_for_distance || !self.is_evaluable(query, place) {
                return None;
            }
            let differ = make::are_distinct(known, query)?;
            if !self.unless.iter().any(|other| other.equals(differ)) {
                self.unless.push(differ);
            }
        }
        Some(Expr::Distance)
    }

    pub(super) fn binary(
        &mut self,
        function: Binary,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let left = self.value(left, place)?;
        Some(Expr::binary(function, left, self.value(right, place)?))
    }

    fn variadic(
        &mut self,
        function: Variadic,
        arguments: &[Node<'p>],
        first: Place<'p>,
        others: Place<'p>,
    ) -> Option<Expr> {
        let places = std::iter::once(first).chain(std::iter::repeat(others));
        let arguments = arguments
            .iter()
            .zip(places)
            .map(|(&argument, place)| self.value(argument, place))
            .collect::<Option<Vec<Expr>>>()?;
        Some(Expr::variadic(function, arguments))
    }

    fn case(
        &mut self,
        subject: Option<Node<'p>>,
        branches: &[(Node<'p>, Node<'p>)],
        otherwise: Option<Node<'p>>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let mut translated = Vec::with_capacity(branches.len());
        for (number, &(condition, value)) in branches.iter().enumerate() {
            // What a subject is compared with is no value by itself, so nothing is taken whole.
            let certain = place.certain && number == 0 && subject.is_none();
            let condition = self.value(
                condition,
                Place {
                    certain,
                    subject: subject.or(place.subject),
                    ..place
                },
            )?;
            translated.push((condition, self.value(value, place.uncertain())?));
        }
        let otherwise = match otherwise {
            Some(node) => self.value(node, place.uncertain())?,
            None => Expr::Null,
        };
        (!translated.is_empty()).then(|| Expr::case(translated, otherwise))
    }
}
