//! Storage parameters as Postgres parses and keeps them.

use crate::am::options::{
    DEFAULT_EF_CONSTRUCTION, DEFAULT_M, EF_CONSTRUCTION, M, Options, Storage,
};
use crate::error::Result;
use pgrx::pg_sys;
use std::ffi::{CStr, c_int};
use std::mem::offset_of;
use std::ops::RangeInclusive;
use std::sync::OnceLock;

/// The parsed parameters, a varlena that the relation cache keeps.
#[repr(C)]
struct Parsed {
    varlena_header: i32,
    m: c_int,
    ef_construction: c_int,
    storage: c_int,
}

const STORAGE_AUTO: c_int = 0;
const STORAGE_FULL: c_int = 1;

/// Postgres's number for our set of parameters, given at load.
static KIND: OnceLock<pg_sys::relopt_kind::Type> = OnceLock::new();

fn kind() -> pg_sys::relopt_kind::Type {
    // SAFETY: takes the next free number. The first use is at load.
    *KIND.get_or_init(|| unsafe { pg_sys::add_reloption_kind() })
}

/// Makes the parameters known: once, when the library is loaded.
pub fn define() {
    add_int(
        c"m",
        c"Neighbours of a node on the upper layers of the graph",
        DEFAULT_M,
        M,
    );
    add_int(
        c"ef_construction",
        c"Candidates kept while a node's neighbours are looked for",
        DEFAULT_EF_CONSTRUCTION,
        EF_CONSTRUCTION,
    );
    let storages = [
        (c"auto".as_ptr(), STORAGE_AUTO),
        (c"full".as_ptr(), STORAGE_FULL),
        (std::ptr::null(), 0),
    ];
    let storages = storages.map(|(string_val, symbol_val)| pg_sys::relopt_enum_elt_def {
        string_val,
        symbol_val,
    });
    // SAFETY: Postgres copies the strings and keeps the pointer to the null-terminated choices,
    // which are leaked for it.
    unsafe {
        pg_sys::add_enum_reloption(
            kind(),
            c"storage".as_ptr(),
            c"The form in which shared memory keeps vectors".as_ptr(),
            Box::leak(Box::new(storages)).as_mut_ptr(),
            STORAGE_AUTO,
            c"Valid values are \"auto\" and \"full\".".as_ptr(),
            pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE,
        );
    }
}

fn add_int(name: &CStr, description: &CStr, default: u32, range: RangeInclusive<u32>) {
    // SAFETY: Postgres copies the strings.
    unsafe {
        pg_sys::add_int_reloption(
            kind(),
            name.as_ptr(),
            description.as_ptr(),
            default as c_int,
            *range.start() as c_int,
            *range.end() as c_int,
            pg_sys::AccessExclusiveLock as pg_sys::LOCKMODE,
        );
    }
}

/// Parses parameters as `amoptions` must. Fails, where Postgres wants them validated because a statement
/// sets them, if they do not go together.
///
/// # Safety
/// `reloptions` is what Postgres gives to `amoptions`.
pub unsafe fn parse(reloptions: pg_sys::Datum, validate: bool) -> Result<*mut pg_sys::bytea> {
    // SAFETY: by the caller; null, or what was parsed.
    unsafe {
        let parsed = parse_each(reloptions, validate);
        if validate {
            options_of(parsed.cast::<Parsed>().as_ref()).check()?;
        }
        Ok(parsed)
    }
}

/// # Safety
/// As for [`parse`].
unsafe fn parse_each(reloptions: pg_sys::Datum, validate: bool) -> *mut pg_sys::bytea {
    // PostgreSQL 18 has one field more, which may be zero.
    #[allow(clippy::needless_update)]
    let element = |optname: &'static CStr, opttype, offset: usize| pg_sys::relopt_parse_elt {
        optname: optname.as_ptr(),
        opttype,
        offset: offset as c_int,
        ..Default::default()
    };
    use pg_sys::relopt_type::{RELOPT_TYPE_ENUM, RELOPT_TYPE_INT};
    let elements = [
        element(c"m", RELOPT_TYPE_INT, offset_of!(Parsed, m)),
        element(
            c"ef_construction",
            RELOPT_TYPE_INT,
            offset_of!(Parsed, ef_construction),
        ),
        element(c"storage", RELOPT_TYPE_ENUM, offset_of!(Parsed, storage)),
    ];
    // SAFETY: the elements describe `Parsed`, whose size is given.
    unsafe {
        pg_sys::build_reloptions(
            reloptions,
            validate,
            kind(),
            size_of::<Parsed>(),
            elements.as_ptr(),
            elements.len() as c_int,
        )
        .cast()
    }
}

/// The parameters of an index, the defaults where it has none.
///
/// # Safety
/// `index` is an open relation of our access method.
pub unsafe fn of(index: pg_sys::Relation) -> Options {
    // SAFETY: an open relation is valid, and its parsed options are what `parse` returned.
    options_of(unsafe { (*index).rd_options.cast::<Parsed>().as_ref() })
}

fn options_of(parsed: Option<&Parsed>) -> Options {
    parsed.map_or_else(Options::default, |parsed| Options {
        m: parsed.m.unsigned_abs(),
        ef_construction: parsed.ef_construction.unsigned_abs(),
        storage: if parsed.storage == STORAGE_FULL {
            Storage::Full
        } else {
            Storage::Auto
        },
    })
}
