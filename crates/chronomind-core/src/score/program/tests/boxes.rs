//! Boxes and rows are bounded together as they would be one by one, whatever was asked before.

use super::*;
use crate::score::{Boxes, Distances};

/// Distances of lines that are known to lie within a margin below and one above.
pub(super) struct Rough {
    ranges: Vec<(f64, f64)>,
    null: u64,
    nan: u64,
}

impl Rough {
    pub(super) fn new(lines: &[Line], margins: &[(f64, f64)]) -> Rough {
        let range = |(line, (below, above)): (&Line, &(f64, f64))| {
            // A range without a number in it is none that a search asks for.
            let distance = line.distance.filter(|d| !d.is_nan()).unwrap_or_default();
            (distance - below, distance + above)
        };
        let mask = |has: fn(Option<f64>) -> bool| {
            let lines = lines.iter().enumerate();
            lines.fold(0, |mask, (i, line)| {
                mask | u64::from(has(line.distance)) << i
            })
        };
        Rough {
            ranges: lines.iter().zip(margins).map(range).collect(),
            null: mask(|distance| distance.is_none()),
            nan: mask(|distance| distance.is_some_and(f64::is_nan)),
        }
    }

    pub(super) fn distances(&self) -> Distances<'_> {
        Distances {
            ranges: &self.ranges,
            null: self.null,
            nan: self.nan,
        }
    }
}

/// Lines as boxes, each of one row.
pub(super) fn with_boxes<T>(lines: &[Line], then: impl FnOnce(&Boxes<'_>) -> T) -> T {
    with_batch(lines, |batch| {
        let keys = |without: u64| -> Vec<u64> {
            let is_null = |i: usize| batch.nulls[i / LANES] >> (i % LANES) & 1 != 0;
            let key = |i: usize| if is_null(i) { without } else { batch.keys[i] };
            (0..5 * LANES).map(key).collect()
        };
        then(&Boxes {
            count: LANES,
            low: &keys(u64::MAX),
            high: &keys(0),
            stride: LANES,
            nulls: batch.nulls,
        })
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn boxes_have_their_bounds_at_once_or_one_by_one(
        expr in expr(),
        groups in prop::collection::vec(prop::collection::vec(line(), 1..4), 1..9),
        nearest in prop::collection::vec(number().prop_filter("a number", |d| !d.is_nan()), 8),
        parameters in parameters(),
        (descending, nulls_first) in any::<(bool, bool)>(),
    ) {
        let zones: Vec<Zone> = groups.iter().map(|lines| Zone::around(lines)).collect();
        let mask = |has: &dyn Fn(&Zone) -> bool| {
            let zones = zones.iter().enumerate();
            zones.fold(0, |mask, (i, zone)| mask | u64::from(has(zone)) << i)
        };
        let (mut low, mut high) = ([0; 5 * LANES], [0; 5 * LANES]);
        for (i, zone) in zones.iter().enumerate() {
            for attribute in 0..5 {
                low[attribute * LANES + i] = zone.low[attribute];
                high[attribute * LANES + i] = zone.high[attribute];
            }
        }
        let distances: Vec<(f64, f64)> = nearest.iter().map(|&d| (d, f64::INFINITY)).collect();
        let boxes = Boxes {
            count: zones.len(),
            low: &low,
            high: &high,
            stride: LANES,
            nulls: &std::array::from_fn::<_, 5, _>(|a| mask(&|zone| zone.nulls >> a & 1 != 0)),
        };
        let distances = Distances {
            ranges: &distances[..zones.len()],
            null: mask(&|zone| zone.null_distance),
            nan: mask(&|zone| zone.nan_distance),
        };
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let ranking = Ranking { program, descending, nulls_first };
        let mut bounds = vec![0; zones.len()];
        let mut parts = Parts::default();
        ranking.parts(&boxes, &mut parts);
        ranking.bounds(&parts, &distances, &mut bounds);
        let may_hold = ranking.program.may_hold_among(&parts, &distances);
        for (i, (zone, bound)) in zones.iter().zip(bounds).enumerate() {
            let nearest = nearest[i];
            let alone = ranking.program.may_hold(nearest, &zone.bounds());
            prop_assert_eq!(may_hold >> i & 1 != 0, alone);
            prop_assert_eq!(bound, ranking.bound(nearest, &zone.bounds()), "{} of {:?}", expr, zone);
        }
    }

    #[test]
    fn a_row_of_which_the_distance_is_known_roughly_is_bounded(
        expr in expr(),
        lines in prop::collection::vec(line(), 1..=LANES),
        margins in prop::collection::vec((0.0..2.0, 0.0..2.0), LANES),
        parameters in parameters(),
        (descending, nulls_first) in any::<(bool, bool)>(),
    ) {
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let ranking = Ranking { program, descending, nulls_first };
        let rough = Rough::new(&lines, &margins);
        let distances = rough.distances();
        let (mut parts, mut bounds, mut ranks) = (Parts::default(), vec![0; lines.len()], vec![0; lines.len()]);
        let holds = with_batch(&lines, |batch| {
            ranking.parts_of_rows(batch, &mut parts);
            ranking.ranks(batch, &mut ranks);
            ranking.program.holds(batch)
        });
        ranking.bounds(&parts, &distances, &mut bounds);
        let may_hold = ranking.program.may_hold_among(&parts, &distances);
        prop_assert_eq!(holds & !may_hold, 0, "{}", expr);
        for ((line, bound), rank) in lines.iter().zip(bounds).zip(ranks) {
            prop_assert!(bound <= rank, "{} of {:?}", expr, line);
        }
    }

    /// Registers keep what the last question left in them, and parts are asked about much later.
    #[test]
    fn questions_do_not_disturb_each_other(
        expr in expr(),
        batches in prop::collection::vec(prop::collection::vec(line(), 1..=LANES), 2..5),
        margins in prop::collection::vec((0.0..2.0, 0.0..2.0), LANES),
        turns in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u32), 1..16),
        parameters in parameters(),
        (descending, nulls_first) in any::<(bool, bool)>(),
    ) {
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let ranking = Ranking { program, descending, nulls_first };
        let parts_of = |ranking: &Ranking, lines: &[Line], as_boxes: bool| {
            let mut parts = Parts::default();
            if as_boxes {
                with_boxes(lines, |boxes| ranking.parts(boxes, &mut parts));
            } else {
                with_batch(lines, |batch| ranking.parts_of_rows(batch, &mut parts));
            }
            parts
        };
        let ask = |ranking: &Ranking, lines: &[Line], parts: &Parts| {
            let rough = Rough::new(lines, &margins);
            let distances = rough.distances();
            let mut bounds = vec![0; lines.len()];
            ranking.bounds(parts, &distances, &mut bounds);
            let lanes = u64::MAX >> (LANES - lines.len());
            (bounds, ranking.program.may_hold_among(parts, &distances) & lanes)
        };
        let of_rows: Vec<_> = batches.iter().map(|lines| parts_of(&ranking, lines, false)).collect();
        let of_boxes: Vec<_> = batches.iter().map(|lines| parts_of(&ranking, lines, true)).collect();
        for (index, kind) in turns {
            let at = index.index(batches.len());
            let lines = &batches[at];
            let fresh = ranking.clone();
            let rank = |ranking: &Ranking| {
                let mut ranks = vec![0; lines.len()];
                with_batch(lines, |batch| {
                    ranking.ranks(batch, &mut ranks);
                    (ranks, ranking.program.holds(batch))
                })
            };
            let (ranks, holds) = rank(&fresh);
            match kind {
                0 => {
                    prop_assert_eq!(rank(&ranking), (ranks, holds));
                }
                1 => {
                    let expected = ask(&fresh, lines, &parts_of(&fresh, lines, false));
                    let (bounds, may_hold) = ask(&ranking, lines, &of_rows[at]);
                    prop_assert!(bounds.iter().zip(&ranks).all(|(b, r)| b <= r));
                    prop_assert_eq!(holds & !may_hold, 0);
                    prop_assert_eq!((bounds, may_hold), expected);
                }
                2 => {
                    let expected = ask(&fresh, lines, &parts_of(&fresh, lines, true));
                    let (bounds, may_hold) = ask(&ranking, lines, &of_boxes[at]);
                    prop_assert!(bounds.iter().zip(&ranks).all(|(b, r)| b <= r));
                    prop_assert_eq!(holds & !may_hold, 0);
                    prop_assert_eq!((bounds, may_hold), expected);
                }
                _ => {
                    let expected = ask(&fresh, lines, &parts_of(&fresh, lines, false));
                    let parts = parts_of(&ranking, lines, false);
                    prop_assert_eq!(ask(&ranking, lines, &parts), expected);
                }
            }
        }
    }
}
