//! An insert: a vector and a posting, or a posting alone, in one WAL record.
//!
//! The record costs about the size of the row. The new bytes go over those of a vector and of a
//! posting that nobody needs any more, where memory knows of some; else to the last page of each
//! segment, and the meta page is part of the record only when a page is added. The next ids follow
//! from the lengths of the segments, so nothing counts them.
//!
//! A vector that runs over more than two pages does not fit one record with its posting. Its first
//! pages are then logged by themselves; the vector exists only once its last byte does, which comes
//! with the posting. What a failure leaves before that is overwritten by the next append, or is part
//! of a vector that no posting refers to.

use chronomind_core::record::{
    Kind, Layout, MAX_NODES, Meta, NO_NODE, Piece, Posting, format, nth_page, payload_mut, set_fill,
};

use super::chain::{End, block_near, ends};
use super::links::forget;
use super::meta::{decode, encode};
use super::{META, damaged, view_of};
use crate::error::{Error, Result};
use crate::pg::buffer::{ReadGuard, WriteGuard};
use crate::pg::fault::{self, Point};
use crate::pg::relation::{Fork, Relation};
use crate::pg::xlog::Change;

/// Pages of a vector that fit one record with the meta page and a posting page.
const LAST_PIECES: usize = Change::PAGES - 2;

/// What an appended row is called.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Ids {
    /// Its vector, or [`NO_NODE`](chronomind_core::record::NO_NODE).
    pub node: u32,
    /// Its posting.
    pub posting: u32,
}

/// The node of a row's vector.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Node {
    /// One that has this vector already.
    Known(u32),
    /// One whose vector nobody needs any more.
    Free(u32),
    /// The next.
    New,
}

/// What an append asks of the index in memory, and tells it. All of it happens under the meta page's
/// lock, so nobody else appends meanwhile, and must not call the server.
pub trait Host {
    /// Where a row with a vector goes.
    fn node(&mut self) -> Node;

    /// A posting that nobody needs any more.
    fn posting(&mut self) -> Option<u32>;

    /// The block of a page that was added since the build, if it is known.
    fn block(&self, kind: Kind, sequence: u32) -> Option<u32>;

    /// Makes room for a row and for the places of those pages of either segment that have these numbers.
    /// False when there is none: then nothing is done.
    fn reserve(&mut self, ids: Ids, pages: &[u32]) -> Result<bool>;

    /// A page of a segment lies on this block, or will. False where there is no room to note it.
    #[must_use]
    fn add_page(&mut self, kind: Kind, sequence: u32, block: u32) -> bool;

    /// The row is logged next, without fail. False when memory has another in its place.
    #[must_use]
    fn enter(&mut self, ids: Ids) -> bool;
}

/// Runs `work` while nobody appends. It must not call the server.
pub fn while_nobody_appends<T>(index: Relation, work: impl FnOnce() -> T) -> T {
    let _meta_page = index.write(META, None);
    work()
}

/// What is read while this lives, on the pages and in memory, belongs together: nobody appends.
pub struct Standstill {
    _meta_page: ReadGuard,
}

impl Standstill {
    /// Holds appends off.
    pub fn begin(index: Relation) -> Standstill {
        Standstill {
            _meta_page: index.read(META, None),
        }
    }
}

/// Appends a row version, whose `posting.node` is ignored. Without a vector it has no node. `None`
/// when the host has no room for it.
pub fn append(
    index: Relation,
    vector: Option<&[u8]>,
    posting: Posting<'_>,
    host: &mut impl Host,
) -> Result<Option<Ids>> {
    let meta_page = index.write(META, None);
    let (meta, layout) = decode(index, meta_page.page())?;
    let (vectors, postings) = ends(index, &meta, &layout)?;
    fault::at(Point::AppendLocked);
    check_sizes(&layout, vector, &posting)?;

    let too_many = chronomind_core::Error::TooManyRecords;
    let next = |end: &End, kind, most| {
        let next = u32::try_from(end.records(&layout, kind)).ok();
        next.filter(|&next| next < most).ok_or(too_many)
    };
    let (node, is_new) = match vector.map(|_| host.node()) {
        None => (NO_NODE, false),
        Some(Node::Known(node)) => (node, false),
        Some(Node::Free(node)) => (node, true),
        Some(Node::New) => (next(&vectors, Kind::Vectors, MAX_NODES)?, true),
    };
    let number = match host.posting() {
        Some(number) => number,
        None => next(&postings, Kind::Postings, u32::MAX)?,
    };
    let ids = Ids {
        node,
        posting: number,
    };
    let pieces = match is_new {
        true => layout.pieces(node).ok_or(too_many)?,
        false => Vec::new(),
    };
    // Those that a look at the meta page finds need no place.
    let posting_page = number / layout.per_page(Kind::Postings) as u32;
    let vector_pages = pieces.iter().map(|piece| piece.sequence);
    let mut pages: Vec<u32> = vector_pages
        .filter(|&page| page >= meta.vectors.run.pages)
        .collect();
    pages.extend(Some(posting_page).filter(|&page| page >= meta.postings.run.pages));
    if !host.reserve(ids, &pages)? {
        return Ok(None);
    }

    fault::at(Point::AppendReserved);
    if is_new {
        forget(index, &meta, &layout, node)?;
        fault::at(Point::AppendForgotten);
    }
    let mut appender = Appender {
        index,
        meta_page: &meta_page,
        meta,
        layout,
        vectors,
        postings,
        host,
    };
    let vector = vector.unwrap_or_default();
    let (first, last) = pieces.split_at(pieces.len().saturating_sub(LAST_PIECES));
    for piece in first {
        let target = appender.vector_page(piece)?;
        appender.commit(&[(&target, &vector[piece.range.clone()])], None)?;
        fault::at(Point::AppendBegun);
    }

    let mut record = vec![0; layout.record_bytes(Kind::Postings)];
    Posting { node, ..posting }.encode(&mut record);
    let targets = last
        .iter()
        .map(|piece| appender.vector_page(piece))
        .collect::<Result<Vec<_>>>()?;
    let posting_page = appender.posting_page(number)?;
    let mut writes: Vec<(&Target, &[u8])> = targets
        .iter()
        .zip(last)
        .map(|(target, piece)| (target, &vector[piece.range.clone()]))
        .collect();
    writes.push((&posting_page, &record));
    appender.commit(&writes, Some(ids))?;
    Ok(Some(ids))
}

/// Memory is not that of these pages, or was left so by an inserter that failed.
fn stale(index: Relation, Ids { posting, .. }: Ids) -> Error {
    let what = format!("in memory, posting {posting} is that of another row");
    Error::corruption(&index.name(), what)
        .detail("The row was not inserted. Memory is not used for this index any more, only its pages are.")
        .hint("Try again. If chrono_check finds the pages damaged too, REINDEX rebuilds them from the table.")
}

/// Callers are to hand over whole records.
fn check_sizes(layout: &Layout, vector: Option<&[u8]>, posting: &Posting<'_>) -> Result<()> {
    if vector.is_some_and(|vector| vector.len() != layout.vector_bytes())
        || posting.keys.len() != layout.attributes()
    {
        return Err(Error::bug(
            "a record to append does not have the size of its index",
        ));
    }
    Ok(())
}

/// A locked page, and where on it the new bytes go.
struct Target {
    page: WriteGuard,
    offset: usize,
    /// Bytes that the page holds already.
    fill: usize,
    new: Option<NewPage>,
}

/// What a page that was just added will say of itself.
struct NewPage {
    kind: Kind,
    sequence: u32,
    previous: u32,
}

/// The state of the segments while the meta page is locked.
struct Appender<'a, H> {
    index: Relation,
    meta_page: &'a WriteGuard,
    meta: Meta,
    layout: Layout,
    vectors: End,
    postings: End,
    host: &'a mut H,
}

impl<H: Host> Appender<'_, H> {
    fn vector_page(&mut self, piece: &Piece) -> Result<Target> {
        self.target(Kind::Vectors, piece.sequence, piece.offset)
    }

    fn posting_page(&mut self, number: u32) -> Result<Target> {
        let per_page = self.layout.per_page(Kind::Postings) as u32;
        let offset = (number % per_page) as usize * self.layout.record_bytes(Kind::Postings);
        self.target(Kind::Postings, number / per_page, offset)
    }

    /// Locks a page of a segment, adding it where it is the next.
    fn target(&mut self, kind: Kind, sequence: u32, offset: usize) -> Result<Target> {
        let (end, chain) = match kind {
            Kind::Vectors => (&mut self.vectors, &mut self.meta.vectors),
            _ => (&mut self.postings, &mut self.meta.postings),
        };
        if sequence < end.pages {
            let known = nth_page(&[chain.run], sequence);
            let known = known.or_else(|| self.host.block(kind, sequence));
            let block = match known {
                Some(block) => block,
                None => {
                    let block = block_near(self.index, &self.layout, kind, end, sequence)?;
                    // Lest the next goes through the pages again.
                    self.add_page(kind, sequence, block)?;
                    block
                }
            };
            let page = self.index.write(block, None);
            let record = self.layout.record_bytes(kind);
            let fill = view_of(self.index, block, page.page(), kind, record)?
                .numbered(sequence)
                .map_err(|damage| damaged(self.index, block, &damage))?
                .payload
                .len();
            return Ok(Target {
                page,
                offset,
                fill,
                new: None,
            });
        }
        let page = self.index.extend(Fork::Main, None);
        let new = NewPage {
            kind,
            sequence,
            previous: end.block,
        };
        end.pages = sequence + 1;
        end.block = page.block();
        chain.tail = page.block();
        self.add_page(kind, sequence, page.block())?;
        fault::at(Point::AppendExtended);
        Ok(Target {
            page,
            offset,
            fill: 0,
            new: Some(new),
        })
    }

    fn add_page(&mut self, kind: Kind, sequence: u32, block: u32) -> Result<()> {
        if self.host.add_page(kind, sequence, block) {
            return Ok(());
        }
        Err(Error::bug("the place of a page was not reserved"))
    }

    /// Writes bytes to pages, in one record, and tells the host if they are all of a row.
    fn commit(&mut self, writes: &[(&Target, &[u8])], row: Option<Ids>) -> Result<()> {
        let mut change = Change::begin(self.index);
        if writes.iter().any(|(target, _)| target.new.is_some()) {
            encode(self.index, &self.meta, change.page(self.meta_page))?;
        }
        for (target, bytes) in writes {
            let page = match &target.new {
                None => change.page(&target.page),
                Some(new) => {
                    let page = change.new_page(&target.page);
                    format(page, new.kind, new.sequence, new.previous);
                    page
                }
            };
            let end = target.offset + bytes.len();
            payload_mut(page)[target.offset..end].copy_from_slice(bytes);
            set_fill(page, target.fill.max(end));
        }
        if let Some(ids) = row {
            if !self.host.enter(ids) {
                return Err(stale(self.index, ids));
            }
            fault::at(Point::AppendEntered);
        }
        change.commit();
        if row.is_some() {
            fault::at(Point::AppendLogged);
        }
        Ok(())
    }
}
