//! Postgres's clock.

use pgrx::pg_sys;

/// What `now()` returns: microseconds since 2000-01-01.
pub fn transaction_start() -> i64 {
    // SAFETY: reads the state of the transaction that every statement runs in.
    unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }
}
