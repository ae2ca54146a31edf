//! Where the pages of a segment lie: runs of blocks, and what was appended one by one.

use serde::{Deserialize, Serialize};

use super::NO_BLOCK;

/// A run of pages.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Extent {
    /// First block.
    pub first: u32,
    /// Number of blocks.
    pub pages: u32,
}

impl Extent {
    /// The block after the last, where all of them can be blocks other than the first of a file.
    pub(super) fn end(&self) -> Option<u32> {
        let end = self.first.checked_add(self.pages)?;
        (self.first > 0).then_some(end)
    }
}

/// Where the pages of an appended segment lie: the run that the build wrote, pages `0..` of the
/// segment, then single pages, each of which names the one before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Chain {
    /// The pages that the build wrote.
    pub run: Extent,
    /// Block of the last page, or [`NO_BLOCK`] before the first.
    pub tail: u32,
}

impl Chain {
    /// A segment without pages.
    pub const EMPTY: Chain = Chain {
        run: Extent {
            first: NO_BLOCK,
            pages: 0,
        },
        tail: NO_BLOCK,
    };

    /// Whether the last page is one of the run, or comes after it.
    pub(super) fn is_possible(&self) -> bool {
        let is_last = |end: u32| self.tail != NO_BLOCK && self.tail >= end - 1;
        self.run.pages == 0 || self.run.end().is_some_and(is_last)
    }
}

/// The number of pages in a segment.
pub fn page_count(extents: &[Extent]) -> u32 {
    extents
        .iter()
        .fold(0, |sum, extent| extent.pages.saturating_add(sum))
}

/// The block of page `number` of a segment; `None` where the segment does not have it.
pub fn nth_page(extents: &[Extent], number: u32) -> Option<u32> {
    let mut rest = number;
    for extent in extents {
        match rest.checked_sub(extent.pages) {
            None => return extent.first.checked_add(rest),
            Some(after) => rest = after,
        }
    }
    None
}

/// The number in its segment of the page on `block`; `None` where the segment does not have it.
pub fn find_page(extents: &[Extent], block: u32) -> Option<u32> {
    let mut before = 0u32;
    for extent in extents {
        if let Some(offset) = block.checked_sub(extent.first)
            && offset < extent.pages
        {
            return before.checked_add(offset);
        }
        before = before.checked_add(extent.pages)?;
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pages_are_found_in_their_extents() {
        let extents = [
            Extent {
                first: 10,
                pages: 3,
            },
            Extent {
                first: 40,
                pages: 2,
            },
        ];
        assert_eq!(page_count(&extents), 5);
        assert_eq!(find_page(&extents, 12), Some(2));
        assert_eq!(find_page(&extents, 13), None);
        assert_eq!(find_page(&extents, 41), Some(4));
        assert_eq!(find_page(&extents, 9), None);
        let blocks = [10, 11, 12, 40, 41].map(Some);
        assert!((0..5).map(|number| nth_page(&extents, number)).eq(blocks));
        assert_eq!(nth_page(&extents, 5), None);
    }
}
