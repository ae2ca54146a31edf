//! Ranges over up to 64 boxes at once: the zones below one, or the rows of a block.
//!
//! Boxes are bounded again and again for distances that change while their attributes do not, and
//! what an expression makes of attributes alone is often dear: a decay is an exponential. So it is
//! computed once ([`Parts`]), and of rows, each of which is a point, as rows are scored (`lanes`).
//!
//! What usual scores are made of (attributes, arithmetic, exponentials, comparisons and choices) is loops over
//! ordinary intervals that the compiler makes vector instructions of. Whatever is not ordinary (no number, an
//! infinity, a divisor through 0) is left to the operation on a single interval, and so are the operations that
//! are not worth a loop of their own.

use super::super::expr::{Binary, Unary, Variadic};
use super::super::{AttributeKind, Boxes, Distances, LANES};
use super::interval::{Interval, NOTHING, Truth};
use super::lanes::{Column, lanes};
use super::range::{self, binary, select, unary, variadic};
use super::{Operation, exponential, number};
use crate::postings::{bits, packed};

/// A register: the range of each box.
#[derive(Debug, Clone)]
pub(in crate::score) struct Ranges {
    low: [f64; LANES],
    high: [f64; LANES],
    /// Bit `i` is set where box `i` may have NaN.
    nan: u64,
    /// Bit `i` is set where box `i` may have NULL.
    null: u64,
    /// The number that every box has, where an expression says so.
    constant: Option<f64>,
}

/// What an order makes of the attributes of some boxes, whatever their distances are.
#[derive(Debug, Clone, Default)]
pub struct Parts(pub(super) Vec<Ranges>);

impl Parts {
    /// Forgets all boxes but those that the mask has bits for, which move together.
    pub fn keep(&mut self, boxes: u64) {
        self.0.iter_mut().for_each(|part| part.keep(boxes));
    }

    /// Memory of what is held, in bytes.
    pub fn bytes(&self) -> usize {
        self.0.capacity() * size_of::<Ranges>()
    }
}

impl Ranges {
    /// The register of an operation, filled in if its range is the same for all boxes.
    pub(super) fn new(operation: &Operation) -> Ranges {
        let range = Interval::new(operation);
        let all = |holds: bool| if holds { u64::MAX } else { 0 };
        Ranges {
            low: [range.low; LANES],
            high: [range.high; LANES],
            nan: all(range.has_nan()),
            null: all(range.has_null()),
            constant: match operation {
                Operation::Constant(bits) => Some(f64::from_bits(*bits)),
                _ => None,
            },
        }
    }

    /// The range of a box.
    pub(in crate::score) fn get(&self, number: usize) -> Interval {
        Interval {
            low: self.low[number],
            high: self.high[number],
            marks: 0,
        }
        .or_nan(self.nan >> number & 1 != 0)
        .or_null(self.null >> number & 1 != 0)
    }

    /// [`low`](Interval::low) and [`high`](Interval::high) of the first so many boxes, and a bit for each
    /// whose range is not of numbers alone.
    #[inline(always)]
    pub(in crate::score) fn numbers(&self, count: usize) -> (&[f64], &[f64], u64) {
        let mut odd = self.nan | self.null;
        let (low, high) = (&self.low[..count], &self.high[..count]);
        if !low
            .iter()
            .zip(high)
            .fold(true, |all, (low, high)| all & (low <= high))
        {
            for (i, (low, high)) in low.iter().zip(high).enumerate() {
                odd |= u64::from(low > high) << i;
            }
        }
        (low, high, odd)
    }

    fn set(&mut self, number: usize, range: Interval) {
        (self.low[number], self.high[number]) = (range.low, range.high);
        let bit = |mask: u64, holds: bool| mask & !(1 << number) | u64::from(holds) << number;
        self.nan = bit(self.nan, range.has_nan());
        self.null = bit(self.null, range.has_null());
    }

    fn keep(&mut self, boxes: u64) {
        for (to, from) in bits(boxes).enumerate() {
            (self.low[to], self.high[to]) = (self.low[from], self.high[from]);
        }
        self.nan = packed(self.nan, boxes);
        self.null = packed(self.null, boxes);
    }

    fn each(&mut self, count: usize, range: impl Fn(usize) -> Interval) {
        (0..count).for_each(|number| self.set(number, range(number)));
    }

    /// Takes over the values of the first so many rows.
    #[inline(always)]
    pub(super) fn hold(&mut self, column: &Column, count: usize) {
        let values = &column.values[..count];
        self.low[..count].copy_from_slice(values);
        self.high[..count].copy_from_slice(values);
        let nan = values.iter().enumerate();
        let nan = nan.fold(0, |nan, (i, value)| nan | u64::from(value.is_nan()) << i);
        (self.nan, self.null) = (nan & !column.nulls, column.nulls);
        for i in bits(self.nan | self.null) {
            (self.low[i], self.high[i]) = (NOTHING.low, NOTHING.high);
        }
    }

    /// Takes over the ranges of the first so many boxes.
    pub(super) fn copy(&mut self, from: &Ranges, count: usize) {
        self.low[..count].copy_from_slice(&from.low[..count]);
        self.high[..count].copy_from_slice(&from.high[..count]);
        (self.nan, self.null) = (from.nan, from.null);
    }

    /// Computes the register of the distance, of which `limits` are the least there is and the greatest.
    #[inline(always)]
    pub(super) fn measure(&mut self, limits: (f64, f64), distances: &Distances<'_>) {
        let (least, most) = limits;
        for (i, (low, high)) in distances.ranges.iter().enumerate() {
            (self.low[i], self.high[i]) = (low.clamp(least, most), high.clamp(least, most));
        }
        (self.nan, self.null) = (distances.nan, distances.null);
    }

    /// Computes the register of what is read of an attribute.
    #[inline(always)]
    pub(super) fn read(&mut self, operation: &Operation, boxes: &Boxes<'_>) {
        match *operation {
            // A kind a loop, so that none has the match inside.
            Operation::Attribute(number, kind) => match kind {
                AttributeKind::Int => self.take(number, AttributeKind::Int, boxes),
                AttributeKind::Date => self.take(number, AttributeKind::Date, boxes),
                AttributeKind::Timestamp => self.take(number, AttributeKind::Timestamp, boxes),
                AttributeKind::Float => self.take(number, AttributeKind::Float, boxes),
                AttributeKind::Hash => self.take(number, AttributeKind::Hash, boxes),
            },
            Operation::HasKey(number, key) => {
                let column = number * boxes.stride..number * boxes.stride + boxes.count;
                let keys = boxes.low[column.clone()].iter().zip(&boxes.high[column]);
                let (mut holds, mut fails) = (0, 0);
                for (i, (&least, &most)) in keys.enumerate() {
                    holds |= u64::from((least <= key) & (key <= most)) << i;
                    fails |= u64::from((least <= most) & ((least != key) | (most != key))) << i;
                }
                let null = boxes.nulls[number];
                self.tell(boxes.count, Truth { holds, fails, null });
            }
            _ => {}
        }
    }

    /// The values of an attribute.
    #[inline(always)]
    fn take(&mut self, attribute: usize, kind: AttributeKind, boxes: &Boxes<'_>) {
        let column = attribute * boxes.stride..attribute * boxes.stride + boxes.count;
        let ends = self.low.iter_mut().zip(&mut self.high);
        let keys = boxes.low[column.clone()].iter().zip(&boxes.high[column]);
        let mut ordinary = true;
        for ((low, high), (&least, &most)) in ends.zip(keys) {
            let none = least > most;
            *low = if none {
                NOTHING.low
            } else {
                number(kind, least)
            };
            *high = if none {
                NOTHING.high
            } else {
                number(kind, most)
            };
            ordinary &= !(low.is_nan() | high.is_nan());
        }
        (self.nan, self.null) = (0, boxes.nulls[attribute]);
        if !ordinary {
            self.each(boxes.count, |i| {
                range::attribute(kind, boxes.keys(attribute, i), boxes.has_null(attribute, i))
            });
        }
    }

    /// Computes the register of any other operation from those before it.
    #[inline(always)]
    pub(super) fn compute(&mut self, operation: &Operation, before: &[Ranges], count: usize) {
        match *operation {
            Operation::Constant(_)
            | Operation::Null
            | Operation::Distance
            | Operation::Attribute(..)
            | Operation::HasKey(..) => {}
            Operation::Unary(Unary::Negate, x) => {
                let x = &before[x];
                for i in 0..count {
                    (self.low[i], self.high[i]) = (-x.high[i], -x.low[i]);
                }
                (self.nan, self.null) = (x.nan, x.null);
            }
            Operation::Unary(Unary::Exp, x) => {
                let x = &before[x];
                for i in 0..count {
                    let none = x.low[i] > x.high[i];
                    let (low, high) = (exponential::below(x.low[i]), exponential::above(x.high[i]));
                    self.low[i] = if none { NOTHING.low } else { low };
                    self.high[i] = if none { NOTHING.high } else { high };
                }
                (self.nan, self.null) = (x.nan, x.null);
            }
            Operation::Unary(Unary::IsNull, x) => {
                let (holds, fails) = (
                    before[x].null,
                    before[x].nan | before[x].have_numbers(count),
                );
                self.tell(
                    count,
                    Truth {
                        holds,
                        fails,
                        null: 0,
                    },
                );
            }
            Operation::Unary(Unary::Not, x) => {
                let Truth { holds, fails, null } = before[x].truths(count);
                let (holds, fails) = (fails, holds);
                self.tell(count, Truth { holds, fails, null });
            }
            Operation::Unary(function, x) => {
                self.each(count, |i| unary(function, &before[x].get(i)));
            }
            Operation::Binary(function, x, y) => {
                self.binary(count, function, &before[x], &before[y]);
            }
            Operation::Variadic(function, x, y) => {
                self.variadic(count, function, &before[x], &before[y]);
            }
            Operation::Select(condition, x, y) => {
                let (condition, x, y) = (&before[condition], &before[x], &before[y]);
                let Truth { holds, fails, null } = condition.truths(count);
                // The rule is that all boxes agree.
                match (holds & lanes(count), (fails | null) & lanes(count)) {
                    (0, _) => self.copy(y, count),
                    (_, 0) => self.copy(x, count),
                    _ => self.each(count, |i| select(&condition.get(i), x.get(i), y.get(i))),
                }
            }
        }
    }

    /// What a condition can be in the first so many boxes.
    #[inline(always)]
    fn truths(&self, count: usize) -> Truth<u64> {
        let (mut holds, mut fails) = (0, 0);
        for (i, (&low, &high)) in self.low[..count]
            .iter()
            .zip(&self.high[..count])
            .enumerate()
        {
            holds |= u64::from((low <= high) & ((low != 0.0) | (high != 0.0))) << i;
            fails |= u64::from((low <= 0.0) & (0.0 <= high)) << i;
        }
        Truth {
            holds: holds | self.nan,
            fails,
            null: self.null,
        }
    }

    #[inline(always)]
    fn have_numbers(&self, count: usize) -> u64 {
        let ends = self.low[..count].iter().zip(&self.high[..count]);
        ends.enumerate().fold(0, |mask, (i, (low, high))| {
            mask | u64::from(low <= high) << i
        })
    }

    /// Makes it a condition.
    #[inline(always)]
    fn tell(&mut self, count: usize, truths: Truth<u64>) {
        let ends = self.low.iter_mut().zip(&mut self.high);
        for (i, (low, high)) in ends.take(count).enumerate() {
            let (holds, fails) = (truths.holds >> i & 1 != 0, truths.fails >> i & 1 != 0);
            *low = if fails {
                0.0
            } else if holds {
                1.0
            } else {
                NOTHING.low
            };
            *high = if holds {
                1.0
            } else if fails {
                0.0
            } else {
                NOTHING.high
            };
        }
        (self.nan, self.null) = (0, truths.null);
    }

    #[inline(always)]
    fn variadic(&mut self, count: usize, function: Variadic, x: &Ranges, y: &Ranges) {
        let odd = x.nan | y.nan | x.null | y.null;
        match function {
            Variadic::Coalesce if x.null & lanes(count) == 0 => return self.copy(x, count),
            Variadic::Coalesce => {
                return self.each(count, |i| variadic(function, &x.get(i), &y.get(i)));
            }
            Variadic::Least => self.of_ends(count, x, y, min),
            Variadic::Greatest => self.of_ends(count, x, y, max),
        }
        (self.nan, self.null) = (0, 0);
        for i in bits(odd & lanes(count)) {
            self.set(i, variadic(function, &x.get(i), &y.get(i)));
        }
    }

    /// A function that grows with both arguments, where both are numbers; nothing elsewhere.
    #[inline(always)]
    fn of_ends(
        &mut self,
        count: usize,
        x: &Ranges,
        y: &Ranges,
        function: impl Fn(f64, f64) -> f64,
    ) {
        for i in 0..count {
            let none = (x.low[i] > x.high[i]) | (y.low[i] > y.high[i]);
            let (low, high) = (function(x.low[i], y.low[i]), function(x.high[i], y.high[i]));
            self.low[i] = if none { NOTHING.low } else { low };
            self.high[i] = if none { NOTHING.high } else { high };
        }
    }

    #[inline(always)]
    fn binary(&mut self, count: usize, function: Binary, x: &Ranges, y: &Ranges) {
        let span = |corners: [f64; 4]| {
            let [a, b, c, d] = corners;
            (min(min(a, b), min(c, d)), max(max(a, b), max(c, d)))
        };
        match function {
            Binary::Add => {
                self.zip(count, function, x, y, |(xl, xh), (yl, yh)| {
                    (xl + yl, xh + yh)
                });
            }
            Binary::Subtract => {
                self.zip(count, function, x, y, |(xl, xh), (yl, yh)| {
                    (xl - yh, xh - yl)
                });
            }
            Binary::Multiply => match (x.constant, y.constant) {
                (_, Some(by)) => self.scale(count, function, x, y, |x| x * by),
                (Some(by), _) => self.scale(count, function, y, x, |y| y * by),
                (None, None) => self.zip(count, function, x, y, |(xl, xh), (yl, yh)| {
                    span([xl * yl, xl * yh, xh * yl, xh * yh])
                }),
            },
            Binary::Divide if y.constant.is_some_and(|by| by != 0.0) => {
                let by = y.constant.unwrap_or(1.0);
                self.scale(count, function, x, y, |x| x / by);
            }
            Binary::Divide => self.zip(count, function, x, y, |(xl, xh), (yl, yh)| {
                let (low, high) = span([xl / yl, xl / yh, xh / yl, xh / yh]);
                // Not a number, and so not ordinary, where the divisor may be 0.
                let ordinary = if (yl > 0.0) | (yh < 0.0) {
                    0.0
                } else {
                    f64::NAN
                };
                (low + ordinary, high)
            }),
            Binary::Power => match x.constant.and_then(exponential::logarithm) {
                Some(logarithm) => self.raise(count, logarithm, x, y),
                None => self.each(count, |i| binary(function, &x.get(i), &y.get(i))),
            },
            Binary::And => self.tell(count, x.truths(count).and(&y.truths(count))),
            Binary::Or => self.tell(count, x.truths(count).or(&y.truths(count))),
            // A comparison a loop, so that none has the match inside.
            Binary::Less => self.compare(count, Binary::Less, x, y),
            Binary::LessEqual => self.compare(count, Binary::LessEqual, x, y),
            Binary::Greater => self.compare(count, Binary::Greater, x, y),
            Binary::GreaterEqual => self.compare(count, Binary::GreaterEqual, x, y),
            Binary::Equal => self.compare(count, Binary::Equal, x, y),
            Binary::NotEqual => self.compare(count, Binary::NotEqual, x, y),
        }
    }

    /// The powers of a constant with that logarithm.
    #[inline(always)]
    fn raise(&mut self, count: usize, logarithm: f64, x: &Ranges, y: &Ranges) {
        let mut ordinary = y.nan & lanes(count) == 0;
        for i in 0..count {
            let (low, high) = (y.low[i], y.high[i]);
            (self.low[i], self.high[i]) = exponential::powers(logarithm, low, high);
            ordinary &= is_ordinary((low, high));
        }
        (self.nan, self.null) = (0, y.null);
        if !ordinary {
            self.each(count, |i| binary(Binary::Power, &x.get(i), &y.get(i)));
        }
    }

    #[inline(always)]
    fn compare(&mut self, count: usize, function: Binary, x: &Ranges, y: &Ranges) {
        let (mut holds, mut fails) = (0, 0);
        for i in 0..count {
            let (xs, ys) = ((x.low[i], x.high[i]), (y.low[i], y.high[i]));
            let numbers = (xs.0 <= xs.1) & (ys.0 <= ys.1);
            let (may_hold, may_fail) = range::comparison(function, xs, ys);
            holds |= u64::from(numbers & may_hold) << i;
            fails |= u64::from(numbers & may_fail) << i;
        }
        let null = x.null | y.null;
        self.tell(count, Truth { holds, fails, null });
        for i in bits((x.nan | y.nan) & lanes(count)) {
            self.set(i, binary(function, &x.get(i), &y.get(i)));
        }
    }

    /// A product or a quotient with a constant.
    #[inline(always)]
    fn scale(
        &mut self,
        count: usize,
        function: Binary,
        x: &Ranges,
        constant: &Ranges,
        scaled: impl Fn(f64) -> f64,
    ) {
        if scaled(1.0).is_sign_positive() {
            self.zip(count, function, x, constant, |(low, high), _| {
                (scaled(low), scaled(high))
            });
        } else {
            self.zip(count, function, x, constant, |(low, high), _| {
                (scaled(high), scaled(low))
            });
        }
    }

    /// A function of intervals of finite numbers, which counts where its result is one.
    #[inline(always)]
    fn zip(
        &mut self,
        count: usize,
        function: Binary,
        x: &Ranges,
        y: &Ranges,
        ordinary: impl Fn((f64, f64), (f64, f64)) -> (f64, f64),
    ) {
        // The bits that tell of something that is not ordinary, gathered without a comparison: of few
        // instructions, and such as there are for several numbers at once.
        let mut odd = 0;
        for i in 0..count {
            let (xs, ys) = ((x.low[i], x.high[i]), (y.low[i], y.high[i]));
            let (low, high) = ordinary(xs, ys);
            (self.low[i], self.high[i]) = (low, high);
            let widths = [xs.1 - xs.0, ys.1 - ys.0, high - low];
            let sum: f64 = widths.iter().sum();
            // Infinity times 0 is no number; every finite one gives 0.
            odd |=
                (sum * 0.0).to_bits() | widths.iter().fold(0, |bits, w| bits | w.to_bits() & SIGN);
        }
        (self.nan, self.null) = (x.nan | y.nan, x.null | y.null);
        if odd == 0 {
            return;
        }
        for i in 0..count {
            let ranges = [x, y, &*self].map(|range| (range.low[i], range.high[i]));
            if !ranges.into_iter().all(is_ordinary) {
                self.set(i, binary(function, &x.get(i), &y.get(i)));
            }
        }
    }
}

const SIGN: u64 = 1 << 63;

/// Finite numbers, and no fewer than one; false too where they are too far apart.
fn is_ordinary((low, high): (f64, f64)) -> bool {
    (0.0..f64::INFINITY).contains(&(high - low))
}

/// The lesser; either where one is NaN.
fn min(x: f64, y: f64) -> f64 {
    if x < y { x } else { y }
}

/// The greater; either where one is NaN.
fn max(x: f64, y: f64) -> f64 {
    if x > y { x } else { y }
}
