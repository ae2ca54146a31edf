//! `chrono_query` and `<~>`: how SQL asks an index for the order of a score.
//!
//! An index can order by any function of the distance and its attributes, but SQL can hand it only
//! `column operator constant`. So the column is the vector, the operator is `<~>` (`<~~>` where the
//! score is a `numeric`), and the constant is a `chrono_query`: the text of the score with its query
//! vector and its parameters. Only an index scan can answer such an expression; Postgres never calls
//! the operator there. The planner writes them, see `planner`, and nobody else can: the text tells about
//! every column and row of the index, so that `chrono_query` refuses any other call.

use std::ffi::CStr;

use chronomind_core::postings::Filter;
use pgrx::{AnyElement, AnyNumeric, PgSqlErrorCode, pg_extern};
use serde::{Deserialize, Serialize};

use crate::error::{Error, OrRaise, Result};
use crate::pg::datum;

/// What a `chrono_query` carries. It lives no longer than a statement, so its form may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreQuery {
    /// The query vector's bytes, `None` for NULL.
    pub vector: Option<Vec<u8>>,
    /// What is asked for: see [`QueryText`](super::text::QueryText).
    pub text: String,
    /// What `$1` and so on stand for, `None` for NULL.
    pub parameters: Vec<Option<f64>>,
    /// What the rows' attributes must be, beside the conditions of the scan.
    pub filter: Filter,
}

impl ScoreQuery {
    /// The bytes of the value.
    pub fn encode(&self) -> Result<Vec<u8>> {
        postcard::to_allocvec(self).map_err(|error| Error::bug(error.to_string()))
    }

    /// Reads the value back.
    pub fn decode(bytes: &[u8]) -> Result<ScoreQuery> {
        postcard::from_bytes(bytes).map_err(|_| internal_use())
    }
}

/// What is told of values, and of calls, that are not the planner's.
pub fn internal_use() -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        "chrono_query values are made and read by chronomind itself",
    )
    .hint("Use chrono_search, or order by an expression of the distance.")
}

/// A value as the number that an index knows it by: times in microseconds and days in days since
/// 2000-01-01, intervals in microseconds, and texts and the like as hashes, in the bits of the
/// number.
#[pg_extern(sql = false)]
fn chrono_key(value: Option<AnyElement>) -> Option<f64> {
    value.map(|value| datum::number(value).or_raise())
}

#[pg_extern(sql = false)]
fn chrono_query_in(_text: &CStr) -> i32 {
    internal_use().raise()
}

#[pg_extern(sql = false)]
fn chrono_query_out(_query: AnyElement) -> &'static CStr {
    internal_use().raise()
}

#[pg_extern(sql = false)]
fn chrono_order(_vector: Option<AnyElement>, _query: Option<AnyElement>) -> Option<f64> {
    without_index("<~>").raise()
}

#[pg_extern(sql = false)]
fn chrono_order_numeric(
    _vector: Option<AnyElement>,
    _query: Option<AnyElement>,
) -> Option<AnyNumeric> {
    without_index("<~~>").raise()
}

fn without_index(operator: &str) -> Error {
    internal_use().detail(format!("Outside an index scan, {operator} has no value."))
}
