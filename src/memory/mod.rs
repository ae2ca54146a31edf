//! The memory layer: SQL functions over tables that have a chrono index.

mod components;
mod diversity;
mod doors;
mod explain;
pub mod roles;
pub mod score;
pub mod search;
mod validity;
