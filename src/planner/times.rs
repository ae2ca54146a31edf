//! Times and the time between them.

use chronomind_core::score::{Binary, Expr, Unary};

use super::functions::{self, Meaning, Source};
use super::parts::Place;
use super::translate::Translator;
use crate::pg::node::{Constant, Node, Shape};

/// Microseconds in a second.
const SECOND: f64 = 1e6;
/// Seconds in a day.
const DAY: f64 = 86_400.0;
/// Seconds from 1970-01-01 to 2000-01-01.
const EPOCH: f64 = 946_684_800.0;

impl<'p> Translator<'_, 'p> {
    /// The time between two timestamps in microseconds. Other intervals may have months, which last
    /// longer to `extract` than to a comparison.
    pub(super) fn elapsed(&mut self, shape: Shape<'p>, place: Place<'p>) -> Option<Expr> {
        match shape {
            Shape::Relabelled(inner) => self.value(inner, place),
            Shape::Call {
                function,
                arguments,
                ..
            } if functions::meaning(function) == Some(Meaning::Binary(Binary::Subtract)) => {
                let &[left, right] = &arguments[..] else {
                    return None;
                };
                self.binary(Binary::Subtract, left, right, place)
            }
            _ => None,
        }
    }

    /// `extract(epoch from x)`, and the days of the time between two timestamps.
    pub(super) fn extract(
        &mut self,
        source: Source,
        field: Node<'p>,
        argument: Node<'p>,
        place: Place<'p>,
    ) -> Option<Expr> {
        let Shape::Constant(Constant::Text(field)) = field.shape() else {
            return None;
        };
        let value = self.value(argument, place)?;
        match (field.to_ascii_lowercase().as_str(), source) {
            ("epoch", Source::Interval) => Some(value / SECOND),
            ("day" | "days", Source::Interval) => {
                let endless = Expr::binary(
                    Binary::Equal,
                    Expr::unary(Unary::Abs, value.clone()),
                    f64::INFINITY.into(),
                );
                let days = Expr::unary(Unary::Trunc, value / (DAY * SECOND));
                Some(Expr::case([(endless, Expr::Null)], days))
            }
            ("epoch", Source::Timestamp) => Some((value + EPOCH * SECOND) / SECOND),
            ("epoch", Source::Date) => Some((value + EPOCH / DAY) * DAY),
            _ => None,
        }
    }
}
