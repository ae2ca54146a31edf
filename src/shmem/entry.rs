//! One index in the registry: what is known of it in shared memory.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use chronomind_core::arena::Region;
use chronomind_core::index::Index;

use super::level::Level;

pub(super) const NEVER_USED: u64 = 0;
pub(super) const REMOVED: u64 = 1;

pub(super) const CLAIMED: u32 = 1;
pub(super) const READY: u32 = 2;
pub(super) const UNFIT: u32 = 3;
pub(super) const RETIRED: u32 = 4;

/// Of [`Entry::warned`]: the index is unfit because memory lacks a change of the pages.
pub(super) const NOT_FULL: u32 = 2;

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

/// Which index is meant: its file, and what [`File`] cannot tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Key {
    /// Its file.
    pub file: File,
    /// The identity on its meta page: which of the indexes that ever had this file.
    pub incarnation: u64,
    /// Which of the files that ever had this path: a database that is dropped and made again, as a copy, has
    /// the old paths and identities.
    pub origin: u64,
}

impl Key {
    /// A word that is neither of the two reserved ones.
    pub(super) fn word(&self) -> u64 {
        let words = [
            u64::from(self.file.database) << 32 | u64::from(self.file.tablespace),
            u64::from(self.file.number) << 32 | u64::from(self.file.backend as u32),
            self.incarnation,
            self.origin,
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
    pub(super) key: AtomicU64,
    incarnation: AtomicU64,
    origin: AtomicU64,
    database: AtomicU32,
    tablespace: AtomicU32,
    number: AtomicU32,
    backend: AtomicU32,
    /// OID of the index.
    relation: AtomicU32,
    pub(super) state: AtomicU32,
    /// Unit of the root, 0 while there is none.
    pub(super) root: AtomicU32,
    /// Process that claimed it.
    pub(super) owner: AtomicU32,
    /// 1 once somebody was warned that the index is unfit, [`NOT_FULL`] while nobody is to be.
    pub(super) warned: AtomicU32,
    /// 1 once pages were changed that the claim's owner may have read before.
    has_missed: AtomicU32,
    /// 1 while the claim is that of an index which was unfit, and is so again if the claim comes to nothing.
    pub(super) again: AtomicU32,
    /// How often the index has become unfit, or somebody looked in vain whether it fits.
    failures: AtomicU32,
    /// Free units of the region that did not suffice for it.
    pub(super) too_few: AtomicU32,
    /// When somebody may look next, in milliseconds of the system's clock that only goes forward.
    look_at: AtomicU64,
    /// How far it follows its pages, once it is ready.
    pub(super) level: Level,
}

impl Entry {
    pub(super) fn file(&self) -> File {
        File {
            database: self.database.load(Ordering::Relaxed),
            tablespace: self.tablespace.load(Ordering::Relaxed),
            number: self.number.load(Ordering::Relaxed),
            backend: self.backend.load(Ordering::Relaxed) as i32,
        }
    }

    pub(super) fn key(&self) -> Key {
        Key {
            file: self.file(),
            incarnation: self.incarnation.load(Ordering::Relaxed),
            origin: self.origin.load(Ordering::Relaxed),
        }
    }

    /// Whether it is of the index of this OID, which is in this file now or will be.
    pub(super) fn is_of(&self, file: File, relation: u32) -> bool {
        let held = self.file();
        held == file
            || held.database == file.database && self.relation.load(Ordering::Relaxed) == relation
    }

    /// Under the lock: claims an entry that nobody uses for an index.
    pub(super) fn begin(&self, key: &Key, relation: u32) {
        let File {
            database,
            tablespace,
            number,
            backend,
        } = key.file;
        self.incarnation.store(key.incarnation, Ordering::Relaxed);
        self.origin.store(key.origin, Ordering::Relaxed);
        self.database.store(database, Ordering::Relaxed);
        self.tablespace.store(tablespace, Ordering::Relaxed);
        self.number.store(number, Ordering::Relaxed);
        self.backend.store(backend as u32, Ordering::Relaxed);
        self.relation.store(relation, Ordering::Relaxed);
        self.root.store(0, Ordering::Relaxed);
        self.warned.store(0, Ordering::Relaxed);
        self.again.store(0, Ordering::Relaxed);
        self.failures.store(0, Ordering::Relaxed);
        self.too_few.store(0, Ordering::Relaxed);
        self.look_at.store(0, Ordering::Relaxed);
        self.has_missed.store(0, Ordering::Relaxed);
        self.level.begin();
        self.owner.store(std::process::id(), Ordering::Relaxed);
        self.state.store(CLAIMED, Ordering::Relaxed);
        // Release: pairs with the Acquire in `Registry::look`.
        self.key.store(key.word(), Ordering::Release);
    }

    /// Under the lock: claims an entry that was unfit and has no memory.
    pub(super) fn begin_again(&self) {
        self.again.store(1, Ordering::Relaxed);
        self.has_missed.store(0, Ordering::Relaxed);
        self.level.begin();
        self.owner.store(std::process::id(), Ordering::Relaxed);
        self.state.store(CLAIMED, Ordering::Release);
    }

    /// Under the lock: pages were changed, and memory was not. What somebody loads is unfit when it is done.
    pub(super) fn miss(&self, now: u64) {
        match self.state.load(Ordering::Relaxed) {
            CLAIMED => self.has_missed.store(1, Ordering::Relaxed),
            READY => self.set_stale(now),
            _ => {}
        }
    }

    /// Under the lock: ends a claim whose index is complete. True if it is.
    pub(super) fn complete(&self, now: u64) -> bool {
        let is_whole = self.has_missed.swap(0, Ordering::Relaxed) == 0;
        if is_whole {
            self.warned.store(0, Ordering::Relaxed);
            self.too_few.store(0, Ordering::Relaxed);
            // Release: pairs with the Acquire in `Registry::look`; the whole index is in place before.
            self.state.store(READY, Ordering::Release);
        } else {
            self.set_stale(now);
        }
        is_whole
    }

    /// Unfit, though not for want of memory.
    fn set_stale(&self, now: u64) {
        self.warned.store(NOT_FULL, Ordering::Relaxed);
        self.put_off(now);
        self.state.store(UNFIT, Ordering::Release);
    }

    /// Under the lock: gives its memory back, which nobody uses.
    pub(super) fn release(&self, region: Region<'static>) {
        release_root(region, self.root.swap(0, Ordering::Relaxed));
    }

    /// Under the lock: ends a claim that came to nothing.
    pub(super) fn give_up(&self, region: Region<'static>) {
        self.release(region);
        if self.again.swap(0, Ordering::Relaxed) == 1 {
            self.state.store(UNFIT, Ordering::Release);
        } else {
            self.key.store(REMOVED, Ordering::Release);
        }
    }

    /// The index has become unfit, or is so still: when to look again. Each time it takes longer, so that an
    /// index which hardly fits is not loaded again and again.
    pub(super) fn put_off(&self, now: u64) {
        self.look_at.store(self.next_look(now), Ordering::Relaxed);
    }

    fn next_look(&self, now: u64) -> u64 {
        const FIRST: u64 = 250;
        const MOST_DOUBLINGS: u32 = 8;
        let failures = self.failures.fetch_add(1, Ordering::Relaxed);
        now + (FIRST << failures.min(MOST_DOUBLINGS))
    }

    /// True for one of those who come when it is time to look whether the index fits.
    pub(super) fn is_time(&self, now: u64) -> bool {
        let at = self.look_at.load(Ordering::Relaxed);
        // Relaxed: nothing hangs on it but who looks.
        let take = |next| {
            self.look_at
                .compare_exchange(at, next, Ordering::Relaxed, Ordering::Relaxed)
        };
        at <= now && take(self.next_look(now)).is_ok()
    }

    /// The next to come may look, also at what did not suffice before.
    pub(super) fn hurry(&self) {
        self.too_few.store(0, Ordering::Relaxed);
        self.look_at.store(0, Ordering::Relaxed);
    }
}

/// Gives the memory of an index back, which nobody uses. 0 is that of none.
pub(super) fn release_root(region: Region<'static>, root: u32) {
    if root != 0 {
        // SAFETY: an entry's own root, which was taken out of it, and nobody uses the index, as the caller
        // knows.
        if let Ok(index) = unsafe { Index::open(region, root) } {
            // SAFETY: as above.
            unsafe { index.release() };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// One that somebody has claimed.
    fn claimed() -> Entry {
        // SAFETY: atomics, for which zero is a valid value.
        let entry: Entry = unsafe { std::mem::zeroed() };
        entry.state.store(CLAIMED, Ordering::Relaxed);
        entry
    }

    #[test]
    fn memory_that_lacks_a_change_of_the_pages_is_never_ready() {
        let is = |entry: &Entry, state| entry.state.load(Ordering::Relaxed) == state;
        let entry = claimed();
        assert!(entry.complete(0) && is(&entry, READY));
        entry.miss(0);
        assert!(is(&entry, UNFIT), "missed when it was ready");
        entry.begin_again();
        entry.miss(0);
        assert!(is(&entry, CLAIMED));
        assert!(
            !entry.complete(0) && is(&entry, UNFIT),
            "missed while it was loaded"
        );
        entry.miss(0);
        entry.begin_again();
        assert!(
            entry.complete(0) && is(&entry, READY),
            "loaded after it was missed"
        );
    }

    #[test]
    fn looks_become_rarer_and_one_of_many_looks() {
        // SAFETY: atomics, for which zero is a valid value.
        let entry: Entry = unsafe { std::mem::zeroed() };
        entry.put_off(1_000);
        assert!(!entry.is_time(1_249));
        assert!(entry.is_time(1_250) && !entry.is_time(1_250));
        assert!(!entry.is_time(1_749) && entry.is_time(1_750));
        for _ in 0..100 {
            entry.put_off(0);
        }
        assert!(!entry.is_time(63_999) && entry.is_time(64_000));
        entry.hurry();
        assert!(entry.is_time(0));
    }
}
