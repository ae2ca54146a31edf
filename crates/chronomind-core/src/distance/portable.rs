//! Registers of any machine: arrays, which the compiler puts into whatever the target promises.
#![allow(unsafe_code)]

use std::array::from_fn;

use super::kernel::{Four, InstructionSet, One};
use super::simd::{self, Lanes, Measure, Stored};

/// Four lanes, which is the least that a vector register has.
#[derive(Clone, Copy)]
pub(super) struct Portable([f32; 4]);

impl InstructionSet for Portable {
    const NAME: &'static str = "portable";

    fn functions<M: Measure, S: Stored>() -> (One, Four) {
        (one::<M, S>, four::<M, S>)
    }
}

fn one<M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: `Portable` needs no instructions of its own.
    unsafe { simd::one::<Portable, M, S>(query, vector) }
}

/// One by one: with the sums of four vectors at once, compilers give up keeping arrays in registers.
fn four<M: Measure, S: Stored>(query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
    vectors.map(|vector| one::<M, S>(query, vector))
}

impl Lanes for Portable {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        Self([0.0; 4])
    }

    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self {
        // SAFETY: four elements are readable, as the caller promises; any bits are an `f32`.
        Self(unsafe { from.cast::<[f32; 4]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: four elements are readable, as the caller promises; any bits are a `u16`.
        let bits = unsafe { from.cast::<[u16; 4]>().read_unaligned() };
        // The fields of a half lie in order in a single too; what differs is the bias of the exponent,
        // which a product makes good, of subnormal halves as well. Only infinities and NaN would come
        // out wrong, and no stored vector has them.
        const BIAS: f32 = (1u128 << (127 - 15)) as f32;
        Self(bits.map(|bits| {
            let fields = (i32::from(bits as i16) << 13) as u32 & 0x8fff_ffff;
            f32::from_bits(fields) * BIAS
        }))
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
    unsafe fn keep_last(self, count: usize) -> Self {
        let first = Self::LANES - count;
        Self(from_fn(
            |lane| if lane < first { 0.0 } else { self.0[lane] },
        ))
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        let [a, b, c, d] = self.0;
        (a + c) + (b + d)
    }
}
