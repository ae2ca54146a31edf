//! The engine of ChronoMind, without Postgres and without I/O.

#[cfg(not(loom))]
pub mod arena;
#[cfg(not(loom))]
pub mod baseline;
#[cfg(not(loom))]
pub mod directory;
#[cfg(not(loom))]
pub mod distance;
pub mod epoch;
pub mod error;
pub mod graph;
#[cfg(not(loom))]
pub mod index;
#[cfg(all(test, loom))]
mod models;
#[cfg(not(loom))]
pub mod postings;
pub mod primitive;
#[cfg(not(loom))]
pub mod record;
#[cfg(not(loom))]
pub mod scan;
#[cfg(not(loom))]
pub mod score;

pub use error::{Error, Interrupt, Pause, Result};
