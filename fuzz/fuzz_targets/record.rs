//! Any bytes as a record of each kind: refused, or written again as what was read.
#![no_main]

use chronomind_core::record::{
    Kind, Meta, PAYLOAD, Posting, PostingView, Upper, find_page, nth_page, page_count,
};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    meta(bytes);
    posting(bytes);
    upper(bytes);
});

fn meta(bytes: &[u8]) {
    let Ok(meta) = Meta::decode(bytes) else {
        return;
    };
    let mut payload = [0; PAYLOAD];
    let length = meta.encode(&mut payload).expect("it came from a page");
    assert_eq!(Meta::decode(&payload[..length]).as_ref(), Ok(&meta));
    for extents in [meta.extents(Kind::Links), meta.extents(Kind::Upper)] {
        for number in [0, 1, page_count(extents) / 2, page_count(extents)] {
            if let Some(block) = nth_page(extents, number) {
                // An earlier run may have the block as well.
                assert!(find_page(extents, block).is_some_and(|found| found <= number));
            }
        }
    }
}

fn posting(bytes: &[u8]) {
    let Ok(read) = PostingView::new(bytes) else {
        return;
    };
    let keys: Vec<u64> = read.keys().collect();
    let posting = Posting {
        tid: read.tid(),
        flags: read.flags(),
        node: read.node(),
        nulls: read.nulls(),
        keys: &keys,
    };
    let mut again = vec![0; 16 + 8 * keys.len()];
    posting.encode(&mut again);
    assert_eq!(again, bytes[..again.len()]);
}

fn upper(bytes: &[u8]) {
    let mut slots = Vec::new();
    let Some(upper) = Upper::decode(bytes, &mut slots) else {
        return;
    };
    let mut again = vec![0; 8 + 4 * upper.slots.len()];
    upper.encode(&mut again);
    assert_eq!(again, bytes[..again.len()]);
}
