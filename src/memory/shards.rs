//! What functions say of tables that are in shards: not nothing, which looks like an answer.

use pgrx::pg_extern;
use pgrx::pg_sys::Oid;

use crate::pg::shards;

/// For the memory layer's SQL.
#[pg_extern(sql = false)]
fn chrono_has_shards(rel: Oid) -> bool {
    shards::has_shards(rel)
}
