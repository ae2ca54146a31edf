//! Scan keys, decoded.

use super::asked;
use crate::am::columns::Columns;
use crate::am::request::{Order, Request};
use crate::error::{Error, Result};
use crate::pg::attribute::AttributeType;
use crate::pg::datum::{self, Vector};
use chronomind_core::postings::{Condition, Test};
use chronomind_core::score::AttributeKind;
use pgrx::pg_sys::{self, ScanKeyData};
use std::ops::Bound;

/// Strategy of the operator that orders by the distance.
pub const ORDER_BY_DISTANCE: u16 = 1;
/// Strategy of the operator that orders by the score of a `chrono_query`.
pub const ORDER_BY_SCORE: u16 = 2;
/// Strategy of the operator that orders by such a score as a `numeric`.
pub const ORDER_BY_NUMERIC_SCORE: u16 = 3;

/// Decodes the keys of a scan. Fails where a query vector does not fit the column.
///
/// # Safety
/// The keys are Postgres's, for an index with these columns.
pub unsafe fn request(
    keys: &[ScanKeyData],
    orders: &[ScanKeyData],
    columns: &Columns,
) -> Result<Request> {
    let mut conditions = Vec::with_capacity(keys.len());
    let mut recheck = false;
    for key in keys {
        let column = usize::try_from(key.sk_attno - 1)
            .map_err(|_| Error::bug("a condition on a system column"))?;
        let Some(attribute) = column.checked_sub(1) else {
            // Whether a vector is NULL, Postgres can see as well as we.
            recheck = true;
            continue;
        };
        let kind = *columns
            .attributes
            .get(attribute)
            .ok_or_else(|| Error::bug(format!("a condition on column {column}")))?;
        // SAFETY: by the caller.
        let test = unsafe { test(key, kind)? };
        recheck |= kind.kind() == AttributeKind::Hash;
        conditions.push(Condition { attribute, test });
    }
    let order = match orders {
        [] => Order::None,
        // SAFETY: by the caller.
        [key] => unsafe { order(key, columns)? },
        _ => return Err(Error::bug("a scan in two orders")),
    };
    // SAFETY: by the caller.
    let rows = orders.first().and_then(|key| unsafe { asked::rows(key) });
    Ok(Request {
        order,
        rows,
        filter: conditions.into_iter().collect(),
        recheck,
    })
}

fn has(key: &ScanKeyData, flag: u32) -> bool {
    key.sk_flags as u32 & flag != 0
}

/// # Safety
/// As for [`request`].
unsafe fn test(key: &ScanKeyData, attribute: AttributeType) -> Result<Test> {
    if has(key, pg_sys::SK_SEARCHNULL) {
        return Ok(Test::Null);
    }
    if has(key, pg_sys::SK_SEARCHNOTNULL) {
        return Ok(Test::NotNull);
    }
    let bound = AttributeType::from_oid(key.sk_subtype)
        .ok_or_else(|| Error::bug("a comparison with a value of unknown type"))?;
    let bounds = if has(key, pg_sys::SK_ISNULL) {
        Vec::new()
    } else if has(key, pg_sys::SK_SEARCHARRAY) {
        // SAFETY: the argument is an array of values of the operator's right type.
        unsafe { datum::array(key.sk_argument) }
    } else {
        vec![key.sk_argument]
    };
    let bounds = bounds
        .into_iter()
        // SAFETY: the operator takes values of its subtype.
        .map(|value| unsafe { datum::bound_key(value, bound, attribute) })
        .collect::<Result<Vec<u64>>>()?;
    compare(key.sk_strategy, &bounds)
        .ok_or_else(|| Error::bug(format!("a comparison of strategy {}", key.sk_strategy)))
}

/// What compares with any of some keys, by btree's strategy numbers: less, at most, equal, at
/// least, greater. `None` for any other number.
fn compare(strategy: u16, keys: &[u64]) -> Option<Test> {
    let (Some(&least), Some(&greatest)) = (keys.iter().min(), keys.iter().max()) else {
        return Some(Test::OneOf(std::iter::empty().collect()));
    };
    use Bound::{Excluded, Included, Unbounded};
    Some(match strategy {
        1 => Test::range(Unbounded, Excluded(greatest)),
        2 => Test::range(Unbounded, Included(greatest)),
        3 if keys.len() == 1 => Test::equal(least),
        3 => Test::OneOf(keys.iter().copied().collect()),
        4 => Test::range(Included(least), Unbounded),
        5 => Test::range(Excluded(least), Unbounded),
        _ => return None,
    })
}

/// # Safety
/// As for [`request`].
unsafe fn order(key: &ScanKeyData, columns: &Columns) -> Result<Order> {
    if has(key, pg_sys::SK_ISNULL) {
        return Ok(Order::Null);
    }
    match key.sk_strategy {
        ORDER_BY_DISTANCE => {
            // SAFETY: the operator takes a vector of the column's type.
            let vector = unsafe { Vector::new(key.sk_argument, columns.element)? };
            let vector = vector.with_dimensions(columns.dimensions, columns.element)?;
            Ok(Order::Distance(vector.bytes().to_vec()))
        }
        ORDER_BY_SCORE | ORDER_BY_NUMERIC_SCORE => {
            // SAFETY: the operator takes a chrono_query, which is a varlena.
            Ok(Order::Score(unsafe { datum::varlena(key.sk_argument) }))
        }
        strategy => Err(Error::bug(format!("an order of strategy {strategy}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comparisons_with_one_value() {
        assert_eq!(compare(1, &[7]), Some(Test::Within(0, 6)));
        assert_eq!(compare(2, &[7]), Some(Test::Within(0, 7)));
        assert_eq!(compare(3, &[7]), Some(Test::Within(7, 7)));
        assert_eq!(compare(4, &[7]), Some(Test::Within(7, u64::MAX)));
        assert_eq!(compare(5, &[7]), Some(Test::Within(8, u64::MAX)));
        assert_eq!(compare(6, &[7]), None);
    }

    #[test]
    fn comparisons_with_any_of_an_array() {
        assert_eq!(compare(1, &[3, 7, 5]), Some(Test::Within(0, 6)));
        assert_eq!(compare(4, &[3, 7, 5]), Some(Test::Within(3, u64::MAX)));
        let set = |keys: &[u64]| Some(Test::OneOf(keys.iter().copied().collect()));
        assert_eq!(compare(3, &[3, 7]), set(&[3, 7]));
        assert_eq!(compare(3, &[]), set(&[]));
    }
}
