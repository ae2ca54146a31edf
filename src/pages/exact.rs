//! Single vectors and postings, and all postings, straight from the pages.
//!
//! For an index that does not fit shared memory, and for checks against the truth.

use chronomind_core::record::{Kind, PAGE, PostingView};

use super::chain::Pages;
use super::meta::Snapshot;
use super::{damaged, is_later};
use crate::error::{Error, Result};
use crate::pg::buffer::Ring;
use crate::pg::interrupt;
use crate::pg::relation::Relation;

/// Reads an index as of a snapshot. Opening it reads the pages that were appended since the build, so
/// keep it for a scan.
pub struct ExactReader<'s> {
    index: Relation,
    snapshot: &'s Snapshot,
    vectors: Pages,
    postings: Pages,
}

impl<'s> ExactReader<'s> {
    /// Looks up where the vectors and postings are.
    pub fn open(index: Relation, snapshot: &'s Snapshot) -> Result<Self> {
        let pages = |kind, chain| Pages::all(index, &snapshot.layout, kind, chain);
        Ok(ExactReader {
            index,
            snapshot,
            vectors: pages(Kind::Vectors, &snapshot.meta.vectors)?,
            postings: pages(Kind::Postings, &snapshot.meta.postings)?,
        })
    }

    /// Shows a posting as it is now to `look`, which runs under the lock of its page and must not call
    /// the server.
    pub fn posting<T>(&self, id: u32, look: impl FnOnce(PostingView<'_>) -> T) -> Result<T> {
        let layout = &self.snapshot.layout;
        let record = layout.record_bytes(Kind::Postings);
        let per_page = layout.per_page(Kind::Postings) as u32;
        let (sequence, slot) = (id / per_page, (id % per_page) as usize);
        let block = self.postings.block(self.index, sequence)?;
        let guard = self.index.read(block, None);
        let page = self
            .postings
            .view(self.index, sequence, block, guard.page())?;
        let bytes = page.payload.get(slot * record..(slot + 1) * record);
        let posting = bytes
            .ok_or_else(|| page.bad_fill())
            .and_then(PostingView::new)
            .map_err(|damage| damaged(self.index, block, &damage))?;
        Ok(look(posting))
    }

    /// Copies the vector of a node into `out`, which is as long as a vector.
    pub fn vector(&self, node: u32, out: &mut [u8]) -> Result<()> {
        let layout = &self.snapshot.layout;
        if node >= self.snapshot.nodes || out.len() != layout.vector_bytes() {
            return Err(Error::bug(format!("node {node} is not in the snapshot")));
        }
        for piece in layout.pieces(node).unwrap_or_default() {
            let block = self.vectors.block(self.index, piece.sequence)?;
            let guard = self.index.read(block, None);
            let page = self
                .vectors
                .view(self.index, piece.sequence, block, guard.page())?;
            let bytes = page
                .payload
                .get(piece.offset..piece.offset + piece.range.len());
            let bytes = bytes.ok_or_else(|| damaged(self.index, block, &page.bad_fill()))?;
            out[piece.range].copy_from_slice(bytes);
        }
        Ok(())
    }
}

/// Hands all postings of a snapshot to `visit`, with their ids, or what has taken their places since
/// where its node is in the snapshot. It holds no lock and may raise errors.
pub fn postings(
    index: Relation,
    snapshot: &Snapshot,
    mut visit: impl FnMut(u32, PostingView<'_>) -> Result<()>,
) -> Result<()> {
    let layout = &snapshot.layout;
    let pages = Pages::all(index, layout, Kind::Postings, &snapshot.meta.postings)?;
    let record = layout.record_bytes(Kind::Postings);
    let per_page = layout.per_page(Kind::Postings) as u32;
    let ring = Ring::bulk_read();
    let mut copy = Box::new([0; PAGE]);
    for sequence in 0..pages.count() {
        interrupt::check();
        let block = pages.block(index, sequence)?;
        *copy = *index.read(block, Some(&ring)).page();
        let page = pages.view(index, sequence, block, &copy)?;
        let first = sequence.saturating_mul(per_page);
        let wanted = snapshot.postings.saturating_sub(first).min(per_page) as usize;
        let records = page.payload.get(..wanted * record);
        let records = records.ok_or_else(|| damaged(index, block, &page.bad_fill()))?;
        for (record, id) in records.chunks_exact(record).zip(first..) {
            let posting =
                PostingView::new(record).map_err(|damage| damaged(index, block, &damage))?;
            if !is_later(index, block, snapshot, &posting)? {
                visit(id, posting)?;
            }
        }
    }
    Ok(())
}
