//! Postgres's lightweight lock as a scope.

use pgrx::pg_sys;

/// A lightweight lock in shared memory.
#[derive(Clone, Copy)]
pub struct Lock(*mut pg_sys::LWLock);

impl Lock {
    /// The first lock of a tranche that was requested under this name.
    pub fn named(tranche: &std::ffi::CStr) -> Lock {
        // SAFETY: the tranche exists since server start; the array has at least one lock.
        Lock(unsafe { &raw mut (*pg_sys::GetNamedLWLockTranche(tranche.as_ptr())).lock })
    }

    /// Runs `work` with the lock held exclusively. Interrupts are held off meanwhile, and `work`
    /// must not call Postgres.
    pub fn exclusively<T>(self, work: impl FnOnce() -> T) -> T {
        // SAFETY: a lock of a live tranche; acquiring raises only when too many are held.
        unsafe { pg_sys::LWLockAcquire(self.0, pg_sys::LWLockMode::LW_EXCLUSIVE) };
        let held = Held(self.0);
        let done = work();
        drop(held);
        done
    }
}

struct Held(*mut pg_sys::LWLock);

impl Drop for Held {
    fn drop(&mut self) {
        // SAFETY: acquired by `exclusively`, and nothing in between can raise an ERROR, which would
        // have released it.
        unsafe { pg_sys::LWLockRelease(self.0) };
    }
}
