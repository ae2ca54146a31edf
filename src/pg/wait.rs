//! Waiting for another backend.

use pgrx::pg_sys;

use super::interrupt;

/// Sleeps a few milliseconds, or less when this backend is told something, and looks at interrupts.
pub fn briefly() {
    const MILLISECONDS: std::ffi::c_long = 5;
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    // SAFETY: every backend has a latch of its own; the wait is shown as one of an extension.
    unsafe {
        pg_sys::WaitLatch(
            pg_sys::MyLatch,
            events as i32,
            MILLISECONDS,
            pg_sys::PG_WAIT_EXTENSION,
        );
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    interrupt::check();
}
