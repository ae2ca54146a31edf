//! A table's own code, run with the rights of its owner.
//!
//! Index expressions and predicates are the table owner's code, and so are the functions they call,
//! whatever these have become since. Evaluated with the rights of whoever maintains the table, often a
//! superuser, they could do anything. The server switches to the owner for CREATE INDEX, REINDEX, VACUUM
//! and ANALYZE; where we evaluate them ourselves, we have to.

use pgrx::pg_sys::{self, Oid};

/// While this is alive, the process has the rights of a table's owner, in an operation that may
/// neither change the session nor leave anything behind; as long as PostgreSQL itself does so, with a
/// search path that is nobody's (version 17 and later).
pub struct OwnersRights {
    user: Oid,
    context: i32,
    settings: i32,
}

impl OwnersRights {
    /// Takes them on.
    ///
    /// # Safety
    /// `table` is open and locked.
    pub unsafe fn of(table: pg_sys::Relation) -> OwnersRights {
        let (mut user, mut context) = (Oid::INVALID, 0);
        // SAFETY: by the caller; the server's functions write to the places they are given.
        unsafe {
            pg_sys::GetUserIdAndSecContext(&mut user, &mut context);
            let owner = (*(*table).rd_rel).relowner;
            let restricted = context | pg_sys::SECURITY_RESTRICTED_OPERATION as i32;
            pg_sys::SetUserIdAndSecContext(owner, restricted);
            let settings = pg_sys::NewGUCNestLevel();
            #[cfg(any(feature = "pg17", feature = "pg18"))]
            pg_sys::RestrictSearchPath();
            OwnersRights {
                user,
                context,
                settings,
            }
        }
    }
}

impl Drop for OwnersRights {
    fn drop(&mut self) {
        // SAFETY: what was there before. After an error the server puts the settings back itself, and
        // the user once more, when it ends the transaction or the subtransaction.
        unsafe {
            if !std::thread::panicking() {
                pg_sys::AtEOXact_GUC(false, self.settings);
            }
            pg_sys::SetUserIdAndSecContext(self.user, self.context);
        }
    }
}
