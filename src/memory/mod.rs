//! The memory layer: SQL functions over tables that have a chrono index.

mod arguments;
mod context;
mod diversity;
mod doors;
mod explain;
pub mod roles;
pub mod score;
pub mod search;
mod shards;
mod stars;
mod statement;
mod validity;
