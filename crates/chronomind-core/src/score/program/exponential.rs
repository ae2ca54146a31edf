//! Bounds of the exponential function.
//!
//! The problem: a decay is an exponential, its range over a box is asked for at both ends, and the library's
//! function takes one number at a time. A bound need not be the library's number; it must only not be beyond it.
//! So the exponential is computed here by what the compiler makes vector instructions of, without a branch, and
//! moved away from the true value by more than its error and the library's.
//!
//! The method is that of most libraries: x = k ln 2 + r with |r| <= ln 2 / 2, a polynomial for e^r, and 2^k by
//! its bits (Muller, Elementary Functions, 3rd ed., 2016, chapters 5 and 11).

/// Twice as much and more than the error of [`approximate`], which is a few units in the last place, and that of
/// a library, which is one.
const ERROR: f64 = 16.0 * f64::EPSILON;

/// Between these both 2^k and the result are ordinary numbers.
const LEAST: f64 = -708.0;
const MOST: f64 = 709.0;

/// Not greater than the exponential of a number, and not negative.
#[inline(always)]
pub(super) fn below(x: f64) -> f64 {
    if x < LEAST {
        0.0
    } else {
        approximate(if x > MOST { MOST } else { x }) * (1.0 - ERROR)
    }
}

/// Not less than the exponential of a number.
#[inline(always)]
pub(super) fn above(x: f64) -> f64 {
    if x > MOST {
        f64::INFINITY
    } else {
        approximate(if x < LEAST { LEAST } else { x }) * (1.0 + ERROR)
    }
}

/// The logarithm of a base by which [`powers`] are bounded.
pub(super) fn logarithm(base: f64) -> Option<f64> {
    (base.is_normal() && base > 0.0).then(|| base.ln())
}

/// Bounds of the powers of a base with that logarithm to all exponents between two finite ones.
#[inline(always)]
pub(super) fn powers(logarithm: f64, least: f64, most: f64) -> (f64, f64) {
    /// More than the errors of the logarithm and of the product.
    const ERROR: f64 = 4.0 * f64::EPSILON;
    /// Beyond it there is nothing but 0 and infinity.
    const FAR: f64 = 1000.0;
    let (first, last) = (least * logarithm, most * logarithm);
    let (low, high) = if first < last {
        (first, last)
    } else {
        (last, first)
    };
    let within = |x: f64| x.clamp(-FAR, FAR);
    let (low, high) = (within(low), within(high));
    (
        below(low - low.abs() * ERROR),
        above(high + high.abs() * ERROR),
    )
}

#[inline(always)]
fn approximate(x: f64) -> f64 {
    /// Added to a number it leaves the nearest integer in the low bits.
    const ROUND: f64 = 1.5 * (1_u64 << 52) as f64;
    /// The bits of ln 2, the upper ones with zeros enough behind them for their products with k to be exact.
    const LN_2_UPPER: f64 = f64::from_bits(0x3fe6_2e42_fee0_0000);
    const LN_2_LOWER: f64 = f64::from_bits(0x3dea_39ef_3579_3c76);
    /// 1/13! to 1/0!: what is left out is less than a thousandth of a unit in the last place.
    const TERMS: [f64; 14] = {
        let (mut terms, mut factorial, mut n) = ([1.0; 14], 1.0, 1);
        while n < 14 {
            factorial *= n as f64;
            terms[13 - n] = 1.0 / factorial;
            n += 1;
        }
        terms
    };
    let shifted = x * std::f64::consts::LOG2_E + ROUND;
    let k = shifted - ROUND;
    let r = x - k * LN_2_UPPER - k * LN_2_LOWER;
    let power = TERMS.into_iter().fold(0.0, |sum, term| sum * r + term);
    let exponent = shifted.to_bits().wrapping_sub(ROUND.to_bits());
    power * f64::from_bits(exponent.wrapping_add(1023) << 52)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// Close enough for an order to be as tight as it was.
    const CLOSE: f64 = 64.0 * f64::EPSILON;

    fn check(x: f64) {
        let (below, exact, above) = (below(x), x.exp(), above(x));
        assert!(
            0.0 <= below && below <= exact && exact <= above,
            "{x}: {below:e} {exact:e} {above:e}"
        );
        if (LEAST..=MOST).contains(&x) {
            assert!(
                above - below <= exact * CLOSE,
                "{x}: {below:e} {exact:e} {above:e}"
            );
        }
    }

    #[test]
    fn nothing_is_beyond_its_bounds_at_the_edges() {
        let edges = [
            LEAST,
            MOST,
            0.0,
            1.0,
            f64::MIN_POSITIVE,
            709.782_712_893_384,
            -745.133_219_101_941_2,
        ];
        for edge in edges {
            for x in [edge, edge.next_down(), edge.next_up(), -edge] {
                check(x);
            }
        }
        for x in [
            f64::INFINITY,
            f64::NEG_INFINITY,
            f64::MAX,
            f64::MIN,
            -0.0,
            5e-324,
        ] {
            check(x);
        }
        // Halfway between two multiples of ln 2, where r is largest.
        for k in -1021..=1022 {
            check((f64::from(k) + 0.5) * std::f64::consts::LN_2);
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20_000))]

        #[test]
        fn nothing_is_beyond_its_bounds(x in prop_oneof![-1.0..1.0, -30.0..30.0, -760.0..720.0_f64, any::<f64>()]) {
            prop_assume!(!f64::is_nan(x));
            check(x);
        }
    }
}
