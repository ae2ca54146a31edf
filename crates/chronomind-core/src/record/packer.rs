//! Fills pages one after the other.

use super::layout::Layout;
use super::page::{HEADER, Kind, PAGE, PageBytes, format, payload_mut, set_fill};

/// A page in the making: records go in until it is full.
pub struct Packer {
    page: Box<PageBytes>,
    kind: Kind,
    sequence: u32,
    fill: usize,
    full: usize,
}

impl Packer {
    /// Starts with the first page of a segment, empty.
    pub fn new(layout: &Layout, kind: Kind) -> Packer {
        let mut page = Box::new([0; PAGE]);
        format(&mut page, kind, 0, super::NO_BLOCK);
        Packer {
            page,
            kind,
            sequence: 0,
            fill: 0,
            full: layout.full(kind),
        }
    }

    /// The segment.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// The page's number in its segment.
    pub fn sequence(&self) -> u32 {
        self.sequence
    }

    /// Bytes that still fit.
    pub fn room(&self) -> usize {
        self.full - self.fill
    }

    /// Whether nothing is in the page.
    pub fn is_empty(&self) -> bool {
        self.fill == 0
    }

    /// The next `bytes` of the payload, at most [`room`](Self::room), to be written by the caller.
    pub fn take(&mut self, bytes: usize) -> &mut [u8] {
        let from = self.fill;
        self.fill += bytes;
        set_fill(&mut self.page, self.fill);
        &mut payload_mut(&mut self.page)[from..from + bytes]
    }

    /// What is in the page.
    pub fn payload(&self) -> &[u8] {
        &self.page[HEADER..HEADER + self.fill]
    }

    /// The page as it stands.
    pub fn page(&self) -> &PageBytes {
        &self.page
    }

    /// Begins the next page of the segment; the one before it lies on block `previous`.
    pub fn next(&mut self, previous: u32) {
        self.sequence += 1;
        self.fill = 0;
        format(&mut self.page, self.kind, self.sequence, previous);
    }
}
