//! Vacuum: marks the postings of rows that are gone.
//!
//! A tombstone is durable before vacuum goes on to the table, because right after it the place of
//! the row may be given to another.

use chronomind_core::record::{Flags, Kind, PostingView, Tid, payload_mut};

use super::chain::Pages;
use super::{damaged, snapshot};
use crate::error::Result;
use crate::pg::buffer::Ring;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::Relation;
use crate::pg::xlog::Change;

/// How many postings a sweep met.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Swept {
    /// Postings that stay.
    pub live: u64,
    /// Postings that were marked by this sweep.
    pub buried: u64,
}

/// Asks `is_dead`, which may raise errors, about every live posting, marks those for which it says
/// so, and tells `on_dead` their ids, page by page with the page still locked: no error can come between, so a
/// posting that is dead in memory is dead on its page, and only what is dead there is used again.
///
/// Postings appended after the start may not be met: their rows are not gone yet.
pub fn sweep(
    index: Relation,
    mut is_dead: impl FnMut(Tid) -> bool,
    mut on_dead: impl FnMut(&[u32]),
) -> Result<Swept> {
    let snapshot = snapshot(index)?;
    let layout = &snapshot.layout;
    let record = layout.record_bytes(Kind::Postings);
    let per_page = layout.per_page(Kind::Postings) as u32;
    let pages = Pages::all(index, layout, Kind::Postings, &snapshot.meta.postings)?;
    let ring = Ring::vacuum();
    let mut swept = Swept::default();
    let mut live = Vec::new();
    for sequence in 0..pages.count() {
        interrupt::vacuum_delay();
        fault::at(Point::SweepPage);
        let block = pages.block(index, sequence)?;
        live.clear();
        {
            let guard = index.read(block, Some(&ring));
            let page = pages.view(index, sequence, block, guard.page())?;
            for (bytes, slot) in page.payload.chunks_exact(record).zip(0u32..) {
                let posting =
                    PostingView::new(bytes).map_err(|damage| damaged(index, block, &damage))?;
                if !posting.flags().contains(Flags::DEAD) {
                    live.push((slot, posting.tid()));
                }
            }
        }
        swept.live += live.len() as u64;
        live.retain(|&(_, tid)| is_dead(tid));
        if live.is_empty() {
            continue;
        }
        swept.live -= live.len() as u64;
        swept.buried += live.len() as u64;
        let ids: Vec<u32> = live
            .iter()
            .map(|&(slot, _)| sequence * per_page + slot)
            .collect();
        // The page may have changed since; but a posting whose row is gone stays until it is marked.
        let guard = index.write(block, Some(&ring));
        let mut change = Change::begin(index);
        let payload = payload_mut(change.page(&guard));
        for &(slot, _) in &live {
            PostingView::bury(&mut payload[slot as usize * record..]);
        }
        change.commit();
        fault::at(Point::SweepLogged);
        on_dead(&ids);
    }
    Ok(swept)
}
