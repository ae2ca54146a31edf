//! Everything in an index, in the order of the file.
//!
//! This is how memory is filled: one pass over the file, as fast as it can be read, each page
//! copied under a share lock and worked on without. What the walk hands out is exact: all that had
//! been appended at the moment of the snapshot that it goes to, no more and no less.

use chronomind_core::record::{Item, PAGE, Stop, Walk};

use super::meta::Snapshot;
use super::{META, damaged, is_later};
use crate::error::Result;
use crate::pg::buffer::Ring;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::Relation;

/// Hands everything that `to` has, and `from` (the beginning, where there is none) had not, to
/// `visit`, which holds no lock and may raise errors. Links come only with a walk from the
/// beginning, and only for the nodes below [`linked_nodes`](chronomind_core::record::Meta).
///
/// Two walks, from the beginning to a snapshot and from that to a later one, see together exactly
/// what the later has, if no vector and no posting was used again meanwhile: then the walk may miss
/// what is there now, but meets nothing that is half there. Postings may be marked dead between a
/// snapshot and the walk to it.
pub fn walk(
    index: Relation,
    from: Option<&Snapshot>,
    to: &Snapshot,
    mut visit: impl FnMut(Item<'_>) -> Result<()>,
) -> Result<()> {
    let first = from.map_or(META + 1, |from| from.frontier);
    let ring = Ring::bulk_read();
    let mut page = Box::new([0; PAGE]);
    let mut walk = Walk::new(&to.meta, from.map(Snapshot::lengths), to.lengths())
        .map_err(|damage| damaged(index, META, &damage))?;
    for block in first..index.blocks() {
        interrupt::check();
        fault::at(Point::LoadPage);
        *page = *index.read(block, Some(&ring)).page();
        let mut visit = |item: Item<'_>| match item {
            Item::Posting { posting, .. } if is_later(index, block, to, &posting)? => Ok(()),
            item => visit(item),
        };
        walk.page(block, &page, &mut visit)
            .map_err(|stop| match stop {
                Stop::Damage(damage) => damaged(index, block, &damage),
                Stop::Visitor(error) => error,
            })?;
    }
    walk.end().map_err(|damage| damaged(index, META, &damage))
}
