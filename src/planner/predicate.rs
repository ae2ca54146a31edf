//! Conditions that no index clause expresses: on the distance, or on several columns.
//!
//! They stay filters above the scan, which decide. The index leaves out the rows and zones that
//! cannot meet them, and ends before it has filled its LIMIT when nothing further away can. It
//! computes the distance a little differently than the operator, in another order of additions; so
//! its conditions on it are more generous, by more than single precision errs.

use chronomind_core::distance::Metric;
use chronomind_core::score::{Binary, BlendExpr, Expr};

use super::translate::Translator;
use crate::am::direction::{Direction, Trust, direction};
use crate::pg::node::Node;

/// By how much a condition on a distance is more generous, relative to the distance, or to 1 where
/// it is a difference from 1.
const SLACK: f64 = 1e-4;

/// Conditions that are looked at, of those that a program may have written.
const MAX_CONDITIONS: usize = 100;

/// The conjunction of the conditions that can be translated.
pub fn of<'p>(
    translator: &mut Translator<'_, 'p>,
    conditions: impl Iterator<Item = Node<'p>>,
) -> Option<Expr> {
    let metric = translator.target.metric();
    conditions
        .take(MAX_CONDITIONS)
        .filter_map(|condition| generous(&translator.translate(condition)?, metric))
        .reduce(|all, one| Expr::binary(Binary::And, all, one))
        .filter(|all| all.to_string().parse::<Expr>().is_ok())
}

/// The condition for a distance that errs, `None` where nobody knows by how much, or where it can
/// hold for one distance and for none a little nearer or farther.
fn generous(condition: &Expr, metric: Metric) -> Option<Expr> {
    let (nearer, farther) = match metric {
        Metric::Cosine => (Expr::Distance - SLACK, Expr::Distance + SLACK),
        Metric::L2 | Metric::L1 => (
            Expr::Distance * (1.0 - SLACK),
            Expr::Distance * (1.0 + SLACK),
        ),
        // A sum whose terms cancel errs by what they were before.
        Metric::InnerProduct => {
            let is_exact = direction(condition, Trust::Nothing) == Direction::Level;
            return is_exact.then(|| condition.clone());
        }
    };
    let with = |distance: &Expr| substitute(condition, distance);
    match direction(condition, Trust::Nothing) {
        Direction::Level => Some(condition.clone()),
        Direction::Falls => Some(with(&nearer)),
        Direction::Rises => Some(with(&farther)),
        Direction::Either => Some(Expr::binary(Binary::Or, with(&nearer), with(&farther))),
        Direction::Unknown => None,
    }
}

/// The expression with something else in the place of the distance.
fn substitute(expr: &Expr, distance: &Expr) -> Expr {
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
        assert_eq!(of("distance < 0.5", Metric::InnerProduct), None);
        assert_eq!(of("distance = 0", Metric::Cosine), None);
        assert_eq!(of("abs(distance - 0.5) < 0.00001", Metric::Cosine), None);
    }
}
