//! What built-in functions mean in a score.
//!
//! A function is known by its identifier, which no schema and no search path can change: a user's
//! own `exp` is another function. What is missing here keeps its expression out of the index.
//!
//! Left out on purpose is what `double precision` cannot follow: the cast of `real` to `numeric`,
//! which drops digits, steps of a `numeric` (`round`, `floor` and the like), and dates and
//! timestamps as `timestamptz`, which depends on the time zone.

use chronomind_core::score::{Binary, Unary};
use pgrx::pg_sys::{self, Oid};

/// What a function does to the numbers that its arguments are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Meaning {
    /// Nothing: a cast that changes no value.
    Same,
    /// A function of one argument.
    Unary(Unary),
    /// A function of two arguments.
    Binary(Binary),
    /// A function of two `real` arguments, rounded to `real`.
    Single(Binary),
    /// The division of integers.
    Quotient,
    /// `extract(field from x)`
    Extract(Source),
    /// A comparison for equality of values that are kept as hashes.
    Hashed(Binary),
}

/// What `extract` takes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// The time between two timestamps, in microseconds.
    Interval,
    /// Microseconds since 2000-01-01.
    Timestamp,
    /// Days since 2000-01-01.
    Date,
}

use Meaning::{Extract, Hashed, Quotient, Same, Single};

const ADD: Meaning = Meaning::Binary(Binary::Add);
const SUBTRACT: Meaning = Meaning::Binary(Binary::Subtract);
const MULTIPLY: Meaning = Meaning::Binary(Binary::Multiply);
const DIVIDE: Meaning = Meaning::Binary(Binary::Divide);
const POWER: Meaning = Meaning::Binary(Binary::Power);
const NEGATE: Meaning = Meaning::Unary(Unary::Negate);
const ABS: Meaning = Meaning::Unary(Unary::Abs);
const EXP: Meaning = Meaning::Unary(Unary::Exp);
const LN: Meaning = Meaning::Unary(Unary::Ln);
const LOG10: Meaning = Meaning::Unary(Unary::Log10);
const SQRT: Meaning = Meaning::Unary(Unary::Sqrt);
const FLOOR: Meaning = Meaning::Unary(Unary::Floor);
const CEIL: Meaning = Meaning::Unary(Unary::Ceil);
const ROUND: Meaning = Meaning::Unary(Unary::Round);
const TRUNC: Meaning = Meaning::Unary(Unary::Trunc);
const TO_REAL: Meaning = Meaning::Unary(Unary::Float4);

/// The meaning of a built-in function.
pub fn meaning(function: Oid) -> Option<Meaning> {
    let known = MEANINGS
        .iter()
        .find(|(known, _)| *known == function.to_u32());
    known.map(|(_, meaning)| *meaning)
}

const MEANINGS: &[(u32, Meaning)] = &[
    (pg_sys::F_FLOAT8PL, ADD),
    (pg_sys::F_FLOAT8MI, SUBTRACT),
    (pg_sys::F_FLOAT8MUL, MULTIPLY),
    (pg_sys::F_FLOAT8DIV, DIVIDE),
    (pg_sys::F_FLOAT8UM, NEGATE),
    (pg_sys::F_FLOAT8UP, Same),
    (pg_sys::F_FLOAT48PL, ADD),
    (pg_sys::F_FLOAT48MI, SUBTRACT),
    (pg_sys::F_FLOAT48MUL, MULTIPLY),
    (pg_sys::F_FLOAT48DIV, DIVIDE),
    (pg_sys::F_FLOAT84PL, ADD),
    (pg_sys::F_FLOAT84MI, SUBTRACT),
    (pg_sys::F_FLOAT84MUL, MULTIPLY),
    (pg_sys::F_FLOAT84DIV, DIVIDE),
    (pg_sys::F_FLOAT8ABS, ABS),
    (pg_sys::F_ABS_FLOAT8, ABS),
    (pg_sys::F_DEXP, EXP),
    (pg_sys::F_EXP_FLOAT8, EXP),
    (pg_sys::F_DLOG1, LN),
    (pg_sys::F_LN_FLOAT8, LN),
    (pg_sys::F_LOG_FLOAT8, LOG10),
    (pg_sys::F_LOG10_FLOAT8, LOG10),
    (pg_sys::F_DSQRT, SQRT),
    (pg_sys::F_SQRT_FLOAT8, SQRT),
    (pg_sys::F_DPOW, POWER),
    (pg_sys::F_POW_FLOAT8_FLOAT8, POWER),
    (pg_sys::F_POWER_FLOAT8_FLOAT8, POWER),
    (pg_sys::F_FLOOR_FLOAT8, FLOOR),
    (pg_sys::F_CEIL_FLOAT8, CEIL),
    (pg_sys::F_CEILING_FLOAT8, CEIL),
    (pg_sys::F_ROUND_FLOAT8, ROUND),
    (pg_sys::F_TRUNC_FLOAT8, TRUNC),
    (pg_sys::F_FLOAT8_INT2, Same),
    (pg_sys::F_FLOAT8_INT4, Same),
    (pg_sys::F_FLOAT8_INT8, Same),
    (pg_sys::F_FLOAT8_FLOAT4, Same),
    (pg_sys::F_FLOAT8_NUMERIC, Same),
    (pg_sys::F_FLOAT4PL, Single(Binary::Add)),
    (pg_sys::F_FLOAT4MI, Single(Binary::Subtract)),
    (pg_sys::F_FLOAT4MUL, Single(Binary::Multiply)),
    (pg_sys::F_FLOAT4DIV, Single(Binary::Divide)),
    (pg_sys::F_FLOAT4UM, NEGATE),
    (pg_sys::F_FLOAT4UP, Same),
    (pg_sys::F_FLOAT4ABS, ABS),
    (pg_sys::F_ABS_FLOAT4, ABS),
    (pg_sys::F_FLOAT4_INT2, TO_REAL),
    (pg_sys::F_FLOAT4_INT4, TO_REAL),
    (pg_sys::F_FLOAT4_INT8, TO_REAL),
    (pg_sys::F_FLOAT4_FLOAT8, TO_REAL),
    (pg_sys::F_FLOAT4_NUMERIC, TO_REAL),
    (pg_sys::F_INT2PL, ADD),
    (pg_sys::F_INT4PL, ADD),
    (pg_sys::F_INT8PL, ADD),
    (pg_sys::F_INT24PL, ADD),
    (pg_sys::F_INT42PL, ADD),
    (pg_sys::F_INT28PL, ADD),
    (pg_sys::F_INT82PL, ADD),
    (pg_sys::F_INT48PL, ADD),
    (pg_sys::F_INT84PL, ADD),
    (pg_sys::F_INT2MI, SUBTRACT),
    (pg_sys::F_INT4MI, SUBTRACT),
    (pg_sys::F_INT8MI, SUBTRACT),
    (pg_sys::F_INT24MI, SUBTRACT),
    (pg_sys::F_INT42MI, SUBTRACT),
    (pg_sys::F_INT28MI, SUBTRACT),
    (pg_sys::F_INT82MI, SUBTRACT),
    (pg_sys::F_INT48MI, SUBTRACT),
    (pg_sys::F_INT84MI, SUBTRACT),
    (pg_sys::F_INT2MUL, MULTIPLY),
    (pg_sys::F_INT4MUL, MULTIPLY),
    (pg_sys::F_INT8MUL, MULTIPLY),
    (pg_sys::F_INT24MUL, MULTIPLY),
    (pg_sys::F_INT42MUL, MULTIPLY),
    (pg_sys::F_INT28MUL, MULTIPLY),
    (pg_sys::F_INT82MUL, MULTIPLY),
    (pg_sys::F_INT48MUL, MULTIPLY),
    (pg_sys::F_INT84MUL, MULTIPLY),
    (pg_sys::F_INT2DIV, Quotient),
    (pg_sys::F_INT4DIV, Quotient),
    (pg_sys::F_INT8DIV, Quotient),
    (pg_sys::F_INT24DIV, Quotient),
    (pg_sys::F_INT42DIV, Quotient),
    (pg_sys::F_INT28DIV, Quotient),
    (pg_sys::F_INT82DIV, Quotient),
    (pg_sys::F_INT48DIV, Quotient),
    (pg_sys::F_INT84DIV, Quotient),
    (pg_sys::F_INT2UM, NEGATE),
    (pg_sys::F_INT4UM, NEGATE),
    (pg_sys::F_INT8UM, NEGATE),
    (pg_sys::F_INT2UP, Same),
    (pg_sys::F_INT4UP, Same),
    (pg_sys::F_INT8UP, Same),
    (pg_sys::F_INT2ABS, ABS),
    (pg_sys::F_INT4ABS, ABS),
    (pg_sys::F_INT8ABS, ABS),
    (pg_sys::F_ABS_INT2, ABS),
    (pg_sys::F_ABS_INT4, ABS),
    (pg_sys::F_ABS_INT8, ABS),
    (pg_sys::F_INT4_INT2, Same),
    (pg_sys::F_INT8_INT2, Same),
    (pg_sys::F_INT8_INT4, Same),
    (pg_sys::F_INT2_INT4, Same),
    (pg_sys::F_INT2_INT8, Same),
    (pg_sys::F_INT4_INT8, Same),
    (pg_sys::F_INT4_BOOL, Same),
    (pg_sys::F_INT2_FLOAT4, ROUND),
    (pg_sys::F_INT4_FLOAT4, ROUND),
    (pg_sys::F_INT8_FLOAT4, ROUND),
    (pg_sys::F_INT2_FLOAT8, ROUND),
    (pg_sys::F_INT4_FLOAT8, ROUND),
    (pg_sys::F_INT8_FLOAT8, ROUND),
    (pg_sys::F_NUMERIC_ADD, ADD),
    (pg_sys::F_NUMERIC_SUB, SUBTRACT),
    (pg_sys::F_NUMERIC_MUL, MULTIPLY),
    (pg_sys::F_NUMERIC_DIV, DIVIDE),
    (pg_sys::F_NUMERIC_UMINUS, NEGATE),
    (pg_sys::F_NUMERIC_UPLUS, Same),
    (pg_sys::F_NUMERIC_ABS, ABS),
    (pg_sys::F_ABS_NUMERIC, ABS),
    (pg_sys::F_EXP_NUMERIC, EXP),
    (pg_sys::F_LN_NUMERIC, LN),
    (pg_sys::F_LOG_NUMERIC, LOG10),
    (pg_sys::F_LOG10_NUMERIC, LOG10),
    (pg_sys::F_SQRT_NUMERIC, SQRT),
    (pg_sys::F_POW_NUMERIC_NUMERIC, POWER),
    (pg_sys::F_POWER_NUMERIC_NUMERIC, POWER),
    (pg_sys::F_NUMERIC_POWER, POWER),
    (pg_sys::F_NUMERIC_INT2, Same),
    (pg_sys::F_NUMERIC_INT4, Same),
    (pg_sys::F_NUMERIC_INT8, Same),
    (pg_sys::F_NUMERIC_FLOAT8, Same),
    (pg_sys::F_TIMESTAMPTZ_MI, SUBTRACT),
    (pg_sys::F_TIMESTAMP_MI, SUBTRACT),
    (pg_sys::F_DATE_MI, SUBTRACT),
    (pg_sys::F_DATE_PLI, ADD),
    (pg_sys::F_DATE_MII, SUBTRACT),
    (pg_sys::F_EXTRACT_TEXT_INTERVAL, Extract(Source::Interval)),
    (
        pg_sys::F_EXTRACT_TEXT_TIMESTAMPTZ,
        Extract(Source::Timestamp),
    ),
    (pg_sys::F_EXTRACT_TEXT_TIMESTAMP, Extract(Source::Timestamp)),
    (pg_sys::F_EXTRACT_TEXT_DATE, Extract(Source::Date)),
    (pg_sys::F_DATE_PART_TEXT_INTERVAL, Extract(Source::Interval)),
    (
        pg_sys::F_DATE_PART_TEXT_TIMESTAMPTZ,
        Extract(Source::Timestamp),
    ),
    (
        pg_sys::F_DATE_PART_TEXT_TIMESTAMP,
        Extract(Source::Timestamp),
    ),
    (pg_sys::F_TEXTEQ, Hashed(Binary::Equal)),
    (pg_sys::F_TEXTNE, Hashed(Binary::NotEqual)),
    (pg_sys::F_UUID_EQ, Hashed(Binary::Equal)),
    (pg_sys::F_UUID_NE, Hashed(Binary::NotEqual)),
    (pg_sys::F_ENUM_EQ, Hashed(Binary::Equal)),
    (pg_sys::F_ENUM_NE, Hashed(Binary::NotEqual)),
];

/// Functions that fail for no argument that a person would think of. Only these are evaluated ahead
/// of time where Postgres might never evaluate them.
pub fn is_harmless(function: Oid) -> bool {
    HARMLESS.contains(&function.to_u32())
}

const HARMLESS: &[u32] = &[
    pg_sys::F_NOW,
    pg_sys::F_TRANSACTION_TIMESTAMP,
    pg_sys::F_STATEMENT_TIMESTAMP,
    pg_sys::F_TIMESTAMPTZ_PL_INTERVAL,
    pg_sys::F_TIMESTAMPTZ_MI_INTERVAL,
    pg_sys::F_TIMESTAMP_PL_INTERVAL,
    pg_sys::F_TIMESTAMP_MI_INTERVAL,
    pg_sys::F_TIMESTAMPTZ_MI,
    pg_sys::F_TIMESTAMP_MI,
    pg_sys::F_DATE_PLI,
    pg_sys::F_DATE_MII,
    pg_sys::F_DATE_MI,
    pg_sys::F_DATE_PL_INTERVAL,
    pg_sys::F_DATE_MI_INTERVAL,
    pg_sys::F_INTERVAL_MUL,
    pg_sys::F_MAKE_INTERVAL,
    pg_sys::F_TIMESTAMPTZ_DATE,
    pg_sys::F_DATE_TIMESTAMPTZ,
    pg_sys::F_TIMESTAMP_DATE,
    pg_sys::F_TIMESTAMP_TIMESTAMPTZ,
    pg_sys::F_TIMESTAMPTZ_TIMESTAMP,
    pg_sys::F_DATE_TIMESTAMP,
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_function_has_two_meanings() {
        for (number, (function, _)) in MEANINGS.iter().enumerate() {
            assert!(
                MEANINGS[..number]
                    .iter()
                    .all(|(other, _)| other != function)
            );
        }
    }
}
