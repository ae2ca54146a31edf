//! One page: Postgres's header, a payload, and our 16 bytes of special space.
//!
//! The payload grows from the header up, and `pd_lower` says how far: what lies between `pd_lower`
//! and `pd_upper` is a hole that Postgres leaves out of the WAL, so that a fresh page with one
//! record costs one record. The special space says which segment a page belongs to and its place
//! there, so that a page that went astray is noticed.

use std::fmt;

use super::{NO_BLOCK, u16_at, u32_at};

/// Bytes of a page.
pub const PAGE: usize = 8192;
/// Bytes of Postgres's page header (no line pointers follow it).
pub const HEADER: usize = 24;
/// Bytes of our special space, at the end of the page.
pub const SPECIAL: usize = 16;
/// Bytes that a page can hold.
pub const PAYLOAD: usize = PAGE - HEADER - SPECIAL;

/// The bytes of one page.
pub type PageBytes = [u8; PAGE];

/// Offsets in Postgres's `PageHeaderData`.
const PD_LOWER: usize = 12;
const PD_UPPER: usize = 14;
const PD_SPECIAL: usize = 16;
const PD_SIZE_AND_VERSION: usize = 18;

/// Offsets in the special space.
const PREVIOUS: usize = PAGE - SPECIAL;
const SEQUENCE: usize = PREVIOUS + 4;
const KIND: usize = PREVIOUS + 12;
const MARK: usize = PREVIOUS + 14;

/// Page size with Postgres's page layout version 4, as `pd_pagesize_version` holds them.
const SIZE_AND_VERSION: u16 = PAGE as u16 | 4;
/// Where the special space begins, which is also where the hole ends.
const SPECIAL_START: u16 = (PAGE - SPECIAL) as u16;
/// Ends each page of ours, where tools that look at pages tell access methods apart.
const CHRONO: u16 = 0xC440;

const _: () = assert!(PAYLOAD == 8152 && MARK + 2 == PAGE);

/// What a page holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[repr(u16)]
pub enum Kind {
    /// The meta record; block 0 alone.
    Meta = 1,
    /// A part of the linear space of vectors.
    Vectors = 2,
    /// Posting records.
    Postings = 3,
    /// Neighbour lists of layer 0.
    Links = 4,
    /// Neighbour lists of the layers above.
    Upper = 5,
}

impl Kind {
    fn from_u16(code: u16) -> Option<Kind> {
        use Kind::*;
        [Meta, Vectors, Postings, Links, Upper]
            .into_iter()
            .find(|&kind| kind as u16 == code)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Kind::Meta => "meta",
            Kind::Vectors => "vector",
            Kind::Postings => "posting",
            Kind::Links => "link",
            Kind::Upper => "upper link",
        })
    }
}

/// How bytes break the format.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Damage {
    /// The page header is not one that Postgres and this program write.
    Header,
    /// The page does not carry the mark of this access method.
    Foreign,
    /// The page belongs to another segment.
    Kind {
        /// The segment in which the page was met.
        expected: Kind,
        /// The segment that the page says it belongs to.
        found: Kind,
    },
    /// The page is not the next of its segment.
    Sequence {
        /// The number that its place asks for.
        expected: u32,
        /// The number that the page carries.
        found: u32,
    },
    /// The number that the page carries is too large for where it lies in the file.
    Place {
        /// The number.
        sequence: u32,
    },
    /// The page holds less than its place asks for, or a part of a record.
    Fill {
        /// The bytes that it holds.
        found: usize,
    },
    /// The meta record is missing, of a later version, or not decodable.
    Meta(&'static str),
    /// A record of the page is no posting: its row cannot be, or nobody knows its flags.
    Posting,
    /// A record names a node that does not exist.
    Node(u32),
    /// A page that another one names before itself cannot be there.
    Order {
        /// The page that is named.
        previous: u32,
    },
    /// Pages are missing from a segment.
    Missing(Kind),
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Header => write!(f, "the page header is invalid"),
            Damage::Foreign => write!(f, "it is not a page of a chrono index"),
            Damage::Kind { expected, found } => {
                write!(f, "a {expected} page was expected, a {found} page found")
            }
            Damage::Sequence { expected, found } => {
                write!(
                    f,
                    "page {expected} of its segment was expected, {found} found"
                )
            }
            Damage::Place { sequence } => {
                write!(f, "it cannot be page {sequence} of its segment")
            }
            Damage::Fill { found } => write!(f, "it holds {found} bytes, which cannot be right"),
            Damage::Meta(what) => write!(f, "{what}"),
            Damage::Order { previous } => {
                write!(f, "it names block {previous} as the one before it")
            }
            Damage::Missing(kind) => write!(f, "{kind} pages are missing"),
            Damage::Posting => write!(f, "a record on it is not a posting"),
            Damage::Node(node) => write!(f, "a record names node {node}, which does not exist"),
        }
    }
}

impl std::error::Error for Damage {}

/// A page that has been checked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PageView<'a> {
    /// What it holds.
    pub kind: Kind,
    /// Its number in its segment, from 0.
    pub sequence: u32,
    /// Block of the page before it in its segment, for vectors and postings.
    pub previous: u32,
    /// What it holds, up to its fill.
    pub payload: &'a [u8],
}

impl<'a> PageView<'a> {
    /// This page, if it is one of `kind` and holds whole records of `record` bytes.
    pub fn of(self, kind: Kind, record: usize) -> Result<Self, Damage> {
        if self.kind != kind {
            return Err(Damage::Kind {
                expected: kind,
                found: self.kind,
            });
        }
        if !self.payload.len().is_multiple_of(record) {
            return Err(self.bad_fill());
        }
        Ok(self)
    }

    /// This page, if it has that number in its segment.
    pub fn numbered(self, sequence: u32) -> Result<Self, Damage> {
        if self.sequence != sequence {
            return Err(Damage::Sequence {
                expected: sequence,
                found: self.sequence,
            });
        }
        Ok(self)
    }

    /// This page, if it can lie on that block: blocks are only ever added, and the first is the meta
    /// page, so that of a segment's pages each lies on a block above its number. What follows from
    /// the number of a page is no larger than the file, then.
    pub fn on(self, block: u32) -> Result<Self, Damage> {
        if self.sequence >= block && self.kind != Kind::Meta {
            return Err(Damage::Place {
                sequence: self.sequence,
            });
        }
        Ok(self)
    }

    /// That the page holds too little.
    pub fn bad_fill(&self) -> Damage {
        Damage::Fill {
            found: self.payload.len(),
        }
    }
}

/// Looks at a page. `None`: it was never written, as a crash right after an extension leaves it.
pub fn view(page: &PageBytes) -> Result<Option<PageView<'_>>, Damage> {
    let lower = usize::from(u16_at(page, PD_LOWER));
    if u16_at(page, PD_UPPER) == 0 {
        return Ok(None);
    }
    if u16_at(page, PD_UPPER) != SPECIAL_START
        || u16_at(page, PD_SPECIAL) != SPECIAL_START
        || u16_at(page, PD_SIZE_AND_VERSION) != SIZE_AND_VERSION
        || !(HEADER..=PAGE - SPECIAL).contains(&lower)
    {
        return Err(Damage::Header);
    }
    if u16_at(page, MARK) != CHRONO {
        return Err(Damage::Foreign);
    }
    Ok(Some(PageView {
        kind: Kind::from_u16(u16_at(page, KIND)).ok_or(Damage::Foreign)?,
        sequence: u32_at(page, SEQUENCE),
        previous: u32_at(page, PREVIOUS),
        payload: &page[HEADER..lower],
    }))
}

/// Makes a page the empty page `sequence` of a segment. `previous` is [`NO_BLOCK`] where no page
/// comes before it or nobody asks.
pub fn format(page: &mut PageBytes, kind: Kind, sequence: u32, previous: u32) {
    page.fill(0);
    let mut put = |at: usize, value: u16| page[at..at + 2].copy_from_slice(&value.to_ne_bytes());
    put(PD_LOWER, HEADER as u16);
    put(PD_UPPER, SPECIAL_START);
    put(PD_SPECIAL, SPECIAL_START);
    put(PD_SIZE_AND_VERSION, SIZE_AND_VERSION);
    put(KIND, kind as u16);
    put(MARK, CHRONO);
    page[PREVIOUS..PREVIOUS + 4].copy_from_slice(&previous.to_ne_bytes());
    page[SEQUENCE..SEQUENCE + 4].copy_from_slice(&sequence.to_ne_bytes());
    debug_assert!(previous == NO_BLOCK || sequence > 0);
}

/// All bytes that the page can hold, filled or not.
pub fn payload_mut(page: &mut PageBytes) -> &mut [u8] {
    &mut page[HEADER..PAGE - SPECIAL]
}

/// Says that the first `bytes` of the payload (at most [`PAYLOAD`]) are filled.
pub fn set_fill(page: &mut PageBytes, bytes: usize) {
    debug_assert!(bytes <= PAYLOAD);
    page[PD_LOWER..PD_LOWER + 2].copy_from_slice(&((HEADER + bytes) as u16).to_ne_bytes());
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn an_untouched_page_is_no_damage() {
        assert_eq!(view(&[0; PAGE]), Ok(None));
    }

    #[test]
    fn what_is_out_of_place_is_told() {
        let mut page = [0; PAGE];
        format(&mut page, Kind::Postings, 7, 3);
        set_fill(&mut page, 48);
        let seen = view(&page).unwrap().unwrap();
        assert_eq!((seen.previous, seen.payload.len()), (3, 48));
        assert_eq!(seen.of(Kind::Postings, 24), Ok(seen));
        assert!(matches!(seen.of(Kind::Links, 24), Err(Damage::Kind { .. })));
        assert_eq!(seen.of(Kind::Postings, 32), Err(Damage::Fill { found: 48 }));
        assert_eq!(seen.numbered(7), Ok(seen));
        assert!(matches!(seen.numbered(8), Err(Damage::Sequence { .. })));
        assert_eq!(seen.on(8), Ok(seen));
        assert_eq!(seen.on(7), Err(Damage::Place { sequence: 7 }));
        page[PAGE - 1] ^= 1;
        assert_eq!(view(&page), Err(Damage::Foreign));
    }

    proptest! {
        #[test]
        fn pages_come_back(sequence in 1..u32::MAX, previous: u32, fill in 0..=PAYLOAD, byte: u8) {
            let mut page = [0; PAGE];
            format(&mut page, Kind::Vectors, sequence, previous);
            payload_mut(&mut page)[..fill].fill(byte);
            set_fill(&mut page, fill);
            let payload = vec![byte; fill];
            prop_assert_eq!(
                view(&page),
                Ok(Some(PageView { kind: Kind::Vectors, sequence, previous, payload: &payload }))
            );
        }

        #[test]
        fn arbitrary_bytes_never_panic(
            header in proptest::array::uniform32(any::<u8>()),
            special in proptest::array::uniform16(any::<u8>()),
        ) {
            let mut page = [0; PAGE];
            page[..32].copy_from_slice(&header);
            page[PAGE - 16..].copy_from_slice(&special);
            let _ = view(&page);
            // Past the header checks too.
            let mut page_of_ours = [0; PAGE];
            format(&mut page_of_ours, Kind::Links, 0, NO_BLOCK);
            page_of_ours[PAGE - 16..PAGE - 2].copy_from_slice(&special[..14]);
            page_of_ours[PD_LOWER..PD_LOWER + 2].copy_from_slice(&header[..2]);
            let _ = view(&page_of_ours);
        }
    }
}
