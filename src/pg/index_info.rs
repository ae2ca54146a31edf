//! An index as the planner knows it.

use std::marker::PhantomData;
use std::ptr::NonNull;

use pgrx::pg_sys::{self, Oid};

use super::node::Node;
use super::relation::Relation;

/// An index that the planner considers.
#[derive(Clone, Copy)]
pub struct IndexInfo<'p> {
    info: NonNull<pg_sys::IndexOptInfo>,
    plan: PhantomData<&'p ()>,
}

impl<'p> IndexInfo<'p> {
    /// `None` for null.
    ///
    /// # Safety
    /// Null, or the description of an index that is locked as long as the statement is planned.
    pub unsafe fn new(info: *mut pg_sys::IndexOptInfo) -> Option<IndexInfo<'p>> {
        Some(IndexInfo {
            info: NonNull::new(info)?,
            plan: PhantomData,
        })
    }

    /// For the server's functions.
    pub fn as_raw(self) -> *mut pg_sys::IndexOptInfo {
        self.info.as_ptr()
    }

    fn info(&self) -> &pg_sys::IndexOptInfo {
        // SAFETY: valid as long as self.
        unsafe { self.info.as_ref() }
    }

    /// True where it has every row that the statement can ask for.
    pub fn is_complete(self) -> bool {
        !self.info().hypothetical && (self.info().indpred.is_null() || self.info().predOK)
    }

    /// Its key columns, the vector included.
    pub fn columns(self) -> usize {
        self.info().nkeycolumns as usize
    }

    /// The operator family of a key column.
    pub fn family(self, column: usize) -> Oid {
        debug_assert!(column < self.columns());
        // SAFETY: the array has an entry for each key column.
        unsafe { *self.info().opfamily.add(column) }
    }

    /// The type that the operator class of a key column is for.
    pub fn input_type(self, column: usize) -> Oid {
        debug_assert!(column < self.columns());
        // SAFETY: the array has an entry for each key column.
        unsafe { *self.info().opcintype.add(column) }
    }

    /// The collation of a key column.
    pub fn collation(self, column: usize) -> Oid {
        debug_assert!(column < self.columns());
        // SAFETY: the array has an entry for each key column.
        unsafe { *self.info().indexcollations.add(column) }
    }

    /// True where an expression is what a key column holds.
    pub fn holds(self, column: usize, node: Node<'_>) -> bool {
        // SAFETY: both are valid while the statement is planned.
        unsafe { pg_sys::match_index_to_operand(node.as_raw(), column as i32, self.as_raw()) }
    }

    /// A support function of a key column.
    pub fn support_function(self, column: usize, number: u16) -> Oid {
        let kind = self.input_type(column);
        // SAFETY: a lookup by identifiers.
        unsafe { pg_sys::get_opfamily_proc(self.family(column), kind, kind, number as i16) }
    }

    /// Looks at the open index.
    pub fn with_relation<T>(self, look: impl FnOnce(Relation) -> T) -> T {
        const KEPT: pg_sys::LOCKMODE = pg_sys::NoLock as pg_sys::LOCKMODE;
        // SAFETY: the index is locked as long as the statement is planned. An error closes it.
        unsafe {
            let relation = pg_sys::index_open(self.info().indexoid, KEPT);
            let seen = look(Relation::from_raw(relation));
            pg_sys::index_close(relation, KEPT);
            seen
        }
    }
}
