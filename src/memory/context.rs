//! The context that a search is confined to.

use chronomind_core::score::AttributeKind;
use pgrx::PgSqlErrorCode;
use pgrx::datum::Uuid;

use super::arguments::Arguments;
use super::roles::{Part, Parts};
use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::datum;
use crate::pg::row::TableRow;

/// The context that rows must be of. The index knows its hash; the rows themselves have the last
/// word.
pub struct Context {
    /// Its column.
    pub part: Part,
    /// What the index knows it by.
    pub key: u64,
    /// Itself.
    pub value: ContextValue,
}

/// A context, of its column's type.
pub enum ContextValue {
    /// Of a text column.
    Text(Vec<u8>),
    /// Of a uuid column.
    Uuid(Uuid),
}

impl Context {
    /// The one that is asked for, if any. Fails where no column is the context's.
    pub fn new(arguments: &Arguments, parts: &Parts) -> Result<Option<Context>> {
        let Some(text) = &arguments.context else {
            return Ok(None);
        };
        let part = parts.context.ok_or_else(|| {
            Error::mistake(
                PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                "the chrono index has no column for the context",
            )
            .hint("Add a text or uuid column to the index, or search without a context.")
        })?;
        debug_assert_eq!(part.kind.kind(), AttributeKind::Hash);
        let (key, value) = match part.kind {
            AttributeType::Uuid => {
                let uuid = datum::parse_uuid(text);
                (datum::hash(uuid.as_bytes()), ContextValue::Uuid(uuid))
            }
            _ => (datum::hash(text), ContextValue::Text(text.clone())),
        };
        Ok(Some(Context { part, key, value }))
    }

    /// Whether a row is of it.
    pub fn is_in(&self, row: &TableRow) -> bool {
        match &self.value {
            ContextValue::Text(text) => {
                row.column::<Vec<u8>>(self.part.number).as_ref() == Some(text)
            }
            ContextValue::Uuid(uuid) => row.column::<Uuid>(self.part.number).as_ref() == Some(uuid),
        }
    }
}
