//! Relations whose rows are not where they seem to be: in shards, in partitions, or in children.
//!
//! An engine that distributes tables (Citus) keeps their rows in shards, which are tables of their own,
//! most of them on other servers. The table that statements name is then an empty shell, with an empty
//! index. SELECTs are answered by the shards; whoever looks into the shell sees nothing, and must not
//! take that for an answer.

use pgrx::pg_sys::{self, Datum, Oid};

use super::catalog;

/// The catalog `pg_inherits`: child, parent and more.
const PG_INHERITS: u32 = 2611;
const PARENT: i16 = 2;

/// True for a table whose rows another engine keeps in shards: its catalog, where there is one, has it.
pub fn has_shards(table: Oid) -> bool {
    // SAFETY: lookups by name and identifier; the column is compared as what it is.
    unsafe {
        let engine = pg_sys::get_relname_relid(
            c"pg_dist_partition".as_ptr(),
            pg_sys::PG_CATALOG_NAMESPACE.into(),
        );
        if engine == Oid::INVALID {
            return false;
        }
        let column = pg_sys::get_attnum(engine, c"logicalrelid".as_ptr());
        if column <= 0 || !catalog::is_oid(pg_sys::get_atttype(engine, column)) {
            return false;
        }
        let mut found = false;
        rows_with(engine, column, table, |_| found = true);
        found
    }
}

/// The relations that inherit from another, or are its partitions, by their quoted names.
pub fn children(parent: Oid) -> Vec<String> {
    let mut children = Vec::new();
    // SAFETY: a row of this catalog begins with the child. Only names are used, so nothing is locked.
    unsafe {
        rows_with(PG_INHERITS.into(), PARENT, parent, |row| {
            let child = *pg_sys::GETSTRUCT(row).cast::<Oid>();
            children.push(catalog::relation_name(child));
        });
    }
    children.sort();
    children
}

/// Visits the rows of a catalog that have an identifier in a column.
///
/// # Safety
/// The catalog has that column, of a type whose values are identifiers.
unsafe fn rows_with(
    catalog: Oid,
    column: i16,
    value: Oid,
    mut visit: impl FnMut(*mut pg_sys::HeapTupleData),
) {
    const SHARE: i32 = pg_sys::AccessShareLock as i32;
    // SAFETY: by the caller; the scan ends before the relation is closed.
    unsafe {
        let relation = pg_sys::try_relation_open(catalog, SHARE);
        if relation.is_null() {
            return;
        }
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            column,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::F_OIDEQ.into(),
            Datum::from(value),
        );
        let none = std::ptr::null_mut();
        let scan = pg_sys::systable_beginscan(relation, Oid::INVALID, false, none, 1, &mut key);
        loop {
            let row = pg_sys::systable_getnext(scan);
            if row.is_null() {
                break;
            }
            visit(row);
        }
        pg_sys::systable_endscan(scan);
        pg_sys::relation_close(relation, SHARE);
    }
}
