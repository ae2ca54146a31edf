//! What can be told and done only while the library is being loaded.

use pgrx::pg_sys;

/// True while the server starts and loads its `shared_preload_libraries`.
pub fn is_preloading() -> bool {
    // SAFETY: a plain variable that only this single-threaded process writes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Makes a setting whose name begins with `prefix` and that nobody defined an error.
pub fn reserve_settings(prefix: &'static std::ffi::CStr) {
    // SAFETY: Postgres copies the name.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}
