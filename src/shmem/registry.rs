//! Which index lives at which root of the region.
//!
//! An index is known by its file and by the identity on its meta page, so that neither a reused
//! file number nor a copied database can lead to another index's graph. Looking up takes no lock.
//! Whoever finds an index ready has it in [use](super::uses) until the end of the transaction, and
//! memory is given back, and an entry used for another index, when nobody has.
//!
//! | state | meaning | who ends it |
//! |---|---|---|
//! | Claimed | somebody builds or loads it | its [`Claim`]: ready, unfit or given up; else the exit or abort of its process |
//! | Ready | complete; inserts keep it so | a sweep, when the relation is gone; an insert that finds no memory (to Unfit) |
//! | Unfit | does not fit; pages are searched instead | a sweep, when the relation is gone |
//! | Retired | nobody can find it any more | whoever sweeps when nobody has it in use |

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use chronomind_core::arena::Region;
use chronomind_core::index::Index;

use super::control::participant;
use super::level::Level;
use super::lock::Lock;
use super::uses::Uses;
use crate::pg::fault::{self, Point};

const NEVER_USED: u64 = 0;
const REMOVED: u64 = 1;

const CLAIMED: u32 = 1;
const READY: u32 = 2;
const UNFIT: u32 = 3;
const RETIRED: u32 = 4;

/// Where an index's pages are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct File {
    /// Database, 0 for shared relations.
    pub database: u32,
    /// Tablespace.
    pub tablespace: u32,
    /// File number.
    pub number: u32,
    /// Owner of a temporary relation as Postgres numbers it, -1 for others.
    pub backend: i32,
}

/// Which index is meant: its file, and the identity on its meta page.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its file.
    pub file: File,
    /// What [`File`] cannot tell: which of the indexes that ever had this file.
    pub incarnation: u64,
}

impl Key {
    /// A word that is neither of the two reserved ones.
    fn word(&self) -> u64 {
        let words = [
            u64::from(self.file.database) << 32 | u64::from(self.file.tablespace),
            u64::from(self.file.number) << 32 | u64::from(self.file.backend as u32),
            self.incarnation,
        ];
        // FNV-1a over words, then a final mix so that the low bits depend on all.
        let hash = words.iter().fold(0xcbf2_9ce4_8422_2325_u64, |hash, word| {
            (hash ^ word)
                .wrapping_mul(0x0000_0100_0000_01b3)
                .rotate_left(29)
        });
        (hash ^ (hash >> 32)).max(2)
    }
}

/// One index, in shared memory.
#[repr(C, align(64))]
pub struct Entry {
    key: AtomicU64,
    incarnation: AtomicU64,
    database: AtomicU32,
    tablespace: AtomicU32,
    number: AtomicU32,
    backend: AtomicU32,
    state: AtomicU32,
    /// Unit of the root, 0 while there is none.
    root: AtomicU32,
    /// Process that claimed it.
    owner: AtomicU32,
    /// 1 once somebody was warned that the index is unfit.
    warned: AtomicU32,
    /// How far it follows its pages, once it is ready.
    level: Level,
}

impl Entry {
    fn file(&self) -> File {
        File {
            database: self.database.load(Ordering::Relaxed),
            tablespace: self.tablespace.load(Ordering::Relaxed),
            number: self.number.load(Ordering::Relaxed),
            backend: self.backend.load(Ordering::Relaxed) as i32,
        }
    }

    fn key(&self) -> Key {
        Key {
            file: self.file(),
            incarnation: self.incarnation.load(Ordering::Relaxed),
        }
    }
}

/// What a lookup finds.
#[expect(
    clippy::large_enum_variant,
    reason = "made once a statement, never stored by the many"
)]
#[derive(Clone, Copy)]
pub enum Found {
    /// Nobody has it in memory.
    Absent,
    /// Somebody is at it.
    Claimed,
    /// In memory, with its root.
    Ready(Place, Index<'static>),
    /// It does not fit.
    Unfit(Place),
}

/// A place in the registry.
#[derive(Clone, Copy)]
pub struct Place(&'static Entry);

/// What became of an attempt to claim.
pub enum Claiming {
    /// The caller has to build or load it.
    Mine(Claim),
    /// Somebody else was faster; look again.
    Others,
    /// No place is left.
    Full,
}

/// The registry.
pub struct Registry {
    entries: &'static [Entry],
    uses: Uses,
    lock: Lock,
}

impl Registry {
    /// The registry over zeroed or living entries.
    pub fn new(entries: &'static [Entry], uses: Uses, lock: Lock) -> Registry {
        Registry {
            entries,
            uses,
            lock,
        }
    }

    fn number(&self, entry: &'static Entry) -> usize {
        (std::ptr::from_ref(entry).addr() - self.entries.as_ptr().addr()) / size_of::<Entry>()
    }

    /// Whether a backend works on the index of an entry that nobody takes for ready any more.
    fn is_used(&self, entry: &'static Entry) -> bool {
        self.uses.is_held(self.number(entry))
    }

    fn probe(&self, word: u64) -> impl Iterator<Item = &'static Entry> {
        let entries = self.entries;
        let start = word as usize % entries.len();
        (0..entries.len()).map(move |step| &entries[(start + step) % entries.len()])
    }

    /// Looks an index up. It is this backend's to use until the end of the transaction.
    pub fn find(&self, key: &Key) -> Found {
        loop {
            if let Some(found) = self.look(key) {
                return found;
            }
        }
    }

    /// `None` where the entry is no more what it was.
    fn look(&self, key: &Key) -> Option<Found> {
        let word = key.word();
        for entry in self.probe(word) {
            // Acquire: pairs with the Release in `claim`; the fields behind the word are in place.
            match entry.key.load(Ordering::Acquire) {
                NEVER_USED => return Some(Found::Absent),
                held if held == word && entry.key() == *key => {
                    // Acquire: pairs with the Release in `Claim`; the index behind is complete.
                    match entry.state.load(Ordering::Acquire) {
                        CLAIMED => return Some(Found::Claimed),
                        READY => return self.ready(entry, key),
                        UNFIT => return Some(Found::Unfit(Place(entry))),
                        // Retired: a successor with the same key may lie further on.
                        _ => {}
                    }
                }
                _ => {}
            }
        }
        Some(Found::Absent)
    }

    /// Takes an entry into use that was ready for this key.
    fn ready(&self, entry: &'static Entry, key: &Key) -> Option<Found> {
        self.uses.hold(participant(), self.number(entry));
        let place = Place(entry);
        // Again, now that it cannot become another index's any more.
        if !place.is_ready() || entry.key() != *key {
            return None;
        }
        Some(match place.index() {
            Some(index) => Found::Ready(place, index),
            None => Found::Absent,
        })
    }

    /// What memory holds of an index that does not fit.
    pub fn part_of_unfit(&self, place: Place) -> Option<Index<'static>> {
        self.uses.hold(participant(), self.number(place.0));
        // Acquire: as in `look`.
        let is_unfit = place.0.state.load(Ordering::Acquire) == UNFIT;
        is_unfit.then(|| place.index())?
    }

    /// Claims the right to build or load an index. What an earlier index left under the same file
    /// is retired, since the file is the caller's now; and so is what the index itself left in
    /// another tablespace, from where its database was moved: it could be moved back.
    pub fn claim(&'static self, key: &Key) -> Claiming {
        let word = key.word();
        self.lock.exclusively(|| {
            for entry in self.in_use() {
                let held = entry.key();
                let moved = File {
                    tablespace: key.file.tablespace,
                    ..held.file
                };
                if held != *key
                    && moved == key.file
                    && (held.file == key.file || held.incarnation == key.incarnation)
                    && entry.state.load(Ordering::Relaxed) != CLAIMED
                {
                    retire(entry);
                }
            }
            let mut free = None;
            for entry in self.probe(word) {
                match entry.key.load(Ordering::Relaxed) {
                    held if held == word
                        && entry.key() == *key
                        && entry.state.load(Ordering::Relaxed) != RETIRED =>
                    {
                        return Claiming::Others;
                    }
                    NEVER_USED => {
                        free = free.or(Some(entry));
                        break;
                    }
                    REMOVED => free = free.or(Some(entry)),
                    _ => {}
                }
            }
            let Some(entry) = free else {
                return Claiming::Full;
            };
            entry.incarnation.store(key.incarnation, Ordering::Relaxed);
            entry.database.store(key.file.database, Ordering::Relaxed);
            entry
                .tablespace
                .store(key.file.tablespace, Ordering::Relaxed);
            entry.number.store(key.file.number, Ordering::Relaxed);
            entry
                .backend
                .store(key.file.backend as u32, Ordering::Relaxed);
            entry.root.store(0, Ordering::Relaxed);
            entry.warned.store(0, Ordering::Relaxed);
            entry.owner.store(std::process::id(), Ordering::Relaxed);
            entry.state.store(CLAIMED, Ordering::Relaxed);
            // Release: pairs with the Acquire in `find`.
            entry.key.store(word, Ordering::Release);
            fault::at(Point::RegistryClaimed);
            Claiming::Mine(Claim {
                registry: self,
                entry,
                finished: false,
            })
        })
    }

    /// Gives up every claim and every turn of a process that aborts or exits.
    pub fn abandon_claims_of(&self, process: u32, region: Region<'static>) {
        let claimed = |entry: &&Entry| {
            entry.state.load(Ordering::Relaxed) == CLAIMED
                && entry.owner.load(Ordering::Relaxed) == process
        };
        self.in_use().for_each(|entry| entry.level.abandon(process));
        if self.in_use().any(|entry| claimed(&entry)) {
            self.lock.exclusively(|| {
                self.in_use()
                    .filter(claimed)
                    .for_each(|entry| remove(entry, region));
            });
        }
    }

    /// Takes back the memory of indexes whose files are gone: `is_gone` is asked for each, outside
    /// of any lock.
    pub fn sweep(&self, region: Region<'static>, is_gone: impl Fn(File) -> bool) {
        let settled = |entry: &Entry| matches!(entry.state.load(Ordering::Relaxed), READY | UNFIT);
        let gone: Vec<(&Entry, u64)> = self
            .in_use()
            .filter(|entry| settled(entry))
            .map(|entry| (entry, entry.key.load(Ordering::Acquire)))
            .filter(|(entry, _)| is_gone(entry.file()))
            .collect();
        self.lock.exclusively(|| {
            for (entry, word) in gone {
                if entry.key.load(Ordering::Relaxed) == word && settled(entry) {
                    retire(entry);
                    fault::at(Point::RegistryRetired);
                }
            }
            for entry in self.in_use() {
                if entry.state.load(Ordering::Relaxed) == RETIRED && !self.is_used(entry) {
                    remove(entry, region);
                }
            }
        });
    }

    fn in_use(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.key.load(Ordering::Acquire) > REMOVED)
    }
}

/// Under the lock: nobody finds the entry from now on.
fn retire(entry: &Entry) {
    entry.state.store(RETIRED, Ordering::Release);
}

/// Under the lock: gives the entry's memory back. Nobody uses it: it was never ready, or it is retired
/// and no backend has it in use.
fn remove(entry: &Entry, region: Region<'static>) {
    let root = entry.root.swap(0, Ordering::Relaxed);
    if root != 0 {
        // SAFETY: the root is the entry's own, and nobody uses the index, as said above.
        if let Ok(index) = unsafe { Index::open(region, root) } {
            // SAFETY: as above.
            unsafe { index.release() };
        }
    }
    entry.key.store(REMOVED, Ordering::Release);
}

impl Place {
    /// Turns a ready index that has run out of memory into an unfit one. Its memory stays until the
    /// relation goes, because scans may be on it.
    pub fn set_unfit(self) {
        let _ = self
            .0
            .state
            .compare_exchange(READY, UNFIT, Ordering::Release, Ordering::Relaxed);
    }

    /// What is in memory: all of a ready index, and what there is of an unfit one.
    fn index(self) -> Option<Index<'static>> {
        let root = self.0.root.load(Ordering::Relaxed);
        let region = super::region().ok().filter(|_| root != 0)?;
        // SAFETY: the root of such an entry is an index's, which lives as long as this backend has the entry
        // in use.
        unsafe { Index::open(region, root) }.ok()
    }

    /// True for a place that is still ready.
    pub fn is_ready(self) -> bool {
        // Acquire: pairs with the Release in `Claim::ready`.
        self.0.state.load(Ordering::Acquire) == READY
    }

    /// True when the index has left the registry: others may have loaded it anew, or will.
    pub fn is_retired(self) -> bool {
        // Acquire: as in `is_ready`.
        self.0.state.load(Ordering::Acquire) == RETIRED
    }

    /// How far a ready index follows its pages.
    pub fn level(self) -> &'static Level {
        &self.0.level
    }

    /// True once for each index: the caller is to warn.
    pub fn should_warn(self) -> bool {
        self.0.warned.swap(1, Ordering::Relaxed) == 0
    }
}

/// The right to build or load an index; given up when dropped unfinished.
pub struct Claim {
    registry: &'static Registry,
    entry: &'static Entry,
    finished: bool,
}

impl Claim {
    /// Notes the root as soon as it exists, so that giving up gives the memory back.
    pub fn set_root(&self, index: &Index<'static>) {
        self.entry.root.store(index.root(), Ordering::Relaxed);
    }

    /// The index is complete up to a position in the WAL, or [kept](super::level::KEPT) so:
    /// everybody may use it.
    pub fn ready(mut self, level: u64) -> Place {
        self.entry.level.set(level);
        self.finish(READY)
    }

    /// The index does not fit: everybody searches its pages.
    pub fn unfit(mut self, region: Region<'static>) -> Place {
        let entry = self.entry;
        self.registry.lock.exclusively(|| {
            let root = entry.root.swap(0, Ordering::Relaxed);
            if root != 0 {
                // SAFETY: the root is this claim's own, and nobody else has seen it.
                if let Ok(index) = unsafe { Index::open(region, root) } {
                    // SAFETY: as above.
                    unsafe { index.release() };
                }
            }
        });
        self.finish(UNFIT)
    }

    fn finish(&mut self, state: u32) -> Place {
        self.finished = true;
        // Release: pairs with the Acquire in `find`; the whole index is in place before.
        self.entry.state.store(state, Ordering::Release);
        Place(self.entry)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if !self.finished
            && let Ok(region) = super::region()
        {
            let entry = self.entry;
            self.registry.lock.exclusively(|| remove(entry, region));
        }
    }
}
