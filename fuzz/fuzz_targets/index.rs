//! Any pages as an index: a walk finds damage, or all that the lengths of the segments promise.
//!
//! Pages are given without their holes, so that a change to the input is one to something that is
//! read: `pd_lower` (u16), the special space, and the payload.
#![no_main]

use std::convert::Infallible;

use chronomind_core::record::{
    Chain, Damage, HEADER, Item, Kind, Layout, Lengths, Meta, NO_BLOCK, PAGE, PageBytes, SPECIAL,
    Stop, Walk, format, payload_mut, view,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let pages = pages(bytes);
    let Ok((meta, lengths)) = lengths(&pages) else {
        return;
    };
    let Ok(whole) = walk(&pages, &meta, None, lengths) else {
        return;
    };
    assert_eq!(whole.vectors.len(), lengths.nodes as usize);
    assert_eq!(whole.postings.len(), lengths.postings as usize);
    // The same in two parts.
    let half = Lengths {
        nodes: lengths.nodes / 2,
        postings: lengths.postings / 2,
    };
    let mut first = walk(&pages, &meta, None, half).expect("less is asked for");
    let second = walk(&pages, &meta, Some(half), lengths).expect("less is asked for");
    first.vectors.extend(second.vectors);
    first.postings.extend(second.postings);
    assert_eq!(first, whole);
});

fn pages(mut bytes: &[u8]) -> Vec<PageBytes> {
    let mut pages = Vec::new();
    while let Some((head, rest)) = bytes.split_at_checked(2 + SPECIAL) {
        let mut page = [0; PAGE];
        format(&mut page, Kind::Meta, 0, NO_BLOCK);
        page[12..14].copy_from_slice(&head[..2]);
        page[PAGE - SPECIAL..].copy_from_slice(&head[2..]);
        let lower = usize::from(u16::from_ne_bytes([head[0], head[1]]));
        let fill = lower.saturating_sub(HEADER).min(rest.len());
        let (payload, rest) = rest.split_at(fill.min(PAGE - HEADER - SPECIAL));
        payload_mut(&mut page)[..payload.len()].copy_from_slice(payload);
        pages.push(page);
        bytes = rest;
    }
    pages
}

/// The meta record, and what the last pages say about how long the segments are.
fn lengths(pages: &[PageBytes]) -> Result<(Meta, Lengths), Damage> {
    let seen = view(pages.first().ok_or(Damage::Header)?)?.ok_or(Damage::Header)?;
    let meta = Meta::decode(seen.of(Kind::Meta, 1)?.payload)?;
    let layout = meta.layout()?;
    let lengths = Lengths {
        nodes: length(pages, &layout, Kind::Vectors, &meta.vectors)?,
        postings: length(pages, &layout, Kind::Postings, &meta.postings)?,
    };
    Ok((meta, lengths))
}

fn length(pages: &[PageBytes], layout: &Layout, kind: Kind, chain: &Chain) -> Result<u32, Damage> {
    if chain.tail == NO_BLOCK {
        return Ok(0);
    }
    let last = pages.get(chain.tail as usize).ok_or(Damage::Missing(kind))?;
    let last = view(last)?.ok_or(Damage::Header)?;
    let last = last.of(kind, layout.record_bytes(kind))?.on(chain.tail)?;
    let records = layout.records(kind, last.sequence + 1, last.payload.len());
    u32::try_from(records).map_err(|_| Damage::Missing(kind))
}

#[derive(Debug, Default, PartialEq)]
struct Seen {
    vectors: Vec<(u32, Vec<u8>)>,
    postings: Vec<(u32, u64)>,
}

fn walk(
    pages: &[PageBytes],
    meta: &Meta,
    from: Option<Lengths>,
    to: Lengths,
) -> Result<Seen, Damage> {
    let mut seen = Seen::default();
    let mut visit = |item: Item<'_>| {
        match item {
            Item::Vector { node, bytes } => seen.vectors.push((node, bytes.to_vec())),
            Item::Posting { id, posting } => seen.postings.push((id, posting.tid().pack())),
            Item::Links { node, .. } => assert!(node < to.nodes),
            Item::Page { .. } | Item::Upper(_) => {}
        }
        Ok::<(), Infallible>(())
    };
    let mut walk = Walk::new(meta, from, to)?;
    for (page, block) in pages.iter().zip(0..).skip(1) {
        match walk.page(block, page, &mut visit) {
            Ok(()) => {}
            Err(Stop::Damage(damage)) => return Err(damage),
            Err(Stop::Visitor(never)) => match never {},
        }
    }
    walk.end()?;
    Ok(seen)
}
