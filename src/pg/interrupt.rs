//! The places where the server may stop us.
//!
//! Both functions may raise an error, so nothing may be held that only returning gives back.
//! Under a buffer lock the server holds interrupts off: call them between locks.

use pgrx::pg_sys;

/// Ends the statement if it was cancelled, timed out, or its backend is told to go.
pub fn check() {
    pg_sys::check_for_interrupts!();
}

/// The same, and sleeps where vacuum's cost limit asks for it.
pub fn vacuum_delay() {
    // SAFETY: no arguments that could be wrong; errors unwind as from any call of the server.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::vacuum_delay_point();
        #[cfg(feature = "pg18")]
        pg_sys::vacuum_delay_point(false);
    }
}
