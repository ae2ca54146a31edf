//! The metrics: what orders rows by nearness, and what pgvector's operators make of it.

/// A metric, by the operator of pgvector that asks for it. The values are part of the durable format.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum Metric {
    /// Euclidean distance, `<->`.
    L2 = 1,
    /// Inner product, `<#>`, which returns it negated.
    InnerProduct = 2,
    /// Cosine distance, `<=>`: one minus the cosine of the angle.
    Cosine = 3,
    /// Manhattan distance, `<+>`.
    L1 = 4,
}

impl Metric {
    /// Every metric.
    pub const ALL: [Metric; 4] = [Metric::L2, Metric::InnerProduct, Metric::Cosine, Metric::L1];

    /// The metric of a durable value.
    pub fn from_u8(value: u8) -> Option<Metric> {
        Self::ALL.into_iter().find(|&metric| metric as u8 == value)
    }

    /// The order key of a raw measure: lower is nearer.
    ///
    /// `inverse_norm` is one over the length of the stored vector and is used for cosine only, where
    /// the query must have been [normalised](super::normalise). The key is the squared distance for
    /// L2 and the distance itself for the other metrics.
    #[inline]
    pub fn key(self, raw: f32, inverse_norm: f32) -> f32 {
        match self {
            Metric::L2 | Metric::L1 => raw,
            Metric::InnerProduct => -raw,
            // Rounding can take the cosine of nearly parallel vectors out of its range.
            Metric::Cosine => 1.0 - (raw * inverse_norm).clamp(-1.0, 1.0),
        }
    }

    /// The least distance that there can be, and the greatest.
    pub fn range(self) -> (f64, f64) {
        match self {
            Metric::L2 | Metric::L1 => (0.0, f64::INFINITY),
            Metric::InnerProduct => (f64::NEG_INFINITY, f64::INFINITY),
            Metric::Cosine => (0.0, 2.0),
        }
    }

    /// Whether a distance may be NaN between two vectors that have one, of these lengths at most: whether
    /// the sum of products that it is made of may overflow, on one side of zero here and on the other there,
    /// whatever the order of additions.
    pub fn overflows(self, a: f32, b: f32) -> bool {
        match self {
            Metric::L2 | Metric::L1 => false,
            // By Cauchy and Schwarz no partial sum is greater, but for what rounding adds.
            Metric::InnerProduct | Metric::Cosine => a * b >= f32::MAX / 2.0,
        }
    }

    /// The distance that pgvector's operator returns for a key.
    pub fn distance(self, key: f32) -> f64 {
        let key = f64::from(key);
        match self {
            Metric::L2 => key.sqrt(),
            Metric::InnerProduct | Metric::Cosine | Metric::L1 => key,
        }
    }

    /// How alike two vectors at a distance are, higher for nearer ones: their cosine, their inner
    /// product, or a share of 1 that falls with the distance.
    pub fn similarity(self, distance: f64) -> f64 {
        match self {
            Metric::Cosine => 1.0 - distance,
            // Not the negative of zero.
            Metric::InnerProduct => 0.0 - distance,
            Metric::L2 | Metric::L1 => 1.0 / (1.0 + distance),
        }
    }

    /// The key of a distance, for thresholds: a monotone function, rounded to the nearest key, so
    /// that rows close to a threshold have to be compared by their distance.
    ///
    /// The keys of negative distances in L2, which no row has, are below those of all rows.
    pub fn key_of(self, distance: f64) -> f32 {
        match self {
            Metric::L2 => (distance * distance.abs()) as f32,
            Metric::InnerProduct | Metric::Cosine | Metric::L1 => distance as f32,
        }
    }
}
