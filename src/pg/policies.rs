//! Who may see which rows, where no plan looks after it.

use pgrx::pg_sys::{self, Oid};

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
