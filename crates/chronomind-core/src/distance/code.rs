//! Vectors in eight bits: what a walk measures, before it measures the few that count in full.
//!
//! A walk is bound by memory, and a code has a quarter of the bytes of a vector in single precision.
//! An element is a multiple, from -127 to 127, of the vector's own scale, and with a code is kept how
//! far it is from its vector, so that a product of codes comes with an error that it cannot exceed:
//!
//! ```text
//! |<q, v> - <q', v'>|  <=  |q - q'| |v| + |q'| |v - v'|      (Cauchy-Schwarz)
//! ```
//!
//! Errors are kept relative to the vector's length. They point in directions that have nothing to do
//! with the other vector's, so the error to expect is smaller by the root of the dimensions.

use super::Metric;

/// Vectors of fewer dimensions have no codes: they fit into a few cache lines themselves.
const FEWEST_DIMENSIONS: usize = 64;

/// How many times the error to be expected a key must be, for the code to do in place of the vector.
/// Between vectors that are nearer, all that a code says may be its error.
const CLEAR: f64 = 100.0;

/// Whether vectors are coded. The Manhattan distance is no function of products.
pub fn has_codes(metric: Metric, dimensions: usize) -> bool {
    metric != Metric::L1 && dimensions >= FEWEST_DIMENSIONS
}

/// What is known of a coded vector beside its elements.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Scale {
    /// What an element of the code stands for.
    pub unit: f32,
    /// The length of the vector.
    pub length: f32,
    /// The length of the difference between code and vector, in lengths of the vector; not below it.
    pub error: f32,
}

/// Writes the code of a vector.
pub fn encode(vector: &[f32], code: &mut [i8]) -> Scale {
    let most = largest(vector);
    let unit = unit_of(most, 127);
    let into = |x: f32| if unit > 0.0 { (x / unit).round() } else { 0.0 };
    let mut missed = 0.0;
    for (element, &x) in code.iter_mut().zip(vector) {
        *element = into(x) as i8;
        missed += (f64::from(x) - f64::from(unit) * f64::from(*element)).powi(2);
    }
    let length = super::squared_norm(vector).sqrt();
    Scale {
        unit,
        length: length as f32,
        error: relative(missed, length),
    }
}

fn largest(vector: &[f32]) -> f32 {
    vector.iter().fold(0.0, |most, x| x.abs().max(most))
}

/// What one of so many steps to the largest element stands for. 0 where it would be subnormal: so coarsely
/// rounded that the largest element could come to more steps than a code has.
fn unit_of(most: f32, steps: i32) -> f32 {
    let unit = most / steps as f32;
    if unit.is_normal() { unit } else { 0.0 }
}

/// A relative error, rounded up; infinite where there is no telling, or the length itself is rounded too
/// coarsely.
fn relative(squared: f64, length: f64) -> f32 {
    if length != 0.0 && !(length as f32).is_normal() {
        return f32::INFINITY;
    }
    let error = squared.sqrt() / length;
    if error.is_nan() {
        return if squared == 0.0 { 0.0 } else { f32::INFINITY };
    }
    (error as f32).next_up()
}

/// A vector that codes are measured from.
#[derive(Debug, Clone, Default)]
pub struct CodeQuery {
    elements: Vec<i16>,
    scale: Scale,
    /// What rounding adds to an error at most: lengths are rounded, and so are the sums of a full measure.
    rounding: f64,
    /// What a full measure may lose of a product of lengths because the products of elements are too small.
    lost: f64,
    /// [`CLEAR`] times what part of an error is to be expected.
    clear: f64,
}

impl CodeQuery {
    /// Takes a vector in sixteen bits, or as many less as keep sums of products in range.
    pub fn set(&mut self, vector: &[f32]) {
        let most = largest(vector);
        let steps = i32::MAX / (128 * vector.len().max(1) as i32);
        let unit = unit_of(most, steps.min(i32::from(i16::MAX)));
        let into = |x: f32| if unit > 0.0 { (x / unit).round() } else { 0.0 };
        self.elements.clear();
        self.elements.extend(vector.iter().map(|&x| into(x) as i16));
        let missed = self.elements.iter().zip(vector);
        let missed = missed
            .map(|(&element, &x)| (f64::from(x) - f64::from(unit) * f64::from(element)).powi(2))
            .sum();
        let length = super::squared_norm(vector).sqrt();
        self.take(Scale {
            unit,
            length: length as f32,
            error: relative(missed, length),
        });
    }

    /// Takes a vector in eight bits, from its code.
    pub fn set_code(&mut self, code: &[i8], scale: Scale) {
        self.elements.clear();
        self.elements.extend(code.iter().map(|&x| i16::from(x)));
        self.take(scale);
    }

    fn take(&mut self, scale: Scale) {
        let dimensions = self.elements.len() as f64;
        self.scale = scale;
        self.rounding = dimensions * f64::from(f32::EPSILON);
        self.lost = dimensions * f64::from(f32::MIN_POSITIVE);
        self.clear = CLEAR / dimensions.sqrt();
    }

    /// Puts what [`Products`] found for some codes into the terms of a metric.
    #[inline(always)]
    pub fn estimate(
        &self,
        metric: Metric,
        products: &[i32; TOGETHER],
        scales: &[Scale; TOGETHER],
    ) -> Estimates {
        match metric {
            Metric::L2 | Metric::L1 => self.estimate_by(products, scales, |terms| {
                let Terms { product, a, b, .. } = terms;
                let lengths = a * a + b * b;
                let rounding = lengths * 2.0 * self.rounding + self.lost;
                (
                    (lengths - 2.0 * product).max(0.0),
                    2.0 * a * b * terms.error + rounding,
                    2.0 * a * b * terms.clear,
                )
            }),
            Metric::InnerProduct => self.estimate_by(products, scales, |terms| {
                let Terms { product, a, b, .. } = terms;
                (
                    -product,
                    a * b * (terms.error + self.rounding) + self.lost,
                    a * b * terms.clear - a * b,
                )
            }),
            Metric::Cosine => self.estimate_by(products, scales, |terms| {
                let inverse = (terms.a * terms.b).recip();
                (
                    1.0 - (terms.product * inverse).clamp(-1.0, 1.0),
                    terms.error + self.rounding + self.lost * inverse,
                    terms.clear,
                )
            }),
        }
    }

    /// By a key, its error, and the least key that is clear.
    #[inline(always)]
    fn estimate_by(
        &self,
        products: &[i32; TOGETHER],
        scales: &[Scale; TOGETHER],
        of: impl Fn(Terms) -> (f64, f64, f64),
    ) -> Estimates {
        let mut estimates = Estimates::default();
        for at in 0..TOGETHER {
            let scale = scales[at];
            let (a, b) = (f64::from(self.scale.length), f64::from(scale.length));
            let (e, f) = (f64::from(self.scale.error), f64::from(scale.error));
            let units = f64::from(self.scale.unit) * f64::from(scale.unit);
            let error = e + f + e * f;
            let (key, error, clear) = of(Terms {
                product: units * f64::from(products[at]),
                a,
                b,
                error,
                clear: error * self.clear,
            });
            // Infinities and NaN are not below.
            let is_in_range = (a * b < f64::INFINITY) & (key.abs() + error < f64::from(f32::MAX));
            estimates.keys[at] = key as f32;
            estimates.errors[at] = if is_in_range {
                error as f32
            } else {
                f32::INFINITY
            };
            estimates.clear[at] = (key >= clear) & is_in_range;
        }
        estimates
    }

    /// The elements, for [`Products`].
    #[inline(always)]
    pub fn elements(&self) -> &[i16] {
        &self.elements
    }
}

/// What an estimate is made of: the product, both lengths, and the relative errors that there can be and
/// that a key has to be far above.
struct Terms {
    product: f64,
    a: f64,
    b: f64,
    error: f64,
    clear: f64,
}

/// Codes that are measured together.
pub const TOGETHER: usize = 8;

/// What codes tell of the keys between one vector and others.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub struct Estimates {
    /// The keys, or such as are near them.
    pub keys: [f32; TOGETHER],
    /// How far from them the true keys are at most. Infinite where nothing is known.
    pub errors: [f32; TOGETHER],
    /// Whether the error to expect is small beside the key. Never where the numbers are out of range.
    pub clear: [bool; TOGETHER],
}

pub(super) type Sums = fn(&[i16], &[&[i8]; TOGETHER]) -> [i32; TOGETHER];

/// The sums of the products of a query's elements and those of codes.
#[derive(Debug, Clone, Copy)]
pub struct Products(Sums);

impl Products {
    /// The fastest for this machine.
    pub fn new() -> Products {
        #[cfg(target_arch = "x86_64")]
        if let Some(&products) = super::x86_64::code_products().first() {
            return Products(products);
        }
        Products(portable)
    }

    /// The sums; the codes are as long as the query.
    #[inline(always)]
    pub fn sums(&self, query: &[i16], codes: &[&[i8]; TOGETHER]) -> [i32; TOGETHER] {
        (self.0)(query, codes)
    }
}

impl Default for Products {
    fn default() -> Products {
        Products::new()
    }
}

fn portable(query: &[i16], codes: &[&[i8]; TOGETHER]) -> [i32; TOGETHER] {
    codes.map(|code| sum(query, code))
}

/// In a form that compilers make the target's own vector instructions of.
pub(super) fn sum(query: &[i16], code: &[i8]) -> i32 {
    let products = query
        .iter()
        .zip(code)
        .map(|(&x, &y)| i32::from(x) * i32::from(y));
    products.fold(0, i32::wrapping_add)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::{Element, Kernel};
    use proptest::prelude::*;

    fn bytes(vector: &[f32]) -> Vec<u8> {
        vector.iter().flat_map(|x| x.to_ne_bytes()).collect()
    }

    fn full_key(metric: Metric, query: &[f32], vector: &[f32]) -> f32 {
        let raw = Kernel::new(metric, Element::F32).one(query, &bytes(vector));
        let inverse = match metric {
            Metric::Cosine => {
                let norms = super::super::squared_norm(query) * super::super::squared_norm(vector);
                norms.sqrt().recip() as f32
            }
            _ => 1.0,
        };
        // Queries by cosine have length one, or this could be out of range.
        if !inverse.is_normal() {
            return f32::NAN;
        }
        metric.key(raw, inverse)
    }

    fn vectors() -> impl Strategy<Value = (Vec<f32>, Vec<f32>)> {
        let element = prop_oneof![-1.0..1.0_f32, -1e-3..1e-3_f32, Just(0.0), -50.0..50.0_f32];
        (1..150_usize).prop_flat_map(move |n| {
            let vector = || prop::collection::vec(element.clone(), n);
            (vector(), vector())
        })
    }

    /// Every way to sum products that this machine has.
    fn variants() -> Vec<Sums> {
        let mut variants: Vec<Sums> = vec![portable];
        #[cfg(target_arch = "x86_64")]
        variants.extend(crate::distance::x86_64::code_products());
        variants
    }

    /// The same code in every place.
    fn estimate(query: &CodeQuery, metric: Metric, code: &[i8], scale: Scale) -> Estimates {
        let sums = Products::new().sums(query.elements(), &[code; TOGETHER]);
        let estimates = query.estimate(metric, &sums, &[scale; TOGETHER]);
        for at in 1..TOGETHER {
            assert_eq!(estimates.keys[at].to_bits(), estimates.keys[0].to_bits());
            assert_eq!(estimates.errors[at], estimates.errors[0]);
            assert_eq!(estimates.clear[at], estimates.clear[0]);
        }
        estimates
    }

    proptest! {
        #[test]
        fn all_variants_find_the_same_sums(
            query in prop::collection::vec(any::<i8>().prop_map(|x| 100 * i16::from(x)), 0..150),
            codes in prop::array::uniform8(prop::collection::vec(-127..=127_i8, 150)),
        ) {
            let codes = codes.each_ref().map(|code| &code[..query.len()]);
            let expected = codes.map(|code| sum(&query, code));
            for sums in variants() {
                prop_assert_eq!(sums(&query, &codes), expected);
            }
        }

        #[test]
        fn errors_are_not_exceeded(
            (mut query, mut vector) in vectors(),
            own in any::<bool>(),
            scales in prop_oneof![Just([1.0; 2]), prop::array::uniform2(-42..19)
                .prop_map(|tens| tens.map(|tens| 10_f64.powi(tens) as f32))],
        ) {
            query.iter_mut().for_each(|x| *x *= scales[0]);
            vector.iter_mut().for_each(|x| *x *= scales[1]);
            prop_assume!(largest(&query) > 0.0 && largest(&vector) > 0.0);
            let mut code = vec![0; vector.len()];
            let scale = encode(&vector, &mut code);
            let mut from = CodeQuery::default();
            if own {
                let mut code = vec![0; query.len()];
                let scale = encode(&query, &mut code);
                from.set_code(&code, scale);
            } else {
                from.set(&query);
            }
            for metric in [Metric::L2, Metric::InnerProduct, Metric::Cosine] {
                let estimates = estimate(&from, metric, &code, scale);
                let (estimate, error) = (estimates.keys[0], estimates.errors[0]);
                let key = full_key(metric, &query, &vector);
                prop_assert!(
                    key.is_nan() || error.is_infinite() || (key - estimate).abs() <= error,
                    "{metric:?} {key} {estimates:?}"
                );
            }
        }
    }

    #[test]
    fn the_longest_vectors_do_not_overflow() {
        for dimensions in [16_000, 384] {
            let ones = vec![1.0; dimensions];
            let mut code = vec![0; dimensions];
            let scale = encode(&ones, &mut code);
            let mut query = CodeQuery::default();
            query.set(&ones);
            let estimates = estimate(&query, Metric::InnerProduct, &code, scale);
            assert!((estimates.keys[0] + dimensions as f32).abs() <= 1e-3 * dimensions as f32);
        }
    }

    #[test]
    fn codes_tell_what_they_cannot_tell() {
        let near = |x: f32| {
            (0..128)
                .map(|i| if i == 0 { x } else { 1.0 })
                .collect::<Vec<_>>()
        };
        let mut query = CodeQuery::default();
        query.set(&near(1.0));
        let clear = |vector: &[f32]| {
            let mut code = vec![0; vector.len()];
            let scale = encode(vector, &mut code);
            estimate(&query, Metric::L2, &code, scale).clear[0]
        };
        assert!(!clear(&near(1.001)));
        assert!(clear(&near(90.0)));
    }

    #[test]
    fn lengths_that_are_rounded_coarsely_tell_nothing() {
        let sign = |i: usize| if i.is_multiple_of(3) { -1.0 } else { 1.0 };
        let vector = |x: f32| (0..65).map(|i| x * sign(i)).collect::<Vec<_>>();
        for (long, short) in [(1.4e18, 1.2e-45), (5e25, 4e-43)] {
            for (query_of, coded) in [(long, short), (short, long)] {
                let mut code = vec![0; 65];
                let scale = encode(&vector(coded), &mut code);
                let mut query = CodeQuery::default();
                query.set(&vector(query_of));
                let estimates = estimate(&query, Metric::InnerProduct, &code, scale);
                assert_eq!(estimates.errors[0], f32::INFINITY);
            }
        }
    }

    /// A unit that cannot be told closely, and a length that cannot be told at all.
    #[test]
    fn nothing_is_told_of_vectors_out_of_range() {
        let tiny = |x: u32| f32::from_bits(x);
        let small: Vec<f32> = (0..64)
            .map(|i| tiny(if i < 32 { 190 } else { 64 }))
            .collect();
        for (metric, vector) in [
            (Metric::InnerProduct, small),
            (Metric::Cosine, vec![5e37; 64]),
        ] {
            let mut code = vec![0; vector.len()];
            let scale = encode(&vector, &mut code);
            let mut query = CodeQuery::default();
            query.set(&[1e30; 64]);
            let estimates = estimate(&query, metric, &code, scale);
            let product: f64 = vector.iter().map(|&x| f64::from(x) * 1e30).sum();
            let key = match metric {
                Metric::Cosine => 0.0,
                _ => -product,
            };
            let error = (key - f64::from(estimates.keys[0])).abs();
            assert!(error <= f64::from(estimates.errors[0]));
            assert!(!estimates.clear[0]);
        }
    }
}
