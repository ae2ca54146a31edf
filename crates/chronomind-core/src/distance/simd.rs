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

/// Measures `query` against each of `vectors`, with `CHAINS` sums in flight for each of them.
///
/// Where lengths differ, only the elements that all of them have are measured.
///
/// # Safety
///
/// The machine must have the instructions of `L`.
#[inline(always)]
pub(super) unsafe fn measure<
    L: Lanes,
    M: Measure,
    S: Stored,
    const VECTORS: usize,
    const CHAINS: usize,
>(
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
    // SAFETY: `L`'s instructions are the caller's promise. Every load below starts at an element
    // `at` and reads `L::LANES` of them, up to `elements` at most, which query and vectors all
    // have; `padded` reads the last ones into a buffer of a whole register.
    unsafe {
        let mut sums = [[L::zero(); CHAINS]; VECTORS];
        let mut at = 0;
        while at + CHAINS * L::LANES <= elements {
            for chain in 0..CHAINS {
                let from = at + chain * L::LANES;
                let q = f32::load::<L>(query.add(from * f32::SIZE));
                for (sums, vector) in sums.iter_mut().zip(vectors) {
                    sums[chain] = M::step(sums[chain], q, S::load(vector.add(from * S::SIZE)));
                }
            }
            at += CHAINS * L::LANES;
        }
        while at + L::LANES <= elements {
            let q = f32::load::<L>(query.add(at * f32::SIZE));
            for (sums, vector) in sums.iter_mut().zip(vectors) {
                sums[0] = M::step(sums[0], q, S::load(vector.add(at * S::SIZE)));
            }
            at += L::LANES;
        }
        if at < elements {
            let rest = elements - at;
            let q = padded::<L, f32>(query.add(at * f32::SIZE), rest);
            for (sums, vector) in sums.iter_mut().zip(vectors) {
                let v = padded::<L, S>(vector.add(at * S::SIZE), rest);
                sums[0] = M::step(sums[0], q, v);
            }
        }
        sums.map(|chains| {
            let mut total = chains[0];
            for chain in &chains[1..] {
                total = total.add(*chain);
            }
            total.sum()
        })
    }
}

/// The first `count` elements at `from`, and zeros in the other lanes.
///
/// # Safety
///
/// `count` elements must be readable at `from`, fewer than `L` has lanes.
#[inline(always)]
unsafe fn padded<L: Lanes, S: Stored>(from: *const u8, count: usize) -> L {
    let mut buffer = [0u8; WIDEST * size_of::<f32>()];
    // SAFETY: `count` elements are readable (the caller's promise) and fit in the buffer, which
    // holds a whole register of the widest element.
    unsafe {
        std::ptr::copy_nonoverlapping(from, buffer.as_mut_ptr(), count * S::SIZE);
        S::load(buffer.as_ptr())
    }
}
