//! The neighbour lists, written anew over the old ones.
//!
//! The lists on pages are hints that spare a restart the work of linking. They are brought up to
//! date in bulk, page by page; pages that did not change cost nothing. A crash in the middle leaves
//! older lists beside younger ones: both are lists of nodes that exist, and the graph that is
//! loaded from them is one that might have been.

use chronomind_core::record::{
    Extent, Kind, Layout, Meta, NO_BLOCK, Packer, Upper, format, nth_page, page_count, payload_mut,
    set_fill, slots_to_bytes,
};

use super::bulk::check;
use super::meta::{decode, encode, update};
use super::{META, view_of};
use crate::error::{Error, Result};
use crate::pg::buffer::Ring;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::{Fork, Relation};
use crate::pg::xlog::Change;

/// A segment that has run out of pages grows by an eighth, and at least by this many: the meta
/// page has room for the extents of the largest file, and is not locked for long.
const LEAST_GROWTH: u32 = 8;

/// Empties the list of a node whose place is given to another vector, so that nobody takes the
/// neighbours of the one for those of the other. The caller has the meta page locked.
pub(super) fn forget(index: Relation, meta: &Meta, layout: &Layout, node: u32) -> Result<()> {
    let per_page = layout.per_page(Kind::Links) as u32;
    let block = nth_page(&meta.links, node / per_page).filter(|_| node < meta.linked_nodes);
    let Some(block) = block else {
        return Ok(());
    };
    let guard = index.write(block, None);
    let record = layout.record_bytes(Kind::Links);
    let from = (node % per_page) as usize * record;
    let page = view_of(index, block, guard.page(), Kind::Links, record)?;
    let list = page.payload.get(from..from + record);
    if list.is_some_and(|list| list.iter().any(|&byte| byte != 0)) {
        let mut change = Change::begin(index);
        payload_mut(change.page(&guard))[from..from + record].fill(0);
        change.commit();
    }
    Ok(())
}

/// Takes neighbour lists: of layer 0 first, one for each node in order, then of the layers above.
pub trait LinkSink {
    /// The neighbour slots of the next node on layer 0, as they stand in memory.
    fn links(&mut self, slots: &[u32]) -> Result<()>;

    /// The neighbour slots of a node on a layer above 0. Any order will do.
    fn upper(&mut self, upper: Upper<'_>) -> Result<()>;
}

/// Writes the neighbour lists of an index that is in use. One at a time: the caller sees to it.
pub struct LinkWriter {
    index: Relation,
    ring: Ring,
    layout: Layout,
    meta: Meta,
    packer: Packer,
    linked_nodes: u32,
}

impl LinkWriter {
    /// Begins with the first node.
    pub fn begin(index: Relation) -> Result<LinkWriter> {
        let (meta, layout) = decode(index, index.read(META, None).page())?;
        Ok(LinkWriter {
            index,
            ring: Ring::vacuum(),
            layout,
            meta,
            packer: Packer::new(&layout, Kind::Links),
            linked_nodes: 0,
        })
    }

    /// Says that the lists stand for all nodes that [`LinkSink::links`] was called for.
    /// `entry_point`: where searches begin, or [`NO_NODE`](chronomind_core::record::NO_NODE).
    pub fn finish(mut self, entry_point: u32) -> Result<()> {
        if self.packer.kind() == Kind::Links {
            self.begin_upper()?;
        }
        self.end_segment()?;
        fault::at(Point::LinksWritten);
        update(self.index, |meta| {
            meta.linked_nodes = self.linked_nodes;
            meta.entry_point = entry_point;
        })?;
        fault::at(Point::LinksNamed);
        Ok(())
    }

    fn begin_upper(&mut self) -> Result<()> {
        self.end_segment()?;
        self.packer = Packer::new(&self.layout, Kind::Upper);
        Ok(())
    }

    /// Room for the next record of the segment under way.
    fn record(&mut self) -> Result<&mut [u8]> {
        let bytes = self.layout.record_bytes(self.packer.kind());
        if self.packer.room() < bytes {
            self.write_page()?;
        }
        Ok(self.packer.take(bytes))
    }

    /// Writes what is left, and empties the pages after it.
    fn end_segment(&mut self) -> Result<()> {
        if !self.packer.is_empty() {
            self.write_page()?;
        }
        while self.packer.sequence() < page_count(self.extents()) {
            self.write_page()?;
        }
        Ok(())
    }

    fn write_page(&mut self) -> Result<()> {
        interrupt::vacuum_delay();
        let block = match nth_page(self.extents(), self.packer.sequence()) {
            Some(block) => block,
            None => self.grow()?,
        };
        let guard = self.index.write(block, Some(&self.ring));
        let kind = self.packer.kind();
        let old = view_of(
            self.index,
            block,
            guard.page(),
            kind,
            self.layout.record_bytes(kind),
        )?;
        if old.payload != self.packer.payload() {
            let payload = self.packer.payload();
            let mut change = Change::begin(self.index);
            let page = change.page(&guard);
            payload_mut(page)[..payload.len()].copy_from_slice(payload);
            set_fill(page, payload.len());
            change.commit();
        }
        self.packer.next(NO_BLOCK);
        drop(guard);
        fault::at(Point::LinksPage);
        Ok(())
    }

    fn extents(&self) -> &[Extent] {
        self.meta.extents(self.packer.kind())
    }

    /// Adds empty pages to the segment under way, and returns the block of the first.
    fn grow(&mut self) -> Result<u32> {
        let kind = self.packer.kind();
        let guard = self.index.write(META, None);
        (self.meta, _) = decode(self.index, guard.page())?;
        let pages = page_count(self.extents());
        let mut extent = Extent {
            first: NO_BLOCK,
            pages: 0,
        };
        for sequence in pages..pages + LEAST_GROWTH.max(pages / 8) {
            let page = self.index.extend(Fork::Main, Some(&self.ring));
            if extent.pages == 0 {
                extent.first = page.block();
            } else if page.block() != extent.first + extent.pages {
                return Err(Error::bug("an index grew without a lock on its meta page"));
            }
            extent.pages += 1;
            let mut change = Change::begin(self.index);
            format(change.new_page(&page), kind, sequence, NO_BLOCK);
            change.commit();
        }
        fault::at(Point::LinksGrown);
        // Until here the new pages belong to nobody: a crash leaves them unused.
        self.meta.add_extent(kind, extent);
        let mut change = Change::begin(self.index);
        encode(self.index, &self.meta, change.page(&guard))?;
        change.commit();
        Ok(extent.first)
    }
}

impl LinkSink for LinkWriter {
    fn links(&mut self, slots: &[u32]) -> Result<()> {
        check(slots.len() == self.layout.link_slots() && self.packer.kind() == Kind::Links)?;
        slots_to_bytes(slots, self.record()?);
        self.linked_nodes += 1;
        Ok(())
    }

    fn upper(&mut self, upper: Upper<'_>) -> Result<()> {
        check(upper.slots.len() == self.layout.upper_slots())?;
        if self.packer.kind() == Kind::Links {
            self.begin_upper()?;
        }
        upper.encode(self.record()?);
        Ok(())
    }
}
