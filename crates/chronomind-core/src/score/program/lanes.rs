//! Operations over up to 64 rows at once.
//!
//! Loops run over whole columns without a branch, so that the compiler can make vector instructions
//! of them; a value that stands for NULL is computed like any other and masked.

use super::super::expr::{Binary, Unary, Variadic};
use super::super::{AttributeKind, Batch, LANES};
use super::{Operation, number};

/// A register: the value of each row.
#[derive(Debug, Clone)]
pub(in crate::score) struct Column {
    pub(in crate::score) values: [f64; LANES],
    /// Bit `i` is set where row `i` has NULL.
    pub(in crate::score) nulls: u64,
}

impl Column {
    /// The register of an operation, filled in if its value is the same for all rows.
    pub(super) fn new(operation: &Operation) -> Column {
        match operation {
            Operation::Constant(bits) => Column {
                values: [f64::from_bits(*bits); LANES],
                nulls: 0,
            },
            _ => Column {
                values: [0.0; LANES],
                nulls: u64::MAX,
            },
        }
    }

    /// The value of a row.
    pub(super) fn get(&self, row: usize) -> Option<f64> {
        (self.nulls >> row & 1 == 0).then(|| self.values[row])
    }

    /// The rows where it is true: neither 0 nor NULL.
    #[inline(always)]
    pub(super) fn truth(&self, rows: usize) -> u64 {
        mask(&self.values[..rows], |value| value != 0.0) & !self.nulls
    }

    /// Sets the values to 1 where the mask has bits and to 0 elsewhere.
    #[inline(always)]
    fn spread(&mut self, rows: usize, mask: u64) {
        for (row, value) in self.values[..rows].iter_mut().enumerate() {
            *value = (mask >> row & 1) as f64;
        }
    }

    #[inline(always)]
    fn map(&mut self, rows: usize, x: &Column, function: impl Fn(f64) -> f64) {
        let values = self.values[..rows].iter_mut().zip(&x.values[..rows]);
        values.for_each(|(value, &x)| *value = function(x));
        self.nulls = x.nulls;
    }

    #[inline(always)]
    fn zip(&mut self, rows: usize, x: &Column, y: &Column, function: impl Fn(f64, f64) -> f64) {
        let arguments = x.values[..rows].iter().zip(&y.values[..rows]);
        let values = self.values[..rows].iter_mut().zip(arguments);
        values.for_each(|(value, (&x, &y))| *value = function(x, y));
        self.nulls = x.nulls | y.nulls;
    }

    #[inline(always)]
    fn test(&mut self, rows: usize, x: &Column, y: &Column, holds: impl Fn(f64, f64) -> bool) {
        self.zip(rows, x, y, |x, y| f64::from(u8::from(holds(x, y))));
    }

    /// The first argument where the mask has bits, else the second. That it is the same for all rows is the
    /// rule: a mask tells NULLs, the future, or what weighs nothing.
    #[inline(always)]
    fn choose(&mut self, rows: usize, first: u64, x: &Column, y: &Column) {
        self.nulls = first & x.nulls | !first & y.nulls;
        let all = lanes(rows);
        let only = match first & all {
            0 => Some(y),
            mask if mask == all => Some(x),
            _ => None,
        };
        if let Some(only) = only {
            return self.values[..rows].copy_from_slice(&only.values[..rows]);
        }
        let arguments = x.values[..rows].iter().zip(&y.values[..rows]);
        let values = self.values[..rows].iter_mut().zip(arguments).enumerate();
        values.for_each(|(row, (value, (&x, &y)))| {
            *value = if first >> row & 1 != 0 { x } else { y }
        });
    }

    /// Computes the register of an operation from those before it.
    #[inline(always)]
    pub(super) fn compute(&mut self, operation: &Operation, before: &[Column], batch: &Batch<'_>) {
        let rows = batch.rows();
        match *operation {
            Operation::Constant(_) | Operation::Null => {}
            Operation::Distance => {
                self.values[..rows].copy_from_slice(batch.distances);
                self.nulls = batch.null_distances;
            }
            Operation::Attribute(attribute, kind) => {
                let keys = batch.column(attribute);
                let values = &mut self.values[..rows];
                let fill = |values: &mut [f64], kind| {
                    let keys = values.iter_mut().zip(keys);
                    keys.for_each(|(value, &key)| *value = number(kind, key));
                };
                // A kind a loop, so that none has the match inside.
                match kind {
                    AttributeKind::Int => fill(values, AttributeKind::Int),
                    AttributeKind::Date => fill(values, AttributeKind::Date),
                    AttributeKind::Timestamp => fill(values, AttributeKind::Timestamp),
                    AttributeKind::Float => fill(values, AttributeKind::Float),
                    AttributeKind::Hash => {}
                }
                self.nulls = batch.nulls[attribute];
            }
            Operation::HasKey(attribute, wanted) => {
                let keys = batch.column(attribute);
                let values = self.values[..rows].iter_mut().zip(keys);
                values.for_each(|(value, &key)| *value = f64::from(u8::from(key == wanted)));
                self.nulls = batch.nulls[attribute];
            }
            Operation::Unary(function, x) => self.unary(rows, function, &before[x]),
            Operation::Binary(function, x, y) => {
                self.binary(rows, function, &before[x], &before[y]);
            }
            Operation::Variadic(function, x, y) => {
                let (x, y) = (&before[x], &before[y]);
                let have_nulls = x.nulls | y.nulls != 0;
                let second = match function {
                    Variadic::Coalesce => 0,
                    Variadic::Least if have_nulls => pairs(rows, x, y, |x, y| less(y, x)),
                    Variadic::Greatest if have_nulls => pairs(rows, x, y, less),
                    Variadic::Least => {
                        return self.zip(rows, x, y, |x, y| if less(y, x) { y } else { x });
                    }
                    Variadic::Greatest => {
                        return self.zip(rows, x, y, |x, y| if less(x, y) { y } else { x });
                    }
                };
                self.choose(rows, !x.nulls & !(second & !y.nulls), x, y);
            }
            Operation::Select(condition, x, y) => {
                let holds = before[condition].truth(rows);
                self.choose(rows, holds, &before[x], &before[y]);
            }
        }
    }

    #[inline(always)]
    fn unary(&mut self, rows: usize, function: Unary, x: &Column) {
        match function {
            Unary::Negate => self.map(rows, x, |x| -x),
            Unary::Exp => self.map(rows, x, f64::exp),
            Unary::Ln => self.map(rows, x, f64::ln),
            Unary::Log10 => self.map(rows, x, f64::log10),
            Unary::Sqrt => self.map(rows, x, f64::sqrt),
            Unary::Abs => self.map(rows, x, f64::abs),
            Unary::Floor => self.map(rows, x, f64::floor),
            Unary::Ceil => self.map(rows, x, f64::ceil),
            Unary::Round => self.map(rows, x, f64::round_ties_even),
            Unary::Trunc => self.map(rows, x, f64::trunc),
            Unary::Float4 => self.map(rows, x, |x| f64::from(x as f32)),
            Unary::Not => self.map(rows, x, |x| f64::from(u8::from(x == 0.0))),
            Unary::IsNull => {
                self.spread(rows, x.nulls);
                self.nulls = 0;
            }
        }
    }

    #[inline(always)]
    fn binary(&mut self, rows: usize, function: Binary, x: &Column, y: &Column) {
        match function {
            Binary::Add => self.zip(rows, x, y, |x, y| x + y),
            Binary::Subtract => self.zip(rows, x, y, |x, y| x - y),
            Binary::Multiply => self.zip(rows, x, y, |x, y| x * y),
            Binary::Divide => self.zip(rows, x, y, |x, y| x / y),
            Binary::Power => self.zip(rows, x, y, power),
            Binary::Equal => self.test(rows, x, y, equal),
            Binary::NotEqual => self.test(rows, x, y, |x, y| !equal(x, y)),
            Binary::Less => self.test(rows, x, y, less),
            Binary::LessEqual => self.test(rows, x, y, |x, y| !less(y, x)),
            Binary::Greater => self.test(rows, x, y, |x, y| less(y, x)),
            Binary::GreaterEqual => self.test(rows, x, y, |x, y| !less(x, y)),
            Binary::And | Binary::Or => {
                let (holds_x, holds_y) = (x.truth(rows), y.truth(rows));
                let (fails_x, fails_y) = (!holds_x & !x.nulls, !holds_y & !y.nulls);
                let (holds, fails) = match function {
                    Binary::And => (holds_x & holds_y, fails_x | fails_y),
                    _ => (holds_x | holds_y, fails_x & fails_y),
                };
                self.spread(rows, holds);
                self.nulls = !(holds | fails);
            }
        }
    }
}

/// A bit for each of the first so many, one at least.
pub(super) fn lanes(count: usize) -> u64 {
    u64::MAX >> (LANES - count.clamp(1, LANES))
}

fn mask(values: &[f64], holds: impl Fn(f64) -> bool) -> u64 {
    let bits = values.iter().enumerate();
    bits.fold(0, |mask, (row, &value)| {
        mask | u64::from(holds(value)) << row
    })
}

#[inline(always)]
fn pairs(rows: usize, x: &Column, y: &Column, holds: impl Fn(f64, f64) -> bool) -> u64 {
    let pairs = x.values[..rows].iter().zip(&y.values[..rows]).enumerate();
    pairs.fold(0, |mask, (row, (&x, &y))| {
        mask | u64::from(holds(x, y)) << row
    })
}

/// In Postgres's order, where NaN is the greatest.
fn less(x: f64, y: f64) -> bool {
    (x < y) | (y.is_nan() & !x.is_nan())
}

/// NaN is equal to itself.
fn equal(x: f64, y: f64) -> bool {
    (x == y) | (x.is_nan() & y.is_nan())
}

/// No base is -0, whose negative powers are not those of 0, and no exponent a signalling NaN, which makes
/// one of 1.
pub(super) fn power(base: f64, exponent: f64) -> f64 {
    (base + 0.0).powf(exponent + 0.0)
}
