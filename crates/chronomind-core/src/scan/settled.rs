//! Nodes that the graph has settled and whose rows are still to be scored.
//!
//! A vector may have any number of rows, so that their chain is followed in portions. The queue
//! remembers where it stands by the id of a posting.

use super::near::Near;
use crate::postings::Postings;

/// The queue.
#[derive(Default)]
pub(super) struct Settled {
    /// In reverse order.
    nodes: Vec<(u32, f64)>,
    /// What is left of a node's chain, and the node's distance.
    chain: Option<(u32, f64)>,
    followed: u64,
}

impl Settled {
    /// Takes the nodes that the graph has settled since the last time.
    pub(super) fn refill<N: Near>(&mut self, near: &mut N) {
        near.drain(&mut self.nodes);
        self.nodes.reverse();
    }

    /// The next posting and its distance.
    pub(super) fn next<N: Near>(
        &mut self,
        postings: &Postings<'_>,
        near: &N,
    ) -> Option<(u32, f64)> {
        loop {
            if let Some((first, distance)) = self.chain.take() {
                let mut chain = postings.chain_from(first);
                if let Some(posting) = chain.next() {
                    self.chain = Some((chain.rest(), distance));
                    self.followed += 1;
                    return Some((posting, distance));
                }
            }
            let (node, distance) = self.nodes.pop()?;
            self.chain = Some((postings.chain(near.head(node)).rest(), distance));
        }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.chain.is_none()
    }

    /// Postings met so far.
    pub(super) fn followed(&self) -> u64 {
        self.followed
    }

    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<(u32, f64)>()
    }
}
