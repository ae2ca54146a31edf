//! Nodes that the graph has settled and whose rows are still to be scored.
//!
//! A vector may have any number of rows, so that their chain is followed in portions. The queue
//! remembers where it stands by the id of a posting, until vacuum cuts chains: that posting may be in
//! another chain by the time the search goes on, so the walk begins again at the node.

use super::near::{Bracket, Near};
use crate::postings::Postings;

/// The queue.
#[derive(Default)]
pub(super) struct Settled {
    /// In reverse order.
    nodes: Vec<(u32, Bracket)>,
    chain: Option<Rest>,
    followed: u64,
    /// How often chains had been cut when the search last looked.
    cuts: u64,
}

/// What is left of a node's chain.
struct Rest {
    node: u32,
    bracket: Bracket,
    next: u32,
}

impl Settled {
    /// To be called at the beginning of each step.
    pub(super) fn resume<N: Near>(&mut self, postings: &Postings<'_>, near: &N) {
        let cuts = postings.cuts();
        if cuts != std::mem::replace(&mut self.cuts, cuts)
            && let Some(rest) = &mut self.chain
        {
            rest.next = postings.chain(near.head(rest.node)).rest();
        }
    }

    /// Takes the nodes that the graph has settled since the last time. Of their rows, the attributes in
    /// `wanted` will be asked for.
    pub(super) fn refill<N: Near>(&mut self, postings: &Postings<'_>, near: &mut N, wanted: u32) {
        near.drain(&mut self.nodes);
        self.nodes.reverse();
        // Their first postings lie anywhere, and are waited for together.
        for (node, _) in &self.nodes {
            postings.prefetch(near.head(*node), wanted);
        }
    }

    /// The next posting, with its node and what is known of its distance.
    pub(super) fn next<N: Near>(
        &mut self,
        postings: &Postings<'_>,
        near: &N,
    ) -> Option<(u32, u32, Bracket)> {
        loop {
            if let Some(rest) = &mut self.chain {
                let mut chain = postings.chain_from(rest.next);
                if let Some(posting) = chain.next() {
                    rest.next = chain.rest();
                    self.followed += 1;
                    return Some((posting, rest.node, rest.bracket));
                }
            }
            self.chain = None;
            let (node, bracket) = self.nodes.pop()?;
            let next = postings.chain(near.head(node)).rest();
            self.chain = Some(Rest {
                node,
                bracket,
                next,
            });
        }
    }

    /// Forgets the nodes whose rows have not been met.
    pub(super) fn forget(&mut self) {
        self.nodes = Vec::new();
        self.chain = None;
    }

    pub(super) fn is_empty(&self) -> bool {
        self.nodes.is_empty() && self.chain.is_none()
    }

    /// Postings met so far.
    pub(super) fn followed(&self) -> u64 {
        self.followed
    }

    pub(super) fn bytes(&self) -> usize {
        self.nodes.capacity() * size_of::<(u32, Bracket)>()
    }
}
