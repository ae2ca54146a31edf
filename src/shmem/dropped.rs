//! Databases that are dropped.
//!
//! Their files go before the transaction ends that drops them, without anybody looking at shared memory. So the
//! server is asked to tell of it, and what memory holds of their indexes is given back right before that
//! transaction commits: nobody is connected to the database then, its files are gone, and nobody can make
//! another under its identifier. On a standby nobody tells; there the [key](super::registry::Key) of an index
//! tells one from the other.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU32, Ordering};

use pgrx::pg_guard;
use pgrx::pg_sys::{self, Oid};

use super::control;

type Hook = unsafe extern "C-unwind" fn(
    pg_sys::ObjectAccessType::Type,
    Oid,
    Oid,
    std::ffi::c_int,
    *mut std::ffi::c_void,
);

/// Whoever was told before us.
static PREVIOUS: OnceLock<Option<Hook>> = OnceLock::new();

/// The database that this transaction drops, 0 for none.
static DROPPED: AtomicU32 = AtomicU32::new(0);

/// Asks to be told. Only while the server starts.
pub fn install() {
    // SAFETY: the postmaster is single-threaded and loads libraries before anybody drops anything.
    unsafe {
        PREVIOUS.get_or_init(|| {
            let previous = pg_sys::object_access_hook;
            pg_sys::object_access_hook = Some(on_access);
            previous
        });
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_access(
    access: pg_sys::ObjectAccessType::Type,
    class: Oid,
    object: Oid,
    part: std::ffi::c_int,
    argument: *mut std::ffi::c_void,
) {
    if let Some(Some(previous)) = PREVIOUS.get() {
        // SAFETY: whoever was told before us is told the same.
        unsafe {
            pg_sys::ffi::pg_guard_ffi_boundary(|| previous(access, class, object, part, argument));
        }
    }
    let is_drop = access == pg_sys::ObjectAccessType::OAT_DROP;
    // What follows is called at the end of the transaction from now on.
    if is_drop && class == pg_sys::DatabaseRelationId && control::registry().is_ok() {
        DROPPED.store(object.to_u32(), Ordering::Relaxed);
    }
}

/// The transaction is about to commit.
pub fn before_commit() {
    let database = DROPPED.swap(0, Ordering::Relaxed);
    if database != 0
        && let (Ok(registry), Ok(region)) = (control::registry(), control::region())
    {
        registry.forget_database(database, region);
    }
}

/// The transaction has come to nothing.
pub fn after_abort() {
    DROPPED.store(0, Ordering::Relaxed);
}
