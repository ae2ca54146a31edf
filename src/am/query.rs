//! `chrono_query` and `<~>`: how SQL asks an index for the order of a score.
//!
//! An index can order by any function of the distance and its attributes, but SQL can hand it only
//! `column operator constant`. So the column is the vector, the operator is `<~>`, and the constant
//! is a `chrono_query`: the program of the score with its query vector and constants. Only an index
//! scan can answer such an expression; Postgres never calls the operator there.

use std::ffi::CStr;

use chronomind_core::postings::Filter;
use chronomind_core::score::BlendOrder;
use pgrx::{AnyElement, PgSqlErrorCode, pg_extern};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};

/// What a `chrono_query` carries. It lives no longer than a statement, so its form may change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ScoreQuery {
    /// The query vector's bytes, `None` for NULL.
    pub vector: Option<Vec<u8>>,
    /// The score.
    pub order: BlendOrder,
    /// What the rows' attributes must be.
    pub filter: Filter,
    /// How many rows will probably be asked for.
    pub wanted: usize,
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

fn internal_use() -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        "chrono_query values are made and read by chronomind itself",
    )
    .hint("Use chrono_search, or order by an expression of the distance.")
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
    internal_use()
        .detail("Outside an index scan, <~> has no value.")
        .raise()
}
