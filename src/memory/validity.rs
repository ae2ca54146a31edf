//! When a memory is believed: from `valid_from` until just before `valid_to`.
//!
//! A table may say for each row in which time it holds, with either end left open by NULL. A search
//! gives out what holds at its moment only. Where the index has the columns, zones without such a row
//! are not visited; the rows themselves have the last word, to the microsecond.

use chronomind_core::score::{Binary, Expr, Unary, microseconds};
use pgrx::PgSqlErrorCode;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys;

use super::roles::Names;
use crate::am::columns::Columns;
use crate::error::{Error, Result};
use crate::pg::row::TableRow;
use crate::pg::table::{Column, Table, TableIndex};

/// What decides whether a row holds at a moment.
pub struct Validity {
    /// The column of the first moment.
    pub from: Option<Column>,
    /// The column of the moment after the last.
    pub to: Option<Column>,
    /// Microseconds since 2000-01-01.
    pub at: i64,
}

impl Validity {
    /// Finds the columns: those that are named, else `valid_from` and `valid_to` where the table has
    /// them.
    pub fn new(table: &Table, names: &Names, at: i64) -> Result<Validity> {
        Ok(Validity {
            from: column(table, &names.valid_from, "valid_from")?,
            to: column(table, &names.valid_to, "valid_to")?,
            at,
        })
    }

    /// What the attributes of an index say of it: true for every row that holds, and a few more.
    pub fn predicate(&self, index: &TableIndex, columns: &Columns) -> Option<Expr> {
        let at = || Expr::from(microseconds(self.at));
        let indexed = |end: &Option<Column>| {
            let number = end.as_ref()?.number;
            // The vector comes first. An attribute keeps its name in the index when its column in the
            // table gets another.
            let mut attributes = index.columns.iter().skip(1);
            let attribute = attributes.position(|column| column.number == number)?;
            Some(Expr::attribute(columns.names.get(attribute)?.as_str()))
        };
        let open_or = |end: Expr, condition: Expr| {
            Expr::binary(Binary::Or, Expr::unary(Unary::IsNull, end), condition)
        };
        let begun = indexed(&self.from).map(|from| {
            let condition = Expr::binary(Binary::LessEqual, from.clone(), at());
            open_or(from, condition)
        });
        // Far away times are rounded to the same number.
        let not_ended = indexed(&self.to).map(|to| {
            let condition = Expr::binary(Binary::GreaterEqual, to.clone(), at());
            open_or(to, condition)
        });
        match (begun, not_ended) {
            (Some(begun), Some(not_ended)) => Some(Expr::binary(Binary::And, begun, not_ended)),
            (begun, not_ended) => begun.or(not_ended),
        }
    }

    /// Whether a row holds.
    pub fn holds(&self, row: &TableRow) -> bool {
        let time = |end: &Option<Column>| {
            let number = end.as_ref()?.number;
            row.column::<TimestampWithTimeZone>(number).map(i64::from)
        };
        time(&self.from).is_none_or(|from| from <= self.at)
            && time(&self.to).is_none_or(|to| self.at < to)
    }
}

fn column(table: &Table, named: &Option<String>, usual: &str) -> Result<Option<Column>> {
    let name = named.as_deref().unwrap_or(usual);
    match table.column(name) {
        Some((column, pg_sys::TIMESTAMPTZOID)) => Ok(Some(column)),
        _ if named.is_none() => Ok(None),
        Some(_) => Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_DATATYPE_MISMATCH,
            format!("column \"{name}\" cannot be the {usual}"),
        )
        .detail("It is a column of type timestamp with time zone.")),
        None => Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_UNDEFINED_COLUMN,
            format!("table \"{}\" has no column \"{name}\"", table.name()),
        )),
    }
}
