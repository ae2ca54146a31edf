//! The door of `chrono_check`.

use pgrx::iter::TableIterator;
use pgrx::pg_sys::{self, Oid};
use pgrx::{PgSqlErrorCode, name, pg_extern};

use super::{open_built, rows};
use crate::am::check;
use crate::error::{Error, OrRaise, Result};
use crate::pg::catalog;
use crate::pg::owner::OwnersRights;
use crate::pg::{shards, table};

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
        let of = pg_sys::IndexGetRelation(index, true);
        if of == Oid::INVALID {
            return Err(not_ours(index));
        }
        // Each may be dropped before it is locked.
        let heap = pg_sys::try_table_open(of, SHARE);
        if heap.is_null() {
            return Err(not_ours(index));
        }
        // Before anything of the index is looked at, since that can run code of its owner.
        let rights = OwnersRights::of(heap);
        let Some(raw) = open_index(index)? else {
            return Err(not_ours(index));
        };
        if shards::has_shards(of) {
            return Err(table::distributed(of)
                .hint("Check the index of each shard, on the server that has it."));
        }
        if let Some(error) = table::why_unusable(raw) {
            return Err(error);
        }
        let (relation, columns) = open_built(raw)?;
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
        let is_ours = class.relam == pg_sys::get_index_am_oid(c"chrono".as_ptr(), true);
        match class.relkind as u8 {
            pg_sys::RELKIND_INDEX if is_ours => {}
            pg_sys::RELKIND_PARTITIONED_INDEX if is_ours => return Err(in_parts(index)),
            _ => return Err(not_ours(index)),
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

/// An index of a partitioned table has nothing in it.
fn in_parts(index: Oid) -> Error {
    const SHOWN: usize = 5;
    let parts = shards::children(index);
    let more = match parts.len().saturating_sub(SHOWN) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    let names = parts[..parts.len().min(SHOWN)].join(", ");
    Error::mistake(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("index {} is partitioned", catalog::relation_name(index)),
    )
    .detail("Its partitions have the indexes.")
    .hint(match parts.is_empty() {
        true => "There is none yet.".to_owned(),
        false => format!("Name one of them: {names}{more}."),
    })
}
