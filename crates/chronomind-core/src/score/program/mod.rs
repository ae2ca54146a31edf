//! Score expressions, compiled.
//!
//! A program is a list of operations in the order of their evaluation, each of which writes a
//! register of its own and reads registers before it. It is made when everything but the rows is
//! known: parameters are filled in, what is constant is folded, equal subexpressions are shared, and
//! columns are ordinals.
//!
//! One list is evaluated in two ways: over rows (`lanes`), where a register is a column of up to 64
//! numbers so that an operation is a loop without branches, and over a box of rows (`range`),
//! where a register is the range of what those numbers can be. The latter has a form for 64 boxes at
//! once (`ranges`), in two parts: before distances are known, and for some distances.

mod blend;
mod compile;
mod exponential;
mod interval;
mod lanes;
mod range;
mod ranges;
#[cfg(test)]
mod tests;
mod wide;

use std::cell::Cell;
use std::fmt::{Debug, Formatter};

use super::expr::{Binary, Unary, Variadic};
use super::{AttributeKind, Batch, Bounds, Boxes, Distances, decode_float, decode_int};
pub use compile::CompileError;
pub use interval::Interval;
use lanes::Column;
pub use ranges::Parts;
use ranges::Ranges;
use wide::{Loops, wide};

/// A compiled expression.
#[derive(Debug, Clone)]
pub struct Program {
    operations: Vec<Operation>,
    /// The register that holds the result.
    result: usize,
    attributes: u32,
    /// The registers that follow from attributes alone, and those that the distance has a part in.
    settled: Vec<usize>,
    moving: Vec<usize>,
    /// Those of the former that the latter read. The result, where there are none of the latter.
    parts: Vec<usize>,
    /// Least and greatest distance of the metric.
    distances: (f64, f64),
    columns: Scratch<Column>,
    intervals: Scratch<Interval>,
    ranges: Scratch<Ranges>,
}

/// What writes a register. Numbers refer to registers, which are those of earlier operations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Operation {
    /// The bits of a number.
    Constant(u64),
    Null,
    Distance,
    Attribute(usize, AttributeKind),
    /// Whether a hashed attribute has a key.
    HasKey(usize, u64),
    Unary(Unary, usize),
    Binary(Binary, usize, usize),
    Variadic(Variadic, usize, usize),
    /// The second where the first is true, else the third.
    Select(usize, usize, usize),
}

impl Operation {
    /// The registers it reads.
    fn operands(&mut self) -> impl Iterator<Item = &mut usize> {
        use Operation::*;
        let operands = match self {
            Constant(_) | Null | Distance | Attribute(..) | HasKey(..) => [None, None, None],
            Unary(_, x) => [Some(x), None, None],
            Binary(_, x, y) | Variadic(_, x, y) => [Some(x), Some(y), None],
            Select(x, y, z) => [Some(x), Some(y), Some(z)],
        };
        operands.into_iter().flatten()
    }
}

impl Program {
    /// The attributes it looks at, a bit each.
    pub fn attributes(&self) -> u32 {
        self.attributes
    }

    /// The rows for which a condition is true, a bit each.
    pub fn holds(&self, rows: &Batch<'_>) -> u64 {
        self.evaluate(rows, |column| column.truth(rows.rows()))
    }

    /// False when the condition is true for no row of a box: one whose attributes are inside and
    /// whose distance is at least `nearest`, NaN or NULL (the latter two only where the box says so).
    pub fn may_hold(&self, nearest: f64, zone: &Bounds<'_>) -> bool {
        self.range(nearest, zone).may_be_true()
    }

    /// [`may_hold`](Program::may_hold) for each of some boxes, a bit each.
    pub fn may_hold_among(&self, parts: &Parts, distances: &Distances<'_>) -> u64 {
        self.ranges(parts, distances, |ranges| {
            (0..distances.ranges.len()).fold(0, |mask, number| {
                mask | u64::from(ranges.get(number).may_be_true()) << number
            })
        })
    }

    /// Evaluates it for some rows and hands the values on.
    pub(super) fn evaluate<T>(&self, rows: &Batch<'_>, then: impl FnOnce(&Column) -> T) -> T {
        self.with_columns(|columns| {
            wide(OverRows {
                operations: &self.operations,
                registers: 0..self.operations.len(),
                columns,
                rows,
            });
            then(&columns[self.result])
        })
    }

    fn with_columns<T>(&self, then: impl FnOnce(&mut [Column]) -> T) -> T {
        self.columns.with(|columns| {
            if columns.is_empty() {
                columns.extend(self.operations.iter().map(Column::new));
            }
            then(columns)
        })
    }

    /// The distances that are numbers and at least `nearest`, which is no more than there can be.
    fn distances(&self, nearest: f64) -> Interval {
        let (least, most) = self.distances;
        Interval::between(nearest.clamp(least, most), most)
    }

    /// What follows from the attributes of some boxes.
    pub fn parts(&self, boxes: &Boxes<'_>, parts: &mut Parts) {
        self.with_ranges(|ranges| {
            wide(OverAttributes {
                program: self,
                ranges,
                boxes,
            });
            for (register, part) in self.each_part(parts) {
                part.copy(&ranges[register], boxes.count);
            }
        });
    }

    /// The registers that parts are of, each with its part.
    fn each_part<'a>(&self, parts: &'a mut Parts) -> impl Iterator<Item = (usize, &'a mut Ranges)> {
        if parts.0.len() != self.parts.len() {
            let empty = |&register: &usize| Ranges::new(&self.operations[register]);
            parts.0 = self.parts.iter().map(empty).collect();
        }
        self.parts.iter().copied().zip(&mut parts.0)
    }

    /// What follows from the attributes of some rows, each a box of its own.
    pub fn parts_of_rows(&self, rows: &Batch<'_>, parts: &mut Parts) {
        self.with_columns(|columns| {
            wide(OverRows {
                operations: &self.operations,
                registers: self.settled.iter().copied(),
                columns,
                rows,
            });
            for (register, part) in self.each_part(parts) {
                part.hold(&columns[register], rows.rows());
            }
        });
    }

    /// What the values can be over each of some boxes; hands the ranges on.
    pub(super) fn ranges<T>(
        &self,
        parts: &Parts,
        distances: &Distances<'_>,
        then: impl FnOnce(&Ranges) -> T,
    ) -> T {
        self.with_ranges(|ranges| {
            for (&register, part) in self.parts.iter().zip(&parts.0) {
                ranges[register].copy(part, distances.ranges.len());
            }
            wide(OverBoxes {
                program: self,
                ranges,
                distances,
            });
            then(&ranges[self.result])
        })
    }

    fn with_ranges<T>(&self, then: impl FnOnce(&mut [Ranges]) -> T) -> T {
        self.ranges.with(|ranges| {
            if ranges.is_empty() {
                ranges.extend(self.operations.iter().map(Ranges::new));
            }
            then(ranges)
        })
    }

    /// What the values can be over a box, as [`may_hold`](Program::may_hold) describes it.
    pub fn range(&self, nearest: f64, zone: &Bounds<'_>) -> Interval {
        let distance = self
            .distances(nearest)
            .or_nan(zone.nan_distance)
            .or_null(zone.null_distance);
        self.intervals.with(|intervals| {
            if intervals.is_empty() {
                intervals.extend(self.operations.iter().map(Interval::new));
            }
            for (register, operation) in self.operations.iter().enumerate() {
                let (before, rest) = intervals.split_at_mut(register);
                rest[0].compute(operation, before, &distance, zone);
            }
            intervals[self.result]
        })
    }
}

/// Some registers of rows, to be computed in their order.
struct OverRows<'a, I> {
    operations: &'a [Operation],
    registers: I,
    columns: &'a mut [Column],
    rows: &'a Batch<'a>,
}

impl<I: Iterator<Item = usize>> Loops for OverRows<'_, I> {
    #[inline(always)]
    fn run(self) {
        for register in self.registers {
            let (before, rest) = self.columns.split_at_mut(register);
            rest[0].compute(&self.operations[register], before, self.rows);
        }
    }
}

/// The registers of boxes that follow from attributes alone, to be computed.
struct OverAttributes<'a> {
    program: &'a Program,
    ranges: &'a mut [Ranges],
    boxes: &'a Boxes<'a>,
}

impl Loops for OverAttributes<'_> {
    #[inline(always)]
    fn run(self) {
        for &register in &self.program.settled {
            let (before, rest) = self.ranges.split_at_mut(register);
            let operation = &self.program.operations[register];
            rest[0].read(operation, self.boxes);
            rest[0].compute(operation, before, self.boxes.count);
        }
    }
}

/// The registers of boxes that the distance has a part in, to be computed.
struct OverBoxes<'a> {
    program: &'a Program,
    ranges: &'a mut [Ranges],
    distances: &'a Distances<'a>,
}

impl Loops for OverBoxes<'_> {
    #[inline(always)]
    fn run(self) {
        let limits = self.program.distances;
        let boxes = self.distances.ranges.len();
        for &register in &self.program.moving {
            let (before, rest) = self.ranges.split_at_mut(register);
            match self.program.operations[register] {
                Operation::Distance => rest[0].measure(limits, self.distances),
                ref operation => rest[0].compute(operation, before, boxes),
            }
        }
    }
}

/// The number of a key that is not the hash of something.
fn number(kind: AttributeKind, key: u64) -> f64 {
    match kind {
        AttributeKind::Int => decode_int(key) as f64,
        AttributeKind::Date => match decode_int(key) {
            ..=DATE_BEGIN => f64::NEG_INFINITY,
            DATE_END.. => f64::INFINITY,
            days => days as f64,
        },
        AttributeKind::Timestamp => match decode_int(key) {
            i64::MIN => f64::NEG_INFINITY,
            i64::MAX => f64::INFINITY,
            microseconds => microseconds as f64,
        },
        AttributeKind::Float => decode_float(key),
        AttributeKind::Hash => 0.0,
    }
}

/// `-infinity` and `infinity` as dates.
const DATE_BEGIN: i64 = i32::MIN as i64;
const DATE_END: i64 = i32::MAX as i64;

/// Memory that is kept from one evaluation to the next.
struct Scratch<T>(Cell<Vec<T>>);

impl<T> Scratch<T> {
    fn with<R>(&self, then: impl FnOnce(&mut Vec<T>) -> R) -> R {
        let mut memory = self.0.take();
        let result = then(&mut memory);
        self.0.set(memory);
        result
    }
}

impl<T> Default for Scratch<T> {
    fn default() -> Scratch<T> {
        Scratch(Cell::default())
    }
}

impl<T> Debug for Scratch<T> {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        f.write_str("Scratch")
    }
}

impl<T> Clone for Scratch<T> {
    /// Memory of its own.
    fn clone(&self) -> Scratch<T> {
        Scratch::default()
    }
}
