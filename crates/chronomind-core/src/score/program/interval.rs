//! A set of values as an interval of numbers, with NaN and NULL beside them.

use std::ops::{BitAnd, BitOr};

/// A set of values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Interval {
    /// The least number. Above `high` when no value is a number.
    pub low: f64,
    /// The greatest number.
    pub high: f64,
    /// [`NAN`] and [`NULL`]. One word, for two flags that are written apart and copied together make
    /// the processor wait.
    pub(super) marks: u64,
}

/// Some value may be NaN.
const NAN: u64 = 1;
/// Some value may be NULL.
const NULL: u64 = 2;

/// No value at all.
pub(super) const NOTHING: Interval = Interval {
    low: f64::INFINITY,
    high: f64::NEG_INFINITY,
    marks: 0,
};
/// Every number.
pub(super) const NUMBERS: Interval = Interval {
    low: f64::NEG_INFINITY,
    high: f64::INFINITY,
    marks: 0,
};

/// What a condition can be: in one box, or in several, a bit each.
pub(super) struct Truth<T = bool> {
    pub(super) holds: T,
    pub(super) fails: T,
    pub(super) null: T,
}

impl<T: Copy + BitAnd<Output = T> + BitOr<Output = T>> Truth<T> {
    #[inline(always)]
    pub(super) fn and(&self, other: &Truth<T>) -> Truth<T> {
        let (x, y) = (self, other);
        Truth {
            holds: x.holds & y.holds,
            fails: x.fails | y.fails,
            null: x.null & (y.holds | y.null) | y.null & (x.holds | x.null),
        }
    }

    #[inline(always)]
    pub(super) fn or(&self, other: &Truth<T>) -> Truth<T> {
        let (x, y) = (self, other);
        Truth {
            holds: x.holds | y.holds,
            fails: x.fails & y.fails,
            null: x.null & (y.fails | y.null) | y.null & (x.fails | x.null),
        }
    }
}

impl Interval {
    pub(super) fn point(value: f64) -> Interval {
        if value.is_nan() {
            return NOTHING.or_nan(true);
        }
        Interval {
            low: value,
            high: value,
            ..NOTHING
        }
    }

    /// The numbers between two, NaN standing for no bound.
    pub(super) fn between(low: f64, high: f64) -> Interval {
        Interval {
            low: if low.is_nan() { f64::NEG_INFINITY } else { low },
            high: if high.is_nan() { f64::INFINITY } else { high },
            ..NOTHING
        }
    }

    /// The numbers spanned by some, NaN aside.
    pub(super) fn span<const N: usize>(numbers: [f64; N]) -> Interval {
        // Comparisons with NaN are false; those of `f64::min` take longer to say so.
        numbers.into_iter().fold(NOTHING, |span, number| Interval {
            low: if number < span.low { number } else { span.low },
            high: if number > span.high {
                number
            } else {
                span.high
            },
            ..NOTHING
        })
    }

    /// True when some value may be a number.
    pub fn has_numbers(&self) -> bool {
        self.low <= self.high
    }

    /// True when some value may be NaN.
    pub fn has_nan(&self) -> bool {
        self.marks & NAN != 0
    }

    /// True when some value may be NULL.
    pub fn has_null(&self) -> bool {
        self.marks & NULL != 0
    }

    pub(super) fn contains(&self, number: f64) -> bool {
        self.low <= number && number <= self.high
    }

    pub(super) fn has_infinity(&self) -> bool {
        self.has_numbers() && (self.low == f64::NEG_INFINITY || self.high == f64::INFINITY)
    }

    /// The numbers alone.
    pub(super) fn numbers(&self) -> Interval {
        Interval { marks: 0, ..*self }
    }

    /// All but NULL.
    pub(super) fn known(&self) -> Interval {
        Interval {
            marks: self.marks & !NULL,
            ..*self
        }
    }

    pub(super) fn or_nan(self, nan: bool) -> Interval {
        self.or_marks(u64::from(nan) * NAN)
    }

    pub(super) fn or_null(self, null: bool) -> Interval {
        self.or_marks(u64::from(null) * NULL)
    }

    pub(super) fn or_marks(self, marks: u64) -> Interval {
        Interval {
            marks: self.marks | marks,
            ..self
        }
    }

    /// The values of both.
    pub(super) fn or(self, other: Interval) -> Interval {
        Interval {
            low: self.low.min(other.low),
            high: self.high.max(other.high),
            marks: self.marks | other.marks,
        }
    }

    pub(super) fn or_if(self, condition: bool, other: Interval) -> Interval {
        if condition { self.or(other) } else { self }
    }

    pub(super) fn truth(&self) -> Truth {
        Truth {
            holds: self.has_nan() || self.has_numbers() && (self.low, self.high) != (0.0, 0.0),
            fails: self.contains(0.0),
            null: self.has_null(),
        }
    }

    /// True when some value may be true: neither 0 nor NULL.
    pub fn may_be_true(&self) -> bool {
        self.truth().holds
    }

    /// The interval of a condition.
    pub(super) fn condition(truth: Truth) -> Interval {
        NOTHING
            .or_if(truth.holds, Interval::point(1.0))
            .or_if(truth.fails, Interval::point(0.0))
            .or_null(truth.null)
    }
}
