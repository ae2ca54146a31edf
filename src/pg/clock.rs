//! Clocks.

use pgrx::pg_sys;

/// What `now()` returns: microseconds since 2000-01-01.
pub fn transaction_start() -> i64 {
    // SAFETY: reads the state of the transaction that every statement runs in.
    unsafe { pg_sys::GetCurrentTransactionStartTimestamp() }
}

/// Milliseconds of a clock that all processes share and that only goes forward.
pub fn milliseconds() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: writes the time into a valid place; this clock is always there.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &mut time) };
    time.tv_sec as u64 * 1000 + time.tv_nsec as u64 / 1_000_000
}

/// When the statement at hand began, in microseconds.
pub fn statement_start() -> i64 {
    // SAFETY: looks at a variable.
    unsafe { pg_sys::GetCurrentStatementStartTimestamp() }
}
