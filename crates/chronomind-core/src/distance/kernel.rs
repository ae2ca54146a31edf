//! Kernels, chosen once for the machine.
//!
//! Which instructions there are is known only at run time, and which elements and measure an index
//! needs only when it is opened. Both are settled once, in [`Kernel::new`]; what is left in a search
//! is one indirect call for four distances.
#![allow(unsafe_code)]

use half::f16;

use super::portable::Portable;
use super::simd::{Differences, Measure, Products, Squares, Stored};
use super::{Element, Metric};

#[cfg(target_arch = "aarch64")]
use super::aarch64::Neon;
#[cfg(target_arch = "x86_64")]
use super::x86_64::{Avx2, Avx512};

/// Measures one vector; unsafe to call on a machine without the instructions it is compiled for.
pub(super) type One = unsafe fn(&[f32], &[u8]) -> f32;
/// Measures four vectors; unsafe to call as [`One`] is.
pub(super) type Four = unsafe fn(&[f32], [&[u8]; 4]) -> [f32; 4];

/// Instructions that kernels are compiled for.
pub(super) trait InstructionSet {
    const NAME: &'static str;

    /// The kernels, which need these instructions and no others.
    fn functions<M: Measure, S: Stored>() -> (One, Four);
}

/// The kernels of one metric and element, compiled for instructions that this machine has.
///
/// Vectors are given as they are stored: native-endian elements, as many as the query has, at any
/// alignment. A vector of another length panics in debug builds; release builds measure the elements
/// that all vectors of the call have.
#[derive(Clone, Copy, Debug)]
pub struct Kernel {
    instructions: &'static str,
    one: One,
    four: Four,
}

impl Kernel {
    /// The fastest kernels that this machine can run.
    pub fn new(metric: Metric, element: Element) -> Kernel {
        native(metric, element)
            .next()
            .unwrap_or_else(|| build::<Portable>(metric, element))
    }

    /// The raw measure of a vector: the squared distance for L2, the product for inner product and
    /// cosine, the sum of absolute differences for L1. [`Metric::key`] makes an order of it.
    #[inline]
    pub fn one(&self, query: &[f32], vector: &[u8]) -> f32 {
        // SAFETY: a kernel is built only for instructions that this machine has.
        unsafe { (self.one)(query, vector) }
    }

    /// The raw measures of four vectors, for less than four times the price of [`one`](Self::one).
    #[inline]
    pub fn four(&self, query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
        // SAFETY: as above.
        unsafe { (self.four)(query, vectors) }
    }

    /// The instruction set that this kernel is compiled for, in lower case.
    pub fn instructions(&self) -> &'static str {
        self.instructions
    }
}

/// Every kernel that this machine can run, the fastest first: for tests and benches.
#[doc(hidden)]
pub fn variants(metric: Metric, element: Element) -> Vec<Kernel> {
    native(metric, element)
        .chain([build::<Portable>(metric, element)])
        .collect()
}

/// Kernels in the fastest instructions that not every machine of this architecture has, first.
#[cfg(target_arch = "x86_64")]
fn native(metric: Metric, element: Element) -> impl Iterator<Item = Kernel> {
    let avx512 = Avx512::available().then(|| build::<Avx512>(metric, element));
    let avx2 = Avx2::available().then(|| build::<Avx2>(metric, element));
    avx512.into_iter().chain(avx2)
}

/// NEON is part of the architecture.
#[cfg(target_arch = "aarch64")]
fn native(metric: Metric, element: Element) -> impl Iterator<Item = Kernel> {
    [build::<Neon>(metric, element)].into_iter()
}

#[cfg(not(any(target_arch = "x86_64", target_arch = "aarch64")))]
fn native(_: Metric, _: Element) -> impl Iterator<Item = Kernel> {
    [].into_iter()
}

/// The kernels of `I`, which this machine must have.
fn build<I: InstructionSet>(metric: Metric, element: Element) -> Kernel {
    let (one, four) = match (metric, element) {
        (Metric::L2, Element::F32) => I::functions::<Squares, f32>(),
        (Metric::L2, Element::F16) => I::functions::<Squares, f16>(),
        (Metric::InnerProduct | Metric::Cosine, Element::F32) => I::functions::<Products, f32>(),
        (Metric::InnerProduct | Metric::Cosine, Element::F16) => I::functions::<Products, f16>(),
        (Metric::L1, Element::F32) => I::functions::<Differences, f32>(),
        (Metric::L1, Element::F16) => I::functions::<Differences, f16>(),
    };
    Kernel {
        instructions: I::NAME,
        one,
        four,
    }
}
