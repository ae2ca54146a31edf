//! Which index lives at which root of the region.
//!
//! An index is known by where its file is, by which file that is and by the identity on its meta page, so
//! that neither a reused file number nor a database that is copied, moved or made again under the identifier
//! of one that was dropped can lead to another index's graph. Looking up takes no lock.
//! Whoever finds an index ready has it in [use](super::uses) until the end of the transaction, and
//! memory is given back, and an entry used for another index, when nobody has.
//!
//! | state | meaning | who ends it |
//! |---|---|---|
//! | Claimed | somebody builds or loads it | its [`Claim`]: ready, unfit or given up (to Unfit where it was that); else the exit or abort of its process |
//! | Ready | complete; inserts keep it so | a sweep, when the relation is gone; an insert that finds no memory, or a vacuum that changed the pages without it (to Unfit); a REINDEX of it that needs the memory |
//! | Unfit, with memory | did not fit; pages are searched instead | a sweep takes the memory when nobody has it in use |
//! | Unfit, without memory | the same | a sweep, when the relation is gone; whoever opens it and finds enough free memory (to Claimed) |
//! | Retired | nobody can find it any more | whoever sweeps when nobody has it in use |

use std::sync::atomic::Ordering;

use chronomind_core::arena::Region;
use chronomind_core::index::Index;

pub use super::claim::{Claim, Place};
use super::control::participant;
use super::entry::{CLAIMED, NEVER_USED, READY, REMOVED, RETIRED, UNFIT, release_root};
pub use super::entry::{Entry, File, Key};
use super::lock::Lock;
use super::owed;
pub use super::uses::ENTRIES;
use super::uses::Uses;
use crate::pg::clock;
use crate::pg::fault::{self, Point};

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
    Claimed {
        /// It did not fit before.
        again: bool,
    },
    /// In memory, with its root.
    Ready(Place, Index<'static>),
    /// It does not fit.
    Unfit(Place),
}

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
            // Acquire: pairs with the Release in `Entry::begin`; the fields behind the word are in place.
            match entry.key.load(Ordering::Acquire) {
                NEVER_USED => return Some(Found::Absent),
                held if held == word && entry.key() == *key => {
                    // Acquire: pairs with the Release in `Claim`; the index behind is complete.
                    match entry.state.load(Ordering::Acquire) {
                        CLAIMED => {
                            let again = entry.again.load(Ordering::Relaxed) == 1;
                            return Some(Found::Claimed { again });
                        }
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

    /// Does work after which this backend has nothing more in use than before.
    pub fn briefly<T>(&self, work: impl FnOnce() -> T) -> T {
        let before = self.uses.of(participant());
        let done = work();
        self.uses.let_go_but(participant(), &before);
        done
    }

    /// Claims the right to build or load an index, of this OID. What an earlier index left under the same
    /// file is retired, since the file is the caller's now; and so is what the index itself left in
    /// another tablespace, from where its database was moved: it could be moved back.
    pub fn claim(&'static self, key: &Key, relation: u32) -> Claiming {
        let word = key.word();
        self.exclusively(|| {
            let is_at_file = |entry: &Entry| {
                entry.state.load(Ordering::Relaxed) == CLAIMED && entry.file() == key.file
            };
            // Also by another key: there must not be two who keep the same file up to date.
            if self.in_use().any(is_at_file) {
                return Claiming::Others;
            }
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
            entry.begin(key, relation);
            fault::at(Point::RegistryClaimed);
            Claiming::Mine(Claim::new(self, entry))
        })
    }

    /// Whether there is a place for one more index.
    pub fn has_place(&self) -> bool {
        let is_free = |entry: &Entry| entry.key.load(Ordering::Relaxed) <= REMOVED;
        self.entries.iter().any(is_free)
    }

    /// Claims an index that did not fit, to load it now. `None` where others are at it, or still use what
    /// memory it has.
    pub fn claim_again(&'static self, key: &Key, place: Place) -> Option<Claim> {
        let entry = place.0;
        self.exclusively(|| {
            let is_same = entry.key.load(Ordering::Relaxed) == key.word() && entry.key() == *key;
            let is_unfit = entry.state.load(Ordering::Relaxed) == UNFIT;
            // Whoever had its memory in use has let go before a sweep took that.
            if !is_same || !is_unfit || entry.root.load(Ordering::Relaxed) != 0 {
                return None;
            }
            entry.begin_again();
            fault::at(Point::RegistryClaimed);
            Some(Claim::new(self, entry))
        })
    }

    /// To be called, under the lock of the page, when a page of this file was changed without memory. Whoever
    /// has read the page before had claimed the index before, and is found here: what he has loaded, or
    /// loads, must not be searched. Whoever claims it later reads the change.
    pub fn has_missed(&self, file: File) {
        if self.is_anywhere(file) {
            let now = clock::milliseconds();
            self.exclusively(|| {
                self.in_use()
                    .filter(|entry| has_or_loads(entry, file))
                    .for_each(|entry| entry.miss(now));
            });
        }
    }

    /// Whether somebody has the index of this file in memory or loads it, by whatever key.
    pub fn is_anywhere(&self, file: File) -> bool {
        self.in_use().any(|entry| has_or_loads(entry, file))
    }

    /// Gives up every claim and every turn of a process that aborts or exits.
    pub fn abandon_claims_of(&self, process: u32, region: Region<'static>) {
        let claimed = |entry: &&Entry| {
            entry.state.load(Ordering::Relaxed) == CLAIMED
                && entry.owner.load(Ordering::Relaxed) == process
        };
        if !owed::any() {
            return;
        }
        owed::none();
        self.in_use().for_each(|entry| entry.level.abandon(process));
        if self.in_use().any(|entry| claimed(&entry)) {
            self.exclusively(|| {
                self.in_use()
                    .filter(claimed)
                    .for_each(|entry| entry.give_up(region));
            });
        }
    }

    /// Takes back the memory of indexes whose files are gone, for which `is_gone` is asked outside of any
    /// lock, and of those that do not fit, where nobody has it in use.
    pub fn sweep(&self, region: Region<'static>, is_gone: impl Fn(File) -> bool) {
        let gone: Vec<(&Entry, u64)> = self
            .in_use()
            .filter(|entry| is_settled(entry))
            .map(|entry| (entry, entry.key.load(Ordering::Acquire)))
            .filter(|(entry, _)| is_gone(entry.file()))
            .collect();
        self.exclusively(|| {
            for (entry, word) in gone {
                if entry.key.load(Ordering::Relaxed) == word && is_settled(entry) {
                    retire(entry);
                    fault::at(Point::RegistryRetired);
                }
            }
            for entry in self.in_use() {
                match entry.state.load(Ordering::Relaxed) {
                    RETIRED => self.remove_unused(entry, region),
                    UNFIT => self.release_unused(entry, region),
                    _ => {}
                }
            }
        });
    }

    /// Takes back the memory of a database whose files are gone.
    pub fn forget_database(&self, database: u32, region: Region<'static>) {
        self.exclusively(|| {
            for entry in self.in_use() {
                if entry.file().database == database && is_settled(entry) {
                    retire(entry);
                    self.remove_unused(entry, region);
                }
            }
        });
    }

    /// Takes the memory of an index for the file that it is built into anew: what was built before serves
    /// nobody meanwhile, and is loaded from its pages should the new one be rolled back.
    pub fn take_from_former(&self, file: File, relation: u32, region: Region<'static>) {
        self.exclusively(|| {
            for entry in self.in_use() {
                if is_settled(entry) && entry.file() != file && entry.is_of(file, relation) {
                    retire(entry);
                    self.remove_unused(entry, region);
                }
            }
        });
    }

    /// This backend has no memory in use any more of an index, of this file or any other. For one that knows
    /// that none of its scans is open on the index.
    pub fn let_go_of(&self, file: File, relation: u32) {
        for entry in self.in_use() {
            if entry.is_of(file, relation) {
                self.uses.let_go_of(participant(), self.number(entry));
            }
        }
    }

    /// Runs `work`, which must not call Postgres, while nobody claims, retires or removes an entry.
    pub(super) fn exclusively<T>(&self, work: impl FnOnce() -> T) -> T {
        self.lock.exclusively(work)
    }

    /// Under the lock: removes a retired entry.
    fn remove_unused(&self, entry: &'static Entry, region: Region<'static>) {
        if !self.uses.is_held(self.number(entry)) {
            entry.release(region);
            entry.key.store(REMOVED, Ordering::Release);
        }
    }

    /// Under the lock: takes the memory of an unfit index, which those may still use who found it ready.
    fn release_unused(&self, entry: &'static Entry, region: Region<'static>) {
        // First out of reach of `part_of_unfit`, then a look at who has reached it.
        let root = entry.root.swap(0, Ordering::Relaxed);
        if root != 0 && self.uses.is_held(self.number(entry)) {
            entry.root.store(root, Ordering::Relaxed);
        } else {
            release_root(region, root);
        }
    }

    fn number(&self, entry: &'static Entry) -> usize {
        (std::ptr::from_ref(entry).addr() - self.entries.as_ptr().addr()) / size_of::<Entry>()
    }

    fn probe(&self, word: u64) -> impl Iterator<Item = &'static Entry> {
        let entries = self.entries;
        let start = word as usize % entries.len();
        (0..entries.len()).map(move |step| &entries[(start + step) % entries.len()])
    }

    fn in_use(&self) -> impl Iterator<Item = &'static Entry> {
        self.entries
            .iter()
            .filter(|entry| entry.key.load(Ordering::Acquire) > REMOVED)
    }
}

fn has_or_loads(entry: &Entry, file: File) -> bool {
    let state = entry.state.load(Ordering::Relaxed);
    entry.file() == file && matches!(state, CLAIMED | READY)
}

fn is_settled(entry: &Entry) -> bool {
    matches!(entry.state.load(Ordering::Relaxed), READY | UNFIT)
}

/// Under the lock: nobody finds the entry from now on.
fn retire(entry: &Entry) {
    entry.state.store(RETIRED, Ordering::Release);
}
