//! The door of `chrono_check`.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgSqlErrorCode, name, pg_extern};

use super::{open_built, rows};
use crate::am::check;
use crate::error::{Error, OrRaise, Result};
use crate::pg::catalog;
use crate::pg::owner::OwnersRights;
use crate::pg::relation::Relation;
use crate::pg::table;

#[pg_extern(sql = false)]
fn chrono_check(
    index: Oid,
) -> TableIterator<
    'static,
    (
        name!(table_rows, i64),
        name!(index_rows, i64),
        name!(dead_rows, i64),
        name!(vectors, i64),
    ),
> {
    let checked = check_index(index).or_raise();
    TableIterator::once((
        checked.heap_rows as i64,
        checked.live_postings as i64,
        checked.dead_postings as i64,
        checked.nodes as i64,
    ))
}

fn check_index(index: Oid) -> Result<check::Checked> {
    const SHARE: i32 = pg_sys::AccessShareLock as i32;
    // SAFETY: lookups by identifier. The locks stay until the end of the transaction, the table's
    // taken first as everywhere; what an error leaves open is closed by the server.
    unsafe {
        let table = pg_sys::IndexGetRelation(index, true);
        if table == Oid::INVALID {
            return Err(not_ours(index));
        }
        // Each may be dropped before it is locked.
        let heap = pg_sys::try_table_open(table, SHARE);
        if heap.is_null() {
            return Err(not_ours(index));
        }
        // Before anything of the index is looked at, since that can run code of its owner.
        let rights = OwnersRights::of(heap);
        let Some(raw) = open_index(index)? else {
            return Err(not_ours(index));
        };
        let (relation, columns) = open_built(raw)?;
        check_usable(raw, relation)?;
        let checked = check::check(relation, &mut |take| {
            rows::scan_visible(heap, raw, &columns, take);
        });
        pg_sys::relation_close(raw, pg_sys::NoLock as i32);
        drop(rights);
        pg_sys::table_close(heap, pg_sys::NoLock as i32);
        checked
    }
}

/// Opens an index, with a lock that others may have too; whoever needs its table locked has done it before.
/// `None` where there is none.
pub(super) fn open_index(index: Oid) -> Result<Option<pg_sys::Relation>> {
    // SAFETY: lookups by identifier; what an error leaves open is closed by the server.
    unsafe {
        let raw = pg_sys::try_relation_open(index, pg_sys::AccessShareLock as i32);
        let Some(class) = raw.as_ref().map(|relation| &*relation.rd_rel) else {
            return Ok(None);
        };
        if class.relkind as u8 != pg_sys::RELKIND_INDEX
            || class.relam != pg_sys::get_index_am_oid(c"chrono".as_ptr(), true)
        {
            return Err(not_ours(index));
        }
        Ok(Some(raw))
    }
}

fn not_ours(relation: Oid) -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
        format!("{} is not a chrono index", catalog::relation_name(relation)),
    )
    .hint("Name an index that was made with USING chrono.")
}

/// Fails where the index is not one that every row of this snapshot must be in.
///
/// # Safety
/// The relation is an open index.
unsafe fn check_usable(raw: pg_sys::Relation, relation: Relation) -> Result<()> {
    // SAFETY: an open index has its catalog row.
    let (is_valid, is_usable) = unsafe { ((*(*raw).rd_index).indisvalid, table::is_usable(raw)) };
    if !is_valid {
        return Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            format!("index \"{}\" is not valid", relation.name()),
        )
        .detail("A CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY has not ended well.")
        .hint("REINDEX or drop it."));
    }
    if !is_usable {
        return Err(Error::contention(format!(
            "index \"{}\" is younger than some row versions that this transaction sees",
            relation.name()
        )));
    }
    Ok(())
}
