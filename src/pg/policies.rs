//! Who may see which rows, where no plan looks after it.

use pgrx::pg_sys::{self, ItemPointerData, Oid};
use pgrx::{Spi, spi};

/// Asks Postgres whether a row may be seen.
pub struct Probe {
    statement: String,
}

impl Probe {
    /// For the rows of a table, by its qualified and quoted name.
    pub fn new(table: String) -> Probe {
        Probe {
            statement: format!("SELECT 1 FROM ONLY {table} WHERE ctid = $1"),
        }
    }

    /// True where the policies of the table let the current user see that version of a row. The
    /// statement runs on the caller's snapshot, which sees the version.
    pub fn lets_see(&self, tid: ItemPointerData) -> bool {
        let found: spi::Result<bool> = Spi::connect(|client| {
            let rows = client.select(self.statement.as_str(), Some(1), &[tid.into()])?;
            Ok(!rows.is_empty())
        });
        // A statement that fails raises its own error; what is left is a misuse of the interface,
        // and then nothing is shown.
        found.unwrap_or(false)
    }
}

/// True where the current user may read every row and column of the table that an index is on.
pub fn may_read_all(index: Oid) -> bool {
    // SAFETY: looks into catalogs. The scan left its locks: index and table are still there.
    unsafe {
        let table = pg_sys::IndexGetRelation(index, true);
        let user = pg_sys::GetUserId();
        let rights = pg_sys::pg_class_aclcheck(table, user, pg_sys::ACL_SELECT.into());
        rights == pg_sys::AclResult::ACLCHECK_OK
            && pg_sys::check_enable_rls(table, Oid::INVALID, true)
                != pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32
    }
}
