//! `chrono_query` and `<~>`: how SQL asks an index for the order of a score.
//!
//! An index can order by any function of the distance and its attributes, but SQL can hand it only
//! `column operator constant`. So the column is the vector, the operator is `<~>`, and the constant
//! is a `chrono_query`: the program of the score with its query vector and constants. Only an index
//! scan can answer such an expression; Postgres never calls the operator there.

use crate::error::Error;
use pgrx::{AnyElement, PgSqlErrorCode, pg_extern};
use std::ffi::CStr;

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
