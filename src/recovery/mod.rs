//! From pages to memory: how a process gets an index that it can search.
//!
//! Pages are the truth and memory is a cache, so the first to need an index after a start of the
//! server loads it, while the others who need it wait. On a standby, whose pages change by replay,
//! memory [follows](follow) them. Where it is too small, callers work on the pages instead: slower, and
//! just as right.
//!
//! | who | finds | does |
//! |---|---|---|
//! | [`open`] | the index in memory | uses it; on a standby, brings it [up to date](follow) first |
//! | | nothing | claims it, [loads](load) it, makes it ready |
//! | | somebody at it | waits; a search uses the pages, if the index did not fit before |
//! | | that it does not fit | [looks](again) now and then whether it does by now; else uses the pages |
//! | [`Creation`] | nothing, for a new index | claims it, lets the build fill it, makes it ready |

mod again;
mod create;
mod files;
pub mod follow;
mod load;

use std::cell::RefCell;
use std::collections::HashSet;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::atomic::{AtomicU64, Ordering};

use chronomind_core::graph::GraphConfig;
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::record::Definition;
use pgrx::pg_sys::Oid;

pub use again::hurry;
pub use create::{Creation, Expected, Room};
pub use files::reclaim;

use crate::error::{Error, Result};
use crate::pages::{self, Snapshot};
use crate::pg::relation::Relation;
use crate::pg::wait::{self, Wait};
use crate::pg::{clock, notice};
use crate::shmem;
use crate::shmem::registry::{Claiming, ENTRIES, File, Found, Key, Place, Registry};

/// An index to work with.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a statement, never stored by the many"
)]
pub enum Opened {
    /// In shared memory.
    Memory(Memory),
    /// On its pages only.
    Pages,
}

/// An index in shared memory.
#[derive(Clone, Copy)]
pub struct Memory {
    /// The index.
    pub index: Index<'static>,
    place: Place,
}

impl Memory {
    /// To be called when a row of the index cannot be put into memory: from now on everybody works
    /// on the pages.
    pub fn give_up(&self) {
        self.place.set_unfit();
    }

    /// True once, of all who ask after somebody has given up: the caller is to warn.
    pub fn should_warn(&self) -> bool {
        self.place.should_warn()
    }

    /// False once somebody has given up.
    pub fn is_complete(&self) -> bool {
        self.place.is_ready()
    }

    /// True once this memory is not the index's any more: others may have loaded it anew, or will. Who
    /// sees it false while nobody can append, appends what they will read.
    pub fn is_retired(&self) -> bool {
        self.place.is_retired()
    }
}

/// Opens an index, loading it first where nobody has.
pub fn open(relation: Relation) -> Result<Opened> {
    open_unless(relation, |_| false)
}

/// The same for a search. While somebody loads an index that did not fit, it goes on to use the pages.
pub fn open_to_search(relation: Relation) -> Result<Opened> {
    open_unless(relation, |again| again)
}

/// Opens an index, on its pages where somebody loads it and the caller does not wait: it is told whether the index
/// did not fit before.
fn open_unless(relation: Relation, is_enough: impl Fn(bool) -> bool) -> Result<Opened> {
    let registry = shmem::registry()?;
    let mut key = key_of(relation)?;
    loop {
        match registry.find(&key) {
            Found::Ready(place, index) => {
                let memory = Memory { index, place };
                if follow::catch_up(relation, key.incarnation, &memory)? {
                    return Ok(Opened::Memory(memory));
                }
            }
            Found::Unfit(place) => {
                if let Some(claim) = again::claim(relation, &key, place)? {
                    load::load(relation, &key, claim)?;
                    continue;
                }
                if place.should_warn() {
                    notice::does_not_fit(&relation.name());
                }
                return Ok(Opened::Pages);
            }
            Found::Claimed { again } if is_enough(again) => return Ok(Opened::Pages),
            Found::Claimed { .. } => wait::briefly(Wait::Load),
            // Without a look at pages and file, or the lock: each row comes here.
            Found::Absent if is_without_place(relation, &key)? => return Ok(Opened::Pages),
            // What is remembered may be old.
            Found::Absent if has_changed(relation, &mut key)? => {}
            Found::Absent => match registry.claim(&key, relation.oid().to_u32()) {
                Claiming::Mine(claim) => load::load(relation, &key, claim)?,
                Claiming::Others => wait::briefly(Wait::Load),
                // Somebody was faster.
                Claiming::Full => {}
            },
        }
    }
}

/// What memory holds of an index as it is: nothing is loaded, and nobody waited for.
pub fn find(relation: Relation) -> Result<Found> {
    Ok(shmem::registry()?.find(&key_of(relation)?))
}

/// Looks at memory with [`find`], which is this process's to use until `work` returns only.
pub fn briefly<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    shmem::registry()?.briefly(work)
}

/// What memory holds of an index that does not fit.
pub fn part_of_unfit(place: Place) -> Result<Option<Index<'static>>> {
    Ok(shmem::registry()?.part_of_unfit(place))
}

/// An index that is opened on its pages alone, to be looked at again while nobody appends.
pub struct OnPages {
    registry: &'static Registry,
    key: Key,
    /// There is an entry for it, which says that it does not fit.
    is_unfit: bool,
}

impl OnPages {
    /// To be made before the meta page is locked.
    pub fn of(relation: Relation) -> Result<OnPages> {
        let (registry, key) = (shmem::registry()?, key_of(relation)?);
        Ok(OnPages {
            registry,
            key,
            is_unfit: matches!(registry.find(&key), Found::Unfit(_)),
        })
    }

    /// Under the meta page's lock: whether a row that is appended under it is not missed by anybody. Who
    /// loads the index claims it first, and then looks under the same lock how far to read.
    pub fn is_alone(&self) -> bool {
        match self.registry.find(&self.key) {
            Found::Unfit(_) => self.is_unfit,
            // Else the entry has left the registry since. Others may know the index by another key.
            Found::Absent => !self.is_unfit && !self.registry.is_anywhere(self.key.file),
            Found::Claimed { .. } | Found::Ready(..) => false,
        }
    }
}

/// What [`find`] tells, without a look at any page: `None` where this session has not opened the index yet.
pub fn find_known(relation: Relation) -> Option<Found> {
    let unknown = || Err(Error::bug("an index that was not opened yet"));
    let [incarnation, origin] = relation.remembered(unknown).ok()?;
    let key = Key {
        file: file_of(relation),
        incarnation,
        origin,
    };
    Some(shmem::registry().ok()?.find(&key))
}

/// Those who have an index in memory, or load it, while somebody changes its pages without them.
pub struct Others {
    registry: &'static Registry,
    file: File,
}

impl Others {
    /// Of whoever opens this index.
    pub fn of(relation: Relation) -> Result<Others> {
        Ok(Others {
            registry: shmem::registry()?,
            file: file_of(relation),
        })
    }

    /// To be called under the lock of a page that was changed: memory that may lack the change is not
    /// searched from now on. However the caller ends, nothing is left to be done.
    pub fn have_missed(&self) {
        self.registry.has_missed(self.file);
    }
}

/// This process has no memory of the index in use any more. For one that has no scan open on it.
pub fn let_go_of(relation: Relation) -> Result<()> {
    shmem::registry()?.let_go_of(file_of(relation), relation.oid().to_u32());
    Ok(())
}

/// A number that no other index has, with near certainty.
pub fn new_incarnation() -> u64 {
    // Each state is seeded by the system's randomness.
    RandomState::new().build_hasher().finish()
}

/// Fails where `fits` does not know the index for the one in the catalog. Looks once for as long as
/// the relation stays what it is.
pub fn expect_definition(relation: Relation, fits: impl FnOnce(&Definition) -> bool) -> Result<()> {
    let compute = || {
        let definition = pages::snapshot(relation)?.meta.definition;
        if fits(&definition) {
            Ok([definition.incarnation, files::origin(file_of(relation))?])
        } else {
            Err(pages::is_of_other_columns(relation))
        }
    };
    relation.remembered(compute).map(drop)
}

fn key_of(relation: Relation) -> Result<Key> {
    let file = file_of(relation);
    let [incarnation, origin] = relation.remembered(|| {
        let snapshot = pages::snapshot(relation)?;
        Ok([snapshot.meta.definition.incarnation, files::origin(file)?])
    })?;
    Ok(Key {
        file,
        incarnation,
        origin,
    })
}

/// Whether the registry is full, and has nothing of the index. It makes room now and then only, for it looks at
/// all files; what others have made is found at once.
fn is_without_place(relation: Relation, key: &Key) -> Result<bool> {
    const PAUSE: u64 = 1000;
    // Relaxed: a process has one thread that opens indexes.
    static LOOK_AT: AtomicU64 = AtomicU64::new(0);
    let registry = shmem::registry()?;
    if registry.has_place() || registry.is_anywhere(key.file) {
        return Ok(false);
    }
    let now = clock::milliseconds();
    if now >= LOOK_AT.load(Ordering::Relaxed) {
        LOOK_AT.store(now + PAUSE, Ordering::Relaxed);
        reclaim()?;
        if registry.has_place() {
            return Ok(false);
        }
    }
    if is_first_without_place(relation) {
        notice::has_no_place(&relation.name(), ENTRIES);
    }
    Ok(true)
}

/// True once in a session for each index.
fn is_first_without_place(relation: Relation) -> bool {
    thread_local! {
        static WARNED: RefCell<HashSet<Oid>> = RefCell::default();
    }
    WARNED.with_borrow_mut(|warned| warned.insert(relation.oid()))
}

/// Looks at pages and file anew. True where the index is known by another key than before.
fn has_changed(relation: Relation, key: &mut Key) -> Result<bool> {
    relation.forget();
    let now = key_of(relation)?;
    let before = std::mem::replace(key, now);
    Ok(before != now)
}

/// Fails where the index is another than the one that memory is for.
fn expect_incarnation(relation: Relation, snapshot: &Snapshot, incarnation: u64) -> Result<()> {
    if snapshot.meta.definition.incarnation == incarnation {
        return Ok(());
    }
    relation.forget();
    Err(Error::contention(
        "the index was replaced while it was being opened",
    ))
}

fn file_of(relation: Relation) -> File {
    let locator = relation.locator();
    File {
        database: locator.database,
        tablespace: locator.tablespace,
        number: locator.file,
        backend: relation.backend(),
    }
}

/// What memory is laid out by.
fn config(definition: &Definition) -> IndexConfig {
    IndexConfig {
        graph: GraphConfig {
            metric: definition.metric,
            element: definition.element,
            dimensions: definition.dimensions,
            m: u32::from(definition.m),
            ef_construction: u32::from(definition.ef_construction),
            seed: definition.incarnation,
        },
        attributes: definition.attributes.len(),
    }
}
