//! Indexes that did not fit, and may by now.
//!
//! What has taken the memory may be gone: an index that was being built and failed, one that was dropped,
//! one that did not fit either. So whoever opens an index that is on its pages looks now and then whether
//! there is room for all of it, and loads it if so. Looks become rarer each time, because one that just fits
//! will soon not fit again; VACUUM looks in any case. What did not suffice once is not tried again but by
//! VACUUM.

use chronomind_core::arena::UNIT;

use super::{config, key_of, reclaim};
use crate::error::Result;
use crate::pages;
use crate::pg::relation::Relation;
use crate::shmem;
use crate::shmem::registry::{Claim, Found, Key, Place};

/// One part in so many more than it needs must be free, for rows to come.
const RESERVE: u64 = 16;

/// The right to load an index that did not fit, if it is time to look and it fits now.
pub fn claim(relation: Relation, key: &Key, place: Place) -> Result<Option<Claim>> {
    if !place.is_time_to_look() {
        return Ok(None);
    }
    // Its own memory, too, once nobody has it in use.
    reclaim()?;
    let region = shmem::region()?;
    let free = region.units().saturating_sub(region.used());
    if free <= place.too_few() {
        return Ok(None);
    }
    let snapshot = pages::snapshot(relation)?;
    let (nodes, postings) = (snapshot.nodes.into(), snapshot.postings.into());
    let needed = config(&snapshot.meta.definition).bytes(nodes, postings);
    if needed + needed / RESERVE > u64::from(free) * UNIT as u64 {
        return Ok(None);
    }
    Ok(shmem::registry()?.claim_again(key, place))
}

/// The next to open the index looks whether it fits, if it does not.
pub fn hurry(relation: Relation) -> Result<()> {
    if let Found::Unfit(place) = shmem::registry()?.find(&key_of(relation)?) {
        place.hurry();
    }
    Ok(())
}
