//! Which indexes in memory each backend has in use.
//!
//! The problem: whoever wants the memory of an index that has left the registry must know that nobody
//! works on it any more. A scan keeps its index for as long as its statement runs, and between two steps it
//! holds no pin, so epochs do not tell.
//!
//! So each backend has a bit for each entry of the registry, which only it writes. It sets the bit before
//! it looks whether the entry is ready, and clears all of its bits when its transaction ends, which no
//! scan, insert or vacuum outlives; one of them before, when it is done with the index and has no scan open on it. Whoever is to give memory back first makes the entry one that nobody
//! takes for ready, and then looks at the bits: with a fence on each side, either the user's bit is seen
//! here, or the user sees that the entry is not ready.

use std::sync::atomic::{AtomicU64, Ordering, fence};

/// Indexes in memory at a time, in all databases.
pub const ENTRIES: usize = 4096;

const WORDS: usize = ENTRIES / 64;

/// The bits of one backend.
#[repr(C, align(64))]
pub struct Row([AtomicU64; WORDS]);

/// The bits of all backends.
#[derive(Clone, Copy)]
pub struct Uses {
    rows: &'static [Row],
}

impl Uses {
    /// Over zeroed or living rows, one for each backend.
    pub fn new(rows: &'static [Row]) -> Uses {
        Uses { rows }
    }

    /// The backend has the entry in use from now on.
    pub fn hold(self, backend: usize, entry: usize) {
        let word = &self.rows[backend].0[entry / 64];
        let bit = 1 << (entry % 64);
        // Relaxed: only this backend writes its words.
        let held = word.load(Ordering::Relaxed);
        if held & bit == 0 {
            // Release: as in `let_go`, since whoever reads this value reads none that was there before.
            word.store(held | bit, Ordering::Release);
            // SeqCst: pairs with the fence in `is_held`. Either that one sees this bit, or every load after
            // this fence sees what the entry had become before that one.
            fence(Ordering::SeqCst);
        }
    }

    /// The backend has nothing in use any more.
    pub fn let_go(self, backend: usize) {
        for word in &self.rows[backend].0 {
            if word.load(Ordering::Relaxed) != 0 {
                // Release: pairs with the Acquire in `is_held`; all that was done with the index is over.
                word.store(0, Ordering::Release);
            }
        }
    }

    /// The backend has this entry in use no more.
    pub fn let_go_of(self, backend: usize, entry: usize) {
        let word = &self.rows[backend].0[entry / 64];
        let bit = 1 << (entry % 64);
        let held = word.load(Ordering::Relaxed);
        if held & bit != 0 {
            // Release: as in `let_go`.
            word.store(held & !bit, Ordering::Release);
        }
    }

    /// What the backend has in use.
    pub fn of(self, backend: usize) -> [u64; WORDS] {
        // Relaxed: only this backend writes its words.
        std::array::from_fn(|at| self.rows[backend].0[at].load(Ordering::Relaxed))
    }

    /// The backend has nothing in use any more but what it had before.
    pub fn let_go_but(self, backend: usize, before: &[u64; WORDS]) {
        for (word, &before) in self.rows[backend].0.iter().zip(before) {
            let held = word.load(Ordering::Relaxed);
            if held & !before != 0 {
                // Release: as in `let_go`.
                word.store(held & before, Ordering::Release);
            }
        }
    }

    /// Whether a backend has the entry in use. To be asked after the entry has become one that nobody
    /// takes for ready.
    pub fn is_held(self, entry: usize) -> bool {
        // SeqCst: pairs with the fence in `hold`.
        fence(Ordering::SeqCst);
        let bit = 1 << (entry % 64);
        // Acquire: pairs with the Release in `let_go`.
        let holds = |row: &Row| row.0[entry / 64].load(Ordering::Acquire) & bit != 0;
        self.rows.iter().any(holds)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rows(backends: usize) -> Uses {
        let row = || Row([const { AtomicU64::new(0) }; WORDS]);
        let rows: Vec<Row> = (0..backends).map(|_| row()).collect();
        Uses::new(rows.leak())
    }

    #[test]
    fn an_entry_is_held_until_the_last_backend_lets_go() {
        let uses = rows(3);
        for entry in [0, 63, 64, ENTRIES - 1] {
            assert!(!uses.is_held(entry));
            uses.hold(0, entry);
            uses.hold(2, entry);
            uses.hold(2, entry);
            assert!(uses.is_held(entry));
        }
        assert!(!uses.is_held(1));
        uses.let_go_of(0, 63);
        uses.let_go_of(0, 1);
        assert!(uses.is_held(63) && uses.is_held(64));
        uses.let_go_of(2, 63);
        assert!(!uses.is_held(63) && uses.is_held(64));
        uses.let_go(0);
        assert!(uses.is_held(64));
        uses.let_go(2);
        for entry in 0..ENTRIES {
            assert!(!uses.is_held(entry));
        }
    }

    #[test]
    fn a_backend_keeps_what_it_had_before() {
        let uses = rows(1);
        uses.hold(0, 7);
        let before = uses.of(0);
        uses.hold(0, 7);
        uses.hold(0, 8);
        uses.hold(0, 100);
        uses.let_go_but(0, &before);
        assert!(uses.is_held(7) && !uses.is_held(8) && !uses.is_held(100));
    }

    #[test]
    fn memory_is_never_given_back_under_a_user() {
        use std::sync::atomic::{AtomicBool, AtomicU32};
        const READY: u32 = 1;
        const GONE: u32 = 2;
        // A user that finds the entry ready works on memory that must not have been given back.
        for round in 0..2_000 {
            let uses = rows(2);
            let state = AtomicU32::new(READY);
            let released = AtomicBool::new(false);
            std::thread::scope(|scope| {
                scope.spawn(|| {
                    uses.hold(1, 5);
                    if state.load(Ordering::Acquire) == READY {
                        assert!(!released.load(Ordering::Relaxed), "round {round}");
                        std::hint::black_box(());
                        assert!(!released.load(Ordering::Relaxed), "round {round}");
                    }
                    uses.let_go(1);
                });
                scope.spawn(|| {
                    state.store(GONE, Ordering::Release);
                    if !uses.is_held(5) {
                        released.store(true, Ordering::Relaxed);
                    }
                });
            });
        }
    }
}
