//! From SQL's expressions to scores.
//!
//! An expression is taken when every part of it is the distance to one query vector, a column of
//! the index, a value that stands still while a scan runs, or a function of such parts that the
//! index evaluates to what Postgres evaluates it to. Otherwise it is left alone.
//!
//! - What stands still becomes a parameter, in the largest pieces there are, and is evaluated by
//!   Postgres when the scan begins. Only where Postgres may never evaluate a piece (behind `WHEN`,
//!   or the second argument of `COALESCE`) it must not fail either, so that smaller pieces are taken.
//! - `numeric` is evaluated as `double precision`. That is close enough to order by, but not to
//!   compare with: conditions on a `numeric` are taken only where it was not rounded on the way.
//! - Where Postgres would raise an error for a row (a division by zero, say), the index goes on with
//!   the value of IEEE 754, and such a row is like any other.
//! - A `bigint` or a timestamp is a float too: exact up to 2^53, which in microseconds is 285 years.
//!   Greater ones are good enough to order by; but not to compare with each other, which identifiers
//!   are, so that `bigint` is compared with smaller types and constants only.
//! - An expression of more parts than a person would write is left alone, since whoever walks over
//!   it does so by recursion.

use chronomind_core::score::{Binary, Expr, Unary, Variadic};
use pgrx::pg_sys::Oid;

use super::exact::{is_comparable, is_evaluable};
use super::functions::{self, Meaning, Source};
use super::parts::{Class, Place};
use super::score;
use super::target::Target;
use crate::pg::node::{Constant, Node, Shape};

/// Microseconds in a second.
const SECOND: f64 = 1e6;
/// Seconds in a day.
const DAY: f64 = 86_400.0;
/// Parts that an expression may have.
const PARTS: usize = 500;
/// Seconds from 1970-01-01 to 2000-01-01.
const EPOCH: f64 = 946_684_800.0;

/// Translates the expressions of one scan, which share their query vector and parameters.
pub struct Translator<'t, 'p> {
    pub(super) target: &'t Target<'p>,
    /// The indexed vector and the query vector, once the distance has been met.
    operands: Option<(Node<'p>, Node<'p>)>,
    parameters: Vec<Node<'p>>,
    /// Parts that the expression at hand may still have.
    left: usize,
}

impl<'t, 'p> Translator<'t, 'p> {
    /// For an index.
    pub fn new(target: &'t Target<'p>) -> Self {
        Translator {
            target,
            operands: None,
            parameters: Vec::new(),
            left: PARTS,
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

    /// Translates an expression, or leaves everything as it was.
    pub fn translate(&mut self, node: Node<'p>) -> Option<Expr> {
        let (operands, parameters) = (self.operands, self.parameters.len());
        self.left = PARTS;
        let translated = self.value(node, Place::TOP);
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
        if is_evaluable(node, place) {
            return Some(self.parameter(node));
        }
        self.compound(shape, place)
    }

    /// The time between two timestamps in microseconds. Other intervals may have months, which last
    /// longer to `extract` than to a comparison.
    fn elapsed(&mut self, shape: Shape<'p>, place: Place<'p>) -> Option<Expr> {
        match shape {
            Shape::Relabelled(inner) => self.value(inner, place),
            Shape::Call {
                function,
                arguments,
                ..
            } if functions::meaning(function) == Some(Meaning::Binary(Binary::Subtract)) => {
                let &[left, right] = &arguments[..] else {
                    return None;
                };
                self.binary(Binary::Subtract, left, right, place)
            }
            _ => None,
        }
    }

    fn compound(&mut self, shape: Shape<'p>, place: Place<'p>) -> Option<Expr> {
        match shape {
            Shape::Call {
                function,
                operator,
                arguments,
                collation,
            } => self.call(function, operator, &arguments, collation, place),
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
            Shape::And(arguments) => self.connective(Binary::And, &arguments, place),
            Shape::Or(arguments) => self.connective(Binary::Or, &arguments, place),
            Shape::Not(argument) => Some(Expr::unary(Unary::Not, self.value(argument, place)?)),
            Shape::IsNull(argument) => self.is_null(argument, place),
            Shape::IsNotNull(argument) => {
                Some(Expr::unary(Unary::Not, self.is_null(argument, place)?))
            }
            Shape::Is(argument, expected) => self.is(argument, expected, place),
            Shape::IsNot(argument, expected) => {
                Some(Expr::unary(Unary::Not, self.is(argument, expected, place)?))
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
                    self.binary_operator(operator, left, element, collation, place.uncertain())
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
        place: Place<'p>,
    ) -> Option<Expr> {
        if function == self.target.distance_function() {
            return self.distance(arguments);
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
                let takes_steps = matches!(
                    unary,
                    Unary::Floor | Unary::Ceil | Unary::Round | Unary::Trunc
                );
                if takes_steps && !is_comparable(argument, place) {
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
                let exact = self.binary(Binary::Divide, left, right, place)?;
                Some(Expr::unary(Unary::Trunc, exact))
            }
            (Some(Meaning::Extract(source)), &[field, argument]) => {
                self.extract(source, field, argument, place)
            }
            (_, &[left, right]) => self.binary_operator(operator?, left, right, collation, place),
            _ => None,
        }
    }

    fn distance(&mut self, arguments: &[Node<'p>]) -> Option<Expr> {
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
        let is_other = |(_, known): (_, Node<'p>)| !known.equals(query);
        if !query.is_fixed() || self.operands.is_some_and(is_other) {
            return None;
        }
        self.operands = Some((vector, query));
        Some(Expr::Distance)
    }

    fn binary(
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

    /// `extract(epoch from x)`, and the days of the time between two timestamps.
    fn extract(
        &mut self,
        source: Source,
        field: Node<'p>,
        argument: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let Shape::Constant(Constant::Text(field)) = field.shape() else {
            return None;
        };
        let value = self.value(argument, place)?;
        match (field.to_ascii_lowercase().as_str(), source) {
            ("epoch", Source::Interval) => Some(value / SECOND),
            ("day" | "days", Source::Interval) => {
                let endless = Expr::binary(
                    Binary::Equal,
                    Expr::unary(Unary::Abs, value.clone()),
                    f64::INFINITY.into(),
                );
                let days = Expr::unary(Unary::Trunc, value / (DAY * SECOND));
                Some(Expr::case([(endless, Expr::Null)], days))
            }
            ("epoch", Source::Timestamp) => Some((value + EPOCH * SECOND) / SECOND),
            ("epoch", Source::Date) => Some((value + EPOCH / DAY) * DAY),
            _ => None,
        }
    }
}
