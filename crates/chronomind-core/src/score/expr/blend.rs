//! The standard blend as an expression: `chrono_score`.
//!
//! One call, so that a plan says what was asked for and not how it is computed.

use super::Expr;

/// The arguments of the blend.
#[derive(Debug, Clone, PartialEq)]
pub struct BlendExpr {
    /// The distance, usually [`Expr::Distance`].
    pub distance: Expr,
    /// The creation time in microseconds. [`f64::INFINITY`] where rows do not age.
    pub created_at: Expr,
    /// The importance; NULL counts as 1.
    pub importance: Expr,
    /// The decay per hour; what is not positive, and NULL, give way to the base rate.
    pub decay_rate: Expr,
    /// The weight of recency: 0 to 1.
    pub recency_weight: Expr,
    /// The weight of importance: 0 to 1.
    pub importance_weight: Expr,
    /// The moment at which ages are taken, in microseconds.
    pub as_of: Expr,
    /// The decay per hour of rows without a positive rate.
    pub base_rate: Expr,
}

impl BlendExpr {
    /// How it is written.
    pub(super) const NAME: &str = "chrono_score";

    /// In the order in which they are written.
    pub(in crate::score) fn arguments(&self) -> [&Expr; 8] {
        [
            &self.distance,
            &self.created_at,
            &self.importance,
            &self.decay_rate,
            &self.recency_weight,
            &self.importance_weight,
            &self.as_of,
            &self.base_rate,
        ]
    }
}
