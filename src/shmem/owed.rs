//! How many claims and turns this process has, which an abort would have to find among all entries.

use std::sync::atomic::{AtomicU32, Ordering};

/// Relaxed, all: a process has one thread that claims.
static OWED: AtomicU32 = AtomicU32::new(0);

/// One was taken.
pub fn take() {
    OWED.fetch_add(1, Ordering::Relaxed);
}

/// One has come to its end.
pub fn give_back() {
    let less = |owed: u32| owed.checked_sub(1);
    // Nothing is left where an abort has ended all of them before their guards were dropped.
    let _ = OWED.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less);
}

/// Whether there is one.
pub fn any() -> bool {
    OWED.load(Ordering::Relaxed) != 0
}

/// All are ended.
pub fn none() {
    OWED.store(0, Ordering::Relaxed);
}
