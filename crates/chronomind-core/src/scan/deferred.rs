//! Rows that the graph has settled, but that are not wanted yet.
//!
//! To measure a row in full is to fetch its vector, three or four times the bytes of its code, and of the
//! rows that a walk settles only the first few are ever given out. What is known from a code bounds the
//! rank of a row, and a row whose bound is above the ranks that are wanted waits here with it: it is
//! measured when it might be the next (the multi-step search of Seidl and Kriegel 1998, which measures no
//! more than that takes).

use std::cmp::Reverse;
use std::collections::BinaryHeap;

/// The rows, least bound first.
#[derive(Default)]
pub(super) struct Deferred {
    /// A rank that the row's is not below, and its posting.
    rows: BinaryHeap<Reverse<(u64, u32)>>,
}

impl Deferred {
    pub(super) fn push(&mut self, bound: u64, posting: u32) {
        self.rows.push(Reverse((bound, posting)));
    }

    /// The least bound.
    pub(super) fn bound(&self) -> Option<u64> {
        self.rows.peek().map(|Reverse((bound, _))| *bound)
    }

    /// Takes the row with the least bound.
    pub(super) fn pop(&mut self) -> Option<u32> {
        self.rows.pop().map(|Reverse((_, posting))| posting)
    }

    /// The postings of all rows, in no order.
    pub(super) fn postings(&self) -> impl Iterator<Item = u32> + '_ {
        self.rows.iter().map(|Reverse((_, posting))| *posting)
    }

    pub(super) fn bytes(&self) -> usize {
        self.rows.capacity() * size_of::<Reverse<(u64, u32)>>()
    }
}
