//! Registers of AArch64: NEON, which is part of the architecture, so that nothing is detected.
#![allow(unsafe_code)]

use std::arch::aarch64::*;

use super::kernel::{Four, InstructionSet, One};
use super::simd::{self, Lanes, Measure, Stored};

/// Four lanes.
#[derive(Clone, Copy)]
pub(super) struct Neon(float32x4_t);

impl InstructionSet for Neon {
    const NAME: &'static str = "neon";

    fn functions<M: Measure, S: Stored>() -> (One, Four) {
        (one::<M, S>, four::<M, S>)
    }
}

fn one<M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: NEON is part of the architecture.
    unsafe { simd::one::<Neon, M, S>(query, vector) }
}

fn four<M: Measure, S: Stored>(query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
    // SAFETY: NEON is part of the architecture.
    unsafe { simd::four::<Neon, M, S>(query, vectors) }
}

impl Lanes for Neon {
    const LANES: usize = 4;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { Self(vdupq_n_f32(0.0)) }
    }

    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self {
        // SAFETY: NEON is part of the architecture, and what is loaded is readable by the
        // contract of `Lanes`.
        unsafe { Self(vreinterpretq_f32_u8(vld1q_u8(from))) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: NEON is part of the architecture, and what is loaded is readable by the
        // contract of `Lanes`.
        unsafe { Self(vcvt_f32_f16(vreinterpret_f16_u8(vld1_u8(from)))) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { Self(vaddq_f32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { Self(vsubq_f32(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { Self(vabsq_f32(self.0)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: NEON is part of the architecture.
        unsafe { Self(vfmaq_f32(term.0, self.0, factor.0)) }
    }

    #[inline(always)]
    unsafe fn keep_last(self, count: usize) -> Self {
        const MASKS: [u32; 8] = [0, 0, 0, 0, u32::MAX, u32::MAX, u32::MAX, u32::MAX];
        // SAFETY: NEON is part of the architecture; `count` is at most the lanes.
        unsafe {
            let mask = vld1q_u32(MASKS[count..].as_ptr());
            let bits = vandq_u32(vreinterpretq_u32_f32(self.0), mask);
            Self(vreinterpretq_f32_u32(bits))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: NEON is part of the architecture.
        unsafe { vaddvq_f32(self.0) }
    }
}
