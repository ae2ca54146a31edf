//! Registers of x86-64: AVX-512 and AVX2, chosen at run time.
//!
//! Written in intrinsics because they are what the loop needs to stay bound by loads alone.
#![allow(unsafe_code)]

use std::arch::x86_64::*;

use super::code::{Sums, TOGETHER};
use super::kernel::{Four, InstructionSet, One};
use super::simd::{self, Lanes, Measure, Stored};

/// Whether these kernels are used at all. ThreadSanitizer follows loads of 16 bytes at most, and is to
/// see every look at a vector.
const IN_USE: bool = cfg!(not(tsan));

/// Sixteen lanes.
#[derive(Clone, Copy)]
pub(super) struct Avx512(__m512);

impl Avx512 {
    /// Whether this machine has the instructions.
    pub(super) fn available() -> bool {
        IN_USE && is_x86_feature_detected!("avx512f")
    }
}

impl InstructionSet for Avx512 {
    const NAME: &'static str = "avx512";

    fn functions<M: Measure, S: Stored>() -> (One, Four) {
        (one_avx512::<M, S>, four_avx512::<M, S>)
    }
}

#[target_feature(enable = "avx512f")]
fn one_avx512<M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: this function is compiled for the instructions of `Avx512`.
    unsafe { simd::one::<Avx512, M, S>(query, vector) }
}

#[target_feature(enable = "avx512f")]
fn four_avx512<M: Measure, S: Stored>(query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
    // SAFETY: this function is compiled for the instructions of `Avx512`.
    unsafe { simd::four::<Avx512, M, S>(query, vectors) }
}

impl Lanes for Avx512 {
    const LANES: usize = 16;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self {
        // SAFETY: the machine has the instructions, and what is loaded is readable, by the
        // contract of `Lanes`.
        unsafe { Self(_mm512_loadu_ps(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: the machine has the instructions, and what is loaded is readable, by the
        // contract of `Lanes`.
        unsafe { Self(_mm512_cvtph_ps(_mm256_loadu_si256(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_abs_ps(self.0)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn keep_last(self, count: usize) -> Self {
        let mask = !(u16::MAX >> count);
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm512_maskz_mov_ps(mask, self.0)) }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { _mm512_reduce_add_ps(self.0) }
    }
}

/// Eight lanes, with fused multiply-add and F16C, which every machine with AVX2 has in practice.
#[derive(Clone, Copy)]
pub(super) struct Avx2(__m256);

impl Avx2 {
    /// Whether this machine has the instructions.
    pub(super) fn available() -> bool {
        IN_USE
            && is_x86_feature_detected!("avx2")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
    }
}

impl InstructionSet for Avx2 {
    const NAME: &'static str = "avx2";

    fn functions<M: Measure, S: Stored>() -> (One, Four) {
        (one_avx2::<M, S>, four_avx2::<M, S>)
    }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn one_avx2<M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: this function is compiled for the instructions of `Avx2`.
    unsafe { simd::one::<Avx2, M, S>(query, vector) }
}

#[target_feature(enable = "avx2,fma,f16c")]
fn four_avx2<M: Measure, S: Stored>(query: &[f32], vectors: [&[u8]; 4]) -> [f32; 4] {
    // SAFETY: this function is compiled for the instructions of `Avx2`.
    unsafe { simd::four::<Avx2, M, S>(query, vectors) }
}

impl Lanes for Avx2 {
    const LANES: usize = 8;

    #[inline(always)]
    unsafe fn zero() -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm256_setzero_ps()) }
    }

    #[inline(always)]
    unsafe fn load_f32(from: *const u8) -> Self {
        // SAFETY: the machine has the instructions, and what is loaded is readable, by the
        // contract of `Lanes`.
        unsafe { Self(_mm256_loadu_ps(from.cast())) }
    }

    #[inline(always)]
    unsafe fn load_f16(from: *const u8) -> Self {
        // SAFETY: the machine has the instructions, and what is loaded is readable, by the
        // contract of `Lanes`.
        unsafe { Self(_mm256_cvtph_ps(_mm_loadu_si128(from.cast()))) }
    }

    #[inline(always)]
    unsafe fn add(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm256_add_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn sub(self, other: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm256_sub_ps(self.0, other.0)) }
    }

    #[inline(always)]
    unsafe fn abs(self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm256_andnot_ps(_mm256_set1_ps(-0.0), self.0)) }
    }

    #[inline(always)]
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe { Self(_mm256_fmadd_ps(self.0, factor.0, term.0)) }
    }

    #[inline(always)]
    unsafe fn keep_last(self, count: usize) -> Self {
        const MASKS: [i32; 16] = [0, 0, 0, 0, 0, 0, 0, 0, -1, -1, -1, -1, -1, -1, -1, -1];
        // SAFETY: the machine has the instructions, by the contract of `Lanes`; `count` is at
        // most the lanes.
        unsafe {
            let mask = _mm256_loadu_ps(MASKS[count..].as_ptr().cast());
            Self(_mm256_and_ps(self.0, mask))
        }
    }

    #[inline(always)]
    unsafe fn sum(self) -> f32 {
        // SAFETY: the machine has the instructions, by the contract of `Lanes`.
        unsafe {
            let quad = _mm_add_ps(
                _mm256_castps256_ps128(self.0),
                _mm256_extractf128_ps::<1>(self.0),
            );
            let pair = _mm_add_ps(quad, _mm_movehl_ps(quad, quad));
            _mm_cvtss_f32(_mm_add_ss(pair, _mm_movehdup_ps(pair)))
        }
    }
}

/// What measures codes on this machine, the fastest first.
pub(super) fn code_products() -> Vec<Sums> {
    let mut found: Vec<Sums> = Vec::new();
    if IN_USE && is_x86_feature_detected!("avx512bw") && is_x86_feature_detected!("avx512vnni") {
        // SAFETY: the machine was found to have the instructions.
        found.push(|query, codes| unsafe { products_vnni(query, codes) });
    }
    if IN_USE && is_x86_feature_detected!("avx2") {
        // SAFETY: the machine was found to have the instructions.
        found.push(|query, codes| codes.map(|code| unsafe { products_avx2(query, code) }));
    }
    found
}

#[target_feature(enable = "avx512f,avx512bw,avx512vnni")]
fn products_vnni(query: &[i16], codes: &[&[i8]; TOGETHER]) -> [i32; TOGETHER] {
    const STEP: usize = 32;
    let len = codes
        .iter()
        .fold(query.len(), |len, code| len.min(code.len()));
    let whole = len - len % STEP;
    let mut sums = [_mm512_setzero_si512(); TOGETHER];
    for at in (0..whole).step_by(STEP) {
        // SAFETY: query and codes have at least `whole` elements, and `at` is a step before that.
        unsafe {
            let query = _mm512_loadu_si512(query.as_ptr().add(at).cast());
            for (sum, code) in sums.iter_mut().zip(codes) {
                let code = _mm256_loadu_si256(code.as_ptr().add(at).cast());
                *sum = _mm512_dpwssd_epi32(*sum, _mm512_cvtepi8_epi16(code), query);
            }
        }
    }
    let halves = sums.map(|sum| {
        let upper = _mm512_extracti64x4_epi64::<1>(sum);
        _mm256_add_epi32(_mm512_castsi512_si256(sum), upper)
    });
    // Of each pair, then of each four: the lower lanes have one half of each sum, the upper the other.
    let pair = |at: usize| _mm256_hadd_epi32(halves[at], halves[at + 1]);
    let four = |at: usize| _mm256_hadd_epi32(pair(at), pair(at + 2));
    let (low, high) = (four(0), four(4));
    let sums = _mm256_add_epi32(
        _mm256_permute2x128_si256::<0x20>(low, high),
        _mm256_permute2x128_si256::<0x31>(low, high),
    );
    let mut out = [0_i32; TOGETHER];
    // SAFETY: eight sums of four bytes.
    unsafe { _mm256_storeu_si256(out.as_mut_ptr().cast(), sums) };
    if whole < len {
        for (out, code) in out.iter_mut().zip(codes) {
            *out = out.wrapping_add(super::code::sum(&query[whole..], &code[whole..]));
        }
    }
    out
}

#[target_feature(enable = "avx2")]
fn products_avx2(query: &[i16], code: &[i8]) -> i32 {
    let (queries, rest) = query.as_chunks::<32>();
    let (codes, rest_of_code) = code.as_chunks::<32>();
    let mut sums = [_mm256_setzero_si256(); 2];
    for (query, code) in queries.iter().zip(codes) {
        for (half, sum) in sums.iter_mut().enumerate() {
            // SAFETY: each half of the two arrays has sixteen elements.
            let (query, code) = unsafe {
                (
                    _mm256_loadu_si256(query.as_ptr().add(16 * half).cast()),
                    _mm_loadu_si128(code.as_ptr().add(16 * half).cast()),
                )
            };
            let products = _mm256_madd_epi16(_mm256_cvtepi8_epi16(code), query);
            *sum = _mm256_add_epi32(*sum, products);
        }
    }
    let sum = _mm256_add_epi32(sums[0], sums[1]);
    let quad = _mm_add_epi32(
        _mm256_castsi256_si128(sum),
        _mm256_extracti128_si256::<1>(sum),
    );
    let pair = _mm_add_epi32(quad, _mm_shuffle_epi32::<0b01_00_11_10>(quad));
    let sum = _mm_add_epi32(pair, _mm_shuffle_epi32::<0b10_11_00_01>(pair));
    // Lengths differ only where a caller's do.
    _mm_cvtsi128_si32(sum).wrapping_add(super::code::sum(rest, rest_of_code))
}
