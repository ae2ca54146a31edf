//! What a process has in hand of an entry of the registry: its place, or the claim to fill it.

use std::sync::atomic::Ordering;

use chronomind_core::arena::{Region, UNIT};
use chronomind_core::index::Index;

use super::entry::{Entry, NOT_FULL, READY, RETIRED, UNFIT};
use super::level::Level;
use super::owed;
use super::registry::Registry;
use crate::pg::clock;

/// A place in the registry.
#[derive(Clone, Copy)]
pub struct Place(pub(super) &'static Entry);

impl Place {
    /// Turns a ready index that has run out of memory into an unfit one. Its memory stays until nobody has
    /// it in use.
    pub fn set_unfit(self) {
        let state = &self.0.state;
        // Release: pairs with the Acquire in `Registry::look`.
        let change = state.compare_exchange(READY, UNFIT, Ordering::Release, Ordering::Relaxed);
        if change.is_ok() {
            self.0.put_off(clock::milliseconds());
        }
    }

    /// What is in memory: all of a ready index, and what there is of an unfit one.
    pub(super) fn index(self) -> Option<Index<'static>> {
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

    /// True once for each time that the index does not fit: the caller is to warn.
    pub fn should_warn(self) -> bool {
        let warned = &self.0.warned;
        let change = warned.compare_exchange(0, 1, Ordering::Relaxed, Ordering::Relaxed);
        change.is_ok()
    }

    /// True for one of those who find the index unfit when it is time to look whether it fits now.
    pub fn is_time_to_look(self) -> bool {
        self.0.is_time(clock::milliseconds())
    }

    /// It is time to look whether the index fits now.
    pub fn hurry(self) {
        self.0.hurry();
    }

    /// Free units of the region that did not suffice for the index.
    pub fn too_few(self) -> u32 {
        self.0.too_few.load(Ordering::Relaxed)
    }
}

/// The right to build or load an index; given up when dropped unfinished.
pub struct Claim {
    pub(super) registry: &'static Registry,
    pub(super) entry: &'static Entry,
    finished: bool,
}

impl Claim {
    pub(super) fn new(registry: &'static Registry, entry: &'static Entry) -> Claim {
        owed::take();
        Claim {
            registry,
            entry,
            finished: false,
        }
    }

    /// Notes the root as soon as it exists, so that giving up gives the memory back.
    pub fn set_root(&self, index: &Index<'static>) {
        self.entry.root.store(index.root(), Ordering::Relaxed);
    }

    /// The index is complete up to a position in the WAL, or [kept](super::level::KEPT) so:
    /// everybody may use it, unless it has [missed](Registry::has_missed) a change meanwhile. True when it
    /// did not fit before, and does now.
    pub fn ready(mut self, level: u64) -> bool {
        let entry = self.entry;
        entry.level.set(level);
        let was_unfit = entry.again.swap(0, Ordering::Relaxed) == 1;
        let now = clock::milliseconds();
        let is_ready = self.registry.exclusively(|| entry.complete(now));
        self.finished = true;
        was_unfit && is_ready
    }

    /// Units of the region that have turned out not to suffice: what the index has taken, and what is free
    /// beside. To be asked as soon as there are no more: what others give back later was not there.
    pub fn too_few(&self, region: Region<'static>) -> u32 {
        let index = Place(self.entry).index();
        let held = index.map_or(0, |index| index.bytes_held() / UNIT as u64);
        let free = region.units().saturating_sub(region.used());
        free.saturating_add(held as u32)
    }

    /// The index does not fit into so many units: everybody searches its pages.
    pub fn unfit(mut self, region: Region<'static>, too_few: u32) -> Place {
        let entry = self.entry;
        self.registry.exclusively(|| entry.release(region));
        entry.too_few.store(too_few, Ordering::Relaxed);
        entry.again.store(0, Ordering::Relaxed);
        // Who was not warned before, because memory was not full, is now.
        let warned = &entry.warned;
        let _ = warned.compare_exchange(NOT_FULL, 0, Ordering::Relaxed, Ordering::Relaxed);
        entry.put_off(clock::milliseconds());
        self.finished = true;
        // Release: pairs with the Acquire in `Registry::look`.
        entry.state.store(UNFIT, Ordering::Release);
        Place(entry)
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        owed::give_back();
        if !self.finished
            && let Ok(region) = super::region()
        {
            let entry = self.entry;
            self.registry.exclusively(|| entry.give_up(region));
        }
    }
}
