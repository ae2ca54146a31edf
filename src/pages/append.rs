//! An insert: a vector and a posting, or a posting alone, in one WAL record.
//!
//! The record costs about the size of the row: the last page of each segment takes the new bytes,
//! and the meta page is part of it only when a page is added. The next ids follow from the lengths
//! of the segments, so nothing counts them.
//!
//! A vector that runs over more than two pages does not fit one record with its posting. Its first
//! pages are then logged by themselves; the vector exists only once its last byte does, which comes
//! with the posting. What a failure leaves before that is overwritten by the next append.

use chronomind_core::record::{
    Kind, Layout, MAX_NODES, Meta, Piece, Posting, format, payload_mut, set_fill,
};

use super::META;
use super::chain::{End, block_near, ends};
use super::meta::{decode, encode};
use crate::error::{Error, Result};
use crate::pg::buffer::WriteGuard;
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

/// Appends a row version. With a vector, it becomes a new node, and `posting.node` is ignored;
/// without, the posting refers to a node that exists, or to none.
///
/// `reserve` learns the ids before anything of the row is logged. It runs under buffer locks: it
/// must not call the server. When it has returned, the row is logged without fail.
pub fn append(
    index: Relation,
    vector: Option<&[u8]>,
    posting: Posting<'_>,
    reserve: impl FnOnce(Ids),
) -> Result<Ids> {
    let meta_page = index.write(META, None);
    let (meta, layout) = decode(index, meta_page.page())?;
    let (vectors, postings) = ends(index, &meta, &layout)?;
    let mut appender = Appender {
        index,
        meta_page: &meta_page,
        meta,
        layout,
        vectors,
        postings,
    };
    check_sizes(&layout, vector, &posting)?;

    let too_many = chronomind_core::Error::TooManyRecords;
    let number = u32::try_from(postings.records(&layout, Kind::Postings))
        .ok()
        .filter(|&number| number < u32::MAX)
        .ok_or(too_many)?;
    let (node, pieces) = match vector {
        None => (posting.node, Vec::new()),
        Some(_) => {
            let node = vectors.records(&layout, Kind::Vectors);
            let node = u32::try_from(node).ok().filter(|&node| node < MAX_NODES);
            let node = node.ok_or(too_many)?;
            (node, layout.pieces(node).ok_or(too_many)?)
        }
    };
    let ids = Ids {
        node,
        posting: number,
    };

    let vector = vector.unwrap_or_default();
    let (first, last) = pieces.split_at(pieces.len().saturating_sub(LAST_PIECES));
    for piece in first {
        let target = appender.vector_page(piece)?;
        appender.commit(&[(&target, &vector[piece.range.clone()])], || ())?;
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
    appender.commit(&writes, || reserve(ids))?;
    Ok(ids)
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
    new: Option<NewPage>,
}

/// What a page that was just added will say of itself.
struct NewPage {
    kind: Kind,
    sequence: u32,
    previous: u32,
}

/// The state of the segments while the meta page is locked.
struct Appender<'a> {
    index: Relation,
    meta_page: &'a WriteGuard,
    meta: Meta,
    layout: Layout,
    vectors: End,
    postings: End,
}

impl Appender<'_> {
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
            let block = block_near(self.index, &self.layout, kind, end, sequence)?;
            return Ok(Target {
                page: self.index.write(block, None),
                offset,
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
        Ok(Target {
            page,
            offset,
            new: Some(new),
        })
    }

    /// Writes bytes to pages, as the last of what they hold, in one record.
    fn commit(&self, writes: &[(&Target, &[u8])], before: impl FnOnce()) -> Result<()> {
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
            set_fill(page, end);
        }
        before();
        change.commit();
        Ok(())
    }
}
