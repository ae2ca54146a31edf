//! The server's own settings that builds and scans obey.

use pgrx::pg_sys;

/// `maintenance_work_mem` in bytes.
pub fn maintenance_memory() -> usize {
    // SAFETY: a setting that only this process changes.
    let kilobytes = unsafe { pg_sys::maintenance_work_mem };
    usize::try_from(kilobytes).unwrap_or(0) * 1024
}

/// `work_mem` in bytes.
pub fn work_memory() -> usize {
    // SAFETY: as above.
    let kilobytes = unsafe { pg_sys::work_mem };
    usize::try_from(kilobytes).unwrap_or(0) * 1024
}

/// Threads that a build may use: this process and its `max_parallel_maintenance_workers`, as long
/// as the machine has cores for them.
pub fn build_threads() -> usize {
    // SAFETY: as above.
    let workers = unsafe { pg_sys::max_parallel_maintenance_workers };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (usize::try_from(workers).unwrap_or(0) + 1).min(cores)
}
