//! Any bytes as a page: refused, never written, or one whose payload can be looked at.
#![no_main]

use chronomind_core::record::{Kind, PAGE, PAYLOAD, view};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    // The header first, then the special space, so that short inputs have both.
    let mut page = [0; PAGE];
    let (head, rest) = bytes.split_at(bytes.len().min(PAGE / 2));
    page[..head.len()].copy_from_slice(head);
    let tail = &rest[..rest.len().min(PAGE / 2)];
    page[PAGE - tail.len()..].copy_from_slice(tail);
    let Ok(Some(seen)) = view(&page) else {
        return;
    };
    assert!(seen.payload.len() <= PAYLOAD);
    assert!(seen.numbered(seen.sequence).is_ok());
    for record in [1, 24, 128] {
        if let Ok(page) = seen.of(seen.kind, record) {
            assert_eq!(page.payload.len() % record, 0);
        }
    }
    if let Ok(page) = seen.on(7) {
        assert!(page.sequence < 7 || page.kind == Kind::Meta);
    }
});
