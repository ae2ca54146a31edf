//! What Postgres counts about the use of an index, and leaves to the access method to count.

use pgrx::pg_sys;

/// Counts a search, for `pg_stat_user_indexes.idx_scan` and, from PostgreSQL 18 on, EXPLAIN ANALYZE.
///
/// # Safety
/// `scan` is a scan of an open index.
pub unsafe fn count_search(scan: &mut pg_sys::IndexScanDescData) {
    // SAFETY: the relation is open; its counters are there once it is associated with them.
    unsafe {
        let index = scan.indexRelation;
        if (*index).pgstat_info.is_null() && (*index).pgstat_enabled {
            pg_sys::pgstat_assoc_relation(index);
        }
        if let Some(counters) = (*index).pgstat_info.as_mut() {
            #[cfg(feature = "pg15")]
            {
                counters.t_counts.t_numscans += 1;
            }
            #[cfg(not(feature = "pg15"))]
            {
                counters.counts.numscans += 1;
            }
        }
        #[cfg(feature = "pg18")]
        if let Some(instrument) = scan.instrument.as_mut() {
            instrument.nsearches += 1;
        }
    }
}
