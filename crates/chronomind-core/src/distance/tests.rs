//! Every kernel that this machine can run, against sums written down naively in double precision.

use half::f16;
use proptest::prelude::*;

use super::*;

/// Dimensions around every register and loop boundary, and those of common models.
fn dimensions() -> impl Iterator<Item = usize> {
    (1..=70).chain([100, 128, 384, 768, 1536, 4000, 16_000])
}

fn every_kernel() -> impl Iterator<Item = (Metric, Element, Kernel)> {
    Metric::ALL.into_iter().flat_map(|metric| {
        Element::ALL.into_iter().flat_map(move |element| {
            let kernels = variants(metric, element);
            kernels.into_iter().map(move |k| (metric, element, k))
        })
    })
}

/// A vector as it is stored.
fn stored(element: Element, vector: &[f32]) -> Vec<u8> {
    match element {
        Element::F32 => vector.iter().flat_map(|x| x.to_ne_bytes()).collect(),
        Element::F16 => vector
            .iter()
            .flat_map(|&x| f16::from_f32(x).to_ne_bytes())
            .collect(),
    }
}

/// What is left of a vector that is stored.
fn rounded(element: Element, vector: &[f32]) -> Vec<f32> {
    match element {
        Element::F32 => vector.to_vec(),
        Element::F16 => vector.iter().map(|&x| f16::from_f32(x).to_f32()).collect(),
    }
}

/// The raw measure, and the sum of the magnitudes that it is made of.
fn oracle(metric: Metric, query: &[f32], vector: &[f32]) -> (f64, f64) {
    let terms = query.iter().zip(vector).map(|(&q, &v)| {
        let (q, v) = (f64::from(q), f64::from(v));
        match metric {
            Metric::L2 => (q - v) * (q - v),
            Metric::InnerProduct | Metric::Cosine => q * v,
            Metric::L1 => (q - v).abs(),
        }
    });
    terms.fold((0.0, 0.0), |(sum, magnitude), term| {
        (sum + term, magnitude + term.abs())
    })
}

/// Numbers in [-1, 1) that are the same in every run (Weyl's sequence).
fn numbers(seed: usize, count: usize) -> Vec<f32> {
    (1..=count)
        .map(|i| (((seed * 7919 + i) as f64 * 0.618_033_988_749_895).fract() * 2.0 - 1.0) as f32)
        .collect()
}

/// A copy of `bytes` at an odd address, between bytes that are NaN in every element type.
struct Guarded {
    buffer: Vec<u8>,
    at: usize,
    len: usize,
}

impl Guarded {
    fn new(bytes: &[u8]) -> Self {
        const GUARD: usize = 64;
        let mut buffer = vec![0xff; bytes.len() + 2 * GUARD];
        let at = GUARD + 1 - buffer.as_ptr().addr() % 2;
        buffer[at..at + bytes.len()].copy_from_slice(bytes);
        let len = bytes.len();
        Guarded { buffer, at, len }
    }

    fn bytes(&self) -> &[u8] {
        let bytes = &self.buffer[self.at..self.at + self.len];
        assert_eq!(bytes.as_ptr().addr() % 2, 1);
        bytes
    }
}

/// Sums of small integers are exact in any order, so that an element that is left out, taken twice or
/// read from beyond the end shows in every bit.
#[test]
fn integers_are_measured_exactly() {
    let integers = |seed, count| -> Vec<f32> {
        let numbers = numbers(seed, count);
        numbers.into_iter().map(|x| (x * 9.0).trunc()).collect()
    };
    for (metric, element, kernel) in every_kernel() {
        for count in dimensions() {
            let mut query = integers(0, count);
            query.push(f32::NAN);
            let query = &query[..count];
            let vectors: [_; 4] = std::array::from_fn(|i| integers(i + 1, count));
            let want = vectors
                .each_ref()
                .map(|v| oracle(metric, query, v).0 as f32);
            let guarded = vectors.map(|v| Guarded::new(&stored(element, &v)));
            let bytes = guarded.each_ref().map(Guarded::bytes);
            let context = format!("{metric:?} {element:?} {count} {kernel:?}");
            assert_eq!(kernel.four(query, bytes), want, "{context}");
            assert_eq!(bytes.map(|v| kernel.one(query, v)), want, "{context}");
        }
    }
}

#[test]
fn fractions_are_measured_closely() {
    for (metric, element, kernel) in every_kernel() {
        for count in dimensions() {
            let query = numbers(0, count);
            let vectors: [_; 4] = std::array::from_fn(|i| numbers(i + 1, count));
            let bytes = vectors.each_ref().map(|v| stored(element, v));
            let bytes = bytes.each_ref().map(Vec::as_slice);
            let four = kernel.four(&query, bytes);
            for i in 0..4 {
                let (want, magnitude) = oracle(metric, &query, &rounded(element, &vectors[i]));
                // One rounding an addition, of which the narrowest kernel has one in four elements
                // one after another, and a few in each term and in the sum of the lanes.
                let roundings = (count / 4 + 8) as f64;
                let allowed = roundings * f64::from(f32::EPSILON) / 2.0 * magnitude;
                for got in [four[i], kernel.one(&query, bytes[i])] {
                    assert!(
                        (f64::from(got) - want).abs() <= allowed,
                        "{metric:?} {element:?} {count} {kernel:?}: {got} for {want}"
                    );
                }
            }
        }
    }
}

/// Each finite half-precision number, subnormal ones included, in each lane of its register.
#[test]
fn halves_are_read_exactly() {
    const COUNT: usize = 32;
    for kernel in variants(Metric::InnerProduct, Element::F16) {
        for first in (0..=u16::MAX).step_by(COUNT) {
            let halves: [f16; COUNT] = std::array::from_fn(|i| f16::from_bits(first + i as u16));
            if !halves[0].is_finite() {
                continue;
            }
            let bytes: Vec<u8> = halves.iter().flat_map(|h| h.to_ne_bytes()).collect();
            for (lane, half) in halves.iter().enumerate() {
                let mut query = [0.0; COUNT];
                query[lane] = 1.0;
                assert_eq!(kernel.one(&query, &bytes), half.to_f32(), "{kernel:?}");
            }
        }
    }
}

#[test]
fn subnormal_singles_are_not_flushed() {
    let tiny = f32::from_bits(3);
    for kernel in variants(Metric::L1, Element::F32) {
        for count in [1, 16, 64] {
            let got = kernel.one(&vec![0.0; count], &stored(Element::F32, &vec![tiny; count]));
            assert_eq!(got.to_bits(), 3 * count as u32, "{kernel:?}");
        }
    }
}

#[test]
fn decoding_gives_what_was_stored() {
    for element in Element::ALL {
        for count in [1, 63, 64, 65, 1000] {
            let vector = numbers(1, count);
            let mut decoded = vec![f32::NAN; count];
            let guarded = Guarded::new(&stored(element, &vector));
            decode(element, guarded.bytes(), &mut decoded);
            assert_eq!(decoded, rounded(element, &vector));
        }
    }
    let every: Vec<u8> = (0..=u16::MAX).flat_map(u16::to_ne_bytes).collect();
    let mut decoded = vec![0.0; 1 << 16];
    decode(Element::F16, &every, &mut decoded);
    for (bits, value) in (0..=u16::MAX).zip(decoded) {
        let half = f16::from_bits(bits);
        assert!(value == half.to_f32_const() || (value.is_nan() && half.is_nan()));
    }
}

#[test]
#[cfg(debug_assertions)]
#[should_panic(expected = "another length")]
fn a_vector_of_another_length_is_a_bug() {
    Kernel::new(Metric::L2, Element::F32).one(&[1.0, 2.0], &[0; 4]);
}

/// In release builds, where nothing panics, no byte beyond the shortest vector is read.
#[test]
#[cfg(not(debug_assertions))]
fn vectors_of_other_lengths_are_read_within_bounds() {
    for (metric, element, kernel) in every_kernel() {
        let query = numbers(0, 40);
        let vector = numbers(1, 33);
        let guarded = Guarded::new(&stored(element, &vector));
        let got = kernel.one(&query, guarded.bytes());
        let (want, _) = oracle(metric, &query, &rounded(element, &vector));
        assert!((f64::from(got) - want).abs() < 1e-4, "{kernel:?}");
    }
}

/// The examples of pgvector's own regression tests. A query of length one has been rounded, which can
/// cost cosine the last bit.
#[test]
fn distances_are_those_of_pgvector() {
    let examples: [(Metric, [f32; 2], [f32; 2], f64); 10] = [
        (Metric::L2, [0.0, 0.0], [3.0, 4.0], 5.0),
        (Metric::L2, [0.0, 0.0], [0.0, 1.0], 1.0),
        (Metric::InnerProduct, [1.0, 2.0], [3.0, 4.0], -11.0),
        (Metric::Cosine, [1.0, 2.0], [2.0, 4.0], 0.0),
        (Metric::Cosine, [1.0, 1.0], [1.0, 1.0], 0.0),
        (Metric::Cosine, [1.0, 0.0], [0.0, 2.0], 1.0),
        (Metric::Cosine, [1.0, 1.0], [-1.0, -1.0], 2.0),
        (Metric::Cosine, [1.0, 1.0], [-1.1, -1.1], 2.0),
        (Metric::L1, [0.0, 0.0], [3.0, 4.0], 7.0),
        (Metric::L1, [0.0, 0.0], [0.0, 1.0], 1.0),
    ];
    for (metric, a, b, want) in examples {
        for kernel in variants(metric, Element::F32) {
            let got = between(metric, Element::F32, kernel, &a, &b).unwrap();
            if metric == Metric::Cosine {
                assert!(
                    (got - want).abs() <= f64::from(f32::EPSILON),
                    "{got} for {want}"
                );
            } else {
                assert_eq!(got, want, "{metric:?} {kernel:?}");
            }
        }
    }
}

#[test]
fn vectors_without_a_direction_have_no_norm() {
    for short in [0.0, 1e-30] {
        let mut vector = [short; 5];
        assert_eq!(inverse_norm(&vector), None);
        assert!(!normalise(&mut vector));
        assert_eq!(vector, [short; 5]);
    }
    assert_eq!(inverse_norm(&[]), None);
    // Long before the sum of squares would overflow or vanish in single precision.
    assert_eq!(inverse_norm(&[1e25, 0.0]), Some(1e-25));
    assert_eq!(inverse_norm(&[1e-20, 0.0]), Some(1e20));
}

#[test]
fn durable_values_do_not_change() {
    assert_eq!(Metric::ALL.map(|m| m as u8), [1, 2, 3, 4]);
    assert_eq!(Element::ALL.map(|e| e as u8), [1, 2]);
    for value in 0..=u8::MAX {
        assert!(Metric::from_u8(value).is_none_or(|m| m as u8 == value));
        assert!(Element::from_u8(value).is_none_or(|e| e as u8 == value));
        assert_eq!(Metric::from_u8(value).is_some(), (1..=4).contains(&value));
        assert_eq!(Element::from_u8(value).is_some(), (1..=2).contains(&value));
    }
}

/// Two vectors of one length.
fn pair() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
    let element = || prop_oneof![4 => -100.0f32..100.0, 1 => Just(0.0), 1 => -1e-3f32..1e-3];
    prop::collection::vec((element(), element()), 1..200)
        .prop_map(|pairs| pairs.into_iter().unzip())
}

/// The distance of two vectors by one kernel, both rounded to its element type first.
fn between(metric: Metric, element: Element, kernel: Kernel, a: &[f32], b: &[f32]) -> Option<f64> {
    let mut query = rounded(element, a);
    let mut inverse = 1.0;
    if metric == Metric::Cosine {
        inverse = inverse_norm(&rounded(element, b))?;
        if !normalise(&mut query) {
            return None;
        }
    }
    let raw = kernel.one(&query, &stored(element, b));
    Some(metric.distance(metric.key(raw, inverse)))
}

proptest! {
    #[test]
    fn metrics_keep_their_laws((a, b) in pair()) {
        for (metric, element, kernel) in every_kernel() {
            let distance = |a: &[f32], b: &[f32]| between(metric, element, kernel, a, b);
            let (Some(there), Some(back), Some(own)) =
                (distance(&a, &b), distance(&b, &a), distance(&a, &a))
            else {
                continue;
            };
            prop_assert!(there.is_finite());
            match metric {
                Metric::L2 | Metric::L1 => {
                    prop_assert!(there >= 0.0);
                    prop_assert_eq!(there, back);
                    prop_assert_eq!(own, 0.0);
                }
                // Which of two factors comes first makes no difference to a product.
                Metric::InnerProduct => prop_assert_eq!(there, back),
                Metric::Cosine => {
                    prop_assert!((0.0..=2.0).contains(&there));
                    prop_assert!((there - back).abs() < 1e-5);
                    prop_assert!(own < 1e-5);
                }
            }
        }
    }

    #[test]
    fn distances_order_as_keys_do(a in -1e6f32..1e6, b in -1e6f32..1e6) {
        for metric in Metric::ALL {
            let (a, b) = if metric == Metric::L2 { (a.abs(), b.abs()) } else { (a, b) };
            prop_assert_eq!(
                metric.distance(a).partial_cmp(&metric.distance(b)),
                a.partial_cmp(&b)
            );
            prop_assert_eq!(metric.key_of(metric.distance(a)), a);
        }
    }

    #[test]
    fn keys_of_distances_are_monotone(a in -1e6f64..1e6, b in -1e6f64..1e6) {
        for metric in Metric::ALL {
            prop_assert_eq!(metric.key_of(a.min(b)), metric.key_of(a).min(metric.key_of(b)));
        }
    }

    #[test]
    fn normalised_vectors_have_length_one(mut vector in prop::collection::vec(-1e10f32..1e10, 1..300)) {
        if let Some(inverse) = inverse_norm(&vector) {
            let naive: f64 = vector.iter().map(|&x| f64::from(x).powi(2)).sum();
            prop_assert!((f64::from(inverse) * naive.sqrt() - 1.0).abs() < 1e-6);
            prop_assert!(normalise(&mut vector));
            prop_assert!((squared_norm(&vector) - 1.0).abs() < 1e-5);
        }
    }
}
