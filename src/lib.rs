//! ChronoMind: exact, recency-aware vector search inside stock PostgreSQL.

pub mod am;
pub mod error;
pub mod guc;
pub mod machine;
pub mod memory;
pub mod pages;
pub mod pg;
pub mod planner;
pub mod preload;
pub mod recovery;
pub mod shmem;

pgrx::pg_module_magic!();

/// Called when Postgres loads the library.
#[pgrx::pg_guard]
#[allow(non_snake_case)]
pub extern "C-unwind" fn _PG_init() {
    pg::startup::forgo_backtraces();
    let preloading = pg::startup::is_preloading();
    if preloading {
        preload::mark();
        shmem::install();
        planner::hook::install();
        am::callbacks::install();
    }
    guc::define(preloading);
    pg::startup::reserve_settings(c"chronomind");
    am::callbacks::define_options();
}
