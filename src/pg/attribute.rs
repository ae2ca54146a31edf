//! The SQL types that an attribute can have.

use chronomind_core::score::AttributeKind;
use pgrx::pg_sys::{self, Oid};

/// A type of attributes: the input type of one of the operator classes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AttributeType {
    /// `boolean`
    Bool,
    /// `smallint`
    Int2,
    /// `integer`
    Int4,
    /// `bigint`
    Int8,
    /// `real`
    Float4,
    /// `double precision`
    Float8,
    /// `date`
    Date,
    /// `timestamp without time zone`
    Timestamp,
    /// `timestamp with time zone`
    Timestamptz,
    /// `text`, and `varchar` as such
    Text,
    /// `uuid`
    Uuid,
    /// Any enum
    Enum,
}

/// Types and the pseudo-type for enums, by the identifiers that Postgres never changes.
const TYPES: [(Oid, AttributeType); 12] = [
    (pg_sys::BOOLOID, AttributeType::Bool),
    (pg_sys::INT2OID, AttributeType::Int2),
    (pg_sys::INT4OID, AttributeType::Int4),
    (pg_sys::INT8OID, AttributeType::Int8),
    (pg_sys::FLOAT4OID, AttributeType::Float4),
    (pg_sys::FLOAT8OID, AttributeType::Float8),
    (pg_sys::DATEOID, AttributeType::Date),
    (pg_sys::TIMESTAMPOID, AttributeType::Timestamp),
    (pg_sys::TIMESTAMPTZOID, AttributeType::Timestamptz),
    (pg_sys::TEXTOID, AttributeType::Text),
    (pg_sys::UUIDOID, AttributeType::Uuid),
    (pg_sys::ANYENUMOID, AttributeType::Enum),
];

impl AttributeType {
    /// The attribute type of an operator class's input type.
    pub fn from_oid(oid: Oid) -> Option<Self> {
        TYPES
            .iter()
            .find_map(|(known, attribute)| (*known == oid).then_some(*attribute))
    }

    /// The input type of the operator class.
    pub fn oid(self) -> Oid {
        match TYPES.iter().find(|(_, attribute)| *attribute == self) {
            Some((oid, _)) => *oid,
            None => unreachable!("every attribute type is in the table"),
        }
    }

    /// Its name in SQL.
    pub fn sql_name(self) -> &'static str {
        match self {
            AttributeType::Bool => "boolean",
            AttributeType::Int2 => "smallint",
            AttributeType::Int4 => "integer",
            AttributeType::Int8 => "bigint",
            AttributeType::Float4 => "real",
            AttributeType::Float8 => "double precision",
            AttributeType::Date => "date",
            AttributeType::Timestamp => "timestamp without time zone",
            AttributeType::Timestamptz => "timestamp with time zone",
            AttributeType::Text => "text",
            AttributeType::Uuid => "uuid",
            AttributeType::Enum => "enum",
        }
    }

    /// True for what tells when a row came to be.
    pub fn is_time(self) -> bool {
        matches!(
            self,
            AttributeType::Date | AttributeType::Timestamp | AttributeType::Timestamptz
        )
    }

    /// How values become keys.
    pub fn kind(self) -> AttributeKind {
        match self {
            AttributeType::Float4 | AttributeType::Float8 => AttributeKind::Float,
            AttributeType::Text | AttributeType::Uuid | AttributeType::Enum => AttributeKind::Hash,
            AttributeType::Date => AttributeKind::Date,
            AttributeType::Timestamp | AttributeType::Timestamptz => AttributeKind::Timestamp,
            _ => AttributeKind::Int,
        }
    }
}
