//! `chrono_score` and `chrono_importance` as the formulas that they are.
//!
//! Weights that a call leaves open come from the settings when the scan begins, and are checked then
//! as the function checks them.

use chronomind_core::score::{BlendExpr, Expr, Variadic, faded_expr};

use super::parts::Place;
use super::translate::Translator;
use crate::pg::node::{Constant, Node, Shape};

/// Translates a call with these arguments, all seven of them: the planner has filled in those that
/// the statement leaves out.
pub fn translate<'p>(
    translator: &mut Translator<'_, 'p>,
    arguments: &[Node<'p>],
    place: Place<'p>,
) -> Option<Expr> {
    let &[
        distance,
        created_at,
        importance,
        decay_rate,
        recency_weight,
        importance_weight,
        as_of,
    ] = arguments
    else {
        return None;
    };
    let weights = [recency_weight, importance_weight];
    if !weights.into_iter().all(Node::is_fixed) || !(place.certain || are_sound(weights)) {
        return None;
    }
    let mut part = |name| Some(translator.parameter(translator.target.blend(name, weights)?));
    let (recency_weight, importance_weight) = (part("recency")?, part("importance")?);
    let as_of = moment(translator, as_of, place)?;
    let base_rate = translator.parameter(translator.target.blend("decay", weights)?);
    Some(Expr::Blend(Box::new(BlendExpr {
        distance: translator.value(distance, place)?,
        created_at: translator.value(created_at, place)?,
        importance: translator.value(importance, place)?,
        decay_rate: translator.value(decay_rate, place)?,
        recency_weight,
        importance_weight,
        as_of,
        base_rate,
    })))
}

/// Weights that the check which is made when the scan begins lets pass, also where no row comes to this place.
fn are_sound(weights: [Node<'_>; 2]) -> bool {
    let values = weights.map(|weight| match weight.shape() {
        Shape::Constant(Constant::Number(value)) => Some(Some(value)),
        Shape::Constant(Constant::Null) => Some(None),
        _ => None,
    });
    match values {
        [Some(None), Some(None)] => true,
        [Some(Some(recency)), Some(Some(importance))] => {
            recency >= 0.0 && importance >= 0.0 && recency + importance <= 1.0
        }
        _ => false,
    }
}

/// The same for a call of `chrono_importance`, with its four arguments.
pub fn translate_importance<'p>(
    translator: &mut Translator<'_, 'p>,
    arguments: &[Node<'p>],
    place: Place<'p>,
) -> Option<Expr> {
    let &[importance, importance_at, decay_rate, as_of] = arguments else {
        return None;
    };
    let as_of = moment(translator, as_of, place)?;
    let base_rate = translator.parameter(translator.target.base_rate()?);
    Some(faded_expr(
        translator.value(importance, place)?,
        translator.value(importance_at, place)?,
        translator.value(decay_rate, place)?,
        as_of,
        base_rate,
    ))
}

/// The moment at which ages are taken: that of the transaction where it is NULL.
fn moment<'p>(
    translator: &mut Translator<'_, 'p>,
    as_of: Node<'p>,
    place: Place<'p>,
) -> Option<Expr> {
    let now = translator.target.now();
    Some(match as_of.shape() {
        Shape::Constant(Constant::Null) => translator.parameter(now),
        Shape::Constant(_) => translator.value(as_of, place)?,
        _ if as_of.equals(now) => translator.parameter(now),
        _ => Expr::variadic(
            Variadic::Coalesce,
            [translator.value(as_of, place)?, translator.parameter(now)],
        ),
    })
}
