//! Which of the nearest candidates become a node's neighbours.
//!
//! The paper's heuristic (Malkov and Yashunin 2016, algorithm 4): going outwards, a candidate is
//! kept when no kept one is nearer to it than the node itself is, so that the links point in
//! different directions. What it prunes fills the places that are left (`keepPrunedConnections`),
//! which is worth .016 of recall at a beam of 40.

use super::beam::Candidate;
use super::node::State;
use super::{Graph, Probe};
use crate::distance::TOGETHER;

/// A chosen neighbour.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Neighbour {
    pub(crate) id: u32,
    pub(crate) key: f32,
    pub(crate) pruned: bool,
}

impl Graph<'_> {
    /// Chooses at most `most` of the candidates that are in one of the given states. They come
    /// nearest first.
    pub(crate) fn choose(
        &self,
        candidates: &[Candidate],
        states: &[State],
        most: usize,
        probe: &mut Probe,
        chosen: &mut Vec<Neighbour>,
    ) {
        chosen.clear();
        let mut diverse: Vec<u32> = Vec::with_capacity(most);
        let mut pruned: Vec<Candidate> = Vec::with_capacity(most);
        for candidate in candidates {
            if diverse.len() == most {
                break;
            }
            if !states.contains(&self.node(candidate.id()).state()) {
                continue;
            }
            self.probe_node(candidate.id(), probe);
            if self.any_nearer(probe, &diverse, candidate.key()) {
                pruned.push(*candidate);
            } else {
                diverse.push(candidate.id());
                chosen.push(kept(candidate, false));
            }
        }
        let room = most - chosen.len();
        chosen.extend(
            pruned
                .iter()
                .take(room)
                .map(|candidate| kept(candidate, true)),
        );
    }

    /// True when one of the nodes is nearer to the probe than `limit`.
    pub(crate) fn any_nearer(&self, probe: &Probe, ids: &[u32], limit: f32) -> bool {
        ids.chunks(TOGETHER).any(|ids| {
            let mut nearer = false;
            self.keys(probe, ids, |_, key| nearer |= key < limit);
            nearer
        })
    }
}

fn kept(candidate: &Candidate, pruned: bool) -> Neighbour {
    Neighbour {
        id: candidate.id(),
        key: candidate.key(),
        pruned,
    }
}
