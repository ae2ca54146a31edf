//! Conditions on a distance that is computed a little differently than Postgres computes it.
//!
//! What a condition of the index drops is lost, and what it lets pass is looked at again. The index
//! sums a distance in another order of additions than pgvector does; so its conditions are more generous,
//! by more than single precision errs. That is a part of the distance, or of 1 where it is a difference
//! from 1, and is written into the plan. An inner product errs by a part of what its terms were before they
//! cancelled, which is known when the scan begins: the lengths of the query and of the longest vector.

use chronomind_core::distance::Metric;
use chronomind_core::score::{Binary, BlendExpr, Expr};

use super::direction::{Direction, Trust, direction};

/// By how much a condition on a distance is more generous, relative to the distance, or to 1 where
/// it is a difference from 1.
const SLACK: f64 = 1e-4;

/// The condition for a distance that errs, as the planner writes it, `None` where nobody knows by how much, or where it can
/// hold for one distance and for none a little nearer or farther.
pub fn generous(condition: &Expr, metric: Metric) -> Option<Expr> {
    let (nearer, farther) = match metric {
        Metric::Cosine => (Expr::Distance - SLACK, Expr::Distance + SLACK),
        Metric::L2 | Metric::L1 => (
            Expr::Distance * (1.0 - SLACK),
            Expr::Distance * (1.0 + SLACK),
        ),
        // A sum whose terms cancel errs by what they were before, which the scan finds out.
        Metric::InnerProduct => (Expr::Distance, Expr::Distance),
    };
    between(condition, &nearer, &farther)
}

/// The condition for distances between two, `None` where it can hold in between alone.
fn between(condition: &Expr, nearer: &Expr, farther: &Expr) -> Option<Expr> {
    let with = |distance: &Expr| substitute(condition, distance);
    match direction(condition, Trust::Nothing) {
        Direction::Level => Some(condition.clone()),
        Direction::Falls => Some(with(nearer)),
        Direction::Rises => Some(with(farther)),
        Direction::Either if nearer == farther => Some(condition.clone()),
        Direction::Either => Some(Expr::binary(Binary::Or, with(nearer), with(farther))),
        Direction::Unknown => None,
    }
}

/// The conditions for a distance that errs by so much at most; those are left out that cannot be kept.
pub fn generous_by(conditions: &Expr, error: f64) -> Option<Expr> {
    if let Expr::Binary(Binary::And, left, right) = conditions {
        return match (generous_by(left, error), generous_by(right, error)) {
            (Some(left), Some(right)) => Some(Expr::binary(Binary::And, left, right)),
            (one, other) => one.or(other),
        };
    }
    if !error.is_finite() {
        let is_exact = direction(conditions, Trust::Nothing) == Direction::Level;
        return is_exact.then(|| conditions.clone());
    }
    let (nearer, farther) = (Expr::Distance - error, Expr::Distance + error);
    between(conditions, &nearer, &farther)
}

/// By how much two inner products of a query with a vector of at most that length may differ, in whatever
/// order each of them is summed in single precision; infinite where one may overflow.
///
/// A sum of n products errs by n units of rounding relative to the sum of their sizes at most (Higham,
/// Accuracy and Stability of Numerical Algorithms, 2nd ed., 2002, 3.1), which is no more than the product
/// of the lengths (Cauchy and Schwarz). Twice that for two, and twice that to be safe.
pub fn inner_product_error(query: &[f32], longest: f32) -> f64 {
    let unit = f64::from(f32::EPSILON) / 2.0;
    let dimensions = query.len() as f64 + 4.0;
    let squares = query
        .iter()
        .map(|&element| f64::from(element) * f64::from(element));
    let product = squares.sum::<f64>().sqrt() * f64::from(longest);
    if product >= f64::from(f32::MAX) / 2.0 {
        return f64::INFINITY;
    }
    // What is too small for a float is lost with each product.
    dimensions * (4.0 * unit * product + f64::from(f32::MIN_POSITIVE))
}

/// The expression with something else in the place of the distance.
pub fn substitute(expr: &Expr, distance: &Expr) -> Expr {
    let of = |expr: &Expr| substitute(expr, distance);
    match expr {
        Expr::Distance => distance.clone(),
        Expr::Unary(function, argument) => Expr::unary(*function, of(argument)),
        Expr::Binary(function, left, right) => Expr::binary(*function, of(left), of(right)),
        Expr::Variadic(function, arguments) => {
            Expr::variadic(*function, arguments.iter().map(of).collect::<Vec<_>>())
        }
        Expr::Case {
            branches,
            otherwise,
        } => {
            let branches = branches
                .iter()
                .map(|(condition, value)| (of(condition), of(value)));
            Expr::case(branches.collect::<Vec<_>>(), of(otherwise))
        }
        Expr::Blend(blend) => Expr::Blend(Box::new(BlendExpr {
            distance: of(&blend.distance),
            created_at: of(&blend.created_at),
            importance: of(&blend.importance),
            decay_rate: of(&blend.decay_rate),
            recency_weight: of(&blend.recency_weight),
            importance_weight: of(&blend.importance_weight),
            as_of: of(&blend.as_of),
            base_rate: of(&blend.base_rate),
        })),
        Expr::Constant(_) | Expr::Null | Expr::Parameter(_) | Expr::Attribute(_) => expr.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(text: &str, metric: Metric) -> Option<String> {
        Some(generous(&text.parse().unwrap(), metric)?.to_string())
    }

    #[test]
    fn thresholds_are_generous() {
        assert_eq!(
            of("1 - distance >= 0.7", Metric::Cosine).as_deref(),
            Some("1 - (distance - 0.0001) >= 0.7")
        );
        assert_eq!(
            of("distance > 0.5", Metric::L2).as_deref(),
            Some("distance * 1.0001 > 0.5")
        );
        assert_eq!(
            of("distance * importance < 1", Metric::Cosine).as_deref(),
            Some("(distance - 0.0001) * importance < 1 OR (distance + 0.0001) * importance < 1")
        );
    }

    #[test]
    fn some_conditions_are_left_alone() {
        let exact = "importance > 0.5 OR decay < 0.5";
        assert_eq!(of(exact, Metric::Cosine).as_deref(), Some(exact));
        assert_eq!(of(exact, Metric::InnerProduct).as_deref(), Some(exact));
        assert_eq!(
            of("distance < 0.5", Metric::InnerProduct).as_deref(),
            Some("distance < 0.5")
        );
        assert_eq!(of("distance = 0.5", Metric::InnerProduct), None);
        assert_eq!(of("distance = 0", Metric::Cosine), None);
        assert_eq!(of("abs(distance - 0.5) < 0.00001", Metric::Cosine), None);
    }

    #[test]
    fn inner_products_are_allowed_for_when_their_error_is_known() {
        let of = |text: &str, error| Some(generous_by(&text.parse().unwrap(), error)?.to_string());
        let all = "distance < -5 AND importance > 0.5 AND distance > -7";
        assert_eq!(
            of(all, 0.25).as_deref(),
            Some("distance - 0.25 < -5 AND importance > 0.5 AND distance + 0.25 > -7")
        );
        assert_eq!(of(all, f64::INFINITY).as_deref(), Some("importance > 0.5"));
        assert_eq!(of("distance < 1", f64::INFINITY), None);
    }

    #[test]
    fn inner_products_err_by_less_than_is_allowed_for() {
        // Large terms that cancel, summed forwards and backwards.
        let (mut one, mut other) = (Vec::new(), Vec::new());
        for i in 0..1000_u16 {
            one.push(f32::from(i) * 1.1 + 0.3);
            other.push(if i % 2 == 0 { 1e4 } else { -1e4 });
        }
        let products = || one.iter().zip(&other).map(|(x, y)| x * y);
        let (forwards, backwards) = (products().sum::<f32>(), products().rev().sum::<f32>());
        assert_ne!(forwards, backwards);
        let length = other.iter().map(|x| x * x).sum::<f32>().sqrt();
        let difference = f64::from(forwards) - f64::from(backwards);
        assert!(difference.abs() <= inner_product_error(&one, length));
        assert_eq!(inner_product_error(&[1e30], 1e30), f64::INFINITY);
    }
}
