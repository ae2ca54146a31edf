//! The build: a whole index, written once.
//!
//! Pages are filled in private memory and handed to the buffer cache whole, segment after segment,
//! so that each segment is one run of blocks. Nobody else sees the index yet. Each page is logged
//! as it is written, where the index is logged at all, which spares a second pass over pages that
//! the ring of buffers has let go by then.

use chronomind_core::record::{
    Chain, Definition, Extent, Kind, Layout, Meta, Packer, Posting, Upper, slots_to_bytes,
};

use super::META;
use super::links::LinkSink;
use super::meta::page;
use crate::error::{Error, Result};
use crate::pg::buffer::Ring;
use crate::pg::fault::{self, Point};
use crate::pg::interrupt;
use crate::pg::relation::{Fork, Relation};

/// Writes an index. The segments come in the order vectors, postings, links, upper links; each
/// may be left out.
pub struct BulkWriter {
    index: Relation,
    ring: Ring,
    log: bool,
    layout: Layout,
    meta: Meta,
    packer: Packer,
    /// The pages of the segment under way.
    run: Extent,
}

impl BulkWriter {
    /// Begins with an empty file: block 0 is kept for the meta page.
    pub fn begin(index: Relation, definition: Definition) -> Result<BulkWriter> {
        let meta = Meta::new(definition);
        let layout = meta
            .layout()
            .map_err(|damage| Error::bug(damage.to_string()))?;
        let writer = BulkWriter {
            index,
            ring: Ring::bulk_write(),
            log: index.needs_wal(),
            layout,
            packer: Packer::new(&layout, Kind::Vectors),
            run: Chain::EMPTY.run,
            meta,
        };
        let mut first = index.extend(Fork::Main, None);
        if first.block() != META {
            return Err(Error::bug(
                "an index was to be built into a file that is not empty",
            ));
        }
        first.replace(&*page(index, &writer.meta)?, false);
        Ok(writer)
    }

    /// Writes the vector of the next node.
    pub fn vector(&mut self, bytes: &[u8]) -> Result<()> {
        check(bytes.len() == self.layout.vector_bytes())?;
        let mut rest = bytes;
        while !rest.is_empty() {
            self.make_room(Kind::Vectors, 1)?;
            let (now, later) = rest.split_at(rest.len().min(self.packer.room()));
            self.packer.take(now.len()).copy_from_slice(now);
            rest = later;
        }
        Ok(())
    }

    /// Writes the next posting.
    pub fn posting(&mut self, posting: &Posting<'_>) -> Result<()> {
        check(posting.keys.len() == self.layout.attributes())?;
        posting.encode(self.record(Kind::Postings)?);
        Ok(())
    }

    /// Writes the meta page. `entry_point`: where searches begin, or
    /// [`NO_NODE`](chronomind_core::record::NO_NODE).
    pub fn finish(mut self, entry_point: u32) -> Result<Meta> {
        self.end_segment()?;
        fault::at(Point::BuildPages);
        self.meta.entry_point = entry_point;
        let page = page(self.index, &self.meta)?;
        self.index.write(META, None).replace(&page, self.log);
        Ok(self.meta)
    }

    /// Room for the next record of a segment.
    fn record(&mut self, kind: Kind) -> Result<&mut [u8]> {
        let bytes = self.layout.record_bytes(kind);
        self.make_room(kind, bytes)?;
        Ok(self.packer.take(bytes))
    }

    fn make_room(&mut self, kind: Kind, bytes: usize) -> Result<()> {
        if self.packer.kind() != kind {
            check(self.packer.kind() < kind)?;
            self.end_segment()?;
            self.packer = Packer::new(&self.layout, kind);
        }
        if self.packer.room() < bytes {
            self.write_page()?;
        }
        Ok(())
    }

    fn write_page(&mut self) -> Result<()> {
        interrupt::check();
        let mut guard = self.index.extend(Fork::Main, Some(&self.ring));
        let block = guard.block();
        if self.run.pages == 0 {
            self.run.first = block;
        } else if block != self.run.first + self.run.pages {
            return Err(Error::bug(
                "somebody else writes to an index under construction",
            ));
        }
        guard.replace(self.packer.page(), self.log);
        drop(guard);
        fault::at(Point::BuildPage);
        self.run.pages += 1;
        self.packer.next(block);
        Ok(())
    }

    /// Notes where the segment under way lies.
    fn end_segment(&mut self) -> Result<()> {
        if !self.packer.is_empty() {
            self.write_page()?;
        }
        let run = std::mem::replace(&mut self.run, Chain::EMPTY.run);
        if run.pages == 0 {
            return Ok(());
        }
        let chain = Chain {
            run,
            tail: run.first + run.pages - 1,
        };
        match self.packer.kind() {
            Kind::Vectors => self.meta.vectors = chain,
            Kind::Postings => self.meta.postings = chain,
            Kind::Links => self.meta.links = vec![run],
            Kind::Upper => self.meta.upper = vec![run],
            Kind::Meta => {}
        }
        Ok(())
    }
}

impl LinkSink for BulkWriter {
    fn links(&mut self, slots: &[u32]) -> Result<()> {
        check(slots.len() == self.layout.link_slots())?;
        slots_to_bytes(slots, self.record(Kind::Links)?);
        self.meta.linked_nodes += 1;
        Ok(())
    }

    fn upper(&mut self, upper: Upper<'_>) -> Result<()> {
        check(upper.slots.len() == self.layout.upper_slots())?;
        upper.encode(self.record(Kind::Upper)?);
        Ok(())
    }
}

/// Callers are to hand over whole records, segment after segment.
pub(super) fn check(holds: bool) -> Result<()> {
    if holds {
        Ok(())
    } else {
        Err(Error::bug("a record does not fit its segment"))
    }
}
