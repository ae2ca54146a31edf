//! Vectors as they are stored, and their lengths in space.

use half::f16;
use half::slice::HalfFloatSliceExt;

use super::Metric;

/// The type of a stored vector's elements. The values are part of the durable format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Element {
    /// Single precision, pgvector's `vector`.
    F32 = 1,
    /// Half precision, pgvector's `halfvec`.
    F16 = 2,
}

impl Element {
    /// Every element type.
    pub const ALL: [Element; 2] = [Element::F32, Element::F16];

    /// The element type of a durable value.
    pub fn from_u8(value: u8) -> Option<Element> {
        Self::ALL
            .into_iter()
            .find(|&element| element as u8 == value)
    }

    /// Bytes that one element takes.
    pub const fn size(self) -> usize {
        match self {
            Element::F32 => size_of::<f32>(),
            Element::F16 => size_of::<f16>(),
        }
    }
}

/// Writes the elements of a stored vector (native-endian, at any alignment) to `out`.
///
/// A length that is not that of `out` panics in debug builds; release builds decode the elements that
/// both have.
pub fn decode(element: Element, bytes: &[u8], out: &mut [f32]) {
    debug_assert_eq!(bytes.len(), out.len() * element.size());
    match element {
        Element::F32 => {
            let (elements, _) = bytes.as_chunks();
            for (value, bytes) in out.iter_mut().zip(elements) {
                *value = f32::from_ne_bytes(*bytes);
            }
        }
        Element::F16 => {
            // Conversion in blocks: what looks for the machine's instructions is called for many
            // elements at once.
            const BLOCK: usize = 64;
            let (elements, _) = bytes.as_chunks();
            for (values, elements) in out.chunks_mut(BLOCK).zip(elements.chunks(BLOCK)) {
                let mut halves = [f16::ZERO; BLOCK];
                for (half, bytes) in halves.iter_mut().zip(elements) {
                    *half = f16::from_ne_bytes(*bytes);
                }
                let count = values.len().min(elements.len());
                halves[..count].convert_to_f32_slice(&mut values[..count]);
            }
        }
    }
}

/// The bytes of a vector of single precision as one of `element`s, rounded to nearest. `None` where
/// an element is too large for the type.
pub fn convert(bytes: &[u8], element: Element) -> Option<Vec<u8>> {
    match element {
        Element::F32 => Some(bytes.to_vec()),
        Element::F16 => {
            let mut values = vec![0.0; bytes.len() / Element::F32.size()];
            decode(Element::F32, bytes, &mut values);
            let halves = values.into_iter().map(f16::from_f32);
            let in_range = |half: f16| half.is_finite().then_some(half.to_ne_bytes());
            halves
                .map(in_range)
                .collect::<Option<Vec<_>>>()
                .map(|halves| halves.concat())
        }
    }
}

/// The square of a vector's length, in double precision as pgvector sums it.
pub fn squared_norm(vector: &[f32]) -> f64 {
    // Eight sums at once, because one would wait for its own last addition at every element.
    let (blocks, rest) = vector.as_chunks::<8>();
    let mut sums = [0.0; 8];
    for block in blocks {
        for (sum, &x) in sums.iter_mut().zip(block) {
            *sum += f64::from(x) * f64::from(x);
        }
    }
    sums.iter().sum::<f64>()
        + rest
            .iter()
            .map(|&x| f64::from(x) * f64::from(x))
            .sum::<f64>()
}

/// The length of a stored vector, not rounded down.
pub fn length(element: Element, vector: &[u8]) -> f32 {
    let mut values = vec![0.0; vector.len() / element.size()];
    decode(element, vector, &mut values);
    (squared_norm(&values).sqrt() as f32).next_up()
}

/// One over a vector's length, as [`Metric::key`](super::Metric::key) wants it.
///
/// `None` for a vector without a direction: one that is zero, whose cosine distance pgvector gives as
/// NaN, or so short that the square of its length is zero in single precision, where pgvector's may also be
/// 0 or 2.
pub fn inverse_norm(vector: &[f32]) -> Option<f32> {
    norm(vector).map(|norm| norm.recip() as f32)
}

/// What raw measures of a stored vector are scaled by: one over its length under cosine, else 1.
/// `None` when the vector has no distance from anything: zero under cosine.
pub fn scale(metric: Metric, element: Element, vector: &[u8]) -> Option<f32> {
    match metric {
        Metric::L2 | Metric::InnerProduct | Metric::L1 => Some(1.0),
        Metric::Cosine => {
            let mut values = vec![0.0; vector.len() / element.size()];
            decode(element, vector, &mut values);
            inverse_norm(&values)
        }
    }
}

/// Makes a query's length one and says whether that could be done: a query without a direction, as
/// [`inverse_norm`] tells, is left as it was.
#[must_use]
pub fn normalise(query: &mut [f32]) -> bool {
    let Some(norm) = norm(query) else {
        return false;
    };
    let inverse = norm.recip();
    for x in query {
        *x = (f64::from(*x) * inverse) as f32;
    }
    true
}

/// The length of a vector that has a direction.
fn norm(vector: &[f32]) -> Option<f64> {
    let squared = squared_norm(vector);
    (squared as f32 > 0.0).then(|| squared.sqrt())
}
