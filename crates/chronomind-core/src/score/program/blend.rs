//! The formula of the standard blend, as operations.
//!
//! It has the value of [`Blend::score_of`](crate::score::Blend::score_of) to the last bit, and its
//! range is as tight as the ranges of its arguments allow.

use super::super::AttributeKind;
use super::super::expr::{Binary, BlendExpr, Unary, Variadic};
use super::Operation;
use super::compile::{Compiler, Result};

/// Microseconds in an hour.
const HOUR: f64 = 3.6e9;

impl<R: Fn(&str) -> Option<(usize, AttributeKind)>> Compiler<'_, R> {
    /// The register with the value of a blend.
    pub(super) fn blend(&mut self, blend: &BlendExpr) -> Result<usize> {
        let mut registers = [0; 8];
        for (register, argument) in registers.iter_mut().zip(blend.arguments()) {
            *register = self.expr(argument)?;
        }
        let [
            distance,
            created_at,
            importance,
            decay_rate,
            recency_weight,
            importance_weight,
            as_of,
            base_rate,
        ] = registers;
        let (one, two) = (self.constant(Some(1.0)), self.constant(Some(2.0)));

        let left_over = self.binary(Binary::Subtract, one, recency_weight);
        let left_over = self.binary(Binary::Subtract, left_over, importance_weight);
        // Weights that add to 1 can round to just above it.
        let similarity_weight = self.at_least_zero(left_over);
        let half = self.binary(Binary::Divide, distance, two);
        let similarity = self.weighted(similarity_weight, distance, half);

        let rate = self.rate(decay_rate, base_rate);
        let age = self.age(created_at, as_of);
        let recency = self.recency(rate, age);
        let fading = self.binary(Binary::Subtract, one, recency);
        let fading = self.weighted(recency_weight, created_at, fading);

        let importance = self.operation(Operation::Variadic(Variadic::Coalesce, importance, one));
        let unimportance = self.binary(Binary::Subtract, one, importance);
        let unimportance = self.weighted(importance_weight, one, unimportance);

        let sum = self.binary(Binary::Add, similarity, fading);
        Ok(self.binary(Binary::Add, sum, unimportance))
    }

    /// The rate where it is positive, else the base rate.
    fn rate(&mut self, rate: usize, base: usize) -> usize {
        let zero = self.constant(Some(0.0));
        let positive = self.binary(Binary::Greater, rate, zero);
        let rate = self.at_least_zero(rate);
        self.operation(Operation::Select(positive, rate, base))
    }

    /// Hours from the creation to the clock, at least 0.
    fn age(&mut self, created_at: usize, as_of: usize) -> usize {
        let (zero, hour) = (self.constant(Some(0.0)), self.constant(Some(HOUR)));
        let age = self.binary(Binary::Subtract, as_of, created_at);
        let age = self.binary(Binary::Divide, age, hour);
        let known = self.at_least_zero(age);
        let past = self.unless_null(age, known);
        // Equal infinities have no difference.
        let future = self.binary(Binary::GreaterEqual, created_at, as_of);
        self.operation(Operation::Select(future, zero, past))
    }

    /// Nothing has faded at age 0, and nothing fades at rate 0, be the other infinite.
    fn recency(&mut self, rate: usize, age: usize) -> usize {
        let (zero, one) = (self.constant(Some(0.0)), self.constant(Some(1.0)));
        let exponent = self.operation(Operation::Unary(Unary::Negate, rate));
        let exponent = self.binary(Binary::Multiply, exponent, age);
        let faded = self.operation(Operation::Unary(Unary::Exp, exponent));
        let no_rate = self.binary(Binary::Equal, rate, zero);
        let unfading = self.unless_null(age, one);
        let later = self.operation(Operation::Select(no_rate, unfading, faded));
        let no_age = self.binary(Binary::Equal, age, zero);
        self.operation(Operation::Select(no_age, one, later))
    }

    /// A term without weight does not count, not even when it is infinite or NaN; but it is NULL
    /// where its argument is.
    fn weighted(&mut self, weight: usize, argument: usize, term: usize) -> usize {
        let zero = self.constant(Some(0.0));
        let nothing = self.unless_null(argument, zero);
        let weightless = self.binary(Binary::Equal, weight, zero);
        let weighted = self.binary(Binary::Multiply, weight, term);
        self.operation(Operation::Select(weightless, nothing, weighted))
    }

    /// The second, but NULL where the first is.
    fn unless_null(&mut self, x: usize, y: usize) -> usize {
        let null = self.constant(None);
        let unknown = self.operation(Operation::Unary(Unary::IsNull, x));
        self.operation(Operation::Select(unknown, null, y))
    }

    /// What a condition around it says already, said again for the range to know.
    fn at_least_zero(&mut self, x: usize) -> usize {
        let zero = self.constant(Some(0.0));
        self.operation(Operation::Variadic(Variadic::Greatest, x, zero))
    }

    fn binary(&mut self, function: Binary, x: usize, y: usize) -> usize {
        self.operation(Operation::Binary(function, x, y))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::distance::Metric;
    use crate::score::{
        Blend, Bounds, Expr, Order, Program, Ranking, Row, decode_float, encode_float, encode_int,
        rank,
    };
    use proptest::prelude::*;

    const HOURS: i64 = 3_600_000_000;

    fn resolve(name: &str) -> Option<(usize, AttributeKind)> {
        match name {
            "created_at" => Some((0, AttributeKind::Timestamp)),
            "importance" => Some((1, AttributeKind::Float)),
            "decay_rate" => Some((2, AttributeKind::Float)),
            _ => None,
        }
    }

    /// The blend over those of the columns that there are.
    fn ranking(blend: &Blend, has: [bool; 3]) -> Ranking {
        let column = |number: usize, name: &str| has[number].then(|| Expr::attribute(name));
        let expr = blend.expr(
            column(0, "created_at"),
            column(1, "importance"),
            column(2, "decay_rate"),
        );
        let again: Expr = expr.to_string().parse().unwrap();
        assert_eq!(expr, again);
        Ranking {
            program: Program::compile(&again, Metric::Cosine, resolve, &[]).unwrap(),
            descending: false,
            nulls_first: false,
        }
    }

    fn float() -> impl Strategy<Value = f64> {
        prop_oneof![
            4 => -2.0..2.0_f64,
            1 => any::<f64>(),
            1 => prop::sample::select(vec![
                0.0, 1.0, -1.0, 1e-9, 1e300, -1e300, 5e-324,
                f64::INFINITY, f64::NEG_INFINITY, f64::NAN,
            ]),
        ]
    }

    fn time() -> impl Strategy<Value = i64> {
        prop_oneof![
            4 => -1_000 * HOURS..10 * HOURS,
            1 => any::<i64>(),
            1 => prop::sample::select(vec![
                0, 1, -1, i64::MIN, i64::MIN + 1, i64::MAX, i64::MAX - 1,
            ]),
        ]
    }

    fn blend() -> impl Strategy<Value = Blend> {
        let weights = prop_oneof![
            (0.0..1.0_f64, 0.0..1.0_f64).prop_map(|(w, part)| (w, (1.0 - w) * part)),
            prop::sample::select(vec![
                (0.0, 0.0),
                (1.0, 0.0),
                (0.0, 1.0),
                (0.9, 0.1),
                (0.3, 0.0)
            ]),
        ];
        let base_rate = prop_oneof![0.0..2.0_f64, Just(0.0), Just(1e300)];
        (weights, base_rate, time()).prop_map(
            |((recency_weight, importance_weight), base_rate, as_of)| Blend {
                recency_weight,
                importance_weight,
                base_rate,
                as_of,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_function_and_the_index_agree(
            blend in blend(),
            has: [bool; 3],
            distance in prop::option::weighted(0.9, float()),
            created_at in prop::option::weighted(0.8, time()),
            importance in prop::option::weighted(0.8, float()),
            rate in prop::option::weighted(0.8, float()),
        ) {
            let keys = [
                created_at.map(encode_int),
                importance.map(encode_float),
                rate.map(encode_float),
            ];
            let row = Row {
                keys: &keys.map(Option::unwrap_or_default),
                nulls: (0..3).fold(0, |mask, i| mask | u32::from(keys[i].is_none()) << i),
            };
            let expected = blend.score_of(
                distance,
                if has[0] { created_at } else { Some(i64::MAX) },
                if has[1] { importance } else { None },
                if has[2] { rate } else { None },
            );
            prop_assert_eq!(ranking(&blend, has).rank(distance, &row), rank(expected));
        }

        #[test]
        fn fading_is_the_same_in_the_index(
            blend in blend(),
            has_rate: bool,
            importance in prop::option::weighted(0.9, float()),
            stated_at in prop::option::weighted(0.8, time()),
            rate in prop::option::weighted(0.8, float()),
        ) {
            let rate_expr = if has_rate { Expr::attribute("decay_rate") } else { Expr::Null };
            let expr = blend.faded_expr(
                Expr::attribute("importance"),
                Expr::attribute("created_at"),
                rate_expr,
            );
            let order = Ranking {
                program: Program::compile(&expr, Metric::Cosine, resolve, &[]).unwrap(),
                descending: false,
                nulls_first: false,
            };
            let keys = [
                stated_at.map(encode_int),
                importance.map(encode_float),
                rate.map(encode_float),
            ];
            let row = Row {
                keys: &keys.map(Option::unwrap_or_default),
                nulls: (0..3).fold(0, |mask, i| mask | u32::from(keys[i].is_none()) << i),
            };
            let expected = blend.faded(importance, stated_at, rate.filter(|_| has_rate));
            prop_assert_eq!(order.rank(None, &row), rank(expected));
        }

        /// The best row that a zone can have is at a corner, and the bound is its score.
        #[test]
        fn bounds_are_scores_of_rows(
            blend in blend(),
            nearest in 0.0..2.0_f64,
            times in (time(), time()),
            importances in (-2.0..2.0_f64, -2.0..2.0_f64),
            rates in (0.01..2.0_f64, 0.01..2.0_f64),
        ) {
            let (low, high) = (times.0.min(times.1), times.0.max(times.1));
            let most = importances.0.max(importances.1);
            let least = rates.0.min(rates.1);
            let low = (encode_int(low), importances.0.min(importances.1), least);
            let zone = Bounds {
                low: &[low.0, encode_float(low.1), encode_float(low.2)],
                high: &[encode_int(high), encode_float(most), encode_float(rates.0.max(rates.1))],
                nulls: 0,
                null_distance: false,
                nan_distance: false,
            };
            let best = blend.score_of(Some(nearest), Some(high), Some(most), Some(least)).unwrap();
            let bound = decode_float(ranking(&blend, [true; 3]).bound(nearest, &zone));
            prop_assert!(bound <= best && best - bound < 1e-12, "{} {}", bound, best);
        }
    }

    #[test]
    fn what_has_no_weight_is_not_looked_at() {
        let attributes = |recency_weight, importance_weight| {
            let blend = Blend {
                recency_weight,
                importance_weight,
                base_rate: 0.1,
                as_of: 0,
            };
            ranking(&blend, [true; 3]).attributes()
        };
        assert_eq!(attributes(0.3, 0.2), 0b111);
        assert_eq!(attributes(0.3, 0.0), 0b101);
        // A NULL creation time makes the score NULL all the same.
        assert_eq!(attributes(0.0, 0.2), 0b011);
    }
}
