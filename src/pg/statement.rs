//! Running somebody's statement.

use std::ffi::CString;

use pgrx::pg_sys::{self, NodeTag};
use pgrx::{PgList, PgSqlErrorCode, Spi};

use super::{shards, table};
use crate::error::{Error, Result};

/// Runs one SELECT with the rights and the snapshot of the caller, and throws its rows away. Fails for
/// any other statement, and raises what the statement raises. The query is a text of the server's.
pub fn run_select(query: &[u8]) -> Result<()> {
    let text =
        CString::new(query).map_err(|_| Error::bug("a text of the server with a zero inside"))?;
    // SAFETY: prepared and run within one connection of SPI, to whose memory the plan belongs.
    // Without options the plan has no parallel workers.
    Spi::connect(|_| unsafe {
        let plan = pg_sys::SPI_prepare(text.as_ptr(), 0, std::ptr::null_mut());
        if plan.is_null() {
            return Err(not_one_select());
        }
        check(plan)?;
        let options = pg_sys::SPIExecuteOptions {
            read_only: true,
            must_return_tuples: true,
            dest: pg_sys::CreateDestReceiver(pg_sys::CommandDest::DestNone),
            ..Default::default()
        };
        let code = pg_sys::SPI_execute_plan_extended(plan, &options);
        if code < 0 {
            return Err(Error::bug(format!("a SELECT was answered by {code}")));
        }
        Ok(())
    })
}

/// Fails for all but one SELECT that changes and locks nothing.
///
/// # Safety
/// `plan` is one of SPI.
unsafe fn check(plan: pg_sys::SPIPlanPtr) -> Result<()> {
    // SAFETY: by the caller. A plan has a source for each statement, with the statement as it was
    // parsed and, unless it is a utility's, one or more queries.
    unsafe {
        let sources = pg_sys::SPI_plan_get_plan_sources(plan);
        let sources = PgList::<pg_sys::CachedPlanSource>::from_pg(sources);
        let source = sources.get_ptr(0).filter(|_| sources.len() == 1);
        let source = &*source.ok_or_else(not_one_select)?;
        let parsed = source.raw_parse_tree.as_ref().ok_or_else(not_one_select)?;
        let select = parsed.stmt.cast::<pg_sys::SelectStmt>();
        if (*parsed.stmt).type_ != NodeTag::T_SelectStmt || !(*select).intoClause.is_null() {
            return Err(not_one_select());
        }
        // Its scans are on the servers that have the shards, and nothing is known of them here.
        let relations = PgList::<pg_sys::Oid>::from_pg(source.relationOids);
        if let Some(shell) = relations.iter_oid().find(|&oid| shards::has_shards(oid)) {
            return Err(table::distributed(shell).hint(
                "EXPLAIN shows what is sent to the shards. Explain that, on a server that has one.",
            ));
        }
        let queries = PgList::<pg_sys::Query>::from_pg(source.query_list);
        let harmless =
            |query: *mut pg_sys::Query| !(*query).hasModifyingCTE && !(*query).hasForUpdate;
        if queries.iter_ptr().all(harmless) {
            Ok(())
        } else {
            Err(not_one_select().detail("It changes or locks rows."))
        }
    }
}

fn not_one_select() -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        "only a single SELECT can be explained",
    )
    .hint("Pass the text of one SELECT, with literals in the place of parameters.")
}
