//! The memory layer: SQL functions over tables that have a chrono index.

pub mod score;
