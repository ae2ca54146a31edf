//! What the values of an expression can be over a box of rows: interval arithmetic (Moore, Kearfott
//! and Cloud, Introduction to Interval Analysis, 2009).
//!
//! The law: whatever values the arguments have inside their intervals, the value of the operation,
//! rounded as it is, lies inside its interval. Operations that are rounded correctly are monotone as
//! they stand; the results of library functions are widened by more than their error.

use super::super::expr::{Binary, Unary, Variadic};
use super::super::{AttributeKind, Bounds, encode_float};
use super::interval::{Interval, NOTHING, NUMBERS, Truth};
use super::lanes::power;
use super::{Operation, exponential, number};

impl Interval {
    /// The interval of an operation before any zone is known.
    pub(super) fn new(operation: &Operation) -> Interval {
        match operation {
            Operation::Constant(bits) => Interval::point(f64::from_bits(*bits)),
            _ => NOTHING.or_null(true),
        }
    }

    /// Computes the interval of an operation from those of the operations before it.
    #[inline]
    pub(super) fn compute(
        &mut self,
        operation: &Operation,
        before: &[Interval],
        distance: &Interval,
        zone: &Bounds<'_>,
    ) {
        *self = match *operation {
            Operation::Constant(_) | Operation::Null => return,
            Operation::Distance => *distance,
            Operation::Attribute(number, kind) => {
                attribute(kind, zone.keys(number), zone.has_null(number))
            }
            Operation::HasKey(number, key) => {
                has_key(key, zone.keys(number), zone.has_null(number))
            }
            Operation::Unary(function, x) => unary(function, &before[x]),
            Operation::Binary(function, x, y) => binary(function, &before[x], &before[y]),
            Operation::Variadic(function, x, y) => variadic(function, &before[x], &before[y]),
            Operation::Select(condition, x, y) => select(&before[condition], before[x], before[y]),
        }
    }
}

/// The values of an attribute.
pub(super) fn attribute(kind: AttributeKind, keys: Option<(u64, u64)>, null: bool) -> Interval {
    let values = keys.map_or(NOTHING, |(low, high)| of_keys(kind, low, high));
    values.or_null(null)
}

/// Whether a hashed attribute has a key.
pub(super) fn has_key(key: u64, keys: Option<(u64, u64)>, null: bool) -> Interval {
    Interval::condition(Truth {
        holds: keys.is_some_and(|(low, high)| (low..=high).contains(&key)),
        fails: keys.is_some_and(|keys| keys != (key, key)),
        null,
    })
}

pub(super) fn select(condition: &Interval, x: Interval, y: Interval) -> Interval {
    let Truth { holds, fails, null } = condition.truth();
    NOTHING.or_if(holds, x).or_if(fails || null, y)
}

/// The values of keys.
fn of_keys(kind: AttributeKind, low: u64, high: u64) -> Interval {
    let (low, high) = (number(kind, low), number(kind, high));
    if low.is_nan() {
        Interval::point(low)
    } else {
        // A NaN at the upper end hides the greatest number.
        Interval::between(low, high).or_nan(high.is_nan())
    }
}

/// Numbers that library functions have computed, widened by eight units in the last place or more:
/// the functions used here are documented to be wrong by two at most.
fn widened(low: f64, high: f64) -> Interval {
    const ERROR: f64 = 8.0 * f64::EPSILON;
    // Twice down or up where the numbers are too small for the product.
    let down = |x: f64| (x - x.abs() * ERROR).next_down().next_down();
    let up = |x: f64| (x + x.abs() * ERROR).next_up().next_up();
    Interval {
        low: if low == f64::INFINITY {
            down(f64::MAX)
        } else {
            down(low)
        },
        high: if high == f64::NEG_INFINITY {
            up(f64::MIN)
        } else {
            up(high)
        },
        ..NOTHING
    }
}

/// What a function has at two ends, which it is asked for only once where they are one.
fn both_ends(low: f64, high: f64, function: impl Fn(f64) -> f64) -> Interval {
    let first = function(low);
    let last = if low == high { first } else { function(high) };
    Interval::span([first, last])
}

pub(super) fn unary(function: Unary, x: &Interval) -> Interval {
    if function == Unary::IsNull {
        return Interval::condition(Truth {
            holds: x.has_null(),
            fails: x.has_nan() || x.has_numbers(),
            null: false,
        });
    }
    if function == Unary::Not {
        let Truth { holds, fails, null } = x.truth();
        return Interval::condition(Truth {
            holds: fails,
            fails: holds,
            null,
        });
    }
    let numbers = if x.has_numbers() {
        of_numbers(function, x.low, x.high)
    } else {
        NOTHING
    };
    numbers.or_marks(x.marks)
}

fn of_numbers(function: Unary, low: f64, high: f64) -> Interval {
    let monotone = |function: fn(f64) -> f64| Interval {
        low: function(low),
        high: function(high),
        ..NOTHING
    };
    // Negative numbers have no value, and there may be none but those.
    let of_positive = |function: fn(f64) -> f64| {
        let values = if high < 0.0 {
            NOTHING
        } else {
            widened(function(low.max(0.0)), function(high))
        };
        values.or_nan(low < 0.0)
    };
    match function {
        Unary::Negate => Interval {
            low: -high,
            high: -low,
            ..NOTHING
        },
        Unary::Abs if low >= 0.0 => monotone(f64::abs),
        Unary::Abs if high <= 0.0 => of_numbers(Unary::Negate, low, high),
        Unary::Abs => Interval::between(0.0, high.max(-low)),
        Unary::Exp => Interval {
            low: exponential::below(low),
            high: exponential::above(high),
            ..NOTHING
        },
        Unary::Ln => of_positive(f64::ln),
        Unary::Log10 => of_positive(f64::log10),
        Unary::Sqrt => of_positive(f64::sqrt),
        Unary::Floor => monotone(f64::floor),
        Unary::Ceil => monotone(f64::ceil),
        Unary::Round => monotone(f64::round_ties_even),
        Unary::Trunc => monotone(f64::trunc),
        Unary::Float4 => monotone(|x| f64::from(x as f32)),
        Unary::Not | Unary::IsNull => NUMBERS,
    }
}

#[inline]
pub(super) fn binary(function: Binary, x: &Interval, y: &Interval) -> Interval {
    let marks = x.marks | y.marks;
    if !x.has_numbers() || !y.has_numbers() {
        return match function {
            Binary::Add | Binary::Subtract | Binary::Multiply | Binary::Divide => {
                NOTHING.or_marks(marks)
            }
            Binary::Power => raise(x, y).or_marks(marks),
            Binary::And | Binary::Or => connect(function, &x.truth(), &y.truth()),
            _ => compare(function, x, y),
        };
    }
    let numbers = match function {
        Binary::Add => add(x, y),
        Binary::Subtract => add(x, &of_numbers(Unary::Negate, y.low, y.high)),
        Binary::Multiply => multiply(x, y),
        Binary::Divide => divide(x, y),
        Binary::Power => return raise(x, y).or_marks(marks),
        Binary::And | Binary::Or => return connect(function, &x.truth(), &y.truth()),
        _ => return compare(function, x, y),
    };
    numbers.or_marks(marks)
}

#[inline]
fn add(x: &Interval, y: &Interval) -> Interval {
    let (low, high) = (x.low + y.low, x.high + y.high);
    // Infinities may be opposite, and shown by the sums.
    let opposite =
        |x: &Interval, y: &Interval| x.high == f64::INFINITY && y.low == f64::NEG_INFINITY;
    let nan = !(low.is_finite() && high.is_finite()) && (opposite(x, y) || opposite(y, x));
    Interval::between(low, high).or_nan(nan)
}

/// A product grows or falls with each factor, so that its extremes are at the corners. A corner of 0
/// and infinity has no number, and no other is missed: beside it are 0 and whatever the next corner
/// along the infinite side has.
#[inline]
fn multiply(x: &Interval, y: &Interval) -> Interval {
    let corners = [
        x.low * y.low,
        x.low * y.high,
        x.high * y.low,
        x.high * y.high,
    ];
    if !x.has_infinity() && !y.has_infinity() {
        return Interval::span(corners);
    }
    let nan = x.has_infinity() && y.contains(0.0) || y.has_infinity() && x.contains(0.0);
    Interval::span(corners)
        .or_if(nan, Interval::point(0.0))
        .or_nan(nan)
}

#[inline]
fn divide(x: &Interval, y: &Interval) -> Interval {
    let infinities = x.has_infinity() && y.has_infinity();
    if y.contains(0.0) {
        return NUMBERS.or_nan(infinities || x.contains(0.0));
    }
    let quotients = if y.low == y.high {
        // Half of the corners are the other half, and quotients are dear.
        Interval::span([x.low / y.low, x.high / y.low])
    } else {
        Interval::span([
            x.low / y.low,
            x.low / y.high,
            x.high / y.low,
            x.high / y.high,
        ])
    };
    // Corners of two infinities have no number, but between them is what infinity makes 0.
    quotients
        .or_if(infinities, Interval::point(0.0))
        .or_nan(infinities)
}

/// Powers. NaN to the power of 0 is 1, and so is 1 to the power of NaN.
fn raise(x: &Interval, y: &Interval) -> Interval {
    let numbers = if x.has_numbers() && y.has_numbers() {
        raise_numbers(x, y)
    } else {
        NOTHING
    };
    let one = x.has_nan() && y.contains(0.0) || y.has_nan() && x.contains(1.0);
    numbers.or_if(one, Interval::point(1.0))
}

fn raise_numbers(x: &Interval, y: &Interval) -> Interval {
    let ordinary = x.low == x.high && y.low.is_finite() && y.high.is_finite();
    if let Some(logarithm) = exponential::logarithm(x.low).filter(|_| ordinary) {
        let (low, high) = exponential::powers(logarithm, y.low, y.high);
        return Interval {
            low,
            high,
            ..NOTHING
        };
    }
    let corners = |x: &Interval| {
        let at = |base: f64| both_ends(y.low, y.high, |exponent| power(base, exponent));
        let (low, high) = if x.low == x.high {
            (at(x.low), NOTHING)
        } else {
            (at(x.low), at(x.high))
        };
        let corners = low.or(high);
        widened(corners.low, corners.high)
    };
    // From 0 up a power grows or falls with the base and with the exponent.
    if x.low >= 0.0 {
        let powers = corners(x);
        return Interval {
            low: powers.low.max(0.0),
            ..powers
        };
    }
    let whole = y.low == y.high && y.low.fract() == 0.0;
    let even = whole && y.low % 2.0 == 0.0;
    if even {
        raise_numbers(&of_numbers(Unary::Abs, x.low, x.high), y)
    } else if whole && y.low > 0.0 {
        corners(x)
    } else {
        NUMBERS.or_nan(!whole)
    }
}

fn compare(function: Binary, x: &Interval, y: &Interval) -> Interval {
    let null = x.has_null() || y.has_null();
    let (Some(x), Some(y)) = (keys(x), keys(y)) else {
        return NOTHING.or_null(null);
    };
    let (holds, fails) = comparison(function, x, y);
    Interval::condition(Truth { holds, fails, null })
}

/// Whether a comparison may hold, and whether it may fail, for values from `x` and `y`, each the least and
/// the greatest.
#[inline(always)]
pub(super) fn comparison<T: PartialOrd>(function: Binary, x: (T, T), y: (T, T)) -> (bool, bool) {
    let (less, not_less) = (x.0 < y.1, x.1 >= y.0);
    let (greater, not_greater) = (y.0 < x.1, y.1 >= x.0);
    let equal = not_less & not_greater;
    let unequal = (x.0 != x.1) | (x.0 != y.0) | (x.1 != y.1);
    match function {
        Binary::Less => (less, not_less),
        Binary::GreaterEqual => (not_less, less),
        Binary::Greater => (greater, not_greater),
        Binary::LessEqual => (not_greater, greater),
        Binary::NotEqual => (unequal, equal),
        _ => (equal, unequal),
    }
}

/// The values as keys, whose order is Postgres's: NaN is the greatest.
fn keys(x: &Interval) -> Option<(u64, u64)> {
    let nan = encode_float(f64::NAN);
    match (x.has_numbers(), x.has_nan()) {
        (true, false) => Some((encode_float(x.low), encode_float(x.high))),
        (true, true) => Some((encode_float(x.low), nan)),
        (false, true) => Some((nan, nan)),
        (false, false) => None,
    }
}

fn connect(function: Binary, x: &Truth, y: &Truth) -> Interval {
    Interval::condition(match function {
        Binary::And => x.and(y),
        _ => x.or(y),
    })
}

pub(super) fn variadic(function: Variadic, x: &Interval, y: &Interval) -> Interval {
    let mut both = NOTHING;
    match function {
        Variadic::Coalesce => {
            return x.known().or_if(x.has_null(), *y);
        }
        Variadic::Least => {
            // A number is less than NaN.
            if x.has_numbers() && y.has_numbers() {
                both = Interval::between(x.low.min(y.low), x.high.min(y.high));
            }
            both = both
                .or_if(y.has_nan(), x.numbers())
                .or_if(x.has_nan(), y.numbers())
                .or_nan(x.has_nan() && y.has_nan());
        }
        Variadic::Greatest => {
            if x.has_numbers() && y.has_numbers() {
                both = Interval::between(x.low.max(y.low), x.high.max(y.high));
            }
            both = both.or_nan(x.has_nan() || y.has_nan());
        }
    }
    both.or_if(y.has_null(), x.known())
        .or_if(x.has_null(), y.known())
        .or_null(x.has_null() && y.has_null())
}
