//! The standard blend of similarity, recency and importance: `chrono_score`.
//!
//! ```text
//! (1 - w - wi) * distance / 2  +  w * (1 - exp(-rate * age))  +  wi * (1 - importance)
//! ```
//!
//! with the age in hours, never negative. The SQL function and the search both come here, so that
//! what the index orders by is what the function returns, to the last bit.
//!
//! An importance may itself fade from the moment at which it was stated, at the row's rate: see
//! [`Blend::faded`].

use super::{Binary, BlendExpr, Expr, Unary, Variadic};

/// Microseconds in an hour.
const HOUR: f64 = 3.6e9;

/// Weights and clock of the blend.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Blend {
    /// Weight of recency, `w`: 0 to 1.
    pub recency_weight: f64,
    /// Weight of importance, `wi`: 0 to 1, and at most 1 together with `w`.
    pub importance_weight: f64,
    /// Decay per hour of rows that have no positive rate of their own: finite, not negative.
    pub base_rate: f64,
    /// The moment at which ages are taken: microseconds since 2000-01-01, `i64::MIN` and
    /// `i64::MAX` are the infinities.
    pub as_of: i64,
}

/// What made a score.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Terms {
    /// The distance, as it was given.
    pub distance: Option<f64>,
    /// `exp(-rate * age)`: 1 for what is new, falling to 0. NULL where the creation time is.
    pub recency: Option<f64>,
    /// The importance, 1 where it is NULL.
    pub importance: f64,
}

impl Blend {
    /// The terms of a row. Times are microseconds since 2000-01-01 as in [`Blend::as_of`]; a rate
    /// that is NULL, zero or negative gives way to the base rate.
    pub fn terms(
        &self,
        distance: Option<f64>,
        created_at: Option<i64>,
        importance: Option<f64>,
        rate: Option<f64>,
    ) -> Terms {
        let recency = created_at.map(|created_at| recency(self.rate(rate), self.age(created_at)));
        Terms {
            distance,
            recency,
            importance: importance.unwrap_or(1.0),
        }
    }

    /// The score of a row: NULL where the distance or the creation time is.
    pub fn score_of(
        &self,
        distance: Option<f64>,
        created_at: Option<i64>,
        importance: Option<f64>,
        rate: Option<f64>,
    ) -> Option<f64> {
        let terms = self.terms(distance, created_at, importance, rate);
        Some(self.sum(terms.distance?, terms.recency?, terms.importance))
    }

    /// What is left of an importance that was stated at that time: `importance * exp(-rate * age)`,
    /// its rate that of [`terms`](Blend::terms). An importance stated at no time does not fade.
    pub fn faded(
        &self,
        importance: Option<f64>,
        stated_at: Option<i64>,
        rate: Option<f64>,
    ) -> Option<f64> {
        let left = stated_at.map_or(1.0, |at| recency(self.rate(rate), self.age(at)));
        Some(importance? * left)
    }

    /// The same as an expression; [`Expr::Null`] for a rate that rows do not have.
    pub fn faded_expr(&self, importance: Expr, stated_at: Expr, rate: Expr) -> Expr {
        let as_of = microseconds(self.as_of).into();
        faded_expr(importance, stated_at, rate, as_of, self.base_rate.into())
    }

    /// The blend as an expression. Without a creation time no row ages, without an importance every
    /// row has 1, and without a decay rate every row has the base rate.
    pub fn expr(
        &self,
        created_at: Option<Expr>,
        importance: Option<Expr>,
        decay_rate: Option<Expr>,
    ) -> Expr {
        Expr::Blend(Box::new(BlendExpr {
            distance: Expr::Distance,
            created_at: created_at.unwrap_or(Expr::Constant(f64::INFINITY)),
            importance: importance.unwrap_or(Expr::Constant(1.0)),
            decay_rate: decay_rate.unwrap_or(Expr::Null),
            recency_weight: self.recency_weight.into(),
            importance_weight: self.importance_weight.into(),
            as_of: microseconds(self.as_of).into(),
            base_rate: self.base_rate.into(),
        }))
    }

    fn sum(&self, distance: f64, recency: f64, importance: f64) -> f64 {
        // Weights that add to 1 can round to just above it.
        let similarity_weight = (1.0 - self.recency_weight - self.importance_weight).max(0.0);
        weighted(similarity_weight, distance / 2.0)
            + weighted(self.recency_weight, 1.0 - recency)
            + weighted(self.importance_weight, 1.0 - importance)
    }

    fn rate(&self, rate: Option<f64>) -> f64 {
        rate.filter(|&rate| !is_default(rate))
            .unwrap_or(self.base_rate)
    }

    /// Hours from a time to the clock, at least 0.
    fn age(&self, created_at: i64) -> f64 {
        if created_at >= self.as_of {
            0.0
        } else {
            (microseconds(self.as_of) - microseconds(created_at)) / HOUR
        }
    }
}

/// What is left at a moment of an importance that was stated at another, as [`Blend::faded`] has it:
/// times in microseconds, rates per hour.
pub fn faded_expr(
    importance: Expr,
    stated_at: Expr,
    rate: Expr,
    as_of: Expr,
    base_rate: Expr,
) -> Expr {
    let zero = || Expr::from(0.0);
    let exceeds = |x: Expr, y: Expr| Expr::binary(Binary::Greater, x, y);
    // What the conditions around them say already, said again for the bounds of zones.
    let at_least_zero = |x: Expr| Expr::variadic(Variadic::Greatest, [x, zero()]);
    let rate = Expr::case(
        [(exceeds(rate.clone(), zero()), at_least_zero(rate))],
        base_rate,
    );
    let age = at_least_zero((as_of.clone() - stated_at.clone()) / HOUR);
    let fades = Expr::binary(
        Binary::And,
        exceeds(as_of, stated_at),
        exceeds(rate.clone(), zero()),
    );
    let left = Expr::unary(Unary::Exp, -rate * age);
    importance * Expr::case([(fades, left)], 1.0.into())
}

/// A timestamp in microseconds since 2000-01-01 as a number, which the infinities are too.
pub fn microseconds(timestamp: i64) -> f64 {
    match timestamp {
        i64::MIN => f64::NEG_INFINITY,
        i64::MAX => f64::INFINITY,
        timestamp => timestamp as f64,
    }
}

/// A term without weight does not count, not even when it is infinite or NaN.
fn weighted(weight: f64, term: f64) -> f64 {
    if weight == 0.0 { 0.0 } else { weight * term }
}

/// True for a rate that stands for the base rate. NaN does not: in Postgres it is above zero.
fn is_default(rate: f64) -> bool {
    rate <= 0.0
}

/// Nothing has faded at age 0, and nothing fades at rate 0, be the other infinite.
fn recency(rate: f64, age: f64) -> f64 {
    if rate == 0.0 || age == 0.0 {
        1.0
    } else {
        (-rate * age).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const BLEND: Blend = Blend {
        recency_weight: 0.3,
        importance_weight: 0.2,
        base_rate: 0.1,
        as_of: 0,
    };
    const HOURS: i64 = 3_600_000_000;

    #[test]
    fn matches_the_formula() {
        let score = BLEND
            .score_of(Some(0.4), Some(-10 * HOURS), Some(0.25), Some(0.05))
            .unwrap();
        let expected = 0.5 * 0.4 / 2.0 + 0.3 * (1.0 - (-0.5_f64).exp()) + 0.2 * 0.75;
        assert!((score - expected).abs() < 1e-15);
    }

    #[test]
    fn importance_fades_from_its_statement() {
        let left = BLEND
            .faded(Some(0.8), Some(-10 * HOURS), Some(0.05))
            .unwrap();
        assert!((left - 0.8 * (-0.5_f64).exp()).abs() < 1e-15);
        // In two steps as in one.
        let earlier = Blend {
            as_of: -4 * HOURS,
            ..BLEND
        };
        let between = earlier.faded(Some(0.8), Some(-10 * HOURS), Some(0.05));
        let again = BLEND.faded(between, Some(-4 * HOURS), Some(0.05)).unwrap();
        assert!((again - left).abs() < 1e-15);
        assert_eq!(BLEND.faded(Some(0.8), Some(HOURS), None), Some(0.8));
        assert_eq!(BLEND.faded(Some(0.8), None, None), Some(0.8));
        assert_eq!(BLEND.faded(None, Some(-HOURS), None), None);
        assert_eq!(BLEND.faded(Some(0.8), Some(i64::MIN), None), Some(0.0));
    }

    #[test]
    fn missing_and_infinite_arguments() {
        let at = |created, importance, rate| BLEND.score_of(Some(0.4), created, importance, rate);
        let plain = at(Some(-HOURS), Some(1.0), Some(0.1));
        assert_eq!(BLEND.score_of(None, Some(0), None, None), None);
        assert_eq!(at(None, None, None), None);
        for rate in [None, Some(0.0), Some(-3.0), Some(f64::NEG_INFINITY)] {
            assert_eq!(at(Some(-HOURS), None, rate), plain);
        }
        let new = BLEND.score_of(Some(0.4), Some(0), None, None).unwrap();
        let old = BLEND
            .score_of(Some(0.4), Some(i64::MIN), None, None)
            .unwrap();
        assert!((new - 0.1).abs() < 1e-15 && (old - 0.4).abs() < 1e-15);
        assert_eq!(at(Some(HOURS), None, None), Some(new), "from the future");
        assert_eq!(at(Some(i64::MAX), None, None), Some(new));
        assert_eq!(at(Some(0), None, Some(f64::INFINITY)), Some(new));
        assert_eq!(at(Some(-1), None, Some(f64::INFINITY)), Some(old));
        assert!(at(Some(-1), None, Some(f64::NAN)).unwrap().is_nan());
        assert!(at(Some(0), Some(f64::NAN), None).unwrap().is_nan());
        let ever = Blend {
            as_of: i64::MAX,
            ..BLEND
        };
        assert_eq!(
            ever.score_of(Some(0.4), Some(i64::MAX), None, None),
            Some(new)
        );
        assert_eq!(ever.score_of(Some(0.4), Some(0), None, None), Some(old));
    }

    #[test]
    fn a_term_without_weight_does_not_count() {
        let only = |recency_weight, importance_weight| Blend {
            recency_weight,
            importance_weight,
            ..BLEND
        };
        let wild = (Some(f64::INFINITY), Some(f64::NAN), Some(f64::NAN));
        assert_eq!(
            only(0.9, 0.1).score_of(wild.0, Some(0), None, None),
            Some(0.0)
        );
        assert_eq!(
            only(0.0, 0.0).score_of(Some(0.5), Some(-1), wild.1, wild.2),
            Some(0.25)
        );
    }
}
