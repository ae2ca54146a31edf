//! How far memory follows pages that change without its knowing.
//!
//! The problem: on a standby pages change by replay, which knows nothing of memory. So memory has a
//! level, the position in the WAL up to which it holds what the pages hold, and whoever is about to
//! search raises it first to what has been replayed. One process does at a time; the others wait for
//! it, since it most likely does their work too. On a primary all who change pages change memory as
//! well: that is the level [`KEPT`], above all positions.
//!
//! A process that leaves in the middle gives its turn back and leaves the level where it was. What it
//! has done by then is done, and found done by the next, who is told that somebody has begun.

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use super::owed;

/// The level of memory that changes with its pages.
pub const KEPT: u64 = u64::MAX;

/// The level of one index, in shared memory.
#[repr(C)]
pub struct Level {
    position: AtomicU64,
    /// The process that is raising it, 0 for none.
    owner: AtomicU32,
    /// 1 while memory is between two levels. For those who have the turn.
    begun: AtomicU32,
}

impl Level {
    /// The position in the WAL that memory has come to.
    pub fn position(&self) -> u64 {
        // Acquire: pairs with the Release in `set`; all up to the position is in memory.
        self.position.load(Ordering::Acquire)
    }

    /// The right to raise the level, unless another process has it.
    pub fn turn(&self) -> Option<Turn<'_>> {
        let own = std::process::id();
        // Acquire: pairs with the Release in `end`; what the one before did is seen by the next.
        self.owner
            .compare_exchange(0, own, Ordering::Acquire, Ordering::Relaxed)
            .ok()
            .map(|_| {
                owed::take();
                Turn { level: self }
            })
    }

    /// Ends the turn of a process that aborts or exits, if it has it.
    pub fn abandon(&self, process: u32) {
        // Relaxed: only the process itself has put its number there.
        if self.owner.load(Ordering::Relaxed) == process {
            self.end();
        }
    }

    /// To be called by whoever begins to fill memory that nobody had.
    pub(super) fn begin(&self) {
        // Relaxed: nobody looks before it is filled.
        self.begun.store(0, Ordering::Relaxed);
    }

    /// To be called by whoever fills the memory, or has the turn.
    pub(super) fn set(&self, position: u64) {
        // Release: pairs with the Acquire in `position`.
        self.position.store(position, Ordering::Release);
    }

    fn end(&self) {
        // Release: pairs with the Acquire in `turn`.
        self.owner.store(0, Ordering::Release);
    }
}

/// The right to raise a level, given back when dropped.
pub struct Turn<'l> {
    level: &'l Level,
}

impl Turn<'_> {
    /// To be called before memory changes. True when somebody had begun and came to no end.
    pub fn begin(&self) -> bool {
        // Relaxed, here and in `reached`: only owners look, and `owner` orders them.
        self.level.begun.swap(1, Ordering::Relaxed) == 1
    }

    /// Memory holds what the pages hold at this position.
    pub fn reached(self, position: u64) {
        self.level.begun.store(0, Ordering::Relaxed);
        self.level.set(position);
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        owed::give_back();
        self.level.end();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn level() -> Level {
        Level {
            position: AtomicU64::new(7),
            owner: AtomicU32::new(0),
            begun: AtomicU32::new(0),
        }
    }

    #[test]
    fn one_has_the_turn_until_it_is_given_back() {
        let level = level();
        let turn = level.turn();
        assert!(turn.is_some() && level.turn().is_none());
        drop(turn);
        assert_eq!(level.position(), 7);
        level.turn().unwrap().reached(9);
        assert_eq!(level.position(), 9);
        assert!(level.turn().is_some());
    }

    #[test]
    fn who_begins_is_told_of_those_who_came_to_no_end() {
        let level = level();
        assert!(!level.turn().unwrap().begin());
        let second = level.turn().unwrap();
        assert!(second.begin());
        second.reached(9);
        assert!(!level.turn().unwrap().begin());
    }

    #[test]
    fn a_turn_is_abandoned_by_its_owner_only() {
        let level = level();
        std::mem::forget(level.turn());
        level.abandon(std::process::id() + 1);
        assert!(level.turn().is_none());
        level.abandon(std::process::id());
        assert!(level.turn().is_some());
    }
}
