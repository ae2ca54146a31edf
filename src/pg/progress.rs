//! What `pg_stat_progress_create_index` shows of a build.

use pgrx::pg_sys;

/// Says which phase the build is in, and how many tuples it has to go through.
pub fn begin_phase(phase: i64, total: u64) {
    set(pg_sys::PROGRESS_CREATEIDX_SUBPHASE, phase);
    set(pg_sys::PROGRESS_CREATEIDX_TUPLES_TOTAL, total as i64);
    done(0);
}

/// Says how many tuples of the phase are done.
pub fn done(tuples: u64) {
    set(pg_sys::PROGRESS_CREATEIDX_TUPLES_DONE, tuples as i64);
}

fn set(parameter: u32, value: i64) {
    // SAFETY: does nothing unless a command of this backend reports its progress.
    unsafe { pg_sys::pgstat_progress_update_param(parameter as i32, value) };
}
