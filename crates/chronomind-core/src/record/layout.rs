//! Where a record lies: arithmetic on its number and its size.

use std::ops::Range;

use super::page::{Kind, PAYLOAD};
use super::posting::POSTING_HEAD;
use super::upper::UPPER_HEAD;

/// The sizes of an index's records, fixed when it is made.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Layout {
    vector_bytes: usize,
    attributes: usize,
    m: usize,
}

/// A part of a vector that lies on one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Piece {
    /// The vector page, by its number in the segment.
    pub sequence: u32,
    /// Where the piece begins in the page's payload.
    pub offset: usize,
    /// Which bytes of the vector it holds.
    pub range: Range<usize>,
}

impl Layout {
    /// Most neighbours a node may keep on each layer above 0; twice that on layer 0.
    pub const MAX_M: usize = 100;
    /// Most elements of a vector, which are pgvector's own limit.
    pub const MAX_DIMENSIONS: u32 = 16_000;
    /// Most attributes beside the vector: Postgres allows 32 index columns.
    pub const MAX_ATTRIBUTES: usize = 31;

    /// The layout for vectors of `vector_bytes`, a number of attributes, and `m` links a node and
    /// layer. `None` where one of them is out of range.
    pub fn new(vector_bytes: usize, attributes: usize, m: usize) -> Option<Layout> {
        let fits = (1..=u32::MAX as usize).contains(&vector_bytes)
            && attributes <= Self::MAX_ATTRIBUTES
            && (1..=Self::MAX_M).contains(&m);
        fits.then_some(Layout {
            vector_bytes,
            attributes,
            m,
        })
    }

    /// Bytes of a vector.
    pub fn vector_bytes(&self) -> usize {
        self.vector_bytes
    }

    /// Attributes of a posting.
    pub fn attributes(&self) -> usize {
        self.attributes
    }

    /// Neighbour slots of a node on layer 0.
    pub fn link_slots(&self) -> usize {
        2 * self.m
    }

    /// Neighbour slots of a node on each layer above 0.
    pub fn upper_slots(&self) -> usize {
        self.m
    }

    /// Bytes of one record of a segment. Vectors and the meta record are not cut at page borders
    /// into records: one byte.
    pub fn record_bytes(&self, kind: Kind) -> usize {
        match kind {
            Kind::Meta | Kind::Vectors => 1,
            Kind::Postings => POSTING_HEAD + 8 * self.attributes,
            Kind::Links => 4 * self.link_slots(),
            Kind::Upper => UPPER_HEAD + 4 * self.m,
        }
    }

    /// Records on a full page of a segment.
    pub fn per_page(&self, kind: Kind) -> usize {
        PAYLOAD / self.record_bytes(kind)
    }

    /// Bytes on a full page of a segment: what a page that has a successor must hold.
    pub fn full(&self, kind: Kind) -> usize {
        self.per_page(kind) * self.record_bytes(kind)
    }

    /// Records of an appended segment, whole vectors or postings, of `pages` pages, the last of which
    /// holds `fill` bytes.
    pub fn records(&self, kind: Kind, pages: u32, fill: usize) -> u64 {
        let full_pages = u64::from(pages.saturating_sub(1));
        if kind == Kind::Vectors {
            (full_pages * PAYLOAD as u64 + fill as u64) / self.vector_bytes as u64
        } else {
            full_pages * self.per_page(kind) as u64 + (fill / self.record_bytes(kind)) as u64
        }
    }

    /// Where the first byte of a vector lies in the linear space.
    pub fn vector_start(&self, node: u32) -> u64 {
        u64::from(node) * self.vector_bytes as u64
    }

    /// The pieces of a vector, in order. `None` when its pages have no numbers left.
    pub fn pieces(&self, node: u32) -> Option<Vec<Piece>> {
        let mut pieces = Vec::new();
        let start = self.vector_start(node);
        let mut done = 0;
        while done < self.vector_bytes {
            let at = start + done as u64;
            let offset = (at % PAYLOAD as u64) as usize;
            let end = self.vector_bytes.min(done + PAYLOAD - offset);
            pieces.push(Piece {
                sequence: u32::try_from(at / PAYLOAD as u64).ok()?,
                offset,
                range: done..end,
            });
            done = end;
        }
        Some(pieces)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn sizes() {
        let layout = Layout::new(1536, 3, 16).unwrap();
        assert_eq!(layout.record_bytes(Kind::Postings), 40);
        assert_eq!(layout.per_page(Kind::Postings), 203);
        assert_eq!(layout.record_bytes(Kind::Links), 128);
        assert_eq!(layout.per_page(Kind::Links), 63);
        assert_eq!(layout.record_bytes(Kind::Upper), 72);
        assert_eq!(layout.full(Kind::Vectors), PAYLOAD);
    }

    #[test]
    fn the_largest_records_fit_a_page() {
        let layout = Layout::new(64_000, Layout::MAX_ATTRIBUTES, Layout::MAX_M).unwrap();
        for kind in [Kind::Postings, Kind::Links, Kind::Upper] {
            assert!(layout.per_page(kind) >= 1, "{kind}");
        }
    }

    #[test]
    fn out_of_range() {
        assert_eq!(Layout::new(0, 0, 16), None);
        assert_eq!(Layout::new(8, 32, 16), None);
        assert_eq!(Layout::new(8, 0, 0), None);
        assert_eq!(Layout::new(8, 0, 101), None);
        let widest = Layout::new(u32::MAX as usize, 0, 16).unwrap();
        assert_eq!(widest.pieces(u32::MAX - 1), None);
    }

    proptest! {
        /// Laid end to end, the pieces are the vector's own stretch of the linear space, and only
        /// the last leaves a page before its end.
        #[test]
        fn pieces_tile_the_vector(bytes in 1..40_000usize, node in 0..2_000_000u32) {
            let layout = Layout::new(bytes, 0, 16).unwrap();
            let pieces = layout.pieces(node).unwrap();
            let mut at = layout.vector_start(node);
            let mut done = 0;
            for (i, piece) in pieces.iter().enumerate() {
                prop_assert_eq!(u64::from(piece.sequence) * PAYLOAD as u64 + piece.offset as u64, at);
                prop_assert_eq!(piece.range.start, done);
                prop_assert!(!piece.range.is_empty());
                let end = piece.offset + piece.range.len();
                prop_assert!(end <= PAYLOAD);
                prop_assert!(i + 1 == pieces.len() || end == PAYLOAD);
                done = piece.range.end;
                at += piece.range.len() as u64;
            }
            prop_assert_eq!(done, bytes);
            prop_assert_eq!(at, layout.vector_start(node + 1));
        }
    }
}
