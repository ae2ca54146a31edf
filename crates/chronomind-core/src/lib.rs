//! The engine of ChronoMind, without Postgres and without I/O.

#[cfg(not(loom))]
pub mod arena;
pub mod error;
mod primitive;
pub mod record;
pub mod score;

pub use error::{Error, Interrupt, Result};
