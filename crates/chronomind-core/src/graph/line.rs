//! A world in which distances can be told at a glance, for the tests and models of the links.

use super::links::{self, List, Measure};
use crate::primitive::AtomicU64;

/// Nodes on a line; ids are positions.
pub(crate) struct Line {
    pub(crate) owner: f32,
    pub(crate) newcomer: f32,
}

impl Line {
    pub(crate) fn link_back(&mut self, slots: &[AtomicU64]) -> bool {
        let key = (self.owner - self.newcomer).abs();
        let mut list = List::default();
        links::link_back(slots, self.newcomer as u32, key, self, &mut list)
    }
}

impl Measure for Line {
    fn owner_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>) {
        keys.clear();
        keys.extend(ids.iter().map(|&id| (self.owner - id as f32).abs()));
    }

    fn newcomer_keys(&mut self, ids: &[u32], keys: &mut Vec<f32>) {
        keys.clear();
        keys.extend(ids.iter().map(|&id| (self.newcomer - id as f32).abs()));
    }

    fn any_nearer(&mut self, ids: &[u32], key: f32) -> bool {
        ids.iter()
            .any(|&id| (self.newcomer - id as f32).abs() < key)
    }
}
