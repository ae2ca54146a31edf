//! Where the pages of the two appended segments lie, and where they end.
//!
//! The meta record has only the run that the build wrote and the last page. Every page names the
//! one before it, and blocks are only ever added at the end of the file, so that the pages of a
//! segment are in the order of their blocks.

use chronomind_core::record::{
    Chain, Damage, Extent, Kind, Layout, Meta, NO_BLOCK, PageBytes, PageView, find_page,
};

use super::{META, damaged, view_of};
use crate::error::Result;
use crate::pg::buffer::ReadGuard;
use crate::pg::interrupt;
use crate::pg::relation::Relation;

/// The end of an appended segment.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct End {
    /// Number of pages.
    pub pages: u32,
    /// Block of the last, or [`NO_BLOCK`].
    pub block: u32,
    /// Bytes in the last.
    pub fill: usize,
}

impl End {
    /// Records in the segment: whole vectors, or postings.
    pub fn records(&self, layout: &Layout, kind: Kind) -> u64 {
        layout.records(kind, self.pages, self.fill)
    }

    fn read(
        index: Relation,
        layout: &Layout,
        kind: Kind,
        block: u32,
        guard: Option<&ReadGuard>,
    ) -> Result<End> {
        let Some(guard) = guard else {
            return Ok(End {
                pages: 0,
                block: NO_BLOCK,
                fill: 0,
            });
        };
        let page = view_of(index, block, guard.page(), kind, layout.record_bytes(kind))?;
        Ok(End {
            pages: page.sequence.saturating_add(1),
            block,
            fill: page.payload.len(),
        })
    }
}

/// The ends of both segments, vectors and postings. The caller holds a lock on the meta page.
///
/// Both last pages stay locked until both are read, so that replay of an append is seen wholly or
/// not at all.
pub fn ends(index: Relation, meta: &Meta, layout: &Layout) -> Result<(End, End)> {
    let lock = |chain: &Chain| (chain.tail != NO_BLOCK).then(|| index.read(chain.tail, None));
    let vectors = lock(&meta.vectors);
    let postings = lock(&meta.postings);
    let read = |kind, chain: &Chain, guard: Option<&ReadGuard>| {
        End::read(index, layout, kind, chain.tail, guard)
    };
    Ok((
        read(Kind::Vectors, &meta.vectors, vectors.as_ref())?,
        read(Kind::Postings, &meta.postings, postings.as_ref())?,
    ))
}

/// The pages of an appended segment, up to the end that it had when they were looked up.
#[derive(Debug)]
pub struct Pages {
    kind: Kind,
    record: usize,
    run: Extent,
    appended: Vec<u32>,
}

impl Pages {
    /// Looks up all pages of a segment, by reading those that were appended since the build.
    pub fn all(index: Relation, layout: &Layout, kind: Kind, chain: &Chain) -> Result<Pages> {
        let mut appended = Vec::new();
        let mut block = chain.tail;
        let mut after = None;
        while block != NO_BLOCK && find_page(&[chain.run], block).is_none() {
            interrupt::check();
            let (sequence, previous) = neighbours(index, layout, kind, block)?;
            if after.is_some_and(|after| sequence.checked_add(1) != Some(after))
                || (previous == NO_BLOCK) != (sequence == 0)
            {
                return Err(damaged(index, block, &Damage::Missing(kind)));
            }
            appended.push(block);
            after = Some(sequence);
            block = previous;
        }
        appended.reverse();
        if after.is_some_and(|first| first != chain.run.pages) {
            return Err(damaged(index, chain.tail, &Damage::Missing(kind)));
        }
        Ok(Pages {
            kind,
            record: layout.record_bytes(kind),
            run: chain.run,
            appended,
        })
    }

    /// Number of pages.
    pub fn count(&self) -> u32 {
        self.run.pages + self.appended.len() as u32
    }

    /// The block of a page.
    pub fn block(&self, index: Relation, sequence: u32) -> Result<u32> {
        match sequence.checked_sub(self.run.pages) {
            None => Ok(self.run.first + sequence),
            Some(i) => match self.appended.get(i as usize) {
                Some(&block) => Ok(block),
                None => Err(damaged(index, META, &Damage::Missing(self.kind))),
            },
        }
    }

    /// Page `sequence`, as it lies on its block.
    pub fn view<'p>(
        &self,
        index: Relation,
        sequence: u32,
        block: u32,
        page: &'p PageBytes,
    ) -> Result<PageView<'p>> {
        view_of(index, block, page, self.kind, self.record)?
            .numbered(sequence)
            .map_err(|damage| damaged(index, block, &damage))
    }
}

/// The block of page `sequence`, which is among the last few of its segment.
pub fn block_near(
    index: Relation,
    layout: &Layout,
    kind: Kind,
    end: &End,
    sequence: u32,
) -> Result<u32> {
    let mut block = end.block;
    for expected in (sequence + 1..end.pages).rev() {
        let (found, previous) = neighbours(index, layout, kind, block)?;
        if found != expected {
            return Err(damaged(index, block, &Damage::Sequence { expected, found }));
        }
        block = previous;
    }
    Ok(block)
}

/// The number of a page and the block of the page before it.
pub(super) fn neighbours(
    index: Relation,
    layout: &Layout,
    kind: Kind,
    block: u32,
) -> Result<(u32, u32)> {
    let guard = index.read(block, None);
    let page = view_of(index, block, guard.page(), kind, layout.record_bytes(kind))?;
    if page.previous != NO_BLOCK && page.previous >= block {
        let previous = page.previous;
        return Err(damaged(index, block, &Damage::Order { previous }));
    }
    Ok((page.sequence, page.previous))
}
