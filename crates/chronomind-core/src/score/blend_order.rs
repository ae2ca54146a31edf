//! The blend as an order over the attributes of an index, and its bound over a zone.

use serde::{Deserialize, Serialize};

use super::blend::{is_default, recency};
use super::{Batch, Blend, Bounds, Order, decode_float, decode_int, encode_float, unrank};

/// Unit of the attribute that holds the creation time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum TimeUnit {
    /// Timestamps: microseconds, with `i64::MIN` and `i64::MAX` as the infinities.
    Microseconds,
    /// Dates: days that start at midnight UTC, with `i32::MIN` and `i32::MAX` as the infinities.
    Days,
}

impl TimeUnit {
    /// Microseconds since 2000-01-01. Monotone.
    fn microseconds(self, value: i64) -> i64 {
        const DAY: i64 = 86_400_000_000;
        match self {
            TimeUnit::Microseconds => value,
            TimeUnit::Days if value <= i32::MIN as i64 => i64::MIN,
            TimeUnit::Days if value >= i32::MAX as i64 => i64::MAX,
            TimeUnit::Days => value.saturating_mul(DAY),
        }
    }
}

/// Where the creation time is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct CreatedAt {
    /// Ordinal of an attribute of kind Int.
    pub attribute: usize,
    /// What the attribute counts.
    pub unit: TimeUnit,
}

/// Which attribute of the index plays which part in the blend.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Roles {
    /// The creation time. Without one no row ages.
    pub created_at: Option<CreatedAt>,
    /// Ordinal of the importance, an attribute of kind Float. Without one every row has 1.
    pub importance: Option<usize>,
    /// Ordinal of the decay rate per hour, an attribute of kind Float. Without one every row has
    /// the base rate.
    pub decay_rate: Option<usize>,
}

/// The blend over the attributes of an index.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct BlendOrder {
    /// Weights and clock.
    pub blend: Blend,
    /// Where the terms come from.
    pub roles: Roles,
}

impl BlendOrder {
    /// The least rate that a row of the zone can have, not NaN.
    fn least_rate(&self, zone: &Bounds) -> f64 {
        let base = self.blend.base_rate;
        let Some(attribute) = self.roles.decay_rate else {
            return base;
        };
        let Some((low, high)) = zone.keys(attribute) else {
            return base;
        };
        let (low, high) = (decode_float(low), decode_float(high));
        let least = match (is_default(low), is_default(high)) {
            (false, _) if low.is_nan() => 0.0,
            (false, _) => low,
            // From the negative into the positive: the least positive one is anywhere above 0.
            (true, false) => 0.0,
            (true, true) => base,
        };
        if zone.has_null(attribute) {
            least.min(base)
        } else {
            least
        }
    }

    /// The greatest importance that a row of the zone can have, not NaN.
    fn greatest_importance(&self, zone: &Bounds) -> f64 {
        let Some(attribute) = self.roles.importance else {
            return 1.0;
        };
        let Some((_, high)) = zone.keys(attribute) else {
            return 1.0;
        };
        let high = decode_float(high);
        if high.is_nan() {
            // The NaN hides how great the numbers are.
            f64::INFINITY
        } else if zone.has_null(attribute) {
            high.max(1.0)
        } else {
            high
        }
    }
}

impl Order for BlendOrder {
    fn attributes(&self) -> u32 {
        let Roles {
            created_at,
            importance,
            decay_rate,
        } = self.roles;
        // Without a weight only a NULL creation time matters.
        [
            created_at.map(|at| at.attribute),
            importance.filter(|_| self.blend.importance_weight != 0.0),
            decay_rate.filter(|_| self.blend.recency_weight != 0.0),
        ]
        .into_iter()
        .flatten()
        .fold(0, |mask, attribute| mask | 1 << attribute)
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        for (i, rank) in ranks.iter_mut().enumerate() {
            let bit = |mask: u64| mask >> i & 1 != 0;
            let float = |attribute: Option<usize>| {
                let attribute = attribute.filter(|&attribute| !bit(rows.nulls[attribute]))?;
                Some(decode_float(rows.column(attribute)[i]))
            };
            let created_at = match self.roles.created_at {
                Some(at) if bit(rows.nulls[at.attribute]) => None,
                Some(at) => Some(
                    at.unit
                        .microseconds(decode_int(rows.column(at.attribute)[i])),
                ),
                None => Some(i64::MAX),
            };
            *rank = super::rank(self.blend.score_of(
                (!bit(rows.null_distances)).then(|| rows.distances[i]),
                created_at,
                float(self.roles.importance),
                float(self.roles.decay_rate),
            ));
        }
    }

    fn score(&self, rank: u64) -> Option<f64> {
        unrank(rank)
    }

    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64 {
        let age = match self.roles.created_at {
            Some(at) => match zone.keys(at.attribute) {
                Some((_, newest)) => self.blend.age(at.unit.microseconds(decode_int(newest))),
                // Every creation time is NULL, and so is every score.
                None => return super::rank(None),
            },
            None => 0.0,
        };
        // No libm promises a monotone exp, only an error of about an ulp; the margin covers it.
        let recency = recency(self.least_rate(zone), age) * (1.0 + 4.0 * f64::EPSILON);
        let bound = self
            .blend
            .sum(nearest, recency, self.greatest_importance(zone));
        // Opposite infinities: rows beside the corner can have any score. A distance of NaN needs
        // no care: it makes the score NaN, or it has no weight and is not in the bound either.
        encode_float(if bound.is_nan() {
            f64::NEG_INFINITY
        } else {
            bound
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::score::{Row, encode_int, rank};
    use proptest::prelude::*;

    const HOURS: i64 = 3_600_000_000;

    #[test]
    fn dates_are_days() {
        assert_eq!(TimeUnit::Days.microseconds(-2), -48 * HOURS);
        assert_eq!(TimeUnit::Days.microseconds(i32::MIN as i64), i64::MIN);
        assert_eq!(TimeUnit::Days.microseconds(i32::MAX as i64), i64::MAX);
        assert_eq!(TimeUnit::Days.microseconds(i64::MAX - 1), i64::MAX);
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
                i32::MIN as i64, i32::MAX as i64,
            ]),
        ]
    }

    type Attributes = (Option<i64>, Option<f64>, Option<f64>);

    fn attributes() -> impl Strategy<Value = Attributes> {
        (
            prop::option::weighted(0.8, time()),
            prop::option::weighted(0.8, float()),
            prop::option::weighted(0.8, float()),
        )
    }

    fn order() -> impl Strategy<Value = BlendOrder> {
        let unit = prop::sample::select(vec![TimeUnit::Microseconds, TimeUnit::Days]);
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
        let roles = (any::<bool>(), any::<bool>(), any::<bool>());
        let base_rate = prop_oneof![0.0..2.0_f64, Just(0.0), Just(1e300)];
        (weights, base_rate, time(), unit, roles).prop_map(
            |((recency_weight, importance_weight), base_rate, as_of, unit, has)| BlendOrder {
                blend: Blend {
                    recency_weight,
                    importance_weight,
                    base_rate,
                    as_of,
                },
                roles: Roles {
                    created_at: has.0.then_some(CreatedAt { attribute: 0, unit }),
                    importance: has.1.then_some(1),
                    decay_rate: has.2.then_some(2),
                },
            },
        )
    }

    fn encode(row: &Attributes) -> [Option<u64>; 3] {
        [
            row.0.map(encode_int),
            row.1.map(encode_float),
            row.2.map(encode_float),
        ]
    }

    /// The smallest box around rows: low, high, nulls.
    fn zone_of(rows: &[Attributes]) -> ([u64; 3], [u64; 3], u32) {
        let (mut low, mut high, mut nulls) = ([u64::MAX; 3], [0; 3], 0);
        for (i, key) in rows
            .iter()
            .flat_map(|row| encode(row).into_iter().enumerate())
        {
            match key {
                Some(key) => {
                    low[i] = low[i].min(key);
                    high[i] = high[i].max(key);
                }
                None => nulls |= 1 << i,
            }
        }
        (low, high, nulls)
    }

    fn bound(order: &BlendOrder, nearest: f64, zone: &([u64; 3], [u64; 3], u32)) -> u64 {
        let bounds = Bounds {
            low: &zone.0,
            high: &zone.1,
            nulls: zone.2,
            null_distance: true,
            nan_distance: true,
        };
        order.bound(nearest, &bounds)
    }

    fn score(order: &BlendOrder, distance: Option<f64>, row: &Attributes) -> u64 {
        let keys = encode(row);
        let nulls = (0..3).fold(0, |mask, i| mask | (keys[i].is_none() as u32) << i);
        order.rank(
            distance,
            &Row {
                keys: &keys.map(Option::unwrap_or_default),
                nulls,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]

        #[test]
        fn the_bound_never_exceeds_a_row_inside(
            order in order(),
            corners in prop::collection::vec(attributes(), 1..4),
            mix in prop::collection::vec((0..4_usize, 0..4_usize, 0..4_usize, float(), float()), 8),
            nearest in float().prop_filter("a number", |d| !d.is_nan()),
            beyond in prop::collection::vec(float(), 8),
        ) {
            let zone = zone_of(&corners);
            let least = bound(&order, nearest, &zone);
            let pick = |index: usize| corners[index % corners.len()];
            for ((a, b, c, importance, rate), beyond) in mix.into_iter().zip(beyond) {
                let mut row = (pick(a).0, pick(b).1, pick(c).2);
                // Points between the corners too, where they lie inside.
                for (i, value) in [(1, importance), (2, rate)] {
                    let key = encode_float(value);
                    if zone.0[i] <= key && key <= zone.1[i] {
                        if i == 1 { row.1 = Some(value) } else { row.2 = Some(value) }
                    }
                }
                for distance in [Some(nearest), Some(nearest.max(beyond)), Some(f64::NAN), None] {
                    prop_assert!(
                        least <= score(&order, distance, &row),
                        "{row:?} at {distance:?}: bound {} ({least:x})", decode_float(least)
                    );
                }
            }
        }

        #[test]
        fn the_bound_grows_with_the_distance_and_as_the_zone_shrinks(
            order in order(),
            rows in prop::collection::vec(attributes(), 1..6),
            kept in 1..6_usize,
            (a, b) in (float(), float()).prop_filter("numbers", |(a, b)| !a.is_nan() && !b.is_nan()),
        ) {
            let wide = zone_of(&rows);
            let narrow = zone_of(&rows[..kept.min(rows.len())]);
            prop_assert!(bound(&order, a.min(b), &wide) <= bound(&order, a.max(b), &wide));
            prop_assert!(bound(&order, a, &wide) <= bound(&order, a, &narrow));
        }

        #[test]
        fn the_function_and_the_index_agree(order in order(), row in attributes(), distance: f64) {
            let expected = order.blend.score_of(
                Some(distance),
                match order.roles.created_at {
                    Some(at) => row.0.map(|value| at.unit.microseconds(value)),
                    None => Some(i64::MAX),
                },
                order.roles.importance.and(row.1),
                order.roles.decay_rate.and(row.2),
            );
            prop_assert_eq!(score(&order, Some(distance), &row), rank(expected));
        }
    }
}
