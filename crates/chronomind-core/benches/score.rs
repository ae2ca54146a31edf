//! What a compiled score costs beside the same score written in Rust: a block of 64 rows, a single
//! row, the bound of a zone, and the bounds of 64.
// The macros at the end write a public function without documentation.
#![allow(missing_docs)]

use std::hint::black_box;

use chronomind_core::distance::Metric;
use chronomind_core::score::{
    AttributeKind, Batch, Bounds, Boxes, Distances, LANES, Order, Parts, Program, Ranking,
    decode_float, decode_int, encode_float, encode_int,
};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};

const CREATED_AT: usize = 0;
const IMPORTANCE: usize = 1;
const KIND: usize = 2;
const NAMES: [(&str, AttributeKind); 3] = [
    ("created_at", AttributeKind::Timestamp),
    ("importance", AttributeKind::Float),
    ("kind", AttributeKind::Hash),
];
const HOUR: f64 = 3.6e9;
const NOW: f64 = 820_000_000.0 * 1e6;
/// The kind that is boosted.
const BOOSTED: u64 = 7;

/// What one row has, as a hand-written score takes it.
struct Line {
    distance: f64,
    keys: [u64; 3],
}

impl Line {
    fn age(&self) -> f64 {
        (NOW - decode_int(self.keys[CREATED_AT]) as f64) / HOUR
    }

    fn importance(&self) -> f64 {
        decode_float(self.keys[IMPORTANCE])
    }
}

/// Times a score, greater is better, in both forms. `best` is the line of a zone that has the best
/// score by the first two arguments, the least and the greatest keys.
fn shape(
    c: &mut Criterion,
    name: &str,
    text: &str,
    score: impl Fn(&Line) -> f64,
    best: impl Fn(&[u64], &[u64]) -> [u64; 3],
) {
    let resolve = |name: &str| {
        let attribute = NAMES.iter().position(|(known, _)| *known == name)?;
        Some((attribute, NAMES[attribute].1))
    };
    let parameters = [Some(f64::from_bits(BOOSTED))];
    let expr = text.parse().expect("the texts below are expressions");
    let program = Program::compile(&expr, Metric::Cosine, resolve, &parameters)
        .expect("the texts below name columns that there are");
    let ranking = Ranking {
        program,
        descending: true,
        nulls_first: true,
    };

    let distances: [f64; LANES] = std::array::from_fn(|i| 0.4 + 0.005 * i as f64);
    let mut keys = [0; 3 * LANES];
    for row in 0..LANES {
        let created_at = NOW - HOUR * (100 * row + 7) as f64;
        keys[CREATED_AT * LANES + row] = encode_int(created_at as i64);
        keys[IMPORTANCE * LANES + row] = encode_float((row * 37 % 64) as f64 / 64.0);
        keys[KIND * LANES + row] = (row % 10) as u64;
    }
    let nulls = [0; 3];
    let batch = Batch {
        distances: &distances,
        null_distances: 0,
        keys: &keys,
        stride: LANES,
        nulls: &nulls,
    };
    let by_hand = |batch: &Batch<'_>, ranks: &mut [u64]| {
        for (row, rank) in ranks.iter_mut().enumerate() {
            let keys = std::array::from_fn(|attribute| batch.column(attribute)[row]);
            let distance = batch.distances[row];
            let null = batch.null_distances | batch.nulls.iter().fold(0, |all, nulls| all | nulls);
            *rank = match null >> row & 1 {
                0 => !encode_float(score(&Line { distance, keys })),
                _ => 0,
            };
        }
    };
    let (mut compiled, mut written) = ([0; LANES], [0; LANES]);
    ranking.ranks(&batch, &mut compiled);
    by_hand(&batch, &mut written);
    assert_eq!(compiled, written, "{name}");

    let mut group = c.benchmark_group(name);
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("64 rows/compiled", |b| {
        b.iter(|| ranking.ranks(black_box(&batch), black_box(&mut compiled)));
    });
    group.bench_function("64 rows/by hand", |b| {
        b.iter(|| by_hand(black_box(&batch), black_box(&mut written)));
    });
    group.throughput(Throughput::Elements(1));
    let one = Batch {
        distances: &distances[..1],
        ..batch
    };
    group.bench_function("row/compiled", |b| {
        b.iter(|| ranking.ranks(black_box(&one), black_box(&mut compiled[..1])));
    });
    group.bench_function("row/by hand", |b| {
        b.iter(|| by_hand(black_box(&one), black_box(&mut written[..1])));
    });

    let of_zone = |fold: fn(u64, u64) -> u64| -> [u64; 3] {
        std::array::from_fn(|attribute| {
            let column = batch.column(attribute).iter().copied();
            column.reduce(fold).unwrap_or_default()
        })
    };
    let (low, high) = (of_zone(u64::min), of_zone(u64::max));
    let zone = Bounds {
        low: &low,
        high: &high,
        nulls: 0,
        null_distance: false,
        nan_distance: false,
    };
    let bound_by_hand = |nearest: f64, zone: &Bounds<'_>| {
        let keys = best(zone.low, zone.high);
        let distance = nearest;
        match zone.nulls == 0 && !zone.null_distance && !zone.nan_distance {
            true => !encode_float(score(&Line { distance, keys })),
            false => 0,
        }
    };
    let bounds = (ranking.bound(0.3, &zone), bound_by_hand(0.3, &zone));
    assert!(bounds.0 <= bounds.1 && bounds.1 - bounds.0 < 100, "{name}");
    group.bench_function("bound/compiled", |b| {
        b.iter(|| ranking.bound(black_box(0.3), black_box(&zone)));
    });
    group.bench_function("bound/by hand", |b| {
        b.iter(|| bound_by_hand(black_box(0.3), black_box(&zone)));
    });

    let repeated = |keys: &[u64; 3]| keys.map(|key| [key; LANES]).concat();
    let (low, high) = (repeated(&low), repeated(&high));
    let boxes = Boxes {
        count: LANES,
        low: &low,
        high: &high,
        stride: LANES,
        nulls: &nulls,
    };
    let distances = Distances {
        ranges: &[(0.3, 2.0); LANES],
        null: 0,
        nan: 0,
    };
    let (mut parts, mut bounds) = (Parts::default(), [0; LANES]);
    group.throughput(Throughput::Elements(LANES as u64));
    group.bench_function("64 zones/attributes", |b| {
        b.iter(|| ranking.parts(black_box(&boxes), black_box(&mut parts)));
    });
    group.bench_function("64 rows/attributes", |b| {
        b.iter(|| ranking.parts_of_rows(black_box(&batch), black_box(&mut parts)));
    });
    group.bench_function("64 bounds/distances", |b| {
        b.iter(|| {
            ranking.bounds(
                black_box(&parts),
                black_box(&distances),
                black_box(&mut bounds),
            )
        });
    });
}

fn scores(c: &mut Criterion) {
    shape(
        c,
        "linear",
        "0.7 * (1 - distance) + 0.3 * importance",
        |row| 0.7 * (1.0 - row.distance) + 0.3 * row.importance(),
        |_, high| [0, high[IMPORTANCE], 0],
    );
    shape(
        c,
        "exponential",
        "0.7 * (1 - distance) + 0.3 * exp(-((820000000000000 - created_at) / 3600000000) / 720)",
        |row| 0.7 * (1.0 - row.distance) + 0.3 * (-row.age() / 720.0).exp(),
        |_, high| [high[CREATED_AT], 0, 0],
    );
    shape(
        c,
        "hyperbolic",
        "(1 - distance) / (1 + (820000000000000 - created_at) / 3600000000 / 720)",
        |row| (1.0 - row.distance) / (1.0 + row.age() / 720.0),
        |_, high| [high[CREATED_AT], 0, 0],
    );
    shape(
        c,
        "boost",
        "1 - distance + CASE WHEN kind = $1 THEN 0.05 ELSE 0 END",
        |row| 1.0 - row.distance + if row.keys[KIND] == BOOSTED { 0.05 } else { 0.0 },
        |low, high| {
            let boosted = low[KIND] <= BOOSTED && BOOSTED <= high[KIND];
            [0, 0, if boosted { BOOSTED } else { 0 }]
        },
    );
}

criterion_group!(benches, scores);
criterion_main!(benches);
