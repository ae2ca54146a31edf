//! The shared region, and who has what in it.
//!
//! The problem: indexes come and go at run time, but Postgres gives extensions shared memory only
//! when the server starts, and a backend can leave at any statement. So one region is reserved at
//! start (lazily: the system hands pages out as they are touched), a [registry](registry) says which
//! index lives at which root, and every claim has three ways out: it is finished, its guard is
//! dropped while an ERROR unwinds, or the process's exit callback finds it.
//!
//! Everything in the region is a cache: a crash of any backend makes the postmaster start over with
//! zeroed memory, and indexes are loaded from their pages again.
//!
//! This folder may say `unsafe`: it maps the region and talks to Postgres's shared memory.
#![allow(unsafe_code)]

mod claim;
mod control;
mod dropped;
mod entry;
mod huge;
pub mod level;
mod lock;
mod owed;
pub mod registry;
mod uses;

pub use control::{epochs, install, pin, region, registry};
pub use huge::asking;
