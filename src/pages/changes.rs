//! What was changed on the pages since a position in the WAL.
//!
//! For memory that follows pages which others change. Every page says where the record ends that
//! changed it last, so that all postings can be asked for changes at the price of a look at each of their
//! pages; vectors are read one by one, for the postings that name them.

use chronomind_core::directory::Directory;
use chronomind_core::record::{Chain, Damage, Kind, NO_BLOCK, PAGE, PostingView, find_page};

use super::chain::neighbours;
use super::{META, Snapshot, damaged, segment, view_of};
use crate::error::{Error, Result};
use crate::pg::interrupt;
use crate::pg::relation::Relation;

/// The pages that were added to a segment and are not in the directory: number and block of each, in
/// order.
pub fn added(
    index: Relation,
    snapshot: &Snapshot,
    kind: Kind,
    directory: &Directory<'_>,
) -> Result<Vec<(u32, u32)>> {
    let chain = chain(snapshot, kind);
    let mut added = Vec::new();
    let mut block = chain.tail;
    while block != NO_BLOCK && find_page(&[chain.run], block).is_none() {
        interrupt::check();
        let (sequence, previous) = neighbours(index, &snapshot.layout, kind, block)?;
        if directory.get(segment(kind), sequence).is_some() {
            break;
        }
        added.push((sequence, block));
        block = previous;
    }
    added.reverse();
    Ok(added)
}

/// An index as of a snapshot, and what is new in it.
pub struct Changes<'a> {
    /// The index.
    pub index: Relation,
    /// The lengths of its segments.
    pub snapshot: &'a Snapshot,
    /// Where the pages are that were added to them, all of the snapshot's.
    pub directory: &'a Directory<'a>,
    /// The end of the last record that is not new.
    pub since: u64,
}

impl Changes<'_> {
    /// The pages of postings that were changed, by their numbers.
    pub fn pages(&self) -> Result<Vec<u32>> {
        let mut changed = Vec::new();
        let pages = self.snapshot.postings.div_ceil(self.per_page());
        for sequence in 0..pages {
            interrupt::check();
            let block = self.block(Kind::Postings, sequence)?;
            if self.index.read(block, None).changed_at() > self.since {
                changed.push(sequence);
            }
        }
        Ok(changed)
    }

    /// Hands all postings on some pages, as they are now, to `visit`, with their ids. It holds no lock
    /// and may raise errors.
    pub fn postings<E: From<Error>>(
        &self,
        pages: &[u32],
        mut visit: impl FnMut(u32, PostingView<'_>) -> std::result::Result<(), E>,
    ) -> std::result::Result<(), E> {
        let record = self.snapshot.layout.record_bytes(Kind::Postings);
        let mut copy = Box::new([0; PAGE]);
        for &sequence in pages {
            interrupt::check();
            let block = self.block(Kind::Postings, sequence)?;
            *copy = *self.index.read(block, None).page();
            let page = view_of(self.index, block, &copy, Kind::Postings, record)?;
            let page = page
                .numbered(sequence)
                .map_err(|damage| damaged(self.index, block, &damage))?;
            let first = sequence * self.per_page();
            let wanted = self.snapshot.postings.saturating_sub(first);
            let wanted = wanted.min(self.per_page()) as usize * record;
            let records = page.payload.get(..wanted);
            let records = records.ok_or_else(|| damaged(self.index, block, &page.bad_fill()))?;
            for (record, id) in records.chunks_exact(record).zip(first..) {
                let posting = PostingView::new(record)
                    .map_err(|damage| damaged(self.index, block, &damage))?;
                visit(id, posting)?;
            }
        }
        Ok(())
    }

    /// Whether a page with bytes of a node's vector was changed.
    pub fn has_vector(&self, node: u32) -> Result<bool> {
        for piece in self.snapshot.layout.pieces(node).unwrap_or_default() {
            let block = self.block(Kind::Vectors, piece.sequence)?;
            if self.index.read(block, None).changed_at() > self.since {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Copies the vector of a node of the snapshot into `out`, which is as long as a vector.
    pub fn vector(&self, node: u32, out: &mut [u8]) -> Result<()> {
        let layout = &self.snapshot.layout;
        let record = layout.record_bytes(Kind::Vectors);
        for piece in layout.pieces(node).unwrap_or_default() {
            let block = self.block(Kind::Vectors, piece.sequence)?;
            let guard = self.index.read(block, None);
            let page = view_of(self.index, block, guard.page(), Kind::Vectors, record)?;
            let page = page
                .numbered(piece.sequence)
                .map_err(|damage| damaged(self.index, block, &damage))?;
            let bytes = page
                .payload
                .get(piece.offset..piece.offset + piece.range.len())
                .ok_or_else(|| damaged(self.index, block, &page.bad_fill()))?;
            out[piece.range].copy_from_slice(bytes);
        }
        Ok(())
    }

    fn per_page(&self) -> u32 {
        self.snapshot.layout.per_page(Kind::Postings) as u32
    }

    fn block(&self, kind: Kind, sequence: u32) -> Result<u32> {
        let run = chain(self.snapshot, kind).run;
        if sequence < run.pages {
            return Ok(run.first + sequence);
        }
        self.directory
            .get(segment(kind), sequence)
            .ok_or_else(|| damaged(self.index, META, &Damage::Missing(kind)))
    }
}

fn chain(snapshot: &Snapshot, kind: Kind) -> &Chain {
    match kind {
        Kind::Vectors => &snapshot.meta.vectors,
        _ => &snapshot.meta.postings,
    }
}
