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
//!   compare with: conditions on a `numeric` are taken only where nothing was rounded.
//! - Where Postgres would raise an error for a row (a division by zero, say), the index goes on with
//!   the value of IEEE 754, and such a row is like any other.
//! - A `bigint` or a timestamp is a float too: exact up to 2^53, which in microseconds is 285 years.
//!   Greater ones are good enough to order by; but not to compare with each other, which identifiers
//!   are, so that `bigint` is compared with smaller types and constants only.
//! - An expression of more parts than a person would write is left alone, since whoever walks over
//!   it does so by recursion.

use chronomind_core::score::{Binary, Expr, Unary, Variadic};
use pgrx::pg_sys::{self, Oid};

use super::functions::{self, Meaning, Source};
use super::score;
use super::target::Target;
use crate::pg::attribute::AttributeType;
use crate::pg::catalog;
use crate::pg::node::{self, Constant, Node, Shape};

/// Microseconds in a second.
const SECOND: f64 = 1e6;
/// Seconds in a day.
const DAY: f64 = 86_400.0;
/// Parts that an expression may have.
const PARTS: usize = 500;
/// Up to here every integer is a float.
const EXACT: f64 = (1_u64 << 53) as f64;
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

/// Where in an expression a part stands.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Postgres evaluates the part for every row.
    certain: bool,
    /// The subject of the `CASE` around.
    subject: Option<Node<'p>>,
}

impl Place<'_> {
    /// The whole of an expression.
    pub const TOP: Place<'static> = Place {
        certain: true,
        subject: None,
    };

    fn uncertain(self) -> Self {
        Place {
            certain: false,
            ..self
        }
    }
}

/// Kinds of values, each of which is a number in a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Class {
    Number,
    Numeric,
    Boolean,
    Timestamp,
    Timestamptz,
    Date,
    Interval,
}

impl Class {
    fn of(kind: Oid) -> Option<Class> {
        match kind {
            pg_sys::INT2OID
            | pg_sys::INT4OID
            | pg_sys::INT8OID
            | pg_sys::FLOAT4OID
            | pg_sys::FLOAT8OID => Some(Class::Number),
            pg_sys::NUMERICOID => Some(Class::Numeric),
            pg_sys::BOOLOID => Some(Class::Boolean),
            pg_sys::TIMESTAMPOID => Some(Class::Timestamp),
            pg_sys::TIMESTAMPTZOID => Some(Class::Timestamptz),
            pg_sys::DATEOID => Some(Class::Date),
            pg_sys::INTERVALOID => Some(Class::Interval),
            _ => None,
        }
    }
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

    /// Translates a part.
    pub(super) fn value(&mut self, node: Node<'p>, place: Place<'p>) -> Option<Expr> {
        self.left = self.left.checked_sub(1)?;
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
        match (functions::meaning(function), arguments) {
            (Some(Meaning::Same), &[argument]) => self.value(argument, place),
            (Some(Meaning::Unary(unary)), &[argument]) => {
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

    /// A comparison, of hashes or of numbers.
    fn binary_operator(
        &mut self,
        operator: Oid,
        left: Node<'p>,
        right: Node<'p>,
        collation: Oid,
        place: Place<'p>,
    ) -> Option<Expr> {
        match functions::meaning(catalog::operator_function(operator)) {
            Some(Meaning::Hashed(binary)) if catalog::is_deterministic(collation) => {
                self.hashed(binary, left, right, place)
            }
            Some(_) => None,
            None => self.comparison(operator, left, right, place),
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

    fn connective(
        &mut self,
        function: Binary,
        arguments: &[Node<'p>],
        place: Place<'p>,
    ) -> Option<Expr> {
        let (&first, others) = arguments.split_first()?;
        let first = self.value(first, place)?;
        others.iter().try_fold(first, |all, &one| {
            let one = self.value(one, place.uncertain())?;
            Some(Expr::binary(function, all, one))
        })
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

    fn is_null(&mut self, argument: Node<'p>, place: Place<'p>) -> Option<Expr> {
        let value = match self.target.attribute(argument) {
            Some((name, _)) => Expr::attribute(name),
            None if is_evaluable(argument, place) => self.fixed(argument),
            None => self.value(argument, place)?,
        };
        Some(Expr::unary(Unary::IsNull, value))
    }

    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN`, none of which is ever unknown.
    fn is(&mut self, argument: Node<'p>, expected: Option<bool>, place: Place<'p>) -> Option<Expr> {
        let value = self.value(argument, place)?;
        let Some(expected) = expected else {
            return Some(Expr::unary(Unary::IsNull, value));
        };
        let holds = if expected {
            value
        } else {
            Expr::unary(Unary::Not, value)
        };
        Some(Expr::variadic(Variadic::Coalesce, [holds, Expr::from(0.0)]))
    }

    fn comparison(
        &mut self,
        operator: Oid,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let function = catalog::comparison(operator)?;
        let class = |node: Node<'p>| Class::of(node.type_of());
        let comparable = class(left) == class(right)
            && [left, right]
                .into_iter()
                .all(|side| class(side) != Some(Class::Numeric) || is_unrounded(side))
            && [left, right].into_iter().any(is_small);
        if !comparable {
            return None;
        }
        let mut side = |node: Node<'p>| match class(node) {
            Some(Class::Interval) if is_evaluable(node, place) => Some(self.parameter(node)),
            _ => self.value(node, place),
        };
        let left = side(left)?;
        Some(Expr::binary(function, left, side(right)?))
    }

    /// A comparison of a hashed attribute with a fixed value.
    fn hashed(
        &mut self,
        function: Binary,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let subject = |node: Node<'p>| match node.shape() {
            Shape::Subject => place.subject.unwrap_or(node),
            _ => node,
        };
        let (left, right) = (subject(left), subject(right));
        let (name, value) = match (self.target.attribute(left), self.target.attribute(right)) {
            (
                Some((name, AttributeType::Text | AttributeType::Uuid | AttributeType::Enum)),
                None,
            ) => (name, right),
            (
                None,
                Some((name, AttributeType::Text | AttributeType::Uuid | AttributeType::Enum)),
            ) => (name, left),
            _ => return None,
        };
        if !is_evaluable(value, place) {
            return None;
        }
        self.left = self.left.checked_sub(1)?;
        let key = self.parameter(value);
        Some(Expr::binary(function, Expr::attribute(name), key))
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

/// Whether a part is evaluated once, when the scan begins, and by Postgres.
fn is_evaluable(node: Node<'_>, place: Place<'_>) -> bool {
    if place.certain {
        node.is_fixed()
    } else {
        is_harmless(node)
    }
}

/// True for a value that no integer beyond 2^53 is taken for.
fn is_small(node: Node<'_>) -> bool {
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
fn is_unrounded(node: Node<'_>) -> bool {
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
