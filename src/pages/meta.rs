//! The meta page, and how long the segments are.

use chronomind_core::record::{
    Damage, Definition, Kind, Layout, Lengths, Meta, NO_BLOCK, PAGE, PAYLOAD, PageBytes, format,
    payload_mut, set_fill,
};

use super::chain::{block_near, ends};
use super::{META, damaged, view_of};
use crate::error::Result;
use crate::pg::relation::{Fork, Relation};
use crate::pg::xlog::Change;

/// An index at one moment: what it is, and exactly what had been appended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The meta record.
    pub meta: Meta,
    /// The sizes of its records.
    pub layout: Layout,
    /// Number of vectors: node ids are below this.
    pub nodes: u32,
    /// Number of postings: posting ids are below this. Their nodes are below `nodes`, or none.
    pub postings: u32,
    /// What is appended later lies on this block and those after it.
    pub(super) frontier: u32,
}

impl Snapshot {
    /// The lengths of its segments.
    pub(super) fn lengths(&self) -> Lengths {
        Lengths {
            nodes: self.nodes,
            postings: self.postings,
        }
    }
}

/// Reads the meta record and the lengths of the segments, all of one moment.
pub fn snapshot(index: Relation) -> Result<Snapshot> {
    let guard = index.read(META, None);
    let (meta, layout) = decode(index, guard.page())?;
    let (vectors, postings) = ends(index, &meta, &layout)?;
    let missing = |kind| move |_| damaged(index, META, &Damage::Missing(kind));

    let nodes =
        u32::try_from(vectors.records(&layout, Kind::Vectors)).map_err(missing(Kind::Vectors))?;
    let posting_count = u32::try_from(postings.records(&layout, Kind::Postings))
        .map_err(missing(Kind::Postings))?;

    // Where an append was cut short, the next vector begins before the last page.
    let begun = (layout.vector_start(nodes) / PAYLOAD as u64) as u32;
    let vector_block = if vectors.block == NO_BLOCK {
        NO_BLOCK
    } else {
        let last = vectors.pages - 1;
        block_near(index, &layout, Kind::Vectors, &vectors, begun.min(last))?
    };
    let frontier = match vector_block.min(postings.block) {
        NO_BLOCK => META + 1,
        block => block,
    };
    Ok(Snapshot {
        meta,
        layout,
        nodes,
        postings: posting_count,
        frontier,
    })
}

/// Writes the init fork of an unlogged index: an index without rows. It is logged all the same,
/// because it must be there after a crash.
pub fn create_empty(index: Relation, definition: Definition) -> Result<()> {
    let page = page(index, &Meta::new(definition))?;
    index.extend(Fork::Init, None).replace(&page, true);
    Ok(())
}

/// Changes the meta record.
pub(super) fn update(index: Relation, change: impl FnOnce(&mut Meta)) -> Result<()> {
    let guard = index.write(META, None);
    let (mut meta, _) = decode(index, guard.page())?;
    change(&mut meta);
    let mut record = Change::begin(index);
    encode(index, &meta, record.page(&guard))?;
    record.commit();
    Ok(())
}

/// A meta page.
pub(super) fn page(index: Relation, meta: &Meta) -> Result<Box<PageBytes>> {
    let mut page = Box::new([0; PAGE]);
    format(&mut page, Kind::Meta, 0, NO_BLOCK);
    encode(index, meta, &mut page)?;
    Ok(page)
}

/// Puts a meta record into a meta page.
pub(super) fn encode(index: Relation, meta: &Meta, page: &mut PageBytes) -> Result<()> {
    let length = meta
        .encode(payload_mut(page))
        .map_err(|damage| damaged(index, META, &damage))?;
    set_fill(page, length);
    Ok(())
}

/// Reads the meta record from its page.
pub(super) fn decode(index: Relation, page: &PageBytes) -> Result<(Meta, Layout)> {
    const TOO_SHORT: Damage = Damage::Meta("the meta record names pages that are not there");
    let page = view_of(index, META, page, Kind::Meta, 1)?;
    Meta::decode(page.payload)
        .and_then(|meta| match meta.blocks() <= index.blocks() {
            true => meta.layout().map(|layout| (meta, layout)),
            false => Err(TOO_SHORT),
        })
        .map_err(|damage| damaged(index, META, &damage))
}
