//! The parts of an expression: where they stand, and what their values are.

use pgrx::pg_sys::{self, Oid};

use crate::pg::node::Node;

/// Where in an expression a part stands.
#[derive(Clone, Copy)]
pub struct Place<'p> {
    /// Postgres evaluates the part for every row.
    pub certain: bool,
    /// The subject of the `CASE` around.
    pub subject: Option<Node<'p>>,
    /// Whether a condition may hold otherwise than Postgres's.
    pub leeway: Leeway,
}

/// Whether a condition may hold otherwise than Postgres's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leeway {
    /// No.
    None,
    /// For more rows: what it lets pass is looked at again.
    More,
    /// For fewer rows: it stands behind a `NOT`.
    Fewer,
}

impl Place<'_> {
    /// The whole of a score.
    pub const SCORE: Place<'static> = Place {
        certain: true,
        subject: None,
        leeway: Leeway::None,
    };

    /// The whole of a condition that a filter above the scan looks at again.
    pub const CONDITION: Place<'static> = Place {
        leeway: Leeway::More,
        ..Place::SCORE
    };

    /// The same place, which Postgres may never come to.
    pub fn uncertain(self) -> Self {
        Place {
            certain: false,
            ..self
        }
    }

    /// The same place without leeway: that of a value.
    pub fn exact(self) -> Self {
        Place {
            leeway: Leeway::None,
            ..self
        }
    }

    /// The same place behind a `NOT`.
    pub fn negated(self) -> Self {
        Place {
            leeway: match self.leeway {
                Leeway::None => Leeway::None,
                Leeway::More => Leeway::Fewer,
                Leeway::Fewer => Leeway::More,
            },
            ..self
        }
    }
}

/// Kinds of values, each of which is a number in a score.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Class {
    /// Integers and floats.
    Number,
    /// `numeric`
    Numeric,
    /// 0 and 1.
    Boolean,
    /// Microseconds without a time zone.
    Timestamp,
    /// Microseconds.
    Timestamptz,
    /// Days.
    Date,
    /// Microseconds between two moments.
    Interval,
}

impl Class {
    /// The class of a type, `None` for one that is no number.
    pub fn of(kind: Oid) -> Option<Class> {
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
