//! Everything in an index, in the order of the file.
//!
//! This is how memory is filled: one pass over the file, as fast as it can be read, each page
//! copied under a share lock and worked on without. What the walk hands out is exact: all that had
//! been appended at the moment of the snapshot that it goes to, no more and no less.

use chronomind_core::record::{
    Damage, Kind, PAGE, PAYLOAD, PageBytes, PageView, PostingView, Upper, find_page,
    slots_from_bytes, view,
};

use super::meta::Snapshot;
use super::{META, damaged, is_later};
use crate::error::{Error, Result};
use crate::pg::buffer::Ring;
use crate::pg::interrupt;
use crate::pg::relation::Relation;

/// What a walk comes upon.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Item<'a> {
    /// A page of vectors or postings that was added since the build. What is on it comes next.
    Page {
        /// Its segment.
        kind: Kind,
        /// Its number there.
        sequence: u32,
        /// Where it lies.
        block: u32,
    },
    /// The next vector: nodes come in order.
    Vector {
        /// Its id.
        node: u32,
        /// Its bytes.
        bytes: &'a [u8],
    },
    /// The next posting: postings come in order. Its node may come later than itself, and that of a
    /// dead one may be another row's.
    Posting {
        /// Its id.
        id: u32,
        /// The record, dead or not.
        posting: PostingView<'a>,
    },
    /// The neighbour slots of the next node on layer 0. A hint: the slots are not checked.
    Links {
        /// Whose neighbours.
        node: u32,
        /// The slots.
        slots: &'a [u32],
    },
    /// The neighbour slots of a node on a layer above 0. A hint: nothing in it is checked.
    Upper(Upper<'a>),
}

/// Hands everything that `to` has, and `from` (the beginning, where there is none) had not, to
/// `visit`, which holds no lock and may raise errors. Links come only with a walk from the
/// beginning, and only for the nodes below [`linked_nodes`](chronomind_core::record::Meta).
///
/// Two walks, from the beginning to a snapshot and from that to a later one, see together exactly
/// what the later has, if no vector and no posting was used again meanwhile: then the walk may miss
/// what is there now, but meets nothing that is half there. Postings may be marked dead between a
/// snapshot and the walk to it.
pub fn walk(
    index: Relation,
    from: Option<&Snapshot>,
    to: &Snapshot,
    visit: impl FnMut(Item<'_>) -> Result<()>,
) -> Result<()> {
    let first = from.map_or(META + 1, |from| from.frontier);
    let ring = Ring::bulk_read();
    let mut page = Box::new([0; PAGE]);
    let mut walk = Walk::new(from, to, visit);
    for block in first..index.blocks() {
        interrupt::check();
        *page = *index.read(block, Some(&ring)).page();
        walk.page(index, block, &page)?;
    }
    walk.end(index)
}

struct Walk<'s, V> {
    to: &'s Snapshot,
    /// Links are of use only with everything else.
    links: bool,
    visit: V,
    /// The numbers of the next vector page and posting page, once one has been met.
    next_page: [Option<u32>; 2],
    /// The next byte of the linear space of vectors.
    position: u64,
    /// The vector that runs over the page border.
    vector: Vec<u8>,
    /// The next posting.
    posting: u32,
    slots: Vec<u32>,
}

impl<'s, V: FnMut(Item<'_>) -> Result<()>> Walk<'s, V> {
    fn new(from: Option<&Snapshot>, to: &'s Snapshot, visit: V) -> Self {
        Walk {
            to,
            links: from.is_none(),
            visit,
            next_page: [from.is_none().then_some(0); 2],
            position: to.layout.vector_start(from.map_or(0, |from| from.nodes)),
            vector: Vec::new(),
            posting: from.map_or(0, |from| from.postings),
            slots: Vec::new(),
        }
    }

    fn page(&mut self, index: Relation, block: u32, page: &PageBytes) -> Result<()> {
        let at_fault = |damage: Damage| damaged(index, block, &damage);
        // A page that was never written is what a crash leaves of an extension.
        let Some(page) = view(page).map_err(at_fault)? else {
            return Ok(());
        };
        let record = self.to.layout.record_bytes(page.kind);
        let page = page.of(page.kind, record).map_err(at_fault)?;
        match page.kind {
            Kind::Meta => Err(at_fault(Damage::Foreign)),
            Kind::Vectors => {
                self.in_order(0, &page).map_err(at_fault)?;
                self.tell(&page, block)?;
                self.vectors(&page, at_fault)
            }
            Kind::Postings => {
                self.in_order(1, &page).map_err(at_fault)?;
                self.tell(&page, block)?;
                self.postings(index, block, &page, record)
            }
            Kind::Links | Kind::Upper if !self.links => Ok(()),
            Kind::Links | Kind::Upper => {
                // Pages outside of the extents were added by a rewrite that came to no end.
                match find_page(self.to.meta.extents(page.kind), block) {
                    None => Ok(()),
                    Some(number) => {
                        let page = page.numbered(number).map_err(at_fault)?;
                        self.hints(&page, record)
                    }
                }
            }
        }
    }

    /// Blocks are in the order of the segment.
    fn in_order(&mut self, segment: usize, page: &PageView<'_>) -> std::result::Result<(), Damage> {
        if let Some(expected) = self.next_page[segment] {
            page.numbered(expected)?;
        }
        self.next_page[segment] = Some(page.sequence.saturating_add(1));
        Ok(())
    }

    fn tell(&mut self, page: &PageView<'_>, block: u32) -> Result<()> {
        let chain = match page.kind {
            Kind::Vectors => &self.to.meta.vectors,
            _ => &self.to.meta.postings,
        };
        if page.sequence < chain.run.pages {
            return Ok(());
        }
        (self.visit)(Item::Page {
            kind: page.kind,
            sequence: page.sequence,
            block,
        })
    }

    fn vectors(&mut self, page: &PageView<'_>, at_fault: impl Fn(Damage) -> Error) -> Result<()> {
        let size = self.to.layout.vector_bytes();
        let start = u64::from(page.sequence) * PAYLOAD as u64;
        let end = (start + PAYLOAD as u64).min(self.to.layout.vector_start(self.to.nodes));
        if self.position >= end {
            return Ok(());
        }
        let Some(seen) = self.position.checked_sub(start) else {
            return Err(at_fault(Damage::Missing(page.kind)));
        };
        let wanted = page.payload.get(seen as usize..(end - start) as usize);
        let mut rest = wanted.ok_or_else(|| at_fault(page.bad_fill()))?;
        while !rest.is_empty() {
            let node = (self.position / size as u64) as u32;
            let (now, later) = rest.split_at(rest.len().min(size - self.vector.len()));
            self.position += now.len() as u64;
            rest = later;
            if now.len() == size {
                (self.visit)(Item::Vector { node, bytes: now })?;
                continue;
            }
            self.vector.extend_from_slice(now);
            if self.vector.len() == size {
                let bytes = &self.vector;
                (self.visit)(Item::Vector { node, bytes })?;
                self.vector.clear();
            }
        }
        Ok(())
    }

    fn postings(
        &mut self,
        index: Relation,
        block: u32,
        page: &PageView<'_>,
        record: usize,
    ) -> Result<()> {
        let at_fault = |damage: Damage| damaged(index, block, &damage);
        let per_page = self.to.layout.per_page(page.kind) as u64;
        let start = u64::from(page.sequence) * per_page;
        let end = (start + per_page).min(u64::from(self.to.postings));
        let next = u64::from(self.posting);
        if next >= end {
            return Ok(());
        }
        let Some(seen) = next.checked_sub(start) else {
            return Err(at_fault(Damage::Missing(page.kind)));
        };
        let wanted = seen as usize * record..(end - start) as usize * record;
        let wanted = page
            .payload
            .get(wanted)
            .ok_or_else(|| at_fault(page.bad_fill()))?;
        for posting in wanted.chunks_exact(record).filter_map(PostingView::new) {
            let id = self.posting;
            self.posting += 1;
            if !is_later(index, block, self.to, &posting)? {
                (self.visit)(Item::Posting { id, posting })?;
            }
        }
        Ok(())
    }

    fn hints(&mut self, page: &PageView<'_>, record: usize) -> Result<()> {
        let records = page.payload.chunks_exact(record);
        if page.kind == Kind::Upper {
            for bytes in records {
                if let Some(upper) = Upper::decode(bytes, &mut self.slots) {
                    (self.visit)(Item::Upper(upper))?;
                }
            }
            return Ok(());
        }
        let first = u64::from(page.sequence) * self.to.layout.per_page(page.kind) as u64;
        let linked = self.to.meta.linked_nodes.min(self.to.nodes);
        for (node, bytes) in (first..u64::from(linked)).zip(records) {
            slots_from_bytes(bytes, &mut self.slots);
            let slots = &self.slots;
            (self.visit)(Item::Links {
                node: node as u32,
                slots,
            })?;
        }
        Ok(())
    }

    /// All of the snapshot must have come by.
    fn end(&self, index: Relation) -> Result<()> {
        let missing = if self.position != self.to.layout.vector_start(self.to.nodes) {
            Kind::Vectors
        } else if self.posting != self.to.postings {
            Kind::Postings
        } else {
            return Ok(());
        };
        Err(damaged(index, META, &Damage::Missing(missing)))
    }
}
