//! The durable form of an index: what its pages hold, byte for byte.
//!
//! The problem: pages outlive every version of this program, so their form has one home, apart from
//! the code that moves pages about, and everything read from them is checked before it is believed.
//! Nothing in here does I/O: functions turn records into bytes and bytes into records, and bytes
//! that are not ours become a [`Damage`], never a panic. `docs/format.md` tells the whole in prose.
//!
//! Four segments make up an index, each a sequence of pages:
//!
//! - *vectors*: one linear space of bytes; vector `i` is its bytes `i * B .. (i + 1) * B`, and may
//!   run over page borders ([`Layout::pieces`]);
//! - *postings*: one fixed-size record for each heap row version ([`Posting`]);
//! - *links*: `2m` slots for each node, its neighbours on layer 0, as they stand in memory;
//! - *upper*: `m` slots for each node and layer above 0 ([`Upper`]).
//!
//! The first two are the truth. The others are hints that save the work of linking after a restart.
//! Numbers are in the byte order of the machine, as everywhere in Postgres's files.

mod extent;
mod layout;
mod meta;
mod packer;
mod page;
mod posting;
mod upper;
mod walk;

pub use extent::{Chain, Extent, find_page, nth_page, page_count};
pub use layout::{Layout, Piece};
pub use meta::{Definition, Meta};
pub use packer::Packer;
pub use page::{
    Damage, HEADER, Kind, PAGE, PAYLOAD, PageBytes, PageView, SPECIAL, format, payload_mut,
    set_fill, view,
};
pub use posting::{Flags, Posting, PostingView, Tid};
pub use upper::{Upper, slots_from_bytes, slots_to_bytes};
pub use walk::{Item, Lengths, Stop, Walk};

/// The node of a posting whose vector has no place in the graph.
pub const NO_NODE: u32 = u32::MAX;

/// Nodes are numbered below this: a neighbour slot holds an id plus one beside two marks.
pub const MAX_NODES: u32 = (1 << 30) - 1;

/// No block: the tail of an empty segment, the predecessor of the first page.
pub const NO_BLOCK: u32 = u32::MAX;

/// Reads a number at `at`; the caller has checked that it lies inside.
fn u16_at(bytes: &[u8], at: usize) -> u16 {
    u16::from_ne_bytes([bytes[at], bytes[at + 1]])
}

/// Reads a number at `at`; the caller has checked that it lies inside.
fn u32_at(bytes: &[u8], at: usize) -> u32 {
    u32::from_ne_bytes([bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]])
}
