//! Where the pages of an index lie that were added to it one by one.
//!
//! On the pages themselves each names the one before it, which is enough to go through all of them,
//! and to add one more, but takes as many steps as there are pages to find one in the middle. Whoever
//! overwrites a record there looks its page up here. The core makes nothing of the numbers.

use crate::arena::WordRecords;
use crate::error::Result;
use crate::primitive::Ordering;

/// Segments that grow by pages.
const SEGMENTS: usize = 2;
/// Words of a record: the blocks of four pages of each segment, plus one; 0 where none is known.
pub(crate) const WORDS: usize = 8;
const PAGES: u32 = (WORDS / SEGMENTS) as u32;

/// The blocks of the pages of two segments.
#[derive(Clone, Copy)]
pub struct Directory<'r>(WordRecords<'r>);

impl<'r> Directory<'r> {
    /// The view over an array of records of [`WORDS`] words.
    pub(crate) fn new(records: WordRecords<'r>) -> Directory<'r> {
        assert_eq!(records.words(), WORDS);
        Directory(records)
    }

    /// Makes sure that a page has memory.
    ///
    /// # Errors
    /// As [`WordRecords::reserve`].
    pub fn reserve(&self, page: u32) -> Result<()> {
        self.0.reserve(page / PAGES)
    }

    /// Notes the block of a page. False when there is no memory for this page, whatever others have:
    /// whoever looks it up would go through the chain of pages.
    #[must_use]
    pub fn set(&self, segment: usize, page: u32, block: u32) -> bool {
        let Some(words) = self.0.get(page / PAGES) else {
            return false;
        };
        // Relaxed: whoever looks a page up has a lock that orders it after whoever added it.
        words[word(segment, page)].store(u64::from(block) + 1, Ordering::Relaxed);
        true
    }

    /// Gets memory for a page and notes its block.
    ///
    /// # Errors
    /// As [`WordRecords::reserve`].
    pub fn add(&self, segment: usize, page: u32, block: u32) -> Result<()> {
        self.reserve(page)?;
        let is_set = self.set(segment, page, block);
        debug_assert!(is_set, "reserved just now");
        Ok(())
    }

    /// The block of a page, if it is known.
    pub fn get(&self, segment: usize, page: u32) -> Option<u32> {
        let words = self.0.get(page / PAGES)?;
        let block = words[word(segment, page)].load(Ordering::Relaxed);
        Some(block.checked_sub(1)? as u32)
    }

    pub(crate) fn array(&self) -> WordRecords<'r> {
        self.0
    }
}

fn word(segment: usize, page: u32) -> usize {
    (page % PAGES) as usize * SEGMENTS + segment
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::arena::{HeapRegion, UNIT};

    #[test]
    fn pages_are_found_where_they_were_put() {
        let heap = HeapRegion::new(8 * UNIT);
        let directory = Directory::new(heap.words(WORDS).unwrap());
        for page in 0..3_000 {
            assert_eq!(directory.get(0, page), None);
            directory.reserve(page).unwrap();
            assert!(directory.set(0, page, 2 * page));
            directory.add(1, page, u32::MAX - page).unwrap();
        }
        for page in 0..3_000 {
            assert_eq!(directory.get(0, page), Some(2 * page));
            assert_eq!(directory.get(1, page), Some(u32::MAX - page));
        }
        assert_eq!(directory.get(0, 3_000), None);
    }

    /// Vectors fill many more pages than postings, so the two grow far apart.
    #[test]
    fn memory_for_one_page_is_none_for_another() {
        let heap = HeapRegion::new(8 * UNIT);
        let directory = Directory::new(heap.words(WORDS).unwrap());
        directory.reserve(11_300).unwrap();
        assert!(!directory.set(1, 300, 7));
        assert_eq!(directory.get(1, 300), None);
        directory.reserve(300).unwrap();
        assert!(directory.set(1, 300, 7));
        assert_eq!(directory.get(1, 300), Some(7));
        assert_eq!(directory.get(0, 300), None);
    }
}
