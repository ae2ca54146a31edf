//! What `chrono_search` is called with.

use pgrx::datum::TimestampWithTimeZone;
use pgrx::pg_sys::Oid;

use super::diversity;
use super::roles::Names;
use crate::error::{Error, Result};
use crate::pg::call::Call;

/// What to do about a wrong k.
const K: &str = "k is the number of rows to return.";

/// The arguments, in the order of the SQL declaration.
pub struct Arguments {
    /// How many rows.
    pub k: i32,
    /// Only rows of this context: as the server has it, for it is compared with rows.
    pub context: Option<Vec<u8>>,
    /// Only rows created at or after.
    pub since: Option<i64>,
    /// Only rows created before.
    pub until: Option<i64>,
    /// The moment at which ages are taken, after which no row was created.
    pub as_of: Option<i64>,
    /// The weight of recency.
    pub recency_weight: Option<f64>,
    /// The weight of importance.
    pub importance_weight: Option<f64>,
    /// The index to search.
    pub index: Option<Oid>,
    /// Which columns play which parts.
    pub names: Names,
    /// The share of difference in the choice of rows.
    pub diversity: Option<f64>,
}

impl Arguments {
    /// Reads them. Fails where one is not what it may be.
    pub fn of(call: Call) -> Result<Arguments> {
        let time = |number| {
            call.argument::<TimestampWithTimeZone>(number)
                .map(i64::from)
        };
        let k: i32 = call
            .argument(2)
            .ok_or_else(|| Error::invalid("k must not be NULL").hint(K))?;
        if k < 1 {
            return Err(Error::invalid("k must be at least 1")
                .detail(format!("It is {k}."))
                .hint(K));
        }
        let diversity = call.argument(17);
        check_diversity(diversity, k)?;
        Ok(Arguments {
            k,
            context: call.argument(3),
            since: time(4),
            until: time(5),
            as_of: time(6),
            recency_weight: call.argument(7),
            importance_weight: call.argument(8),
            index: call.argument(9),
            names: Names {
                created_at: call.text(10),
                importance: call.text(11),
                decay_rate: call.text(12),
                context: call.text(13),
                // Not before version 0.2.0.
                importance_at: call.text(14),
                valid_from: call.text(15),
                valid_to: call.text(16),
            },
            diversity,
        })
    }

    /// How many rows the scan should expect to give.
    pub fn wanted(&self) -> usize {
        // k is positive.
        let k = self.k as usize;
        self.diversity.map_or(k, |_| diversity::pool(k))
    }
}

fn check_diversity(diversity: Option<f64>, k: i32) -> Result<()> {
    let Some(share) = diversity else {
        return Ok(());
    };
    if !(0.0..=1.0).contains(&share) {
        return Err(Error::invalid("diversity must be between 0 and 1")
            .detail(format!("It is {share}."))
            .hint("It is a share: 0 asks for the best rows alone, 1 for rows unlike each other."));
    }
    if k > diversity::MOST_ROWS {
        return Err(Error::invalid(format!(
            "k must be at most {} with diversity",
            diversity::MOST_ROWS
        ))
        .detail(format!(
            "It is {k}, and every row is compared with all candidates."
        ))
        .hint(K));
    }
    Ok(())
}
