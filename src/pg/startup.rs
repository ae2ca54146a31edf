//! What can be told and done only while the library is being loaded.

use pgrx::pg_sys;

/// True while the server starts and loads its `shared_preload_libraries`.
pub fn is_preloading() -> bool {
    // SAFETY: a plain variable that only this single-threaded process writes.
    unsafe { pg_sys::process_shared_preload_libraries_in_progress }
}

/// Keeps backtraces of Rust, with the paths of where it was compiled, out of the errors that clients see,
/// whatever the server's environment asks for. The library's standard library asks the environment once,
/// at the first backtrace: here, and then the environment is as it was, for whoever else reads it.
pub fn forgo_backtraces() {
    const VARIABLE: &str = "RUST_LIB_BACKTRACE";
    let before = std::env::var_os(VARIABLE);
    // SAFETY: a process that loads a library has no other thread: the server starts none, and ours end
    // with the statement.
    unsafe { std::env::set_var(VARIABLE, "0") };
    drop(std::backtrace::Backtrace::capture());
    // SAFETY: as above.
    unsafe {
        match before {
            Some(before) => std::env::set_var(VARIABLE, before),
            None => std::env::remove_var(VARIABLE),
        }
    }
}

/// Makes a setting whose name begins with `prefix` and that nobody defined an error.
pub fn reserve_settings(prefix: &'static std::ffi::CStr) {
    // SAFETY: Postgres copies the name.
    unsafe { pg_sys::MarkGUCPrefixReserved(prefix.as_ptr()) }
}
