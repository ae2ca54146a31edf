//! Storage parameters: `WITH (m = 16, ef_construction = 64, storage = 'auto')`.

use crate::error::{Error, Result};
use std::ops::RangeInclusive;

/// Neighbours of a node on the upper layers of the graph, twice as many on the lowest.
pub const M: RangeInclusive<u32> = 2..=100;
/// The default of `m`.
pub const DEFAULT_M: u32 = 16;
/// Candidates kept while a node's neighbours are looked for.
pub const EF_CONSTRUCTION: RangeInclusive<u32> = 4..=1000;
/// The default of `ef_construction`.
pub const DEFAULT_EF_CONSTRUCTION: u32 = 64;

/// The form in which shared memory keeps vectors.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Storage {
    /// The index chooses.
    Auto,
    /// Every element as it is in the table.
    Full,
}

/// The storage parameters of an index.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Options {
    /// Neighbours of a node on the upper layers.
    pub m: u32,
    /// Candidates kept while a node's neighbours are looked for.
    pub ef_construction: u32,
    /// The form in which shared memory keeps vectors.
    pub storage: Storage,
}

impl Options {
    /// Fails where the parameters, each in its range, do not go together.
    pub fn check(self) -> Result<Self> {
        if self.ef_construction >= 2 * self.m {
            return Ok(self);
        }
        Err(
            Error::invalid("ef_construction must be greater than or equal to 2 * m")
                .detail(format!(
                    "m is {} and ef_construction is {}.",
                    self.m, self.ef_construction
                ))
                .hint("Raise ef_construction or lower m."),
        )
    }
}

impl Options {
    /// The parameters to build with: as they are, or with as wide a beam as `m` needs. An older
    /// version let ALTER INDEX set what does not go together; TRUNCATE must not fail because of that.
    pub fn sound(self) -> Self {
        Options {
            ef_construction: self.ef_construction.max(2 * self.m),
            ..self
        }
    }
}

impl Default for Options {
    fn default() -> Self {
        Options {
            m: DEFAULT_M,
            ef_construction: DEFAULT_EF_CONSTRUCTION,
            storage: Storage::Auto,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beam_holds_all_neighbours() {
        let options = |m, ef_construction| Options {
            m,
            ef_construction,
            ..Options::default()
        };
        assert!(Options::default().check().is_ok());
        assert!(options(32, 64).check().is_ok());
        assert!(options(33, 65).check().is_err());
        assert_eq!(options(33, 65).sound(), options(33, 66));
        assert_eq!(options(16, 80).sound(), options(16, 80));
    }
}
