//! The measuring loop, written once over registers of any width.
//!
//! A distance is a sum over elements, and a machine's speed at it depends on three things only: how
//! wide its registers are, how many additions it can have in flight, and how often the query is
//! loaded again. [`measure`] takes care of the last two for every instruction set: it keeps several
//! sums a vector, so that one addition need not wait for the one before, and it measures several
//! vectors against each piece of the query that it loads. What is left to an instruction set is
//! [`Lanes`].
#![allow(unsafe_code)]

use half::f16;

/// One register of `f32` lanes.
///
/// # Safety
///
/// Every method may only be called on a machine with the instructions of the implementing type, and
/// from a function compiled for them (or inlined into one). The loads read as many elements as there
/// are lanes, from any alignment; all of them must be readable.
pub(super) trait Lanes: Copy {
    /// Lanes in the register, at most [`WIDEST`].
    const LANES: usize;

    unsafe fn zero() -> Self;
    unsafe fn load_f32(from: *const u8) -> Self;
    unsafe fn load_f16(from: *const u8) -> Self;
    unsafe fn add(self, other: Self) -> Self;
    unsafe fn sub(self, other: Self) -> Self;
    unsafe fn abs(self) -> Self;
    /// `self * factor + term`.
    unsafe fn mul_add(self, factor: Self, term: Self) -> Self;
    /// Zeros in all lanes but the last `count`, at most [`LANES`](Self::LANES).
    unsafe fn keep_last(self, count: usize) -> Self;
    /// The sum of all lanes.
    unsafe fn sum(self) -> f32;
}

/// The most lanes that a register has.
const WIDEST: usize = 16;

/// An element type that vectors are stored in.
pub(super) trait Stored {
    const SIZE: usize;

    /// # Safety
    ///
    /// As [`Lanes`] says.
    unsafe fn load<L: Lanes>(from: *const u8) -> L;
}

impl Stored for f32 {
    const SIZE: usize = size_of::<f32>();

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::load_f32(from) }
    }
}

impl Stored for f16 {
    const SIZE: usize = size_of::<f16>();

    #[inline(always)]
    unsafe fn load<L: Lanes>(from: *const u8) -> L {
        // SAFETY: the caller's promise.
        unsafe { L::load_f16(from) }
    }
}

/// What is summed over the elements of two vectors. Zeros on both sides add nothing.
pub(super) trait Measure {
    /// `sum` with the next elements of query and vector added.
    ///
    /// # Safety
    ///
    /// As [`Lanes`] says.
    unsafe fn step<L: Lanes>(sum: L, query: L, vector: L) -> L;
}

/// The squares of the differences.
pub(super) struct Squares;
/// The products.
pub(super) struct Products;
/// The absolute differences.
pub(super) struct Differences;

impl Measure for Squares {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, vector: L) -> L {
        // SAFETY: the caller's promise.
        unsafe {
            let difference = query.sub(vector);
            difference.mul_add(difference, sum)
        }
    }
}

impl Measure for Products {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, vector: L) -> L {
        // SAFETY: the caller's promise.
        unsafe { query.mul_add(vector, sum) }
    }
}

impl Measure for Differences {
    #[inline(always)]
    unsafe fn step<L: Lanes>(sum: L, query: L, vector: L) -> L {
        // SAFETY: the caller's promise.
        unsafe { sum.add(query.sub(vector).abs()) }
    }
}

/// Sums in flight when one vector is measured: an addition takes four cycles on most machines.
const CHAINS_OF_ONE: usize = 4;
/// Sums in flight for each of four vectors. More would not fit in sixteen registers.
const CHAINS_OF_FOUR: usize = 2;

/// The raw measure of one vector; see [`measure`].
///
/// # Safety
///
/// As [`Lanes`] says.
#[inline(always)]
pub(super) unsafe fn one<L: Lanes, M: Measure, S: Stored>(query: &[f32], vector: &[u8]) -> f32 {
    // SAFETY: the caller's promise.
    unsafe { measure::<L, M, S, 1, CHAINS_OF_ONE>(query, [vector])[0] }
}

/// The raw measures of four vectors; see [`measure`].
///
/// # Safety
///
/// As [`Lanes`] says.
#[inline(always)]
pub(super) unsafe fn four<L: Lanes, M: Measure, S: Stored>(
    query: &[f32],
    vectors: [&[u8]; 4],
) -> [f32; 4] {
    // SAFETY: the caller's promise.
    unsafe { measure::<L, M, S, 4, CHAINS_OF_FOUR>(query, vectors) }
}

/// Measures `query` against each of `vectors`, with `CHAINS` sums in flight for each of them.
///
/// Where lengths differ, only the elements that all of them have are measured.
///
/// # Safety
///
/// As [`Lanes`] says; what is loaded is taken care of here.
#[inline(always)]
unsafe fn measure<L: Lanes, M: Measure, S: Stored, const VECTORS: usize, const CHAINS: usize>(
    query: &[f32],
    vectors: [&[u8]; VECTORS],
) -> [f32; VECTORS] {
    debug_assert!(
        vectors.iter().all(|v| v.len() == query.len() * S::SIZE),
        "a vector has another length than the query"
    );
    let elements = vectors
        .iter()
        .fold(query.len(), |least, v| least.min(v.len() / S::SIZE));
    let query = query.as_ptr().cast::<u8>();
    let vectors = vectors.map(<[u8]>::as_ptr);
    // SAFETY: `L`'s instructions are the caller's promise. Each load reads `L::LANES` elements from
    // `at`, and `at + L::LANES` is at most `elements`, which query and vectors all have.
    unsafe {
        let mut sums = [[L::zero(); VECTORS]; CHAINS];
        let mut at = 0;
        while at + CHAINS * L::LANES <= elements {
            for sums in &mut sums {
                let q = f32::load::<L>(query.add(at * f32::SIZE));
                for (sum, vector) in sums.iter_mut().zip(&vectors) {
                    *sum = M::step(*sum, q, S::load(vector.add(at * S::SIZE)));
                }
                at += L::LANES;
            }
        }
        let mut total = sums[0];
        for sums in &sums[1..] {
            for (total, sum) in total.iter_mut().zip(sums) {
                *total = total.add(*sum);
            }
        }
        while at + L::LANES <= elements {
            let q = f32::load::<L>(query.add(at * f32::SIZE));
            for (total, vector) in total.iter_mut().zip(&vectors) {
                *total = M::step(*total, q, S::load(vector.add(at * S::SIZE)));
            }
            at += L::LANES;
        }
        if at < elements {
            let q = last::<L, f32>(query, elements, elements - at);
            for (total, vector) in total.iter_mut().zip(&vectors) {
                let v = last::<L, S>(*vector, elements, elements - at);
                *total = M::step(*total, q, v);
            }
        }
        total.map(|lanes| lanes.sum())
    }
}

/// The last `count` of the `elements` at `vector`, in some lanes that depend on these numbers only,
/// and zeros in the others. `count` is less than `L` has lanes.
///
/// # Safety
///
/// As [`Lanes`] says; all `elements` must be readable.
#[inline(always)]
unsafe fn last<L: Lanes, S: Stored>(vector: *const u8, elements: usize, count: usize) -> L {
    // SAFETY: `L`'s instructions are the caller's promise. Either the last register's worth of the
    // elements is loaded, or all of them are copied to a buffer that holds a register's worth.
    unsafe {
        if let Some(from) = elements.checked_sub(L::LANES) {
            S::load::<L>(vector.add(from * S::SIZE)).keep_last(count)
        } else {
            let mut buffer = [0u8; WIDEST * size_of::<f32>()];
            std::ptr::copy_nonoverlapping(vector, buffer.as_mut_ptr(), elements * S::SIZE);
            S::load(buffer.as_ptr())
        }
    }
}
