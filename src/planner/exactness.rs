//! How far a value of the index may be from Postgres's.

use chronomind_core::score::{Binary, Unary};
use pgrx::pg_sys::{self, Oid};

/// Up to here every integer is a float.
pub const EXACT: f64 = (1_u64 << 53) as f64;

/// A `numeric` of so many decimals is told apart from quotients of whole numbers.
const DECIMALS: i32 = 6;

/// How a value of the index differs from Postgres's, from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, PartialOrd)]
pub enum Exactness {
    /// Not at all. A number is no further from zero than this; of a `numeric`, it is a whole one.
    Exact(f64),
    /// It is the float nearest to a `numeric` of a few decimals.
    Decimal,
    /// It is the float nearest to an integer that may be beyond 2^53.
    Large,
    /// It is the float nearest to whole numbers divided once, however Postgres rounds that.
    Quotient,
    /// The same, of several divisions; it is right where the result is a whole number.
    Quotients,
    /// It is the float nearest to a `numeric`, whatever that is.
    Nearest,
    /// By rounding, in some of the last digits.
    Rough,
    /// Nobody knows by how much.
    Unknown,
}

use Exactness::{Decimal, Exact, Large, Nearest, Quotient, Quotients, Rough, Unknown};

impl Exactness {
    /// That of what may be either of two values.
    pub fn or(self, other: Exactness) -> Exactness {
        match (self, other) {
            (Exact(one), Exact(another)) => Exact(one.max(another)),
            (Quotient | Quotients, Nearest) | (Nearest, Quotient | Quotients) => Rough,
            _ if self < other => other,
            _ => self,
        }
    }

    /// That of a value of the index alone.
    pub fn of_type(kind: Oid) -> Exactness {
        match kind {
            pg_sys::BOOLOID => Exact(1.0),
            pg_sys::INT2OID => Exact(f64::from(1 << 15)),
            pg_sys::INT4OID | pg_sys::DATEOID => Exact(f64::from(1_u32 << 31)),
            pg_sys::INT8OID => Large,
            pg_sys::NUMERICOID => Nearest,
            _ => Exact(f64::INFINITY),
        }
    }

    /// That of a continuous function of such values.
    pub fn computed(self) -> Exactness {
        match self {
            Exact(_) => Exact(f64::INFINITY),
            // An integer that is rounded to a float is off by any whole number.
            Large | Unknown => Unknown,
            _ => Rough,
        }
    }

    /// That of a whole number with that bound, of which the float nearest to it was computed.
    pub fn whole(bound: f64) -> Exactness {
        if bound <= EXACT { Exact(bound) } else { Large }
    }

    /// True for what no integer beyond 2^53 is taken for.
    pub fn is_small(self) -> bool {
        matches!(self, Exact(bound) if bound < EXACT) || self == Decimal
    }

    /// True where a comparison of both values is that of Postgres.
    pub fn is_comparable(self, other: Exactness) -> bool {
        match (self, other) {
            (Exact(_) | Decimal, Exact(_) | Decimal) => true,
            (Quotients, other) | (other, Quotients) => {
                matches!(other, Exact(_)) && other.is_small()
            }
            (Large | Quotient, other) | (other, Large | Quotient) => other.is_small(),
            _ => false,
        }
    }

    /// True where both are the floats nearest to Postgres's values, so that what is less is not greater.
    pub fn is_in_order(self, other: Exactness) -> bool {
        let is_nearest = |one| matches!(one, Exact(_) | Decimal | Large | Nearest);
        is_nearest(self) && is_nearest(other)
    }

    /// True where it is off by rounding, at most.
    pub fn is_close(self) -> bool {
        !matches!(self, Large | Unknown)
    }

    /// True where the step is that of Postgres.
    pub fn takes_step(self, step: Unary) -> bool {
        match self {
            Exact(_) | Quotient => true,
            Quotients => step != Unary::Round,
            _ => false,
        }
    }
}

/// A cast of the same number.
pub fn same(function: Oid, argument: Exactness) -> Exactness {
    match (function.to_u32(), argument) {
        // Rounded by both to what is nearest
        (pg_sys::F_FLOAT8_INT8 | pg_sys::F_FLOAT8_NUMERIC, Large | Nearest | Decimal) => {
            Exact(f64::INFINITY)
        }
        // Postgres keeps 15 digits.
        (pg_sys::F_NUMERIC_FLOAT8, exactness) => exactness.computed().or(Rough),
        _ => argument,
    }
}

/// Arithmetic of integers, or of numerics.
pub fn whole_numbers(binary: Binary, kind: Oid, left: Exactness, right: Exactness) -> Exactness {
    let is_numeric = kind == pg_sys::NUMERICOID;
    let bound = match (binary, left, right) {
        (Binary::Add | Binary::Subtract, Exact(left), Exact(right)) => left + right,
        (Binary::Multiply, Exact(left), Exact(right)) => left * right,
        (Binary::Divide, Exact(left), Exact(_)) if is_numeric && left <= EXACT => return Quotient,
        (Binary::Divide, Quotient | Quotients, Exact(_)) if is_numeric => return Quotients,
        _ => {
            return left
                .or(right)
                .computed()
                .or(if is_numeric { Rough } else { Unknown });
        }
    };
    match Exactness::of_type(kind) {
        // Beyond its type Postgres raises an error.
        Exact(most) => Exact(bound.min(most)),
        _ => Exactness::whole(bound),
    }
}

pub fn constant(kind: Oid, value: f64) -> Exactness {
    let size = value.abs();
    match kind {
        pg_sys::INT8OID if size >= EXACT => Large,
        pg_sys::NUMERICOID if size >= EXACT || value.is_nan() => Nearest,
        pg_sys::NUMERICOID if value.fract() != 0.0 => {
            let scaled = size * 10_f64.powi(DECIMALS);
            let is_short = (scaled - scaled.round()).abs() <= scaled * f64::EPSILON;
            if is_short && scaled < EXACT {
                Decimal
            } else {
                Nearest
            }
        }
        _ => Exact(size),
    }
}

/// True for functions that step from number to number.
pub fn is_step(function: Unary) -> bool {
    use Unary::{Ceil, Floor, Round, Trunc};
    matches!(function, Floor | Ceil | Round | Trunc)
}

#[cfg(test)]
mod tests {
    use super::*;

    const INT4: Exactness = Exact((1_u32 << 31) as f64);

    #[test]
    fn whole_numbers_are_exact_as_long_as_they_are_small() {
        let of = |binary, kind, left, right| whole_numbers(binary, kind, left, right);
        let int8 = pg_sys::INT8OID;
        assert_eq!(of(Binary::Add, pg_sys::INT4OID, INT4, INT4), INT4);
        assert!(matches!(of(Binary::Add, int8, INT4, INT4), Exact(_)));
        assert_eq!(of(Binary::Multiply, int8, INT4, INT4), Large);
        assert_eq!(of(Binary::Subtract, int8, Large, Exact(3.0)), Unknown);
        assert_eq!(
            of(Binary::Divide, pg_sys::NUMERICOID, INT4, Exact(10.0)),
            Quotient
        );
        assert_eq!(
            of(Binary::Multiply, pg_sys::NUMERICOID, INT4, Decimal),
            Rough
        );
        assert_eq!(
            of(Binary::Add, pg_sys::NUMERICOID, Large, Exact(1.0)),
            Unknown
        );
    }

    #[test]
    fn comparisons_need_what_is_exact() {
        let one = Exact(1.0);
        for (left, right, is_comparable) in [
            (one, one, true),
            (Exact(f64::INFINITY), Exact(f64::INFINITY), true),
            (Large, one, true),
            (Nearest, one, false),
            (Nearest.or(Quotient), one, false),
            (Large, Exact(EXACT), false),
            (Large, Large, false),
            (Quotient, Decimal, true),
            (Quotients, Decimal, false),
            (Quotients, one, true),
            (Rough, one, false),
            (Unknown, one, false),
        ] {
            assert_eq!(
                left.is_comparable(right),
                is_comparable,
                "{left:?} {right:?}"
            );
            assert_eq!(
                right.is_comparable(left),
                is_comparable,
                "{right:?} {left:?}"
            );
        }
        assert!(Nearest.is_in_order(Large) && !Nearest.is_in_order(Quotient));
        assert!(!Rough.takes_step(Unary::Floor) && !Quotients.takes_step(Unary::Round));
    }

    #[test]
    fn constants_of_few_decimals_are_told_apart_from_others() {
        let numeric = |value| constant(pg_sys::NUMERICOID, value);
        assert_eq!(numeric(86_400.0), Exact(86_400.0));
        assert_eq!(numeric(-0.3), Decimal);
        assert_eq!(numeric(0.123_456_789), Nearest);
        assert_eq!(numeric(9_007_199_254_740_992.0), Nearest);
        assert_eq!(constant(pg_sys::INT8OID, 1e18), Large);
        assert_eq!(constant(pg_sys::FLOAT8OID, 1e18), Exact(1e18));
    }
}
