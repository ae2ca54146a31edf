//! A statement of the extension's own, whose rows are fetched as they are wanted.

use std::ffi::{CString, c_char};

use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{FromDatum, IntoDatum, Spi};

use super::row::TableRow;
use super::table::Table;
use super::text;
use crate::error::{Error, Result};

/// Rows that are fetched at once.
const BATCH: usize = 64;

/// What stands for `$1` and so on.
#[derive(Default)]
pub struct Parameters {
    types: Vec<Oid>,
    values: Vec<Datum>,
    /// As SPI wants it: `n` for NULL.
    nulls: Vec<c_char>,
}

impl Parameters {
    /// Adds a value, and returns what it is called in the statement.
    pub fn add<T: IntoDatum>(&mut self, value: T) -> String {
        self.add_datum(T::type_oid(), value.into_datum())
    }

    /// The same for a value of that type, `None` for NULL. It must outlive the statement.
    pub fn add_datum(&mut self, kind: Oid, value: Option<Datum>) -> String {
        self.types.push(kind);
        self.nulls
            .push(if value.is_some() { b' ' } else { b'n' } as c_char);
        self.values.push(value.unwrap_or(Datum::null()));
        format!("${}", self.types.len())
    }
}

/// The rows of a statement.
pub struct Cursor {
    portal: pg_sys::Portal,
    row: TableRow,
    /// The table's row type.
    row_type: Oid,
    /// What was fetched last; null before the first.
    batch: *mut pg_sys::SPITupleTable,
    fetched: usize,
    /// Rows of the batch that were given out.
    given: usize,
}

/// Runs a SELECT with the rights and the snapshot of the caller, and hands its rows on. The first column
/// is of the table's row type, the second and third are `double precision`.
///
/// It is parsed under the caller's search path, so every name in it has to have its schema.
pub fn with_rows<R>(
    table: &Table,
    statement: &str,
    mut parameters: Parameters,
    take: impl FnOnce(Cursor) -> Result<R>,
) -> Result<R> {
    let text = CString::new(text::to_server(statement))
        .map_err(|_| Error::bug("a text of the server with a zero inside"))?;
    // SAFETY: prepared and run within one connection of SPI, to whose memory plan and rows belong; the
    // parameters outlive it. Without options the plan has no parallel workers.
    Spi::connect(|_| unsafe {
        let count = parameters.types.len() as i32;
        let types = parameters.types.as_mut_ptr();
        let plan = pg_sys::SPI_prepare_cursor(text.as_ptr(), count, types, 0);
        if plan.is_null() {
            return Err(Error::bug("a statement of the extension was not prepared"));
        }
        let portal = pg_sys::SPI_cursor_open(
            std::ptr::null(),
            plan,
            parameters.values.as_mut_ptr(),
            parameters.nulls.as_ptr(),
            true,
        );
        let rows = Cursor {
            portal,
            row: TableRow::of_values(table),
            row_type: (*(*table.as_raw()).rd_rel).reltype,
            batch: std::ptr::null_mut(),
            fetched: 0,
            given: 0,
        };
        take(rows)
    })
}

impl Cursor {
    /// The row.
    pub fn row(&self) -> &TableRow {
        &self.row
    }

    /// Goes to the next row, and returns its second and third column, `None` for NULL.
    pub fn next_row(&mut self) -> Result<Option<[Option<f64>; 2]>> {
        if self.given == self.fetched && !self.fetch()? {
            return Ok(None);
        }
        // SAFETY: the batch has the row, with columns of these types. It stays until the next batch is
        // fetched, which only this does, and then another row takes the place.
        unsafe {
            let tuple = *(*self.batch).vals.add(self.given);
            self.given += 1;
            let column = |number| {
                let mut is_null = false;
                let description = (*self.batch).tupdesc;
                let value = pg_sys::SPI_getbinval(tuple, description, number, &mut is_null);
                (!is_null).then_some(value)
            };
            let row = column(1).ok_or_else(|| Error::bug("a row of a table that is NULL"))?;
            self.row.set(row);
            let number = |number| column(number).and_then(|value| f64::from_datum(value, false));
            Ok(Some([number(2), number(3)]))
        }
    }

    /// Fetches more rows; false where there are none.
    fn fetch(&mut self) -> Result<bool> {
        // SAFETY: the portal is open as long as self; nobody looks at the rows fetched before.
        unsafe {
            if !self.batch.is_null() {
                pg_sys::SPI_freetuptable(self.batch);
            }
            pg_sys::SPI_cursor_fetch(self.portal, true, BATCH as _);
            self.batch = pg_sys::SPI_tuptable;
            self.given = 0;
            self.fetched = pg_sys::SPI_processed as usize;
            if self.batch.is_null() || self.fetched == 0 {
                self.fetched = 0;
                return Ok(false);
            }
            let description = (*self.batch).tupdesc;
            let types = [1, 2, 3].map(|column| pg_sys::SPI_gettypeid(description, column));
            if types != [self.row_type, pg_sys::FLOAT8OID, pg_sys::FLOAT8OID] {
                return Err(Error::bug(
                    "a statement of the extension with other columns",
                ));
            }
            Ok(true)
        }
    }
}

impl Drop for Cursor {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: opened for this value, closed once; after an error the server closes it.
            unsafe { pg_sys::SPI_cursor_close(self.portal) }
        }
    }
}
