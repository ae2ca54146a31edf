//! Waiting for others, and what `pg_stat_activity` says meanwhile.
//!
//! The names can be looked up in `pg_wait_events` once they have been used. PostgreSQL 15 and 16 know
//! of one event for all extensions, `Extension`.

use pgrx::pg_sys;

use super::interrupt;

/// What is waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// Another process, to build or load the index.
    Load,
    /// Another process, to bring memory up to what has been replayed.
    Replay,
    /// Searches, to leave what is to be used again.
    Readers,
    /// Threads of this process, to link nodes.
    Link,
}

impl Wait {
    /// The event of that name, made at the first time in a server's life. May raise an ERROR: where other
    /// extensions have used up all the names there can be.
    #[cfg(any(feature = "pg17", feature = "pg18"))]
    fn event(self) -> u32 {
        use std::sync::atomic::{AtomicU32, Ordering};

        static EVENTS: [AtomicU32; 4] = [const { AtomicU32::new(0) }; 4];
        let name = match self {
            Wait::Load => c"ChronoLoad",
            Wait::Replay => c"ChronoReplay",
            Wait::Readers => c"ChronoReaders",
            Wait::Link => c"ChronoLink",
        };
        let event = &EVENTS[self as usize];
        // Relaxed, both: a process has one thread that waits.
        if event.load(Ordering::Relaxed) == 0 {
            // SAFETY: a name that lives forever.
            let made = unsafe { pg_sys::WaitEventExtensionNew(name.as_ptr()) };
            event.store(made, Ordering::Relaxed);
        }
        event.load(Ordering::Relaxed)
    }

    #[cfg(any(feature = "pg15", feature = "pg16"))]
    fn event(self) -> u32 {
        pg_sys::PG_WAIT_EXTENSION
    }

    /// Says that this process waits. May raise an ERROR, as [`briefly`] may.
    pub fn show(self) -> Shown {
        // SAFETY: sets a word of this process's own.
        unsafe { pg_sys::pgstat_report_wait_start(self.event()) };
        Shown
    }
}

/// Sleeps a few milliseconds, or less when this backend is told something, and looks at interrupts.
pub fn briefly(wait: Wait) {
    const MILLISECONDS: std::ffi::c_long = 5;
    let events = pg_sys::WL_LATCH_SET | pg_sys::WL_TIMEOUT | pg_sys::WL_EXIT_ON_PM_DEATH;
    let event = wait.event();
    // SAFETY: every backend has a latch of its own.
    unsafe {
        pg_sys::WaitLatch(pg_sys::MyLatch, events as i32, MILLISECONDS, event);
        pg_sys::ResetLatch(pg_sys::MyLatch);
    }
    interrupt::check();
}

/// Waits for searches to leave what is to be used again: a little each time that it is called, and false when
/// that is enough.
///
/// They look at it for microseconds; whoever takes longer was stopped by the system, or is being debugged,
/// perhaps in another database. Not all have to wait for that.
pub fn patience() -> impl FnMut() -> bool {
    let mut left = 200;
    move || {
        left -= 1;
        if left > 0 {
            briefly(Wait::Readers);
        }
        left > 0
    }
}

/// This process is shown waiting until this is dropped.
pub struct Shown;

impl Drop for Shown {
    fn drop(&mut self) {
        // SAFETY: as above.
        unsafe { pg_sys::pgstat_report_wait_end() };
    }
}
