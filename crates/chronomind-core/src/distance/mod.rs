//! How far apart two vectors are, as fast as the machine can tell.
//!
//! A search spends nearly all its time here, so three things that look like one are kept apart:
//!
//! * the *raw measure*, which is all that touches every element: a sum of squares, of products or of
//!   absolute differences ([`Kernel`]);
//! * the *key*, a monotone function of it that is lower for nearer vectors, which is what a search
//!   compares ([`Metric::key`]);
//! * the *distance* as pgvector's operators return it, which is computed for the few rows that are
//!   given out ([`Metric::distance`]).
//!
//! Vectors lie in memory as they were stored, as `f32` or as `f16`; a query is always `f32`.

#[cfg(target_arch = "aarch64")]
mod aarch64;
mod code;
mod kernel;
mod metric;
mod portable;
mod simd;
mod vector;
#[cfg(target_arch = "x86_64")]
mod x86_64;

#[cfg(test)]
mod tests;

pub use code::{CodeQuery, Estimates, Products, Scale, TOGETHER, encode, has_codes};
pub use kernel::{Kernel, variants};
pub use metric::Metric;
pub use vector::{Element, convert, decode, inverse_norm, length, normalise, scale, squared_norm};
