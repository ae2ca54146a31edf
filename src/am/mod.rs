//! The access method `chrono`: what Postgres sees of an index.

pub mod build;
pub mod callbacks;
pub mod check;
pub mod columns;
pub mod cost;
pub mod direction;
pub mod generous;
pub mod hook_watch;
pub mod insert;
mod links;
pub mod options;
mod pages_scan;
mod plan;
pub mod query;
mod reclaim;
pub mod recording;
pub mod request;
pub mod row;
pub mod scan;
pub mod stats;
mod tags;
pub mod text;
pub mod vacuum;
pub mod validate;
