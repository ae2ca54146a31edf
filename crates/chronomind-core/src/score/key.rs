//! Attribute values as sortable 64-bit keys.
//!
//! Zone maps, filters and bounds compare values of many SQL types. Each value is therefore kept as
//! one `u64` whose unsigned order is the SQL order of its type, so that everything downstream
//! compares plain integers. NULL has no key: it is a bit in the row's null mask.

/// How an attribute's values became keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum AttributeKind {
    /// Integers and booleans.
    Int,
    /// Days since 2000-01-01 as integers; those of [`i32`] at the ends are the infinities.
    Date,
    /// Microseconds since 2000-01-01 as integers; those at the ends are the infinities.
    Timestamp,
    /// `real` and `double precision`, in Postgres's order: every NaN above infinity.
    Float,
    /// A 64-bit hash of a type that is only ever compared for equality; ranges mean nothing.
    Hash,
}

const SIGN: u64 = 1 << 63;

/// The key of an integer.
#[inline]
pub fn encode_int(value: i64) -> u64 {
    value as u64 ^ SIGN
}

/// The integer of a key.
#[inline]
pub fn decode_int(key: u64) -> i64 {
    (key ^ SIGN) as i64
}

/// The key of a float: IEEE total order, except that -0 equals 0 and that all NaNs are one value
/// above infinity. No float has the key [`u64::MAX`].
#[inline]
pub fn encode_float(value: f64) -> u64 {
    // Adding zero turns -0 into 0 and leaves every other number alone.
    let bits = if value.is_nan() {
        f64::NAN.abs().to_bits()
    } else {
        (value + 0.0).to_bits()
    };
    if bits & SIGN == 0 { bits | SIGN } else { !bits }
}

/// The float of a key.
#[inline]
pub fn decode_float(key: u64) -> f64 {
    f64::from_bits(if key & SIGN == 0 { !key } else { key ^ SIGN })
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::cmp::Ordering;

    /// Postgres's order of double precision.
    fn sql_order(a: f64, b: f64) -> Ordering {
        match (a.is_nan(), b.is_nan()) {
            (false, false) if a < b => Ordering::Less,
            (false, false) if a > b => Ordering::Greater,
            (false, false) => Ordering::Equal,
            (left, right) => left.cmp(&right),
        }
    }

    fn edge() -> impl Strategy<Value = f64> {
        prop_oneof![
            any::<f64>(),
            prop::sample::select(vec![
                0.0,
                -0.0,
                f64::NAN,
                -f64::NAN,
                f64::INFINITY,
                f64::NEG_INFINITY,
                f64::MIN_POSITIVE,
                -5e-324,
                f64::MAX,
            ])
        ]
    }

    proptest! {
        #[test]
        fn floats_keep_the_sql_order(a in edge(), b in edge()) {
            prop_assert_eq!(encode_float(a).cmp(&encode_float(b)), sql_order(a, b));
            prop_assert_eq!(sql_order(decode_float(encode_float(a)), a), Ordering::Equal);
            prop_assert_ne!(encode_float(a), u64::MAX);
        }

        #[test]
        fn ints_keep_their_order(a: i64, b: i64) {
            prop_assert_eq!(encode_int(a).cmp(&encode_int(b)), a.cmp(&b));
            prop_assert_eq!(decode_int(encode_int(a)), a);
        }
    }
}
