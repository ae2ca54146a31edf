//! Named points at which a test makes a backend fail.
//!
//! The problem: what is half done for a microsecond is met by a crash at random only now and then. So
//! the steps between two states that others can meet, on pages or in shared memory, have names, and in a
//! library that is built with the feature `faults` a session can be told to crash, to fail, to be
//! cancelled or to stop at one of them. Without the feature a point is nothing at all.
//! `docs/concurrency.md` tells what is half done at each, and who finishes it.

#[cfg(feature = "faults")]
mod armed;

#[cfg(feature = "faults")]
pub use armed::{at, claim};

/// Passes a point.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn at(_: Point) {}

/// Passes a point before shared memory is claimed, which may be said to be full.
#[cfg(not(feature = "faults"))]
#[inline(always)]
pub fn claim(_: Point) -> chronomind_core::Result<()> {
    Ok(())
}

/// What may happen at a point besides a crash.
#[cfg(feature = "faults")]
#[derive(Clone, Copy, PartialEq, Eq)]
enum Latitude {
    /// Anything: the server looks at interrupts.
    Open,
    /// An ERROR. A page is locked, which holds interrupts off.
    Locked,
    /// Nothing.
    Certain,
    /// Shared memory is claimed, and may be full.
    Memory,
}

macro_rules! points {
    ($($point:ident $name:literal $latitude:ident)*) => {
        /// A point between two steps.
        #[derive(Clone, Copy, PartialEq, Eq)]
        pub enum Point {
            $(#[doc = concat!("`", $name, "` in docs/concurrency.md.")] $point,)*
        }

        #[cfg(feature = "faults")]
        impl Point {
            const ALL: &[Point] = &[$(Point::$point),*];

            fn name(self) -> &'static str {
                match self {
                    $(Point::$point => $name,)*
                }
            }

            fn latitude(self) -> Latitude {
                match self {
                    $(Point::$point => Latitude::$latitude,)*
                }
            }
        }
    };
}

points! {
    AppendLocked "append.locked" Locked
    AppendReserved "append.reserved" Locked
    AppendForgotten "append.forgotten" Locked
    AppendExtended "append.extended" Locked
    AppendBegun "append.begun" Locked
    AppendEntered "append.entered" Certain
    AppendLogged "append.logged" Certain
    InsertMemory "insert.memory" Memory
    InsertRefused "insert.refused" Open
    InsertStored "insert.stored" Certain
    InsertLinked "insert.linked" Certain
    BuildClaimed "build.claimed" Open
    BuildMemory "build.memory" Memory
    BuildStored "build.stored" Open
    BuildLinked "build.linked" Open
    BuildPage "build.page" Open
    BuildPages "build.pages" Open
    BuildWritten "build.written" Open
    BuildReady "build.ready" Open
    RegistryClaimed "registry.claimed" Certain
    RegistryRetired "registry.retired" Certain
    LoadClaimed "load.claimed" Open
    LoadPage "load.page" Open
    LoadMemory "load.memory" Memory
    LoadRestored "load.restored" Open
    LoadLinked "load.linked" Open
    LoadFull "load.full" Open
    SweepPage "sweep.page" Open
    SweepLogged "sweep.logged" Certain
    SweepDone "sweep.done" Open
    ReclaimCut "reclaim.cut" Open
    ReclaimUnlinking "reclaim.unlinking" Open
    ReclaimUnlinked "reclaim.unlinked" Open
    ReclaimFreed "reclaim.freed" Open
    LinksGrown "links.grown" Locked
    LinksPage "links.page" Open
    LinksWritten "links.written" Open
    LinksNamed "links.named" Open
    FollowTurn "follow.turn" Open
    FollowAdded "follow.added" Open
    FollowBuried "follow.buried" Open
    FollowCut "follow.cut" Open
    FollowUnlinked "follow.unlinked" Open
    FollowMemory "follow.memory" Memory
    FollowTaken "follow.taken" Open
    FollowLinked "follow.linked" Open
    FollowRetired "follow.retired" Open
    FollowFreeing "follow.freeing" Open
    SearchPinned "search.pinned" Certain
    SearchStep "search.step" Open
}
