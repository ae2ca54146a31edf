//! What the columns of an index mean: a vector first, then attributes.

use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::catalog::{self, IndexColumn};
use crate::pg::datum;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::record::Definition;
use chronomind_core::score::AttributeKind;
use pgrx::PgSqlErrorCode;

/// The columns of an index.
#[derive(Debug, Clone, PartialEq)]
pub struct Columns {
    /// The distance that the vector's operator class orders by.
    pub metric: Metric,
    /// `vector` has 4-byte elements, `halfvec` 2-byte ones.
    pub element: Element,
    /// Elements of each vector.
    pub dimensions: u32,
    /// The second column and those after it.
    pub attributes: Vec<AttributeType>,
    /// Their names.
    pub names: Vec<String>,
}

impl Columns {
    /// Understands the key columns of an index. Fails where the index cannot be built like that.
    pub fn new(columns: &[IndexColumn]) -> Result<Self> {
        let Some((first, rest)) = columns.split_first() else {
            return Err(Error::bug("an index without columns"));
        };
        let Some(vector) = first.vector else {
            return Err(unsupported(
                "the first column of a chrono index must be a vector",
            )
            .hint("Name the vector column first: USING chrono (embedding vector_cosine_ops, created_at)."));
        };
        Ok(Columns {
            metric: vector.metric()?,
            element: vector.element()?,
            dimensions: dimensions(first)?,
            attributes: rest.iter().map(attribute).collect::<Result<_>>()?,
            names: rest.iter().map(|column| column.name.clone()).collect(),
        })
    }

    /// Whether an index with this definition can be one over such columns. A type of an attribute may
    /// have become another with the same keys, as `varchar` becomes `text`.
    pub fn fit(&self, definition: &Definition) -> bool {
        (self.metric, self.element, self.dimensions)
            == (definition.metric, definition.element, definition.dimensions)
            && self.attributes.len() == definition.attributes.len()
    }

    /// Fails unless a query vector of that many bytes fits.
    pub fn check_bytes(&self, vector: &[u8]) -> Result<()> {
        if vector.len() == self.vector_bytes() {
            return Ok(());
        }
        let elements = vector.len() / self.element.size();
        Err(datum::other_dimensions(self.dimensions, elements))
    }

    /// Bytes of a vector.
    pub fn vector_bytes(&self) -> usize {
        self.dimensions as usize * self.element.size()
    }
}

fn dimensions(vector: &IndexColumn) -> Result<u32> {
    u32::try_from(vector.type_modifier).map_err(|_| {
        Error::invalid("column does not have dimensions").hint(
            "Give the column a number of dimensions, as in vector(384), or index a cast to such a type.",
        )
    })
}

fn attribute(column: &IndexColumn) -> Result<AttributeType> {
    if column.vector.is_some() {
        return Err(
            unsupported("a chrono index has one vector, which is its first column")
                .hint("Create another index for the other vector."),
        );
    }
    let attribute = AttributeType::from_oid(column.input_type).ok_or_else(|| {
        unsupported(format!(
            "a chrono index cannot hold attributes of type {}",
            catalog::type_name(column.input_type)
        ))
    })?;
    if attribute.kind() == AttributeKind::Hash && !catalog::is_deterministic(column.collation) {
        return Err(unsupported(format!(
            "nondeterministic collation \"{}\" is not supported by chrono indexes",
            catalog::collation_name(column.collation)
        ))
        .detail("Strings that it takes for equal have different bytes.")
        .hint("Index the column under another collation, as in: context COLLATE \"C\"."));
    }
    Ok(attribute)
}

fn unsupported(message: impl Into<String>) -> Error {
    Error::mistake(PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED, message)
}
