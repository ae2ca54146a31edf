//! Registers of any machine: arrays, which the compiler puts into whatever the target promises.
#![allow(unsafe_code)]

use std::array::from_fn;

use half::f16;

use super::kernel::{Four, InstructionSet, One};
use super::simd::{Lanes, Measure, Stored, measure};

/// Eight lanes.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 8]);

impl InstructionSet for Portable {
    const NAME: &'static str = "portable";

    fn functions<M: Measure, S: Stored>() -> (One, Four) {
        (one::<M, S>, four::<M, S>)
    }
}

fn one<M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: `Portable` needs no instructions of its own.
    unsafe { measure::<Portable, M, S, 1, 2>(query, [vector])[0] }
}

fn four<M: Measure, S: Stored>(query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
    // SAFETY: `Portable` needs no instructions of its own.
    unsafe { measure::<Portable, M, S, 4, 1>(query, vectors) }
}

impl Lanes for Portable {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 8])
    }

    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self {
        // SAFETY: eight elements are readable, as the caller promises; any bits are an `f32`.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: eight elements are readable, as the caller promises; any bits are a `u16`.
        let bits = unsafe { from.cast::<[u16; 8]>().read_unaligned() };
        Self(bits.map(|bits| f16::from_bits(bits).to_f32_const()))
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] + other.0[lane]))
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] - other.0[lane]))
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        Self(self.0.map(f32::abs))
    }

    /// In two roundings: `f32::mul_add` is a call into the C library where a target does not promise
    /// the instruction.
    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        Self(from_fn(|lane| self.0[lane] * factor.0[lane] + term.0[lane]))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d, e, f, g, h] = self.0;
        ((a + e) + (c + g)) + ((b + f) + (d + h))
    }
}
