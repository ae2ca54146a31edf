//! Score expressions: what rows are ordered by, as a tree.
//!
//! A score is a number made of the distance, attributes and constants under SQL's rules: an
//! operation on NULL gives NULL unless it says otherwise, and NaN equals itself and is greater than
//! every number. Booleans are the numbers 0 and 1, NULL standing for unknown. Timestamps are
//! microseconds and dates days since 2000-01-01, as attributes store them; their infinities are
//! those of floating point. Arithmetic is that of `double precision`, with the values of IEEE 754
//! where Postgres would raise an error instead.
//!
//! An expression is text on its way from the planner to the index, so that a plan can be read:
//!
//! ```text
//! (1 - distance) * $1 + exp(-(($2 - created_at) / 3600000000) / $3) * $4
//! ```

#[cfg(test)]
pub(crate) mod arbitrary;
mod blend;
mod parse;
mod print;

pub use blend::BlendExpr;
pub use parse::ParseError;

use std::ops::{Add, Div, Mul, Neg, Sub};

/// An expression.
#[derive(Debug, Clone, PartialEq)]
pub enum Expr {
    /// A number.
    Constant(f64),
    /// SQL's NULL.
    Null,
    /// A number that is known when the search begins: 1 for `$1`.
    Parameter(u32),
    /// The distance of the row's vector from the query: NULL where the row has no vector, NaN where
    /// its vector has no distance.
    Distance,
    /// An attribute, by the name of its column. Of a hashed attribute only two things can be asked:
    /// whether it is NULL, and whether it equals (or does not equal) a parameter that carries the
    /// hash in its bits.
    Attribute(String),
    /// A function of one argument.
    Unary(Unary, Box<Expr>),
    /// A function of two arguments.
    Binary(Binary, Box<Expr>, Box<Expr>),
    /// A function of any number of arguments, but at least one.
    Variadic(Variadic, Vec<Expr>),
    /// `CASE WHEN condition THEN value ... ELSE otherwise END`, with at least one condition.
    Case {
        /// Conditions and their values. The first condition that holds decides.
        branches: Vec<(Expr, Expr)>,
        /// The value when none holds.
        otherwise: Box<Expr>,
    },
    /// The standard blend.
    Blend(Box<BlendExpr>),
}

/// Functions of one argument.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Unary {
    /// `-x`
    Negate,
    /// `exp(x)`
    Exp,
    /// The natural logarithm.
    Ln,
    /// The logarithm to the base 10.
    Log10,
    /// The square root.
    Sqrt,
    /// The absolute value.
    Abs,
    /// The greatest whole number that is not greater.
    Floor,
    /// The least whole number that is not less.
    Ceil,
    /// The nearest whole number, the even one of two: the cast of a float to an integer.
    Round,
    /// The whole number towards zero: `trunc(a / b)` divides integers.
    Trunc,
    /// The cast to `real`.
    Float4,
    /// `NOT x`
    Not,
    /// `x IS NULL`, which is never NULL itself.
    IsNull,
}

/// Functions of two arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Binary {
    /// `x + y`
    Add,
    /// `x - y`
    Subtract,
    /// `x * y`
    Multiply,
    /// `x / y`
    Divide,
    /// `x` to the power of `y`.
    Power,
    /// `x = y`
    Equal,
    /// `x <> y`
    NotEqual,
    /// `x < y`
    Less,
    /// `x <= y`
    LessEqual,
    /// `x > y`
    Greater,
    /// `x >= y`
    GreaterEqual,
    /// `x AND y`: false where one is false, whatever the other.
    And,
    /// `x OR y`: true where one is true, whatever the other.
    Or,
}

/// Functions of any number of arguments.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Variadic {
    /// The least argument that is not NULL, NULL where all are.
    Least,
    /// The greatest argument that is not NULL, NULL where all are.
    Greatest,
    /// The first argument that is not NULL, NULL where all are.
    Coalesce,
}

impl Expr {
    /// The attribute of that column.
    pub fn attribute(name: impl Into<String>) -> Expr {
        Expr::Attribute(name.into())
    }

    /// A function of one argument.
    pub fn unary(function: Unary, argument: Expr) -> Expr {
        Expr::Unary(function, Box::new(argument))
    }

    /// A function of two arguments.
    pub fn binary(function: Binary, left: Expr, right: Expr) -> Expr {
        Expr::Binary(function, Box::new(left), Box::new(right))
    }

    /// A function of any number of arguments.
    pub fn variadic(function: Variadic, arguments: impl Into<Vec<Expr>>) -> Expr {
        Expr::Variadic(function, arguments.into())
    }

    /// The value of the first condition that holds.
    pub fn case(branches: impl Into<Vec<(Expr, Expr)>>, otherwise: Expr) -> Expr {
        Expr::Case {
            branches: branches.into(),
            otherwise: Box::new(otherwise),
        }
    }
}

impl From<f64> for Expr {
    fn from(value: f64) -> Expr {
        Expr::Constant(value)
    }
}

impl Neg for Expr {
    type Output = Expr;

    fn neg(self) -> Expr {
        Expr::unary(Unary::Negate, self)
    }
}

/// Operators build the expression of the same operator.
macro_rules! operators {
    ($($operator:ident $method:ident $function:ident),*) => { $(
        impl<T: Into<Expr>> $operator<T> for Expr {
            type Output = Expr;

            fn $method(self, right: T) -> Expr {
                Expr::binary(Binary::$function, self, right.into())
            }
        }
    )* };
}

operators!(Add add Add, Sub sub Subtract, Mul mul Multiply, Div div Divide);
