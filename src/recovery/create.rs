//! The memory of an index that is being built.

use chronomind_core::arena::UNIT;
use chronomind_core::index::Index;
use chronomind_core::record::Definition;

use super::{config, file_of, reclaim};
use crate::error::{Error, Result};
use crate::pg::relation::Relation;
use crate::shmem;
use crate::shmem::level::KEPT;
use crate::shmem::registry::{Claim, Claiming, Key};

/// An index under construction; its memory is given back when it is dropped unfinished.
pub struct Creation {
    relation: Relation,
    index: Index<'static>,
    claim: Claim,
}

impl Creation {
    /// Claims memory for an index of about so many rows. Fails at once where it cannot fit.
    pub fn begin(relation: Relation, definition: &Definition, rows: f64) -> Result<Creation> {
        reclaim()?;
        let region = shmem::region()?;
        let config = config(definition);
        let rows = rows.clamp(0.0, f64::from(u32::MAX)) as u64;
        let needed = config.bytes(rows, rows);
        let free = u64::from(region.units() - region.used()) * UNIT as u64;
        if needed > free {
            return Err(too_small(needed, free));
        }
        let key = Key {
            file: file_of(relation),
            incarnation: definition.incarnation,
        };
        let claim = match shmem::registry()?.claim(&key) {
            Claiming::Mine(claim) => claim,
            Claiming::Others => return Err(Error::bug("a new index has the identity of another")),
            Claiming::Full => {
                return Err(Error::contention("too many chrono indexes are in use")
                    .detail("The registry in shared memory has no place left."));
            }
        };
        let index = Index::create(region, config)?;
        claim.set_root(&index);
        Ok(Creation {
            relation,
            index,
            claim,
        })
    }

    /// The memory to fill.
    pub fn index(&self) -> &Index<'static> {
        &self.index
    }

    /// The pages are written: everybody may use the index.
    pub fn finish(self) {
        self.relation.forget();
        self.claim.ready(KEPT);
    }
}

fn too_small(needed: u64, free: u64) -> Error {
    let megabytes = |bytes: u64| bytes.div_ceil(1 << 20);
    Error::exhausted(
        "the index does not fit chronomind's shared memory",
        needed - free,
    )
    .detail(format!(
        "About {} MB are needed ({needed} bytes) and {} MB are free.",
        megabytes(needed),
        megabytes(free)
    ))
}
