//! The places where the server may stop us.
//!
//! All but [`is_pending`] may raise an error, so nothing may be held that only returning gives back.
//! Under a buffer lock the server holds interrupts off: call them between locks.

use pgrx::pg_sys;

/// Ends the statement if it was cancelled, timed out, or its backend is told to go.
pub fn check() {
    pg_sys::check_for_interrupts!();
}

/// True when [`check`] has something to look at.
pub fn is_pending() -> bool {
    // SAFETY: a word that signal handlers of this thread set, hence volatile.
    unsafe { (&raw const pg_sys::InterruptPending).read_volatile() != 0 }
}

/// The same as [`check`], and sleeps where vacuum's cost limit asks for it.
pub fn vacuum_delay() {
    // SAFETY: no arguments that could be wrong; errors unwind as from any call of the server.
    unsafe {
        #[cfg(not(feature = "pg18"))]
        pg_sys::vacuum_delay_point();
        #[cfg(feature = "pg18")]
        pg_sys::vacuum_delay_point(false);
    }
}
