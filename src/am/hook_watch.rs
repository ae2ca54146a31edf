//! Whether the planner still asks for orders by a score.
//!
//! It asks through one hook, which libraries hang themselves into one after another, each calling the one
//! before. A library that is loaded later and does not call it replaces ours: then nothing fails, and all
//! scores are sorted. The server estimates costs for an index before it asks for further paths of its
//! table; so an estimate that no question followed tells. (It estimates them where a column of the index has a
//! condition, or the order is that of the distance.)

use std::cell::Cell;
use std::sync::atomic::{AtomicUsize, Ordering};

use pgrx::{PgLogLevel, PgSqlErrorCode, pg_sys};

use crate::pg::{asked, clock};

thread_local! {
    static WATCH: Cell<Watch> = const { Cell::new(Watch::NEW) };
}

/// So many in a row are no accident.
const NO_ACCIDENT: u32 = 2;

/// The hook that is ours, as a number.
static OURS: AtomicUsize = AtomicUsize::new(0);

/// What has been seen of the planner.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Watch {
    /// The table that the next question has to be about, and since which statement.
    expected: Option<(usize, i64)>,
    /// Questions that did not come, one after the other. One may be lost by an error.
    missed: u32,
}

impl Watch {
    const NEW: Watch = Watch {
        expected: None,
        missed: 0,
    };

    /// Costs were estimated for a table, in a statement that began then.
    fn estimated(self, table: usize, statement: i64) -> Watch {
        let now = Some((table, statement));
        let is_missed = self.expected.is_some() && self.expected != now;
        Watch {
            expected: now,
            missed: self.missed + u32::from(is_missed),
        }
    }

    fn is_replaced(self) -> bool {
        self.missed >= NO_ACCIDENT
    }
}

/// Remembers which hook is ours. For the server's start only.
pub fn is_ours(hook: usize) {
    OURS.store(hook, Ordering::Relaxed);
}

/// To be called when costs are estimated for an index of a table that the planner knows by that address.
pub fn expect(table: usize) {
    let before = WATCH.get();
    if before.is_replaced() || asked::pathlist_hook() == OURS.load(Ordering::Relaxed) {
        return;
    }
    let after = before.estimated(table, clock::statement_start());
    WATCH.set(after);
    if after.is_replaced() {
        tell();
    }
}

/// To be called when the planner asks.
pub fn asked() {
    WATCH.set(Watch::NEW);
}

/// True once it is known that the planner does not ask any more.
pub fn is_replaced() -> bool {
    WATCH.get().is_replaced()
}

fn tell() {
    pg_sys::panic::ErrorReport::new(
        PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
        "another library keeps chronomind from the planner",
        "",
    )
    .set_detail(
        "It has replaced set_rel_pathlist_hook and does not call the hook before it. \
         Orders by a score are sorted.",
    )
    .set_hint(
        "Name that library before chronomind in shared_preload_libraries, and restart the server.",
    )
    .report(PgLogLevel::WARNING);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_hook_that_is_never_called_is_noticed() {
        let one = Watch::NEW.estimated(7, 1).estimated(7, 1);
        assert!(!one.is_replaced(), "two indexes of a table");
        let two = one.estimated(7, 2);
        assert!(!two.is_replaced(), "an error may have ended the first");
        assert!(two.estimated(8, 2).is_replaced());
    }
}
