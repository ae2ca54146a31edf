//! The lock-free HNSW graph (Malkov and Yashunin 2016) over records in shared memory.
//!
//! A [`Graph`] is a view: a header that every process sees, two arrays of records (nodes, and the
//! neighbour lists of the layers above 0) and the kernel this process uses. Node ids come from
//! outside (they are ordinals on the index's pages); the layers of a node are a pure function of
//! its id and the index's seed, so they need not be stored.
//!
//! An insert is three steps, because the middle of it belongs to the caller: [`Graph::reserve`] (may
//! fail, nothing has happened), then the caller makes the row durable, then [`Graph::store`] and
//! [`Graph::link`], which cannot fail.

pub(crate) mod bucket;
pub(crate) mod entry;
pub(crate) mod free;
#[cfg(test)]
pub(crate) mod line;
pub(crate) mod links;

#[cfg(not(loom))]
mod beam;
#[cfg(not(loom))]
mod check;
#[cfg(not(loom))]
mod dead;
#[cfg(not(loom))]
mod equal;
#[cfg(not(loom))]
mod forest;
#[cfg(not(loom))]
mod insert;
#[cfg(not(loom))]
mod lengths;
#[cfg(not(loom))]
mod near;
#[cfg(not(loom))]
mod neighbours;
#[cfg(not(loom))]
mod node;
#[cfg(not(loom))]
mod reach;
#[cfg(not(loom))]
mod repair;
#[cfg(not(loom))]
mod search;
#[cfg(not(loom))]
mod unlink;
#[cfg(not(loom))]
mod view;

#[cfg(not(loom))]
pub use check::Report;
pub use entry::Entry;
#[cfg(not(loom))]
pub use insert::Inserter;
#[cfg(not(loom))]
pub use near::GraphNear;
#[cfg(not(loom))]
pub use node::State;
#[cfg(not(loom))]
pub use search::NearSearch;
#[cfg(not(loom))]
pub use view::{Graph, GraphConfig, GraphHeader, Probe};
