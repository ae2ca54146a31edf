//! Conditions: booleans under SQL's three-valued logic, which scores have in `CASE` and in `WHERE`.
//!
//! In a score a condition has to be what it is to Postgres. One of `WHERE` is looked at again above the
//! scan, so that it may let more rows pass: it drops a row only where Postgres certainly would. Two
//! integers that are rounded to floats are equal where they only might be, and so are two moments.

use chronomind_core::score::{Binary, Expr, Unary, Variadic};
use pgrx::pg_sys::Oid;

use super::exact::{are_rounded_apart, as_one_division};
use super::functions::{self, Meaning};
use super::parts::{Class, Leeway, Place};
use super::translate::Translator;
use crate::am::direction::{Direction, Trust, direction};
use crate::pg::attribute::AttributeType;
use crate::pg::node::{Constant, Node, Shape};
use crate::pg::{catalog, make};

impl<'p> Translator<'_, 'p> {
    /// A comparison, of hashes or of numbers.
    pub(super) fn binary_operator(
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

    pub(super) fn connective(
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

    pub(super) fn is_null(&mut self, argument: Node<'p>, place: Place<'p>) -> Option<Expr> {
        if self.target.is_vector(argument) {
            return self.is_vector_null(place);
        }
        let value = match (self.target.attribute(argument), argument.shape()) {
            (Some((name, _)), _) => Expr::attribute(name),
            (None, Shape::Constant(Constant::Null)) => return Some(Expr::from(1.0)),
            (None, Shape::Constant(_)) => return Some(Expr::from(0.0)),
            // Of any type, also of one that has no key.
            (None, _) if self.is_evaluable(argument, place) => {
                return Some(self.parameter(make::is_null(argument)));
            }
            (None, _) => self.value(argument, place.exact())?,
        };
        Some(Expr::unary(Unary::IsNull, value))
    }

    /// Whether a row has no vector: it has no distance then, nor has it one where the query is NULL.
    fn is_vector_null(&mut self, place: Place<'p>) -> Option<Expr> {
        let (_, query) = self.distance_operands()?;
        let no_distance = Expr::unary(Unary::IsNull, Expr::Distance);
        match query.shape() {
            Shape::Constant(Constant::Null) => return None,
            Shape::Constant(_) => return Some(no_distance),
            _ => {}
        }
        match place.leeway {
            Leeway::None => None,
            Leeway::More => Some(no_distance),
            Leeway::Fewer => {
                let no_query = self.parameter(make::is_null(query));
                let has_query = Expr::unary(Unary::Not, no_query);
                Some(Expr::binary(Binary::And, has_query, no_distance))
            }
        }
    }

    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN`, none of which is ever unknown.
    pub(super) fn is(
        &mut self,
        argument: Node<'p>,
        expected: Option<bool>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let holds = match expected {
            None => {
                let value = self.value(argument, place.exact())?;
                return Some(Expr::unary(Unary::IsNull, value));
            }
            Some(true) => self.value(argument, place)?,
            Some(false) => Expr::unary(Unary::Not, self.value(argument, place.negated())?),
        };
        Some(Expr::variadic(Variadic::Coalesce, [holds, Expr::from(0.0)]))
    }

    pub(super) fn comparison(
        &mut self,
        operator: Oid,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let function = catalog::comparison(operator)?;
        let class = |node: Node<'p>| Class::of(node.type_of());
        let kind = class(left).filter(|kind| class(right) == Some(*kind))?;
        let inner = place.exact();
        let exactness = |node| match kind {
            Class::Numeric => self.exactness_of_one_division(node, inner),
            _ => self.exactness(node, inner),
        };
        let (exact_left, exact_right) = (exactness(left), exactness(right));
        let is_apart = are_rounded_apart([(left, exact_left), (right, exact_right)]);
        let mut side = |node: Node<'p>| match kind {
            Class::Interval if self.is_evaluable(node, inner) => Some(self.parameter(node)),
            Class::Numeric => self.value(node, inner).map(as_one_division),
            _ => self.value(node, inner),
        };
        let left = side(left)?;
        let right = side(right)?;
        let is_moment = matches!(kind, Class::Timestamp | Class::Timestamptz);
        let is_comparable = exact_left.is_comparable(exact_right) && !is_apart;
        if is_comparable && !(is_moment && place.leeway != Leeway::None) {
            return Some(Expr::binary(function, left, right));
        }
        if exact_left.is_in_order(exact_right) {
            let function = with_leeway(function, place.leeway)?;
            return Some(Expr::binary(function, left, right));
        }
        // What a condition on the distance allows for is more than rounding errs by.
        let depends = |side: &Expr| direction(side, Trust::Nothing) != Direction::Level;
        let is_generous = place.leeway != Leeway::None
            && self.allows_for_distance
            && (depends(&left) || depends(&right))
            && exact_left.is_close()
            && exact_right.is_close();
        is_generous.then(|| Expr::binary(function, left, right))
    }

    /// A comparison of a hashed attribute with a fixed value.
    pub(super) fn hashed(
        &mut self,
        function: Binary,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let subject = |node: Node<'p>| match node.unlabelled().shape() {
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
        if !self.is_evaluable(value, place) {
            return None;
        }
        self.count()?;
        let key = self.parameter(value);
        Some(Expr::binary(function, Expr::attribute(name), key))
    }
}

/// The comparison of floats that are nearest to two values: it holds wherever that of the values does,
/// or only there. `None` where none is.
fn with_leeway(function: Binary, leeway: Leeway) -> Option<Binary> {
    use Binary::{Equal, Greater, GreaterEqual, Less, LessEqual, NotEqual};
    match (leeway, function) {
        (Leeway::More, Less | LessEqual) => Some(LessEqual),
        (Leeway::More, Greater | GreaterEqual) => Some(GreaterEqual),
        (Leeway::More, Equal) => Some(Equal),
        (Leeway::Fewer, Less | LessEqual) => Some(Less),
        (Leeway::Fewer, Greater | GreaterEqual) => Some(Greater),
        (Leeway::Fewer, NotEqual) => Some(NotEqual),
        _ => None,
    }
}
