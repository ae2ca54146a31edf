//! Conditions: booleans under SQL's three-valued logic, which scores have in `CASE` and in `WHERE`.

use chronomind_core::score::{Binary, Expr, Unary, Variadic};
use pgrx::pg_sys::Oid;

use super::exact::{as_one_division, is_comparable, is_evaluable, is_small};
use super::functions::{self, Meaning};
use super::parts::{Class, Place};
use super::translate::Translator;
use crate::pg::attribute::AttributeType;
use crate::pg::catalog;
use crate::pg::node::{Node, Shape};

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
        let value = match self.target.attribute(argument) {
            Some((name, _)) => Expr::attribute(name),
            None if is_evaluable(argument, place) => self.fixed(argument),
            None => self.value(argument, place)?,
        };
        Some(Expr::unary(Unary::IsNull, value))
    }

    /// `IS TRUE`, `IS FALSE`, `IS UNKNOWN`, none of which is ever unknown.
    pub(super) fn is(
        &mut self,
        argument: Node<'p>,
        expected: Option<bool>,
        place: Place<'p>,
    ) -> Option<Expr> {
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

    pub(super) fn comparison(
        &mut self,
        operator: Oid,
        left: Node<'p>,
        right: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let function = catalog::comparison(operator)?;
        let class = |node: Node<'p>| Class::of(node.type_of());
        let comparable = class(left) == class(right)
            && is_comparable(left, place)
            && is_comparable(right, place)
            && [left, right].into_iter().any(is_small);
        if !comparable {
            return None;
        }
        let mut side = |node: Node<'p>| match class(node) {
            Some(Class::Interval) if is_evaluable(node, place) => Some(self.parameter(node)),
            Some(Class::Numeric) => self.value(node, place).map(as_one_division),
            _ => self.value(node, place),
        };
        let left = side(left)?;
        Some(Expr::binary(function, left, side(right)?))
    }

    /// A comparison of a hashed attribute with a fixed value.
    pub(super) fn hashed(
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
        self.count()?;
        let key = self.parameter(value);
        Some(Expr::binary(function, Expr::attribute(name), key))
    }
}
