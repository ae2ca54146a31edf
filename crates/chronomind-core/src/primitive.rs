//! The one door to atomics, so that loom can replace them.
//!
//! Protocol modules (`graph::links`, `graph::entry`, `epoch`) are written over these types and over
//! borrowed slots only. Under `--cfg loom` they are model-checked; everything that lays such slots
//! out in raw memory (`arena` and what stands on it) is left out of that build, because loom's
//! atomics are not plain words.

#[cfg(not(loom))]
pub use std::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};

#[cfg(loom)]
pub use loom::sync::atomic::{AtomicU32, AtomicU64, Ordering, fence};
