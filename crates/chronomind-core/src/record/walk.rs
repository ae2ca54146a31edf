//! Everything in an index, from its pages in the order of the file.
//!
//! Whoever reads the file hands its pages in, one after the other, and gets what is on them: exactly
//! what had been appended when the segments were of given lengths, no more and no less. Pages that are
//! not those of such an index are damage, whatever is on them.

use super::extent::find_page;
use super::layout::Layout;
use super::meta::Meta;
use super::page::{Damage, Kind, PAYLOAD, PageBytes, PageView, view};
use super::posting::PostingView;
use super::upper::{Upper, slots_from_bytes};

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

/// How many records the appended segments have.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Lengths {
    /// Vectors: node ids are below this.
    pub nodes: u32,
    /// Postings: posting ids are below this.
    pub postings: u32,
}

/// Why a walk does not go on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stop<E> {
    /// The page breaks the format.
    Damage(Damage),
    /// The visitor failed.
    Visitor(E),
}

impl<E> From<Damage> for Stop<E> {
    fn from(damage: Damage) -> Stop<E> {
        Stop::Damage(damage)
    }
}

/// A walk under way.
pub struct Walk<'m> {
    meta: &'m Meta,
    layout: Layout,
    to: Lengths,
    /// Links are of use only with everything else.
    links: bool,
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

impl<'m> Walk<'m> {
    /// A walk over what an index with this meta record has at the lengths `to`, and had not at `from`
    /// (the beginning, where there is none). It goes from the page after the meta page, or one on which
    /// `from` ends or that comes before that, to the end of the file.
    ///
    /// # Errors
    /// As [`Meta::layout`].
    pub fn new(meta: &'m Meta, from: Option<Lengths>, to: Lengths) -> Result<Walk<'m>, Damage> {
        let layout = meta.layout()?;
        let begun = from.unwrap_or_default();
        Ok(Walk {
            meta,
            layout,
            to,
            links: from.is_none(),
            next_page: [from.is_none().then_some(0); 2],
            position: layout.vector_start(begun.nodes),
            vector: Vec::new(),
            posting: begun.postings,
            slots: Vec::new(),
        })
    }

    /// Hands what is on the next page, which lies on `block`, to `visit`.
    pub fn page<E>(
        &mut self,
        block: u32,
        page: &PageBytes,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        // A page that was never written is what a crash leaves of an extension.
        let Some(page) = view(page)? else {
            return Ok(());
        };
        let record = self.layout.record_bytes(page.kind);
        let page = page.of(page.kind, record)?;
        match page.kind {
            Kind::Meta => Err(Damage::Foreign.into()),
            Kind::Vectors => {
                self.in_order(0, &page)?;
                self.tell(&page, block, visit)?;
                self.vectors(&page, visit)
            }
            Kind::Postings => {
                self.in_order(1, &page)?;
                self.tell(&page, block, visit)?;
                self.postings(&page, record, visit)
            }
            Kind::Links | Kind::Upper if !self.links => Ok(()),
            Kind::Links | Kind::Upper => {
                // Pages outside of the extents were added by a rewrite that came to no end.
                match find_page(self.meta.extents(page.kind), block) {
                    None => Ok(()),
                    Some(number) => self.hints(&page.numbered(number)?, record, visit),
                }
            }
        }
    }

    /// To be called after the last page: all that there is must have come by.
    pub fn end(&self) -> Result<(), Damage> {
        if self.position != self.layout.vector_start(self.to.nodes) {
            Err(Damage::Missing(Kind::Vectors))
        } else if self.posting != self.to.postings {
            Err(Damage::Missing(Kind::Postings))
        } else {
            Ok(())
        }
    }

    /// Blocks are in the order of the segment.
    fn in_order(&mut self, segment: usize, page: &PageView<'_>) -> Result<(), Damage> {
        if let Some(expected) = self.next_page[segment] {
            page.numbered(expected)?;
        }
        self.next_page[segment] = Some(page.sequence.saturating_add(1));
        Ok(())
    }

    fn tell<E>(
        &self,
        page: &PageView<'_>,
        block: u32,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let chain = match page.kind {
            Kind::Vectors => &self.meta.vectors,
            _ => &self.meta.postings,
        };
        if page.sequence < chain.run.pages {
            return Ok(());
        }
        visit(Item::Page {
            kind: page.kind,
            sequence: page.sequence,
            block,
        })
        .map_err(Stop::Visitor)
    }

    fn vectors<E>(
        &mut self,
        page: &PageView<'_>,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let size = self.layout.vector_bytes();
        let start = u64::from(page.sequence) * PAYLOAD as u64;
        let end = (start + PAYLOAD as u64).min(self.layout.vector_start(self.to.nodes));
        if self.position >= end {
            return Ok(());
        }
        let seen = self.position.checked_sub(start);
        let seen = seen.ok_or(Damage::Missing(page.kind))? as usize;
        let wanted = page.payload.get(seen..(end - start) as usize);
        let mut rest = wanted.ok_or_else(|| page.bad_fill())?;
        while !rest.is_empty() {
            let node = (self.position / size as u64) as u32;
            let (now, later) = rest.split_at(rest.len().min(size - self.vector.len()));
            self.position += now.len() as u64;
            rest = later;
            if now.len() == size {
                visit(Item::Vector { node, bytes: now }).map_err(Stop::Visitor)?;
                continue;
            }
            self.vector.extend_from_slice(now);
            if self.vector.len() == size {
                let bytes = &self.vector;
                visit(Item::Vector { node, bytes }).map_err(Stop::Visitor)?;
                self.vector.clear();
            }
        }
        Ok(())
    }

    fn postings<E>(
        &mut self,
        page: &PageView<'_>,
        record: usize,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let per_page = self.layout.per_page(page.kind) as u64;
        let start = u64::from(page.sequence) * per_page;
        let end = (start + per_page).min(u64::from(self.to.postings));
        let next = u64::from(self.posting);
        if next >= end {
            return Ok(());
        }
        let seen = next.checked_sub(start);
        let seen = seen.ok_or(Damage::Missing(page.kind))? as usize;
        let wanted = page
            .payload
            .get(seen * record..(end - start) as usize * record);
        for bytes in wanted.ok_or_else(|| page.bad_fill())?.chunks_exact(record) {
            let (id, posting) = (self.posting, PostingView::new(bytes)?);
            self.posting += 1;
            visit(Item::Posting { id, posting }).map_err(Stop::Visitor)?;
        }
        Ok(())
    }

    fn hints<E>(
        &mut self,
        page: &PageView<'_>,
        record: usize,
        visit: &mut impl FnMut(Item<'_>) -> Result<(), E>,
    ) -> Result<(), Stop<E>> {
        let records = page.payload.chunks_exact(record);
        if page.kind == Kind::Upper {
            for bytes in records {
                if let Some(upper) = Upper::decode(bytes, &mut self.slots) {
                    visit(Item::Upper(upper)).map_err(Stop::Visitor)?;
                }
            }
            return Ok(());
        }
        let first = u64::from(page.sequence) * self.layout.per_page(page.kind) as u64;
        let linked = self.meta.linked_nodes.min(self.to.nodes);
        for (node, bytes) in (first..u64::from(linked)).zip(records) {
            slots_from_bytes(bytes, &mut self.slots);
            let (node, slots) = (node as u32, &self.slots[..]);
            visit(Item::Links { node, slots }).map_err(Stop::Visitor)?;
        }
        Ok(())
    }
}
