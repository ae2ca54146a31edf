//! A table and its chrono indexes, found from the type of its rows.

use std::ffi::CStr;

use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{PgList, PgSqlErrorCode, PgTupleDesc, direct_function_call};

use super::catalog;
use super::relation::Relation;
use super::{shards, text};
use crate::error::{Error, Result};

/// An open table, locked against being changed or dropped until the end of the transaction.
pub struct Table {
    relation: pg_sys::Relation,
}

/// A column of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Column {
    /// Its name in the table; empty for an expression.
    pub name: String,
    /// Its number in the table; 0 for an expression.
    pub number: i16,
}

/// An open index of a table, locked like the table.
pub struct TableIndex {
    relation: pg_sys::Relation,
    /// Its columns, the vector first.
    pub columns: Vec<Column>,
}

impl Table {
    /// Opens the table whose rows are of that type.
    pub fn of_row_type(row_type: Oid) -> Result<Table> {
        // SAFETY: lookups by identifier; the relation stays locked until the transaction ends.
        let relation = unsafe {
            let table = pg_sys::get_typ_typrelid(row_type);
            if table == Oid::INVALID {
                return Err(no_table(&catalog::type_name(row_type)));
            }
            pg_sys::relation_open(table, pg_sys::AccessShareLock as i32)
        };
        let table = Table { relation };
        match table.kind() {
            // SAFETY: the relation is open.
            pg_sys::RELKIND_RELATION if shards::has_shards(unsafe { (*relation).rd_id }) => {
                // SAFETY: as above.
                let shell = unsafe { (*relation).rd_id };
                Err(distributed(shell).hint(written_out(&table.qualified_name())))
            }
            pg_sys::RELKIND_RELATION if table.has_children() => Err(Error::mistake(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("other tables inherit from \"{}\"", table.name()),
            )
            .detail("Their rows are its rows, and each has indexes of its own.")
            .hint(written_out(&table.qualified_name()))),
            pg_sys::RELKIND_RELATION | pg_sys::RELKIND_MATVIEW => Ok(table),
            pg_sys::RELKIND_PARTITIONED_TABLE => Err(Error::mistake(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("\"{}\" is partitioned", table.name()),
            )
            .detail("Each partition has an index of its own.")
            .hint(written_out(&table.qualified_name()))),
            pg_sys::RELKIND_FOREIGN_TABLE => Err(Error::mistake(
                PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
                format!("\"{}\" is a foreign table", table.name()),
            )
            .detail("Its rows are on another server, and so are their indexes.")
            .hint("Call the function on that server.")),
            _ => Err(no_table(&table.name())),
        }
    }

    /// True where others inherit from it, as the chunks of some engines do from a table that is empty itself.
    fn has_children(&self) -> bool {
        // SAFETY: an open relation has its catalog row. The mark stays when the children have gone.
        let (oid, has_had) = unsafe {
            (
                (*self.relation).rd_id,
                (*(*self.relation).rd_rel).relhassubclass,
            )
        };
        has_had && !shards::children(oid).is_empty()
    }

    fn kind(&self) -> u8 {
        // SAFETY: an open relation has its catalog row.
        unsafe { (*(*self.relation).rd_rel).relkind as u8 }
    }

    /// Its name.
    pub fn name(&self) -> String {
        // SAFETY: the relation is open.
        unsafe { Relation::from_raw(self.relation) }.name()
    }

    /// Its name with its schema's, quoted where need be.
    pub fn qualified_name(&self) -> String {
        // SAFETY: the relation is open; the strings are palloc'd.
        unsafe {
            let schema = pg_sys::get_namespace_name((*(*self.relation).rd_rel).relnamespace);
            let name = (*(*self.relation).rd_rel).relname.data.as_ptr();
            let quoted = pg_sys::quote_qualified_identifier(schema, name);
            text::from_server(CStr::from_ptr(quoted).to_bytes())
        }
    }

    /// Fails unless the current user may read every column.
    pub fn check_readable(&self) -> Result<()> {
        const ALLOWED: pg_sys::AclResult::Type = pg_sys::AclResult::ACLCHECK_OK;
        // SAFETY: lookups by identifier.
        let allowed = unsafe {
            let (table, user) = ((*self.relation).rd_id, pg_sys::GetUserId());
            let mode = pg_sys::ACL_SELECT as pg_sys::AclMode;
            let all = pg_sys::AclMaskHow::ACLMASK_ALL;
            pg_sys::pg_class_aclcheck(table, user, mode) == ALLOWED
                || pg_sys::pg_attribute_aclcheck_all(table, user, mode, all) == ALLOWED
        };
        if allowed {
            return Ok(());
        }
        Err(Error::mistake(
            PgSqlErrorCode::ERRCODE_INSUFFICIENT_PRIVILEGE,
            format!("permission denied for table {}", self.name()),
        ))
    }

    /// True where policies decide which rows the current user may see.
    pub fn has_row_security(&self) -> bool {
        let enabled = pg_sys::CheckEnableRlsResult::RLS_ENABLED as i32;
        // SAFETY: the relation is open. Raises where policies apply and the user turned them off.
        unsafe { pg_sys::check_enable_rls((*self.relation).rd_id, Oid::INVALID, false) == enabled }
    }

    /// A column and its type.
    pub fn column(&self, name: &str) -> Option<(Column, Oid)> {
        // SAFETY: the relation is open.
        let attributes = unsafe { PgTupleDesc::from_pg_unchecked((*self.relation).rd_att) };
        let mut live = attributes.iter().filter(|column| !column.attisdropped);
        let found = live.find(|column| text::name(&column.attname) == name)?;
        let column = Column {
            name: name.to_owned(),
            number: found.attnum,
        };
        Some((column, found.atttypid))
    }

    /// Its complete chrono indexes that this transaction may use, oldest first.
    pub fn indexes(&self) -> Vec<TableIndex> {
        // SAFETY: the relations are open and locked; the lists are the caller's copies.
        unsafe {
            let method = pg_sys::get_index_am_oid(c"chrono".as_ptr(), true);
            let list = PgList::<Oid>::from_pg(pg_sys::RelationGetIndexList(self.relation));
            let mut found = Vec::new();
            for index in list.iter_oid() {
                let relation = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
                let opened = TableIndex {
                    relation,
                    columns: self.columns_of(relation),
                };
                let is_ours = (*(*relation).rd_rel).relam == method;
                // The predicate itself would be simplified to be looked at, which runs its functions.
                let row = (*relation).rd_indextuple;
                let predicate = pg_sys::Anum_pg_index_indpred as i32;
                let is_complete = pg_sys::heap_attisnull(row, predicate, std::ptr::null_mut());
                if is_ours && is_complete && is_usable(relation) {
                    found.push(opened);
                }
            }
            found
        }
    }

    /// Why the index that is named, or any of ours, is not among [`Table::indexes`].
    pub fn no_index(&self, named: Option<Oid>) -> Error {
        // SAFETY: the relations are open and locked; the list is the caller's copy.
        let unusable = unsafe {
            let method = pg_sys::get_index_am_oid(c"chrono".as_ptr(), true);
            let list = PgList::<Oid>::from_pg(pg_sys::RelationGetIndexList(self.relation));
            let wanted = |index: &Oid| named.is_none_or(|named| named == *index);
            list.iter_oid().filter(wanted).find_map(|index| {
                let relation = pg_sys::index_open(index, pg_sys::AccessShareLock as i32);
                let is_ours = (*(*relation).rd_rel).relam == method;
                let why = is_ours.then(|| why_unusable(relation)).flatten();
                close(relation);
                why
            })
        };
        let which = match named {
            Some(_) => "such chrono",
            None => "chrono",
        };
        unusable.unwrap_or_else(|| {
            Error::mistake(
                PgSqlErrorCode::ERRCODE_UNDEFINED_OBJECT,
                format!("table \"{}\" has no {which} index", self.name()),
            )
            .detail("An index with a WHERE clause does not count: rows are missing in it.")
            .hint(format!(
                "CREATE INDEX ON {} USING chrono (embedding vector_cosine_ops, created_at, ...) makes one.",
                self.qualified_name()
            ))
        })
    }

    /// # Safety
    /// `index` is an open index of this table.
    unsafe fn columns_of(&self, index: pg_sys::Relation) -> Vec<Column> {
        // SAFETY: the index has an entry in the array for each of its columns, which name columns
        // of the table or are 0.
        unsafe {
            let form = &*(*index).rd_index;
            let numbers = form.indkey.values.as_slice(form.indkey.dim1 as usize);
            let attributes = PgTupleDesc::from_pg_unchecked((*self.relation).rd_att);
            let column = |&number: &i16| {
                let attribute = usize::try_from(number - 1)
                    .ok()
                    .and_then(|at| attributes.get(at));
                let name = attribute.map(|attribute| text::name(&attribute.attname));
                Column {
                    name: name.unwrap_or_default(),
                    number,
                }
            };
            numbers.iter().map(column).collect()
        }
    }

    pub(crate) fn as_raw(&self) -> pg_sys::Relation {
        self.relation
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        close(self.relation);
    }
}

impl TableIndex {
    /// The index for page code.
    pub fn relation(&self) -> Relation {
        // SAFETY: open as long as this value, locked longer.
        unsafe { Relation::from_raw(self.relation) }
    }

    /// Its identifier.
    pub fn oid(&self) -> Oid {
        // SAFETY: the relation is open.
        unsafe { (*self.relation).rd_id }
    }

    /// The operator with that number between vectors, and their type.
    pub fn vector_operator(&self, strategy: u16) -> Option<(Oid, Oid)> {
        // SAFETY: the relation cache has an entry in these arrays for each key column.
        let (family, kind) = unsafe {
            (
                *(*self.relation).rd_opfamily,
                *(*self.relation).rd_opcintype,
            )
        };
        Some((
            catalog::family_operator(family, kind, kind, strategy)?,
            kind,
        ))
    }

    /// A function of the extension that the index belongs to.
    pub fn own_function(&self) -> Oid {
        // SAFETY: an open index of ours has support functions for its vector.
        unsafe { pg_sys::index_getprocid(self.relation, 1, catalog::METRIC_FUNCTION) }
    }

    /// What a column holds, as the server writes it for the current search path.
    pub fn expression(&self, column: i32) -> Result<String> {
        let arguments = [
            Some(Datum::from(self.oid())),
            Some(Datum::from(column)),
            Some(Datum::from(false)),
        ];
        // SAFETY: the function takes an index, a column's number and a boolean, and returns a text.
        let text =
            unsafe { direct_function_call::<String>(pg_sys::pg_get_indexdef_ext, &arguments) };
        text.ok_or_else(|| Error::bug("an index without a definition"))
    }

    pub(crate) fn as_raw(&self) -> pg_sys::Relation {
        self.relation
    }
}

impl Drop for TableIndex {
    fn drop(&mut self) {
        close(self.relation);
    }
}

/// Whether the planner would use an index: it is valid, and was not made, over rows that had changed in
/// place, after this transaction's snapshot, which may see what they were before.
///
/// # Safety
/// The relation is an open index.
pub(crate) unsafe fn is_usable(index: pg_sys::Relation) -> bool {
    // SAFETY: an open index has its catalog row.
    unsafe {
        let form = &*(*index).rd_index;
        let made = pg_sys::htup::HeapTupleHeaderGetXmin((*(*index).rd_indextuple).t_data);
        form.indisvalid
            && (!form.indcheckxmin || pg_sys::TransactionIdPrecedes(made, pg_sys::TransactionXmin))
    }
}

/// Why no search may use an index, if so: not every row that a transaction sees is in it.
///
/// # Safety
/// The relation is an open index.
pub(crate) unsafe fn why_unusable(index: pg_sys::Relation) -> Option<Error> {
    // SAFETY: an open index has its catalog row.
    let (name, form, usable) = unsafe {
        (
            Relation::from_raw(index).name(),
            &*(*index).rd_index,
            is_usable(index),
        )
    };
    let state = |message: String| {
        Error::mistake(
            PgSqlErrorCode::ERRCODE_OBJECT_NOT_IN_PREREQUISITE_STATE,
            message,
        )
        .detail("A CREATE INDEX CONCURRENTLY or REINDEX CONCURRENTLY has not ended, or not well.")
        .hint("REINDEX or drop it.")
    };
    if !form.indisready {
        Some(state(format!("index \"{name}\" was never built")))
    } else if !form.indisvalid {
        Some(state(format!("index \"{name}\" is not valid")))
    } else if !usable {
        Some(
            Error::contention(format!(
                "index \"{name}\" is younger than some row versions that this transaction sees"
            ))
            .detail("Rows had been changed in place when it was made, and it has only what they are now.")
            .hint("Try again in a transaction that begins now."),
        )
    } else {
        None
    }
}

/// Closes a relation and keeps its lock. An error has closed it already.
fn close(relation: pg_sys::Relation) {
    if !std::thread::panicking() {
        // SAFETY: opened by this module, closed once.
        unsafe { pg_sys::relation_close(relation, pg_sys::NoLock as i32) }
    }
}

/// The error of a function that looks into a table whose rows another engine keeps in shards.
pub fn distributed(table: Oid) -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_FEATURE_NOT_SUPPORTED,
        format!("table {} is distributed", catalog::relation_name(table)),
    )
    .detail("Its rows are in shards, each with an index of its own.")
}

/// What to write where there is no single index to search.
fn written_out(qualified: &str) -> String {
    format!(
        "Write the search out: SELECT ... FROM {qualified} ORDER BY chrono_score(embedding <=> query, created_at, importance) LIMIT 10."
    )
}

fn no_table(name: &str) -> Error {
    Error::mistake(
        PgSqlErrorCode::ERRCODE_WRONG_OBJECT_TYPE,
        format!("\"{name}\" is not a table"),
    )
    .hint("Name the table by a NULL of its row type, as in chrono_search(NULL::memories, ...).")
}
