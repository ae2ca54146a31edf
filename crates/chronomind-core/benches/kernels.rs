//! What a distance costs: every kernel that this machine can run, on vectors in its caches that start
//! on a cache line.
//!
//! `four` is timed a call; its throughput is in pairs, which is what compares with that of `one`.
// The macros at the end write a public function without documentation.
#![allow(missing_docs)]

use std::hint::black_box;

use chronomind_core::distance::{Element, Metric, variants};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use half::f16;

fn kernels(c: &mut Criterion) {
    for (metric, element) in [
        (Metric::L2, Element::F32),
        (Metric::L2, Element::F16),
        (Metric::Cosine, Element::F32),
        (Metric::Cosine, Element::F16),
        (Metric::L1, Element::F32),
        (Metric::L1, Element::F16),
    ] {
        for dimensions in [384, 1536] {
            let query = Aligned::new(&numbers(0, dimensions));
            let query = query.as_slice();
            let vectors: [_; 4] =
                std::array::from_fn(|i| Aligned::new(&stored(element, i + 1, dimensions)));
            let vectors = vectors.each_ref().map(Aligned::as_slice);
            let mut group = c.benchmark_group(format!("{metric:?}/{element:?}/{dimensions}"));
            for kernel in variants(metric, element) {
                group.throughput(Throughput::Elements(1));
                group.bench_function(format!("one/{}", kernel.instructions()), |b| {
                    b.iter(|| kernel.one(black_box(query), black_box(vectors[0])));
                });
                group.throughput(Throughput::Elements(4));
                group.bench_function(format!("four/{}", kernel.instructions()), |b| {
                    b.iter(|| kernel.four(black_box(query), black_box(vectors)));
                });
            }
        }
    }
}

/// A copy that starts on a cache line, as vectors in the arena do: others cost up to half as much
/// again.
struct Aligned<T> {
    buffer: Vec<T>,
    at: usize,
    len: usize,
}

impl<T: Copy + Default> Aligned<T> {
    fn new(values: &[T]) -> Self {
        const LINE: usize = 64;
        let mut buffer = vec![T::default(); values.len() + LINE];
        let at = buffer.as_ptr().align_offset(LINE);
        buffer[at..at + values.len()].copy_from_slice(values);
        let len = values.len();
        Aligned { buffer, at, len }
    }

    fn as_slice(&self) -> &[T] {
        &self.buffer[self.at..self.at + self.len]
    }
}

fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (1..=count)
        .map(|i| ((seed * count + i) as f32 * 0.618).fract() - 0.5)
        .collect()
}

fn stored(element: Element, seed: usize, count: usize) -> Vec<u8> {
    let numbers = numbers(seed, count).into_iter();
    match element {
        Element::F32 => numbers.flat_map(f32::to_ne_bytes).collect(),
        Element::F16 => numbers
            .flat_map(|x| f16::from_f32(x).to_ne_bytes())
            .collect(),
    }
}

criterion_group!(benches, kernels);
criterion_main!(benches);
