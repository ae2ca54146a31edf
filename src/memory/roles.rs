//! Which column of an index plays which part in a search.
//!
//! Unless the caller names them: the first `timestamptz` is the creation time, the first `real` or
//! `double precision` the importance, the second the decay rate, the first `text`, `varchar` or
//! `uuid` the context. The moment at which the importance was stated and the time in which a row is
//! valid have columns of the same types; they are found by their names, and validity also outside of
//! the index.

use chronomind_core::score::{Blend, Expr};
use pgrx::PgSqlErrorCode;

use crate::am::columns::Columns;
use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::table::Column;

const TIMES: [AttributeType; 1] = [AttributeType::Timestamptz];

/// What the column is called of the moment at which the importance was stated.
const IMPORTANCE_AT: &str = "importance_at";

/// Names that the caller gives, by part.
#[derive(Debug, Default)]
pub struct Names {
    /// The creation time's column.
    pub created_at: Option<String>,
    /// The importance's column.
    pub importance: Option<String>,
    /// The decay rate's column.
    pub decay_rate: Option<String>,
    /// The context's column.
    pub context: Option<String>,
    /// The column of the moment at which the importance was stated.
    pub importance_at: Option<String>,
    /// The column of the first moment at which the row is valid.
    pub valid_from: Option<String>,
    /// The column of the first moment at which it is not valid any more.
    pub valid_to: Option<String>,
}

/// A column of the index in its part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Part {
    /// Ordinal of the attribute in the index.
    pub attribute: usize,
    /// Its type.
    pub kind: AttributeType,
    /// Number of the column in the table.
    pub number: i16,
}

/// All parts; those that no column plays are `None`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Parts {
    /// The creation time.
    pub created_at: Option<Part>,
    /// The importance.
    pub importance: Option<Part>,
    /// The decay rate.
    pub decay_rate: Option<Part>,
    /// The context.
    pub context: Option<Part>,
    /// When the importance was stated.
    pub importance_at: Option<Part>,
}

impl Parts {
    /// Casts the columns of an index.
    pub fn new(columns: &Columns, named: &[Column], names: &Names) -> Result<Parts> {
        let candidates: Vec<(Part, &str)> = columns
            .attributes
            .iter()
            .zip(named.iter().skip(1))
            .enumerate()
            .filter(|(_, (_, column))| column.number > 0)
            .map(|(attribute, (&kind, column))| {
                (
                    Part {
                        attribute,
                        kind,
                        number: column.number,
                    },
                    column.name.as_str(),
                )
            })
            .collect();
        let cast = |name: &Option<String>, nth: usize, kinds: &[AttributeType], what: &str| {
            let Some(name) = name else {
                let fitting = candidates
                    .iter()
                    .filter(|(part, _)| kinds.contains(&part.kind));
                return Ok(fitting.map(|(part, _)| *part).nth(nth));
            };
            match candidates.iter().find(|(_, column)| column == name) {
                Some((part, _)) if kinds.contains(&part.kind) => Ok(Some(*part)),
                Some(_) => Err(Error::mistake(
                    PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
                    format!("column \"{name}\" cannot be the {what}"),
                )
                .detail(format!("The {what} is a column of type {}.", list(kinds)))),
                None => Err(Error::mistake(
                    PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
                    format!("column \"{name}\" is not in the index"),
                )
                .hint("Name a column that follows the vector in the chrono index.")),
            }
        };
        // By its name where the caller gives none.
        let importance_at = match &names.importance_at {
            None => candidates
                .iter()
                .find(|(part, name)| *name == IMPORTANCE_AT && TIMES.contains(&part.kind))
                .map(|(part, _)| *part),
            given => cast(given, 0, &TIMES, "time of the importance")?,
        };
        const FLOATS: [AttributeType; 2] = [AttributeType::Float4, AttributeType::Float8];
        let importance = cast(&names.importance, 0, &FLOATS, "importance")?;
        Ok(Parts {
            created_at: cast(&names.created_at, 0, &TIMES, "creation time")?,
            importance,
            importance_at,
            decay_rate: cast(&names.decay_rate, 1, &FLOATS, "decay rate")?
                .filter(|part| names.decay_rate.is_some() || Some(*part) != importance),
            context: cast(
                &names.context,
                0,
                &[AttributeType::Text, AttributeType::Uuid],
                "context",
            )?,
        })
    }

    /// The score that the parts make.
    pub fn score(&self, columns: &Columns, blend: &Blend) -> Expr {
        let attribute = |part: Option<Part>| {
            part.map(|part| Expr::attribute(columns.names[part.attribute].as_str()))
        };
        let mut importance = attribute(self.importance);
        let rate = attribute(self.decay_rate);
        if let Some(stated_at) = attribute(self.importance_at) {
            importance = importance.map(|importance| {
                blend.faded_expr(importance, stated_at, rate.clone().unwrap_or(Expr::Null))
            });
        }
        blend.expr(attribute(self.created_at), importance, rate)
    }
}

fn list(kinds: &[AttributeType]) -> String {
    let names: Vec<&str> = kinds.iter().map(|kind| kind.sql_name()).collect();
    names.join(" or ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use chronomind_core::distance::{Element, Metric};

    fn index(attributes: &[(&str, AttributeType)]) -> (Columns, Vec<Column>) {
        let columns = Columns {
            metric: Metric::Cosine,
            element: Element::F32,
            dimensions: 3,
            attributes: attributes.iter().map(|(_, kind)| *kind).collect(),
            names: attributes.iter().map(|(name, _)| (*name).into()).collect(),
        };
        let mut named = vec![Column {
            name: "embedding".into(),
            number: 1,
        }];
        named.extend(
            attributes
                .iter()
                .zip(2..)
                .map(|((name, _), number)| Column {
                    name: (*name).into(),
                    number,
                }),
        );
        (columns, named)
    }

    #[test]
    fn parts_follow_from_types_and_order() {
        let (columns, named) = index(&[
            ("context", AttributeType::Text),
            ("importance", AttributeType::Float4),
            ("created_at", AttributeType::Timestamptz),
            ("rate", AttributeType::Float8),
            ("importance_at", AttributeType::Timestamptz),
        ]);
        let parts = Parts::new(&columns, &named, &Names::default()).unwrap();
        assert_eq!(parts.context.map(|part| part.number), Some(2));
        assert_eq!(parts.importance.map(|part| part.number), Some(3));
        assert_eq!(parts.created_at.map(|part| part.attribute), Some(2));
        assert_eq!(parts.decay_rate.map(|part| part.attribute), Some(3));
        assert_eq!(parts.importance_at.map(|part| part.attribute), Some(4));
    }

    #[test]
    fn named_columns_must_be_there_and_fit() {
        let (columns, named) = index(&[
            ("seen_at", AttributeType::Timestamptz),
            ("created_at", AttributeType::Timestamptz),
            ("label", AttributeType::Text),
        ]);
        let named_as = |name: &str| {
            let names = Names {
                created_at: Some(name.into()),
                ..Names::default()
            };
            Parts::new(&columns, &named, &names)
        };
        assert_eq!(
            named_as("created_at")
                .unwrap()
                .created_at
                .map(|part| part.attribute),
            Some(1)
        );
        assert_eq!(
            named_as("label").unwrap_err().code(),
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH
        );
        assert_eq!(
            named_as("nowhere").unwrap_err().code(),
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN
        );
    }
}
