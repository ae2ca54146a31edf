//! `chrono_stats`: what an index is made of.
//!
//! It only looks: nothing is loaded for it, and it waits for nobody. Its numbers are counters, so they
//! cost nothing, and belong together only while nobody writes.

use chronomind_core::index::Index;

use crate::error::Result;
use crate::pg::relation::Relation;
use crate::recovery;
use crate::shmem::registry::Found;

/// Where an index is searched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// CREATE INDEX CONCURRENTLY is at it, or has failed; or it is unlogged, and this is a standby.
    Unbuilt,
    /// On its pages, from which the first to need it will load it.
    Unloaded,
    /// Somebody loads it.
    Loading,
    /// In memory.
    Loaded,
    /// On its pages, because memory is too small.
    TooLarge,
    /// In the shards of its table, which another engine distributes. Here there is none of it.
    InShards,
}

impl State {
    /// Its name in SQL.
    pub fn name(self) -> &'static str {
        match self {
            State::Unbuilt => "not built",
            State::Unloaded => "not loaded",
            State::Loading => "loading",
            State::Loaded => "loaded",
            State::TooLarge => "does not fit",
            State::InShards => "in shards",
        }
    }
}

/// What an index is made of.
#[derive(Debug, Clone, Copy)]
pub struct Stats {
    /// Where it is searched.
    pub state: State,
    /// What is in memory, if that is all of it.
    pub counts: Option<Counts>,
    /// Bytes of shared memory that it holds.
    pub memory_bytes: u64,
}

/// What an index has in memory.
#[derive(Debug, Clone, Copy)]
pub struct Counts {
    /// Postings that are not dead.
    pub rows: u64,
    /// Postings that are.
    pub dead_rows: u64,
    /// Nodes of the graph. On a standby also those that are free, which only its primary tells apart.
    pub vectors: u32,
    /// Places of nodes that wait for another vector.
    pub free_vectors: u32,
    /// Layers of the graph.
    pub layers: u32,
}

/// What an index whose build is done is made of. It keeps no memory from being given back.
pub fn stats(index: Relation) -> Result<Stats> {
    recovery::briefly(|| {
        let (state, memory) = match recovery::find(index)? {
            Found::Absent => (State::Unloaded, None),
            Found::Claimed { .. } => (State::Loading, None),
            Found::Ready(_, index) => (State::Loaded, Some(index)),
            Found::Unfit(place) => (State::TooLarge, recovery::part_of_unfit(place)?),
        };
        Ok(Stats {
            state,
            counts: memory
                .as_ref()
                .filter(|_| state == State::Loaded)
                .map(count),
            memory_bytes: memory.map_or(0, |index| index.bytes_held()),
        })
    })
}

fn count(index: &Index<'static>) -> Counts {
    let (published, dead_rows) = index.postings().counts();
    let graph = index.graph();
    let free_vectors = graph.free_nodes();
    Counts {
        rows: published.saturating_sub(dead_rows),
        dead_rows,
        vectors: graph.len().saturating_sub(free_vectors),
        free_vectors,
        layers: graph.entry().map_or(0, |entry| entry.layer + 1),
    }
}
