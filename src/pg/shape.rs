//! What an expression can be.

use pgrx::pg_sys::Oid;

use super::node::Node;

/// What an expression is, as far as scores are made of it.
pub enum Shape<'p> {
    /// A value that is known.
    Constant(Constant),
    /// A value that is known when the plan runs.
    Parameter,
    /// A function or operator of built-in or other identity.
    Call {
        /// The function.
        function: Oid,
        /// The operator, where it was written as one.
        operator: Option<Oid>,
        /// What it is applied to.
        arguments: Vec<Node<'p>>,
        /// The collation it compares by.
        collation: Oid,
    },
    /// The same bytes as another type.
    Relabelled(Node<'p>),
    /// `CASE`
    Case {
        /// What stands before the first `WHEN`.
        subject: Option<Node<'p>>,
        /// Conditions, or comparisons of [`Shape::Subject`], and values.
        branches: Vec<(Node<'p>, Node<'p>)>,
        /// What stands behind `ELSE`.
        otherwise: Option<Node<'p>>,
    },
    /// The subject of the `CASE` around.
    Subject,
    /// `GREATEST`
    Greatest(Vec<Node<'p>>),
    /// `LEAST`
    Least(Vec<Node<'p>>),
    /// `COALESCE`
    Coalesce(Vec<Node<'p>>),
    /// `NULLIF`, by the operator's function.
    NullIf {
        /// The operator.
        operator: Oid,
        /// Both arguments.
        arguments: Vec<Node<'p>>,
    },
    /// `IS DISTINCT FROM`
    Distinct {
        /// The operator for equality.
        operator: Oid,
        /// Both arguments.
        arguments: Vec<Node<'p>>,
        /// The collation it compares by.
        collation: Oid,
    },
    /// `AND`
    And(Vec<Node<'p>>),
    /// `OR`
    Or(Vec<Node<'p>>),
    /// `NOT`
    Not(Node<'p>),
    /// `IS NULL`
    IsNull(Node<'p>),
    /// `IS NOT NULL`
    IsNotNull(Node<'p>),
    /// `IS TRUE` (the second is true), `IS FALSE` (it is false) or `IS UNKNOWN` (it is missing).
    Is(Node<'p>, Option<bool>),
    /// `IS NOT TRUE` and so on.
    IsNot(Node<'p>, Option<bool>),
    /// `x = ANY (array)`, or `x <> ALL (array)` and the like.
    AnyOf {
        /// The operator.
        operator: Oid,
        /// False for `ALL`.
        any: bool,
        /// What is compared.
        left: Node<'p>,
        /// What it is compared with, where it is written out.
        elements: Vec<Node<'p>>,
        /// The collation it compares by.
        collation: Oid,
    },
    /// `CURRENT_DATE` and the like.
    Clock,
    /// Anything else.
    Other,
}

/// A constant of one of the types that scores are made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Constant {
    /// NULL of any type.
    Null,
    /// A number or a boolean.
    Number(f64),
    /// A text.
    Text(String),
    /// Of another type.
    Other,
}
