//! A row of a table that is looked at.

use chronomind_core::distance::Element;
use pgrx::pg_sys::{self, Datum};
use pgrx::{FromDatum, PgMemoryContexts};

use super::datum::Vector;
use super::table::Table;
use crate::error::Result;

/// A place for one row of a table at a time.
pub struct TableRow {
    slot: *mut pg_sys::TupleTableSlot,
}

impl TableRow {
    /// For rows as the table has them on its pages.
    pub fn of_pages(table: &Table) -> TableRow {
        // SAFETY: the table is open, and locked longer than any row of it is looked at.
        let slot = unsafe { pg_sys::table_slot_create(table.as_raw(), std::ptr::null_mut()) };
        TableRow { slot }
    }

    /// For rows as values of the table's row type.
    pub fn of_values(table: &Table) -> TableRow {
        // SAFETY: as above; the kind of slot is one of the server's own.
        let slot = unsafe {
            let description = (*table.as_raw()).rd_att;
            pg_sys::MakeSingleTupleTableSlot(description, &raw const pg_sys::TTSOpsVirtual)
        };
        TableRow { slot }
    }

    /// Takes a value of the table's row type, which is looked at as long as the row is.
    ///
    /// # Safety
    /// The place was made by [`TableRow::of_values`]; the value is one of that type, and stays where it
    /// is until the next one comes.
    pub(super) unsafe fn set(&mut self, value: Datum) {
        // SAFETY: by the caller.
        unsafe { pg_sys::ExecStoreHeapTupleDatum(value, self.slot) }
    }

    pub(crate) fn as_raw(&self) -> *mut pg_sys::TupleTableSlot {
        self.slot
    }

    /// A column, `None` for NULL. The type must be the column's.
    pub fn column<T: FromDatum>(&self, number: i16) -> Option<T> {
        let mut is_null = false;
        // SAFETY: the slot holds a row of the table, which has the column.
        unsafe {
            let datum = pg_sys::slot_getattr(self.slot, i32::from(number), &mut is_null);
            T::from_datum(datum, is_null)
        }
    }

    /// The elements of a vector column as they are stored, `None` for NULL.
    pub fn vector(&self, number: i16, element: Element) -> Result<Option<Vec<u8>>> {
        let mut is_null = false;
        // SAFETY: the slot holds a row of the table, which has the column; a vector is a varlena.
        unsafe {
            let datum = pg_sys::slot_getattr(self.slot, i32::from(number), &mut is_null);
            let vector = (!is_null).then(|| Vector::new(datum, element));
            Ok(vector.transpose()?.map(|vector| vector.bytes().to_vec()))
        }
    }

    /// The row as a value of the table's row type.
    pub fn value(&self) -> RowValue {
        // SAFETY: the slot holds a row; the value is a copy, palloc'd for the caller.
        RowValue(unsafe { pg_sys::ExecFetchSlotHeapTupleDatum(self.slot) })
    }
}

impl Drop for TableRow {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: this value's own; after an error the server has cleaned up itself.
            unsafe { pg_sys::ExecDropSingleTupleTableSlot(self.slot) }
        }
    }
}

/// A value of a table's row type, all of it in memory until it is dropped.
pub struct RowValue(Datum);

impl RowValue {
    /// The value, which is gone with this.
    pub fn datum(&self) -> Datum {
        self.0
    }
}

impl Drop for RowValue {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            // SAFETY: palloc'd for this value alone, in a context that outlives the function's call.
            unsafe { pg_sys::pfree(self.0.cast_mut_ptr()) }
        }
    }
}

/// Memory for what is made while a row is looked at, and is not wanted any more at the next.
pub struct RowMemory(PgMemoryContexts);

impl Default for RowMemory {
    fn default() -> RowMemory {
        RowMemory(PgMemoryContexts::new("chronomind row"))
    }
}

impl RowMemory {
    /// Looks at a row. What the look allocates of the server's memory does not last until the next.
    pub fn within(&mut self, look: impl FnOnce() -> bool) -> bool {
        // SAFETY: a look returns nothing that could be in there.
        unsafe {
            self.0.reset();
            self.0.switch_to(|_| look())
        }
    }
}
