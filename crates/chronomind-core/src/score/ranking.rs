//! The order of rows by any score expression, as SQL's `ORDER BY` would have it.

use super::{
    Batch, Bounds, Boxes, Distances, Interval, Order, Parts, Program, decode_float, encode_float,
};

/// Rows in order of a program's value. NaN is above every number; NULL comes first or last.
#[derive(Debug, Clone)]
pub struct Ranking {
    /// The score.
    pub program: Program,
    /// Greater scores come first.
    pub descending: bool,
    /// NULL comes before every other score, else after them.
    pub nulls_first: bool,
}

impl Ranking {
    /// The rank of NULL. No other score has it: the keys of floats leave both ends free.
    fn null(&self) -> u64 {
        if self.nulls_first { 0 } else { u64::MAX }
    }

    /// The rank of a number or of NaN, or back.
    fn turned(&self, key: u64) -> u64 {
        if self.descending { !key } else { key }
    }

    /// The lowest rank of some values.
    fn first(&self, range: Interval) -> u64 {
        // Without any value there is no row.
        let mut bound = u64::MAX;
        if range.has_numbers() {
            let first = if self.descending {
                range.high
            } else {
                range.low
            };
            bound = self.turned(encode_float(first));
        }
        if range.has_nan() {
            bound = bound.min(self.turned(encode_float(f64::NAN)));
        }
        if range.has_null() {
            bound = bound.min(self.null());
        }
        bound
    }
}

impl Order for Ranking {
    fn attributes(&self) -> u32 {
        self.program.attributes()
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        let turn = self.turned(0);
        self.program.evaluate(rows, |column| {
            for (rank, &value) in ranks.iter_mut().zip(&column.values) {
                *rank = encode_float(value) ^ turn;
            }
            for row in crate::postings::bits(column.nulls) {
                if let Some(rank) = ranks.get_mut(row) {
                    *rank = self.null();
                }
            }
        });
    }

    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64 {
        self.first(self.program.range(nearest, zone))
    }

    fn parts(&self, boxes: &Boxes<'_>, parts: &mut Parts) {
        self.program.parts(boxes, parts);
    }

    fn parts_of_rows(&self, rows: &Batch<'_>, parts: &mut Parts) {
        self.program.parts_of_rows(rows, parts);
    }

    fn bounds(&self, parts: &Parts, distances: &Distances<'_>, bounds: &mut [u64]) {
        self.program.ranges(parts, distances, |ranges| {
            let odd = {
                let (low, high, odd) = ranges.numbers(bounds.len());
                let turn = self.turned(0);
                let first = if self.descending { high } else { low };
                for (bound, &first) in bounds.iter_mut().zip(first) {
                    *bound = encode_float(first) ^ turn;
                }
                odd
            };
            for number in crate::postings::bits(odd) {
                if let Some(bound) = bounds.get_mut(number) {
                    *bound = self.first(ranges.get(number));
                }
            }
        });
    }

    fn score(&self, rank: u64) -> Option<f64> {
        (rank != self.null()).then(|| decode_float(self.turned(rank)))
    }
}
