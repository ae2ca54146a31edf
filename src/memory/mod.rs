//! The memory layer: SQL functions over tables that have a chrono index.

mod doors;
pub mod roles;
pub mod score;
pub mod search;
