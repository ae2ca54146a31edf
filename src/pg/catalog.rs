//! What the system catalogs say about an index and its operator classes.

use super::{node, text};
use crate::error::{Error, Result};
use chronomind_core::score::Binary;
use pgrx::PgTupleDesc;
use pgrx::pg_sys::{self, Datum, Oid};
use std::ffi::{CStr, c_char, c_int};

/// Support function that tells the metric of a vector operator class.
pub const METRIC_FUNCTION: u16 = 1;
/// Support function that tells the element type of a vector operator class.
pub const ELEMENT_FUNCTION: u16 = 2;
/// Support functions of the access method.
pub const SUPPORT_FUNCTIONS: u16 = 2;

/// A key column of an index.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct IndexColumn {
    /// Its name, which is the table's column's, and the index's own for an expression.
    pub name: String,
    /// The type that its operator class is for.
    pub input_type: Oid,
    /// The collation that it compares by.
    pub collation: Oid,
    /// The type modifier: dimensions of a vector, negative where there are none.
    pub type_modifier: i32,
    /// What the support functions of a vector operator class tell.
    pub vector: Option<VectorTags>,
}

/// What the support functions of a vector operator class tell.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct VectorTags {
    /// Number of the metric.
    pub metric: i16,
    /// Number of the element type.
    pub element: i16,
}

/// The key columns of an index, first to last.
///
/// # Safety
/// `index` is an open index of our access method.
pub unsafe fn index_columns(index: pg_sys::Relation) -> Vec<IndexColumn> {
    // SAFETY: an open relation keeps its descriptor, which the result does not outlive.
    let attributes = unsafe { PgTupleDesc::from_pg_unchecked((*index).rd_att) };
    let column = |(i, attribute): (usize, &pg_sys::FormData_pg_attribute)| {
        // SAFETY: the relation cache has an entry in these arrays for each key column.
        unsafe {
            IndexColumn {
                name: text::name(&attribute.attname),
                input_type: *(*index).rd_opcintype.add(i),
                collation: *(*index).rd_indcollation.add(i),
                type_modifier: attribute.atttypmod,
                vector: vector_tags(index, attribute.attnum),
            }
        }
    };
    attributes.iter().enumerate().map(column).collect()
}

/// # Safety
/// `index` is an open index of our access method with such a column.
unsafe fn vector_tags(index: pg_sys::Relation, column: pg_sys::AttrNumber) -> Option<VectorTags> {
    // SAFETY: by the caller; the functions that the operator class names take no argument.
    unsafe {
        if pg_sys::index_getprocid(index, column, METRIC_FUNCTION) == Oid::INVALID {
            return None;
        }
        let call = |function| {
            let info = pg_sys::index_getprocinfo(index, column, function);
            pg_sys::FunctionCall0Coll(info, Oid::INVALID).value() as i16
        };
        Some(VectorTags {
            metric: call(METRIC_FUNCTION),
            element: call(ELEMENT_FUNCTION),
        })
    }
}

/// True where equal strings are equal bytes. Also for a type that has no collation.
pub fn is_deterministic(collation: Oid) -> bool {
    // SAFETY: a lookup by identifier, which fails cleanly.
    collation == Oid::INVALID || unsafe { pg_sys::get_collation_isdeterministic(collation) }
}

/// The name of a collation for messages.
pub fn collation_name(collation: Oid) -> String {
    // SAFETY: the name is a palloc'd string, or null for an unknown collation.
    unsafe { owned(pg_sys::get_collation_name(collation)) }
}

/// An operator class of our access method.
#[derive(Debug, Clone)]
pub struct OperatorClass {
    /// Its name.
    pub name: String,
    /// The family that has its operators and functions.
    pub family: Oid,
    /// The type that it is for.
    pub input_type: Oid,
    /// The type that the index would store instead, if any.
    pub storage_type: Oid,
}

/// An operator in a family.
#[derive(Debug, Clone)]
pub struct FamilyOperator {
    /// Its number.
    pub strategy: i16,
    /// Type of the indexed column.
    pub left: Oid,
    /// Type of what the column is compared with.
    pub right: Oid,
    /// Name and types for messages.
    pub name: String,
    /// Type of the result.
    pub result: Oid,
    /// For an operator to order by, the family that sorts its results.
    pub sort_family: Option<Oid>,
}

/// A support function in a family.
#[derive(Debug, Clone)]
pub struct FamilyFunction {
    /// Its number.
    pub number: i16,
    /// The type that it is registered for.
    pub left: Oid,
    /// The other type that it is registered for.
    pub right: Oid,
    /// Name and types for messages.
    pub name: String,
    /// Type of the result.
    pub result: Oid,
    /// Number of arguments.
    pub arguments: usize,
}

/// The operator class of that identifier.
pub fn operator_class(class: Oid) -> Result<OperatorClass> {
    // SAFETY: a tuple of this cache has this form, and is released after the copy.
    unsafe {
        let tuple = pg_sys::SearchSysCache1(
            pg_sys::SysCacheIdentifier::CLAOID as c_int,
            Datum::from(class),
        );
        if tuple.is_null() {
            return Err(Error::bug(format!(
                "operator class {} is not in the catalog",
                class.to_u32()
            )));
        }
        let form = &*pg_sys::GETSTRUCT(tuple).cast::<pg_sys::FormData_pg_opclass>();
        let found = OperatorClass {
            name: text::name(&form.opcname),
            family: form.opcfamily,
            input_type: form.opcintype,
            storage_type: form.opckeytype,
        };
        pg_sys::ReleaseSysCache(tuple);
        Ok(found)
    }
}

/// What ANALYZE has found out about a column.
#[derive(Debug, Clone, Copy)]
pub struct ColumnStatistics {
    /// The share of NULLs.
    pub null_share: f64,
    /// Distinct values: their number, or minus their share of the rows. 0 where that is not known.
    pub distinct: f64,
}

/// What ANALYZE has found out about a column, of this table alone.
pub fn column_statistics(table: Oid, column: i16) -> Option<ColumnStatistics> {
    let cache = pg_sys::SysCacheIdentifier::STATRELATTINH as c_int;
    // SAFETY: a tuple of this cache has these attributes, none of which is NULL, and is released after the
    // copy.
    unsafe {
        let tuple = pg_sys::SearchSysCache3(
            cache,
            Datum::from(table),
            Datum::from(column),
            Datum::from(false),
        );
        if tuple.is_null() {
            return None;
        }
        let number = |attribute: u32| {
            let mut is_null = false;
            let datum = pg_sys::SysCacheGetAttr(cache, tuple, attribute as i16, &mut is_null);
            f64::from(f32::from_bits(datum.value() as u32))
        };
        let found = ColumnStatistics {
            null_share: number(pg_sys::Anum_pg_statistic_stanullfrac),
            distinct: number(pg_sys::Anum_pg_statistic_stadistinct),
        };
        pg_sys::ReleaseSysCache(tuple);
        Some(found)
    }
}

/// The operators of a family.
pub fn family_operators(family: Oid) -> Vec<FamilyOperator> {
    let describe = |form: &pg_sys::FormData_pg_amop| {
        // SAFETY: lookups by identifier.
        let (name, result) = unsafe {
            (
                owned(pg_sys::format_operator(form.amopopr)),
                pg_sys::get_op_rettype(form.amopopr),
            )
        };
        let orders = form.amoppurpose as u8 == pg_sys::AMOP_ORDER;
        FamilyOperator {
            strategy: form.amopstrategy,
            left: form.amoplefttype,
            right: form.amoprighttype,
            name,
            result,
            sort_family: orders.then_some(form.amopsortfamily),
        }
    };
    // SAFETY: the tuples of this cache have this form.
    unsafe { members(pg_sys::SysCacheIdentifier::AMOPSTRATEGY, family, describe) }
}

/// The support functions of a family.
pub fn family_functions(family: Oid) -> Vec<FamilyFunction> {
    let describe = |form: &pg_sys::FormData_pg_amproc| {
        let (mut types, mut arguments) = (std::ptr::null_mut(), 0);
        // SAFETY: lookups by identifier; the places written to outlive the call.
        let (name, result) = unsafe {
            (
                owned(pg_sys::format_procedure(form.amproc)),
                pg_sys::get_func_signature(form.amproc, &mut types, &mut arguments),
            )
        };
        FamilyFunction {
            number: form.amprocnum,
            left: form.amproclefttype,
            right: form.amprocrighttype,
            name,
            result,
            arguments: arguments as usize,
        }
    };
    // SAFETY: the tuples of this cache have this form.
    unsafe { members(pg_sys::SysCacheIdentifier::AMPROCNUM, family, describe) }
}

/// Describes each row that a catalog has for a family.
///
/// # Safety
/// `cache` is searched by family first, and its tuples are of form `F`.
unsafe fn members<F, T>(
    cache: pg_sys::SysCacheIdentifier::Type,
    family: Oid,
    describe: impl Fn(&F) -> T,
) -> Vec<T> {
    let none = Datum::null();
    // SAFETY: by the caller. The list is pinned until it is released.
    unsafe {
        let list = pg_sys::SearchSysCacheList(cache as c_int, 1, Datum::from(family), none, none);
        let found = (*list)
            .members
            .as_slice((*list).n_members as usize)
            .iter()
            .map(|member| describe(&*pg_sys::GETSTRUCT(&mut (**member).tuple).cast::<F>()))
            .collect();
        pg_sys::ReleaseCatCacheList(list);
        found
    }
}

/// True where a sort family, which is always one of btree's, sorts values of a type.
pub fn sorts(family: Oid, value: Oid) -> bool {
    let less = pg_sys::BTLessStrategyNumber as i16;
    // SAFETY: a lookup by identifier.
    unsafe { pg_sys::get_opfamily_member(family, value, value, less) != Oid::INVALID }
}

/// The function of an operator.
pub fn operator_function(operator: Oid) -> Oid {
    // SAFETY: a lookup by identifier.
    unsafe { pg_sys::get_opcode(operator) }
}

/// Built-in btree families of the types that compare as numbers: integers, floats, `numeric`,
/// dates and timestamps, booleans, intervals.
const ORDERED_FAMILIES: [u32; 6] = [1976, 1970, 1988, 434, 424, 1982];

/// Which comparison a built-in operator of these types is.
pub fn comparison(operator: Oid) -> Option<Binary> {
    if !node::is_built_in(operator) {
        return None;
    }
    // SAFETY: lookups by identifier.
    let strategy = |operator: Oid| unsafe {
        let mut families = ORDERED_FAMILIES.into_iter();
        families.find_map(|family| {
            match pg_sys::get_op_opfamily_strategy(operator, family.into()) {
                0 => None,
                strategy => Some(strategy),
            }
        })
    };
    match strategy(operator) {
        Some(1) => Some(Binary::Less),
        Some(2) => Some(Binary::LessEqual),
        Some(3) => Some(Binary::Equal),
        Some(4) => Some(Binary::GreaterEqual),
        Some(5) => Some(Binary::Greater),
        Some(_) => None,
        // No family has `<>`, which is what is not equal.
        // SAFETY: a lookup by identifier.
        None => (strategy(unsafe { pg_sys::get_negator(operator) }) == Some(3))
            .then_some(Binary::NotEqual),
    }
}

/// True for the types whose values are identifiers of the catalog, such as `regclass`.
pub fn is_oid(kind: Oid) -> bool {
    [pg_sys::OIDOID, pg_sys::REGCLASSOID].contains(&kind)
}

/// The operator of a family for two types.
pub fn family_operator(family: Oid, left: Oid, right: Oid, strategy: u16) -> Option<Oid> {
    // SAFETY: a lookup by identifiers.
    let found = unsafe { pg_sys::get_opfamily_member(family, left, right, strategy as i16) };
    (found != Oid::INVALID).then_some(found)
}

/// The name of a type for messages.
pub fn type_name(oid: Oid) -> String {
    // SAFETY: a palloc'd string.
    unsafe { owned(pg_sys::format_type_be(oid)) }
}

/// Takes over a string of Postgres's.
///
/// # Safety
/// Null, or a palloc'd string that nobody else has.
pub(super) unsafe fn owned(string: *mut c_char) -> String {
    if string.is_null() {
        return String::new();
    }
    // SAFETY: by the caller.
    unsafe {
        let text = text::from_server(CStr::from_ptr(string).to_bytes());
        pg_sys::pfree(string.cast());
        text
    }
}

/// A relation's name for messages, quoted; its number where there is none.
pub fn relation_name(oid: Oid) -> String {
    // SAFETY: the name is a palloc'd string, or null for an unknown relation.
    let name = unsafe { owned(pg_sys::get_rel_name(oid)) };
    if name.is_empty() {
        format!("relation {}", oid.to_u32())
    } else {
        format!("\"{name}\"")
    }
}
