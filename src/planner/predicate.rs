//! Conditions that no index clause expresses: on the distance, or on several columns.
//!
//! They stay filters above the scan, which decide. The index leaves out the rows and zones that
//! cannot meet them, and ends before it has filled its LIMIT when nothing further away can. It
//! computes the distance a little differently than the operator, so that its conditions on it are more
//! [generous](crate::am::generous).

use chronomind_core::score::{Binary, Expr, Variadic};

use super::target::Target;
use super::translate::Translator;
use crate::am::generous::{generous, substitute};
use crate::pg::interrupt;
use crate::pg::make;
use crate::pg::node::{Constant, Node, Shape};

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
        .inspect(|_| interrupt::check())
        .filter_map(|condition| generous(&translator.condition(condition)?, metric))
        .reduce(|all, one| Expr::binary(Binary::And, all, one))
        .filter(|all| all.to_string().parse::<Expr>().is_ok())
}

/// True where a condition says that a row has a distance: by its vector, or by the distance itself.
pub fn is_presence(target: &Target<'_>, condition: Node<'_>) -> bool {
    let Shape::IsNotNull(argument) = condition.shape() else {
        return false;
    };
    let is_distance = |shape: &Shape<'_>| match shape {
        Shape::Call {
            function,
            arguments,
            ..
        } => {
            *function == target.distance_function()
                && arguments.iter().any(|&side| target.is_vector(side))
                && arguments.iter().any(|side| side.is_fixed())
        }
        _ => false,
    };
    target.is_vector(argument) || is_distance(&argument.shape())
}

/// A score for which rows without a distance are infinitely far away, where the query is not NULL. Under
/// a condition that leaves them out it does not matter where they come, and first is where they cost.
pub fn with_absent_last<'p>(translator: &mut Translator<'_, 'p>, score: &Expr) -> Option<Expr> {
    let (_, query) = translator.distance_operands()?;
    let farthest = match query.shape() {
        Shape::Constant(Constant::Null) => return None,
        Shape::Constant(_) => Expr::from(f64::INFINITY),
        _ => translator.parameter(make::infinity_unless_null(query)),
    };
    let distance = Expr::variadic(Variadic::Coalesce, [Expr::Distance, farthest]);
    Some(substitute(score, &distance))
}
