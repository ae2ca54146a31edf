//! The meta record on block 0: what an index is, and where its segments lie.
//!
//! It begins with a mark and a version of its own; the record after them is in postcard's form
//! (variable-length numbers, fields in order), read by the version that it names.

use serde::{Deserialize, Serialize};

use crate::distance::{Element, Metric};

use super::extent::{Chain, Extent};
use super::layout::Layout;
use super::page::{Damage, Kind};
use super::{NO_NODE, u32_at};

/// `CHRO` in ASCII.
const MARK: u32 = 0x4348_524f;
/// The version of the format that this program writes, and the only one yet.
const VERSION: u32 = 1;
/// Bytes before the record.
const HEAD: usize = 8;

/// What `CREATE INDEX` settled, for the life of the index.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Definition {
    /// Drawn at random when the index is made: tells it from another that had the same file name.
    pub incarnation: u64,
    /// What orders its rows.
    #[serde(with = "code")]
    pub metric: Metric,
    /// The type of a vector's elements.
    #[serde(with = "code")]
    pub element: Element,
    /// Elements of a vector.
    pub dimensions: u32,
    /// Links a node and layer; twice that on layer 0.
    pub m: u16,
    /// Candidates considered when a node is linked.
    pub ef_construction: u16,
    /// Type OID of each attribute.
    pub attributes: Vec<u32>,
}

/// A value that is stored as its number.
trait Code: Copy {
    fn code(self) -> u8;
    fn from_code(code: u8) -> Option<Self>;
}

impl Code for Metric {
    fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Option<Self> {
        Metric::from_u8(code)
    }
}

impl Code for Element {
    fn code(self) -> u8 {
        self as u8
    }

    fn from_code(code: u8) -> Option<Self> {
        Element::from_u8(code)
    }
}

/// How serde stores a value as its number.
mod code {
    use serde::de::Error as _;
    use serde::{Deserialize, Deserializer, Serializer};

    use super::Code;

    pub fn serialize<T: Code, S: Serializer>(value: &T, to: S) -> Result<S::Ok, S::Error> {
        to.serialize_u8(value.code())
    }

    pub fn deserialize<'de, T: Code, D: Deserializer<'de>>(from: D) -> Result<T, D::Error> {
        T::from_code(u8::deserialize(from)?).ok_or_else(|| D::Error::custom("unknown number"))
    }
}

/// The meta record.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Meta {
    /// What the index is.
    pub definition: Definition,
    /// The vector segment.
    pub vectors: Chain,
    /// The posting segment.
    pub postings: Chain,
    /// The link segment: its pages in order.
    pub links: Vec<Extent>,
    /// The upper link segment: its pages in order.
    pub upper: Vec<Extent>,
    /// Nodes below this have their neighbours in the link segments.
    pub linked_nodes: u32,
    /// Where searches began when the links were written, or [`NO_NODE`].
    pub entry_point: u32,
}

impl Meta {
    /// The meta record of an index without pages.
    pub fn new(definition: Definition) -> Meta {
        Meta {
            definition,
            vectors: Chain::EMPTY,
            postings: Chain::EMPTY,
            links: Vec::new(),
            upper: Vec::new(),
            linked_nodes: 0,
            entry_point: NO_NODE,
        }
    }

    /// The sizes of the records.
    pub fn layout(&self) -> Result<Layout, Damage> {
        let definition = &self.definition;
        Layout::new(
            definition.dimensions as usize * definition.element.size(),
            definition.attributes.len(),
            usize::from(definition.m),
        )
        .filter(|_| definition.dimensions <= Layout::MAX_DIMENSIONS)
        .ok_or(Damage::Meta("the meta record has sizes out of range"))
    }

    /// The pages of a link segment, in order.
    pub fn extents(&self, kind: Kind) -> &[Extent] {
        match kind {
            Kind::Links => &self.links,
            Kind::Upper => &self.upper,
            Kind::Meta | Kind::Vectors | Kind::Postings => &[],
        }
    }

    /// How many blocks the file of the index has at least.
    pub fn blocks(&self) -> u32 {
        let runs = [self.vectors.run, self.postings.run];
        let run_ends = runs.iter().chain(&self.links).chain(&self.upper);
        let run_ends = run_ends.filter(|run| run.pages > 0).filter_map(Extent::end);
        let tails = [self.vectors.tail, self.postings.tail];
        let tail_ends = tails.iter().filter_map(|tail| tail.checked_add(1));
        run_ends.chain(tail_ends).fold(1, u32::max)
    }

    /// Adds pages at the end of a link segment.
    pub fn add_extent(&mut self, kind: Kind, extent: Extent) {
        let extents = match kind {
            Kind::Links => &mut self.links,
            Kind::Upper => &mut self.upper,
            Kind::Meta | Kind::Vectors | Kind::Postings => return,
        };
        match extents.last_mut() {
            Some(last) if last.first.checked_add(last.pages) == Some(extent.first) => {
                last.pages += extent.pages;
            }
            _ => extents.push(extent),
        }
    }

    /// Writes the record into a page's payload and returns its length. Fails when it is too long.
    pub fn encode(&self, payload: &mut [u8]) -> Result<usize, Damage> {
        let too_long = Damage::Meta("the meta record does not fit its page");
        let (head, body) = payload.split_at_mut_checked(HEAD).ok_or(too_long.clone())?;
        head[..4].copy_from_slice(&MARK.to_ne_bytes());
        head[4..].copy_from_slice(&VERSION.to_ne_bytes());
        let used = postcard::to_slice(self, body).map_err(|_| too_long)?.len();
        Ok(HEAD + used)
    }

    /// Reads the record from a page's payload.
    pub fn decode(payload: &[u8]) -> Result<Meta, Damage> {
        let (head, body) = payload
            .split_at_checked(HEAD)
            .ok_or(Damage::Meta("the meta record is missing"))?;
        if u32_at(head, 0) != MARK {
            return Err(Damage::Meta("the meta record is missing"));
        }
        if u32_at(head, 4) != VERSION {
            return Err(Damage::Meta(
                "the meta record is of a version that this program does not know",
            ));
        }
        let meta: Meta = postcard::from_bytes(body)
            .map_err(|_| Damage::Meta("the meta record cannot be decoded"))?;
        meta.layout()?;
        let mut runs = meta.links.iter().chain(&meta.upper);
        if !meta.vectors.is_possible()
            || !meta.postings.is_possible()
            || runs.any(|run| run.end().is_none())
        {
            return Err(Damage::Meta("the meta record names pages that cannot be"));
        }
        Ok(meta)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::{NO_BLOCK, PAYLOAD, find_page, page_count};
    use proptest::prelude::*;

    fn definition() -> Definition {
        Definition {
            incarnation: 0x0102_0304_0506_0708,
            metric: Metric::Cosine,
            element: Element::F32,
            dimensions: 384,
            m: 16,
            ef_construction: 64,
            attributes: vec![1184, 700],
        }
    }

    fn extent() -> impl Strategy<Value = Extent> {
        (1..=u32::MAX, any::<u32>()).prop_map(|(first, pages)| Extent {
            first,
            pages: pages.min(u32::MAX - first),
        })
    }

    fn extents(most: usize) -> impl Strategy<Value = Vec<Extent>> {
        proptest::collection::vec(extent(), 0..most)
    }

    #[test]
    fn bytes_of_version_1() {
        // What version 1 wrote must be readable for ever: these bytes are not to be changed.
        let meta = Meta {
            links: vec![Extent {
                first: 900,
                pages: 12,
            }],
            linked_nodes: 700,
            entry_point: 5,
            vectors: Chain {
                run: Extent {
                    first: 1,
                    pages: 300,
                },
                tail: 1000,
            },
            ..Meta::new(definition())
        };
        let mut payload = [0; PAYLOAD];
        let length = meta.encode(&mut payload).unwrap();
        let expected: &[u8] = &[
            136, 142, 152, 168, 192, 224, 128, 129, 1, 3, 1, 128, 3, 16, 64, 2, 160, 9, 188, 5, 1,
            172, 2, 232, 7, 255, 255, 255, 255, 15, 0, 255, 255, 255, 255, 15, 1, 132, 7, 12, 0,
            188, 5, 5,
        ];
        assert_eq!(&payload[HEAD..length], expected);
        assert_eq!(Meta::decode(&payload[..length]), Ok(meta));
    }

    #[test]
    fn what_is_not_the_record_is_told() {
        let mut payload = [0; PAYLOAD];
        assert!(matches!(Meta::decode(&payload), Err(Damage::Meta(_))));
        let length = Meta::new(definition()).encode(&mut payload).unwrap();
        assert!(matches!(
            Meta::decode(&payload[..length - 1]),
            Err(Damage::Meta(_))
        ));
        payload[4] += 1;
        assert!(
            matches!(Meta::decode(&payload), Err(Damage::Meta(what)) if what.contains("version"))
        );
    }

    fn is_damage(meta: &Meta) -> bool {
        let mut payload = [0; PAYLOAD];
        let length = meta.encode(&mut payload).unwrap();
        matches!(Meta::decode(&payload[..length]), Err(Damage::Meta(_)))
    }

    #[test]
    fn sizes_out_of_range_are_damage() {
        let of = |m, dimensions| {
            Meta::new(Definition {
                m,
                dimensions,
                ..definition()
            })
        };
        assert!(is_damage(&of(0, 384)));
        assert!(is_damage(&of(16, 0)));
        assert!(is_damage(&of(16, 16_001)));
        assert!(!is_damage(&of(16, 16_000)));
    }

    #[test]
    fn pages_that_cannot_be_are_damage() {
        let run = |first, pages| Extent { first, pages };
        let with = |run, tail| Meta {
            postings: Chain { run, tail },
            ..Meta::new(definition())
        };
        for (meta, damage) in [
            (with(run(1, 3), 3), false),
            (with(run(1, 3), 9), false),
            (with(run(NO_BLOCK, 0), 9), false),
            (with(run(1, 3), 2), true),
            (with(run(1, 3), NO_BLOCK), true),
            (with(run(0, 3), 9), true),
            (with(run(NO_BLOCK, 3), NO_BLOCK), true),
        ] {
            assert_eq!(is_damage(&meta), damage, "{:?}", meta.postings);
        }
        let meta = Meta {
            links: vec![run(9, u32::MAX - 8)],
            ..Meta::new(definition())
        };
        assert!(is_damage(&meta));
    }

    #[test]
    fn a_file_has_all_blocks_that_are_named() {
        let run = |first, pages| Extent { first, pages };
        let mut meta = Meta::new(definition());
        assert_eq!(meta.blocks(), 1);
        meta.postings = Chain {
            run: run(1, 3),
            tail: 7,
        };
        assert_eq!(meta.blocks(), 8);
        meta.upper = vec![run(4, 1), run(9, 2), run(90, 0)];
        assert_eq!(meta.blocks(), 11);
    }

    #[test]
    fn neighbouring_extents_are_one() {
        let mut meta = Meta::new(definition());
        for (first, pages) in [(10, 3), (13, 1), (20, 2)] {
            meta.add_extent(Kind::Upper, Extent { first, pages });
        }
        let expected = [
            Extent {
                first: 10,
                pages: 4,
            },
            Extent {
                first: 20,
                pages: 2,
            },
        ];
        assert_eq!(meta.extents(Kind::Upper), expected);
        assert_eq!(meta.extents(Kind::Links), []);
    }

    proptest! {
        #[test]
        fn meta_records_come_back(
            incarnation: u64,
            metric in proptest::sample::select(&Metric::ALL),
            element in proptest::sample::select(&Element::ALL),
            dimensions in 1..=16_000u32,
            m in 1..=100u16,
            attributes in proptest::collection::vec(any::<u32>(), 0..=31),
            links in extents(100),
            upper in extents(100),
            tail: u32,
            run in extent(),
            linked_nodes: u32,
        ) {
            let meta = Meta {
                links,
                upper,
                linked_nodes,
                vectors: Chain { run, tail: NO_BLOCK - 1 },
                postings: Chain { tail, ..Chain::EMPTY },
                ..Meta::new(Definition { incarnation, metric, element, dimensions, m, attributes, ..definition() })
            };
            let mut payload = [0; PAYLOAD];
            let length = meta.encode(&mut payload).unwrap();
            prop_assert_eq!(Meta::decode(&payload[..length]), Ok(meta));
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Meta::decode(&bytes);
            let mut marked = [MARK.to_ne_bytes(), VERSION.to_ne_bytes()].concat();
            marked.extend(bytes);
            if let Ok(meta) = Meta::decode(&marked) {
                let _ = (page_count(&meta.links), find_page(&meta.upper, 7));
            }
        }
    }
}
