//! The server's own settings that builds and scans obey.

use std::ffi::CStr;

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

/// Whether `huge_pages` lets memory be on huge pages: it is not off.
pub fn huge_pages() -> bool {
    // SAFETY: a setting that every server has; its value is text that ends in a zero byte.
    unsafe {
        let value = pg_sys::GetConfigOption(c"huge_pages".as_ptr(), false, false);
        CStr::from_ptr(value) != c"off"
    }
}

/// Threads that a build may use: this process and its `max_parallel_maintenance_workers`, as long
/// as the machine has cores for them.
pub fn build_threads() -> usize {
    // SAFETY: as above.
    let workers = unsafe { pg_sys::max_parallel_maintenance_workers };
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    (usize::try_from(workers).unwrap_or(0) + 1).min(cores)
}
