//! What a standby has replayed of the primary's WAL.

use pgrx::pg_sys;

/// True on a standby, and while a server recovers: pages change by replay, not by any backend.
pub fn is_in_progress() -> bool {
    // SAFETY: reads shared state that is there in every backend.
    unsafe { pg_sys::RecoveryInProgress() }
}

/// The end of the last record that has been replayed. All pages hold what was logged up to there, and
/// perhaps some of the next record; every snapshot taken before sees less.
pub fn position() -> u64 {
    // SAFETY: reads shared state; no timeline is asked for.
    unsafe { pg_sys::GetXLogReplayRecPtr(std::ptr::null_mut()) }
}
