//! The engine of ChronoMind, without Postgres and without I/O.

#[cfg(not(loom))]
pub mod arena;
pub mod distance;
pub mod error;
#[cfg(not(loom))]
pub mod postings;
mod primitive;
pub mod record;
pub mod score;

pub use error::{Error, Interrupt, Result};
