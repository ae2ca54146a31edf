//! Programs against a plain evaluation of the tree, and intervals against the points inside.

mod boxes;
mod widths;

use proptest::prelude::*;
use std::cmp::Ordering;

use super::*;
use crate::distance::Metric;
use crate::score::expr::arbitrary::{NUMBERS, expr, number};
use crate::score::{Expr, LANES, Order, Ranking, encode_float, encode_int};

const KINDS: [AttributeKind; 5] = [
    AttributeKind::Int,
    AttributeKind::Date,
    AttributeKind::Timestamp,
    AttributeKind::Float,
    AttributeKind::Hash,
];
const KEYS: [u64; 3] = [0, 7, u64::MAX];

fn resolve(name: &str) -> Option<(usize, AttributeKind)> {
    let names = NUMBERS.iter().chain(&["label"]);
    let attribute = names.into_iter().position(|known| *known == name)?;
    Some((attribute, KINDS[attribute]))
}

fn compile(expr: &Expr, metric: Metric, parameters: &[Option<f64>]) -> Program {
    Program::compile(expr, metric, resolve, parameters).unwrap()
}

#[derive(Debug, Clone)]
struct Line {
    distance: Option<f64>,
    keys: [Option<u64>; 5],
}

fn date(days: i64) -> f64 {
    if days >= i64::from(i32::MAX) {
        f64::INFINITY
    } else if days <= i64::from(i32::MIN) {
        f64::NEG_INFINITY
    } else {
        days as f64
    }
}

/// Postgres's order of two numbers.
fn order(x: f64, y: f64) -> Ordering {
    x.partial_cmp(&y).unwrap_or(x.is_nan().cmp(&y.is_nan()))
}

fn boolean(holds: bool) -> Option<f64> {
    Some(if holds { 1.0 } else { 0.0 })
}

/// The value of an expression by the rules of SQL, one node after another.
fn value(expr: &Expr, line: &Line, parameters: &[Option<f64>]) -> Option<f64> {
    let of = |expr: &Expr| value(expr, line, parameters);
    let label = |x: &Expr, y: &Expr| *x == Expr::attribute("label") && *y == Expr::Parameter(4);
    match expr {
        Expr::Constant(number) => Some(*number),
        Expr::Null => None,
        Expr::Parameter(number) => parameters[*number as usize - 1],
        Expr::Distance => line.distance,
        Expr::Attribute(name) => {
            let (attribute, kind) = resolve(name).unwrap();
            let key = line.keys[attribute]?;
            Some(match kind {
                AttributeKind::Int => decode_int(key) as f64,
                AttributeKind::Date => date(decode_int(key)),
                AttributeKind::Timestamp if decode_int(key) == i64::MAX => f64::INFINITY,
                AttributeKind::Timestamp if decode_int(key) == i64::MIN => f64::NEG_INFINITY,
                AttributeKind::Timestamp => decode_int(key) as f64,
                AttributeKind::Float => decode_float(key),
                AttributeKind::Hash => 0.0,
            })
        }
        Expr::Unary(Unary::IsNull, x) => boolean(of(x).is_none()),
        Expr::Unary(function, x) => {
            let x = of(x)?;
            Some(match function {
                Unary::Negate => -x,
                Unary::Exp => x.exp(),
                Unary::Ln => x.ln(),
                Unary::Log10 => x.log10(),
                Unary::Sqrt => x.sqrt(),
                Unary::Abs => x.abs(),
                Unary::Floor => x.floor(),
                Unary::Ceil => x.ceil(),
                Unary::Round => x.round_ties_even(),
                Unary::Trunc => x.trunc(),
                Unary::Float4 => (x as f32).into(),
                Unary::Not => return boolean(x == 0.0),
                Unary::IsNull => unreachable!(),
            })
        }
        Expr::Binary(function, x, y) if label(x, y) => {
            let equal = line.keys[4]? == parameters[3]?.to_bits();
            boolean(equal == (*function == Binary::Equal))
        }
        Expr::Binary(function @ (Binary::And | Binary::Or), x, y) => {
            let decides = *function == Binary::Or;
            let sides = [of(x), of(y)].map(|side| side.map(|side| side != 0.0));
            if sides.contains(&Some(decides)) {
                boolean(decides)
            } else if sides.contains(&None) {
                None
            } else {
                boolean(!decides)
            }
        }
        Expr::Binary(function, x, y) => {
            let (x, y) = (of(x)?, of(y)?);
            let order = order(x, y);
            match function {
                Binary::Add => Some(x + y),
                Binary::Subtract => Some(x - y),
                Binary::Multiply => Some(x * y),
                Binary::Divide => Some(x / y),
                Binary::Power => Some(if x == 0.0 { 0.0_f64.powf(y) } else { x.powf(y) }),
                Binary::Equal => boolean(order.is_eq()),
                Binary::NotEqual => boolean(order.is_ne()),
                Binary::Less => boolean(order.is_lt()),
                Binary::LessEqual => boolean(order.is_le()),
                Binary::Greater => boolean(order.is_gt()),
                Binary::GreaterEqual => boolean(order.is_ge()),
                Binary::And | Binary::Or => unreachable!(),
            }
        }
        Expr::Variadic(function, list) => {
            let mut values = list.iter().filter_map(of);
            match function {
                Variadic::Coalesce => values.next(),
                Variadic::Least => values.reduce(|x, y| if order(y, x).is_lt() { y } else { x }),
                Variadic::Greatest => values.reduce(|x, y| if order(y, x).is_gt() { y } else { x }),
            }
        }
        Expr::Case {
            branches,
            otherwise,
        } => {
            let holds = |condition: &Expr| of(condition).is_some_and(|value| value != 0.0);
            let branch = branches.iter().find(|(condition, _)| holds(condition));
            of(branch.map_or(otherwise, |(_, value)| value))
        }
        Expr::Blend(blend) => {
            let [distance, created_at, importance, rate, w, wi, as_of, base] =
                blend.arguments().map(of);
            let weighted = |weight: Option<f64>, argument: Option<f64>, term: Option<f64>| {
                if weight? == 0.0 {
                    argument.and(Some(0.0))
                } else {
                    Some(weight? * term?)
                }
            };
            let rate = rate.filter(|rate| order(*rate, 0.0).is_gt()).or(base);
            let age = || match (created_at?, as_of?) {
                (created_at, as_of) if order(created_at, as_of).is_ge() => Some(0.0),
                (created_at, as_of) if order(as_of - created_at, 0.0).is_lt() => Some(0.0),
                (created_at, as_of) => Some((as_of - created_at) / 3.6e9),
            };
            let age = age();
            let recency = match (rate, age) {
                (Some(0.0), Some(_)) | (_, Some(0.0)) => Some(1.0),
                (rate, age) => rate.zip(age).map(|(rate, age)| (-rate * age).exp()),
            };
            let left_over = Some(1.0 - w? - wi?);
            let left_over = left_over.map(|left| if order(left, 0.0).is_lt() { 0.0 } else { left });
            let similarity =
                weighted(left_over, distance, distance.map(|distance| distance / 2.0))?;
            let fading = weighted(w, created_at, recency.map(|recency| 1.0 - recency))?;
            let unimportance = weighted(wi, Some(1.0), Some(1.0 - importance.unwrap_or(1.0)))?;
            Some(similarity + fading + unimportance)
        }
    }
}

fn integer() -> impl Strategy<Value = u64> {
    let integer = prop_oneof![
        6 => -4..4_i64,
        1 => any::<i64>(),
        1 => prop::sample::select(vec![
            i64::MIN, i64::MIN + 1, i64::MAX - 1, i64::MAX, i32::MIN.into(), i32::MAX.into(),
        ]),
    ];
    integer.prop_map(encode_int)
}

fn line() -> impl Strategy<Value = Line> {
    let distance = prop_oneof![9 => number().prop_map(Some), 1 => Just(None)];
    let maybe = |key: BoxedStrategy<u64>| prop::option::weighted(0.9, key);
    let keys = (
        maybe(integer().boxed()),
        maybe(integer().boxed()),
        maybe(integer().boxed()),
        maybe(number().prop_map(encode_float).boxed()),
        maybe(prop::sample::select(KEYS.to_vec()).boxed()),
    );
    (distance, keys).prop_map(|(distance, keys)| Line {
        distance,
        keys: keys.into(),
    })
}

fn parameters() -> impl Strategy<Value = Vec<Option<f64>>> {
    let value = prop::option::weighted(0.9, number());
    let key = prop::option::weighted(0.9, prop::sample::select(KEYS.map(f64::from_bits).to_vec()));
    (prop::collection::vec(value, 3), key).prop_map(|(mut list, key)| {
        list.push(key);
        list
    })
}

/// The lines as a batch.
fn with_batch<T>(lines: &[Line], then: impl FnOnce(&Batch<'_>) -> T) -> T {
    let distances: Vec<f64> = lines.iter().map(|l| l.distance.unwrap_or(9.0)).collect();
    let (mut keys, mut nulls, mut null_distances) = ([3; 5 * LANES], [0; 5], 0);
    for (row, line) in lines.iter().enumerate() {
        null_distances |= u64::from(line.distance.is_none()) << row;
        for (attribute, key) in line.keys.iter().enumerate() {
            keys[attribute * LANES + row] = key.unwrap_or(5);
            nulls[attribute] |= u64::from(key.is_none()) << row;
        }
    }
    then(&Batch {
        distances: &distances,
        null_distances,
        keys: &keys,
        stride: LANES,
        nulls: &nulls,
    })
}

/// The smallest box around the attributes of some lines.
#[derive(Debug)]
struct Zone {
    low: [u64; 5],
    high: [u64; 5],
    nulls: u32,
    null_distance: bool,
    nan_distance: bool,
}

impl Zone {
    fn around(lines: &[Line]) -> Zone {
        let mut zone = Zone {
            low: [u64::MAX; 5],
            high: [0; 5],
            nulls: 0,
            null_distance: lines.iter().any(|line| line.distance.is_none()),
            nan_distance: lines
                .iter()
                .any(|line| line.distance.is_some_and(f64::is_nan)),
        };
        for line in lines {
            for (attribute, key) in line.keys.iter().enumerate() {
                match key {
                    Some(key) => {
                        zone.low[attribute] = zone.low[attribute].min(*key);
                        zone.high[attribute] = zone.high[attribute].max(*key);
                    }
                    None => zone.nulls |= 1 << attribute,
                }
            }
        }
        zone
    }

    fn bounds(&self) -> Bounds<'_> {
        Bounds {
            low: &self.low,
            high: &self.high,
            nulls: self.nulls,
            null_distance: self.null_distance,
            nan_distance: self.nan_distance,
        }
    }

    fn holds(&self, attribute: usize, key: Option<u64>) -> bool {
        match key {
            Some(key) => (self.low[attribute]..=self.high[attribute]).contains(&key),
            None => self.nulls >> attribute & 1 != 0,
        }
    }
}

/// Bits, with one NaN and one zero.
fn bits(value: Option<f64>) -> Option<u64> {
    value.map(encode_float)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_000))]

    #[test]
    fn a_program_computes_what_the_tree_says(
        expr in expr(),
        lines in prop::collection::vec(line(), 1..=LANES),
        parameters in parameters(),
    ) {
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let (values, holds) = with_batch(&lines, |batch| {
            let values = |column: &Column| (0..lines.len()).map(|i| column.get(i)).collect::<Vec<_>>();
            (program.evaluate(batch, values), program.holds(batch))
        });
        for (row, (line, found)) in lines.iter().zip(values).enumerate() {
            let expected = value(&expr, line, &parameters);
            prop_assert_eq!(bits(found), bits(expected), "{} at {:?}", expr, line);
            let true_there = expected.is_some_and(|value| value != 0.0);
            prop_assert_eq!(holds >> row & 1 != 0, true_there);
        }
    }

    #[test]
    fn a_bound_never_exceeds_a_row_inside(
        expr in expr(),
        corners in prop::collection::vec(line(), 1..5),
        others in prop::collection::vec(line(), 0..12),
        nearest in number().prop_filter("a number", |d| !d.is_nan()),
        parameters in parameters(),
        (descending, nulls_first) in any::<(bool, bool)>(),
    ) {
        let zone = Zone::around(&corners);
        // Corners mixed, and points between them.
        let mut inside = corners.clone();
        for (number, mut other) in others.into_iter().enumerate() {
            for (attribute, key) in other.keys.iter_mut().enumerate() {
                if !zone.holds(attribute, *key) {
                    *key = corners[(number * 7 + attribute * 3) % corners.len()].keys[attribute];
                }
            }
            inside.push(other);
        }
        let bounds = zone.bounds();
        inside.retain_mut(|line| match line.distance {
            None => zone.null_distance,
            Some(distance) if distance.is_nan() => zone.nan_distance,
            Some(distance) => {
                line.distance = Some(distance.max(nearest));
                true
            }
        });
        let program = compile(&expr, Metric::InnerProduct, &parameters);
        let may_hold = program.may_hold(nearest, &bounds);
        let range = program.range(nearest, &bounds);
        let ranking = Ranking { program, descending, nulls_first };
        let bound = ranking.bound(nearest, &bounds);
        for lines in inside.chunks(LANES) {
            let mut ranks = vec![0; lines.len()];
            let holds = with_batch(lines, |batch| {
                ranking.ranks(batch, &mut ranks);
                ranking.program.holds(batch)
            });
            prop_assert!(may_hold || holds == 0, "{} in {:?}", expr, zone);
            for (line, rank) in lines.iter().zip(ranks) {
                let value = value(&expr, line, &parameters);
                prop_assert!(bound <= rank, "{expr}: {value:?} of {line:?} in {range:?} of {zone:?}");
                let inside = match value {
                    None => range.has_null(),
                    Some(value) if value.is_nan() => range.has_nan(),
                    Some(value) => range.low <= value && value <= range.high,
                };
                prop_assert!(inside, "{expr}: {value:?} of {line:?} in {range:?} of {zone:?}");
                prop_assert_eq!(bits(ranking.score(rank)), bits(value));
            }
        }
    }

    #[test]
    fn ranks_are_in_the_order_of_sql(
        values in prop::collection::vec(prop::option::weighted(0.8, number()), 2),
        (descending, nulls_first) in any::<(bool, bool)>(),
    ) {
        let program = compile(&Expr::Distance, Metric::InnerProduct, &[]);
        let ranking = Ranking { program, descending, nulls_first };
        let row = crate::score::Row { keys: &[], nulls: 0 };
        let (a, b) = (values[0], values[1]);
        let null = if nulls_first { Ordering::Less } else { Ordering::Greater };
        let expected = match (a, b) {
            (Some(a), Some(b)) if descending => order(b, a),
            (Some(a), Some(b)) => order(a, b),
            (None, Some(_)) => null,
            (Some(_), None) => null.reverse(),
            (None, None) => Ordering::Equal,
        };
        let found = ranking.rank(a, &row).cmp(&ranking.rank(b, &row));
        prop_assert_eq!(found, expected);
    }
}

#[test]
fn constants_are_folded_and_repetitions_shared() {
    let program = |text: &str, parameters: &[Option<f64>]| {
        compile(&text.parse().unwrap(), Metric::Cosine, parameters)
    };
    let sum = program("exp(rank * (1 + $1)) + exp(rank * 3) + 0", &[Some(2.0)]);
    // rank, 3, rank * 3, exp, exp + exp, 0, the sum.
    assert_eq!(sum.operations.len(), 7);
    let case = "CASE WHEN $1 = 0 THEN 0 ELSE $1 * day END + coalesce(NULL, 2, rank)";
    assert_eq!(
        program(case, &[Some(0.0)]).operations,
        [Operation::Constant(2.0_f64.to_bits())]
    );
    assert_eq!(program(case, &[Some(1.0)]).attributes(), 0b10);
    assert_eq!(
        program("NULL * exp(rank)", &[]).operations,
        [Operation::Null]
    );
}

#[test]
fn one_to_any_nan_is_one() {
    for nan in [0x7ff8_0000_0000_0000, 0x7ff0_0000_0000_0001] {
        let parameters = [Some(f64::from_bits(nan))];
        let program = compile(
            &"power(1, $1)".parse().unwrap(),
            Metric::Cosine,
            &parameters,
        );
        assert_eq!(
            program.operations,
            [Operation::Constant(1.0_f64.to_bits())],
            "{nan:x}"
        );
    }
}

#[test]
fn errors_name_what_is_wrong() {
    let error = |text: &str| {
        let compiled = Program::compile(&text.parse().unwrap(), Metric::L2, resolve, &[None]);
        compiled.unwrap_err().to_string()
    };
    assert_eq!(
        error("missing + 1"),
        "the index has no attribute \"missing\""
    );
    assert_eq!(error("rank + $2"), "there is no parameter $2");
    for text in ["label + 1", "label < $1", "label = 1", "exp(label)"] {
        assert_eq!(error(text), "attribute \"label\" is only good for equality");
    }
}

/// What lies between infinities that cancel out.
#[test]
fn the_inside_of_an_infinite_box_counts_too() {
    let rows = [f64::NEG_INFINITY, 1.0, f64::INFINITY].map(|importance| Line {
        distance: Some(0.5),
        keys: [None, None, None, Some(encode_float(importance)), None],
    });
    let zone = Zone::around(&rows);
    let name = Expr::attribute(NUMBERS[3]);
    for (right, low, high) in [
        (name.clone() / f64::INFINITY, 0.0, 0.0),
        (name.clone() * 0.0, 0.0, 0.0),
        (
            name.clone() + f64::INFINITY,
            f64::NEG_INFINITY,
            f64::INFINITY,
        ),
    ] {
        let range = compile(&right, Metric::Cosine, &[]).range(0.5, &zone.bounds());
        assert_eq!((range.low, range.high), (low, high), "{right}");
        assert!(range.has_nan());
    }
}

/// Usual scores have bounds that are as tight as can be.
#[test]
fn bounds_of_usual_scores_are_tight() {
    let hour = 3_600_000_000;
    let rows = [-30, -10].map(|age: i64| Line {
        distance: Some(0.4),
        keys: [
            None,
            None,
            Some(encode_int(age * hour)),
            Some(encode_float(0.1 * age as f64)),
            Some(7),
        ],
    });
    let zone = Zone::around(&rows);
    let check = |text: &str, low: f64, high: f64| {
        let program = compile(
            &text.parse().unwrap(),
            Metric::Cosine,
            &[Some(f64::from_bits(7))],
        );
        let range = program.range(0.4, &zone.bounds());
        let close = |a: f64, b: f64| (a - b).abs() < 1e-12;
        assert!(
            close(range.low, low) && close(range.high, high),
            "{text}: {range:?}"
        );
        assert!(!range.has_nan() && !range.has_null(), "{text}: {range:?}");
    };
    let near = 0.6;
    check(
        "(1 - distance) * exp(created_at / 3600000000 / 10)",
        -(-1.0_f64).exp(),
        near * (-1.0_f64).exp(),
    );
    check(
        "(1 - distance) * power(0.5, -created_at / 36000000000)",
        -0.5,
        near * 0.5,
    );
    check(
        "0.7 * distance + 0.3 * (1 - 1 / (1 - created_at / 36000000000))",
        0.28 + 0.15,
        1.4 + 0.225,
    );
    check(
        "distance - CASE WHEN created_at > -72000000000 THEN 0.05 ELSE 0 END",
        0.35,
        2.0,
    );
    check(
        "distance - CASE WHEN created_at > -360000000000 THEN 0.05 ELSE 0 END",
        0.35,
        1.95,
    );
    check("0 * distance", 0.0, 0.0);
}
