//! Row-level security for rows that were found outside of a plan.

use pgrx::pg_sys::ItemPointerData;
use pgrx::{Spi, spi};

/// Asks Postgres whether a row may be seen.
pub struct Probe {
    statement: String,
}

impl Probe {
    /// For the rows of a table, by its qualified and quoted name.
    pub fn new(table: String) -> Probe {
        Probe {
            statement: format!("SELECT 1 FROM ONLY {table} WHERE ctid = $1"),
        }
    }

    /// True where the policies of the table let the current user see that version of a row. The
    /// statement runs on the caller's snapshot, which sees the version.
    pub fn lets_see(&self, tid: ItemPointerData) -> bool {
        let found: spi::Result<bool> = Spi::connect(|client| {
            let rows = client.select(self.statement.as_str(), Some(1), &[tid.into()])?;
            Ok(!rows.is_empty())
        });
        // A statement that fails raises its own error; what is left is a misuse of the interface,
        // and then nothing is shown.
        found.unwrap_or(false)
    }
}
