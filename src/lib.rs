//! ChronoMind: exact, recency-aware vector search inside stock PostgreSQL.
pgrx::pg_module_magic!();

pub mod error;
pub mod pages;
pub mod pg;
