//! `chrono_score` and `chrono_importance`: the standard blend, and what fades in it, as SQL functions.

use crate::error::{Error, OrRaise, Result};
use crate::guc;
use crate::pg::{clock, text};
use chronomind_core::score::Blend;
use pgrx::datum::TimestampWithTimeZone;
use pgrx::{PgSqlErrorCode, pg_extern};

/// Blend of distance, age and importance, lower is better; NULL where the distance or the creation
/// time is. A NULL importance counts as 1, and a rate that is NULL or 0 as the base rate.
#[pg_extern(sql = false)]
fn chrono_score(
    distance: Option<f64>,
    created_at: Option<TimestampWithTimeZone>,
    importance: Option<f64>,
    decay_rate: Option<f64>,
    recency_weight: Option<f64>,
    importance_weight: Option<f64>,
    as_of: Option<TimestampWithTimeZone>,
) -> Option<f64> {
    check_rate(decay_rate).or_raise();
    blend(recency_weight, importance_weight, as_of.map(i64::from))
        .or_raise()
        .score_of(distance, created_at.map(i64::from), importance, decay_rate)
}

/// What is left at a moment of an importance that was stated at another. It is 0 where it is too small
/// for a `real`, so that any column can hold it.
#[pg_extern(sql = false)]
fn chrono_importance(
    importance: Option<f64>,
    importance_at: Option<TimestampWithTimeZone>,
    decay_rate: Option<f64>,
    as_of: Option<TimestampWithTimeZone>,
) -> Option<f64> {
    check_rate(decay_rate).or_raise();
    let blend = Blend {
        recency_weight: 0.0,
        importance_weight: 1.0,
        base_rate: guc::base_decay_rate(),
        as_of: as_of.map_or_else(clock::transaction_start, i64::from),
    };
    let left = blend.faded(importance, importance_at.map(i64::from), decay_rate)?;
    let is_negligible = left.abs() < f64::from(f32::MIN_POSITIVE);
    Some(if is_negligible { 0.0 } else { left })
}

fn check_rate(rate: Option<f64>) -> Result<()> {
    if rate.is_none_or(|rate| rate >= 0.0 || rate.is_nan()) {
        return Ok(());
    }
    Err(Error::invalid("decay_rate must not be negative")
        .detail("Memories fade with time; none grows fresher.")
        .hint("A rate of NULL or 0 stands for chronomind.base_decay_rate."))
}

/// What `chrono_score` would take for one part of the blend: the weight of `recency` or
/// `importance`, given those of the call, or the base rate of `decay`.
#[pg_extern(sql = false)]
fn chrono_blend(
    part: Option<&[u8]>,
    recency_weight: Option<f64>,
    importance_weight: Option<f64>,
) -> f64 {
    let blend = blend(recency_weight, importance_weight, None).or_raise();
    match part {
        Some(b"recency") => blend.recency_weight,
        Some(b"importance") => blend.importance_weight,
        Some(b"decay") => blend.base_rate,
        Some(part) => {
            let part = text::from_server(part);
            Error::invalid(format!("a blend has no part \"{part}\"")).raise()
        }
        None => Error::mistake(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "the part of a blend must not be NULL",
        )
        .raise(),
    }
}

/// The blend of a statement: weights that are not given come from the settings, and the clock
/// stands still at the start of the transaction. Fails where the weights make no blend.
pub fn blend(
    recency_weight: Option<f64>,
    importance_weight: Option<f64>,
    as_of: Option<i64>,
) -> Result<Blend> {
    let blend = Blend {
        recency_weight: recency_weight.unwrap_or_else(guc::recency_weight),
        importance_weight: importance_weight.unwrap_or_else(guc::importance_weight),
        base_rate: guc::base_decay_rate(),
        as_of: as_of.unwrap_or_else(clock::transaction_start),
    };
    check_weight("recency_weight", blend.recency_weight)?;
    check_weight("importance_weight", blend.importance_weight)?;
    // Two weights whose sum is 1 on paper can be one rounding above it.
    if blend.recency_weight + blend.importance_weight > 1.0 + f64::EPSILON {
        return Err(Error::invalid("weights add to more than 1")
            .detail(format!(
                "recency_weight is {} and importance_weight is {}.",
                blend.recency_weight, blend.importance_weight
            ))
            .hint(
                "Similarity has what the two leave over. Weights that are not given come from chronomind.recency_weight and chronomind.importance_weight.",
            ));
    }
    Ok(blend)
}

fn check_weight(name: &str, weight: f64) -> Result<()> {
    if (0.0..=1.0).contains(&weight) {
        return Ok(());
    }
    Err(Error::invalid(format!("{name} must be between 0 and 1"))
        .detail(format!("It is {weight}."))
        .hint("A weight is a share: similarity has what recency and importance leave over."))
}
