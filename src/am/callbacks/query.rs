//! The door of `chrono_query`, which makes what a plan asks an index by.

use chronomind_core::postings::Filter;
use pgrx::{AnyElement, pg_extern, pg_sys};

use crate::am::query::{ScoreQuery, internal_use};
use crate::error::OrRaise;
use crate::pg::call::Call;
use crate::pg::{datum, text};

/// The value of a query. Fails in a call that is not the planner's.
#[pg_extern(sql = false)]
unsafe fn chrono_query(
    text: Option<&[u8]>,
    vector: Option<AnyElement>,
    parameters: Option<Vec<Option<f64>>>,
    call: pg_sys::FunctionCallInfo,
) -> Option<Vec<u8>> {
    // SAFETY: Postgres gives a valid call, which does not outlive this function.
    if !unsafe { Call::new(call) }.is_planned() {
        internal_use()
            .detail("A text of one's own would tell of columns and rows that one may not read.")
            .raise();
    }
    let query = ScoreQuery {
        vector: vector.map(datum::vector_bytes).transpose().or_raise(),
        text: text::from_server(text?),
        parameters: parameters.unwrap_or_default(),
        filter: Filter::default(),
    };
    Some(query.encode().or_raise())
}
