//! Wrong on purpose: by these `scripts/sanitizers.py` knows that the sanitizers would tell.
//!
//! May say `unsafe`, to break its rules.
#![allow(unsafe_code)]

use std::cell::UnsafeCell;

use chronomind_core::distance::{Element, Kernel, Metric};

const DIMENSIONS: usize = 64;
const BYTES: usize = DIMENSIONS * size_of::<f32>();

fn measure(vector: &[u8]) -> f32 {
    Kernel::new(Metric::L2, Element::F32).one(&[1.0; DIMENSIONS], vector)
}

struct Vector(UnsafeCell<[u8; BYTES]>);

// SAFETY: it is not. That is what the test below is about.
unsafe impl Sync for Vector {}

#[test]
#[ignore = "a data race, for ThreadSanitizer to find"]
fn a_vector_is_measured_while_it_is_written() {
    let vector = Vector(UnsafeCell::new([0; BYTES]));
    std::thread::scope(|scope| {
        let vector = &vector;
        // SAFETY: none.
        scope.spawn(move || unsafe { vector.0.get().write([1; BYTES]) });
        // SAFETY: none.
        std::hint::black_box(measure(unsafe { &*vector.0.get() }));
    });
}

#[test]
#[ignore = "a read out of bounds, for AddressSanitizer to find"]
fn a_vector_is_measured_that_is_too_short() {
    let vector = vec![0_u8; BYTES - 4];
    // SAFETY: none.
    let vector = unsafe { std::slice::from_raw_parts(vector.as_ptr(), BYTES) };
    std::hint::black_box(measure(vector));
}
