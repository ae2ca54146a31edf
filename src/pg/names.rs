//! The extension's own functions and types, and names as statements write them.
//!
//! What a search path finds first is the caller's choice. So the extension looks up what is its own in
//! its own schemas, and a statement that it makes names everything with its schema.

use std::cell::OnceCell;
use std::ffi::{CStr, CString, c_char, c_int};

use pgrx::PgList;
use pgrx::pg_sys::{self, Datum, Oid};

use super::catalog::owned;
use super::text;
use crate::error::{Error, Result};

/// The schema that the extension may make for what users are not to call.
const INTERNAL: &CStr = c"chronomind_internal";

/// The schemas in which an extension has its functions and types.
pub struct Schemas {
    /// A function of it.
    function: Oid,
    own: Oid,
    others: OnceCell<Vec<Oid>>,
}

impl Schemas {
    /// Those of the extension that a function belongs to; of a function that belongs to none, its own.
    pub fn of(function: Oid) -> Schemas {
        // SAFETY: a lookup by identifier.
        let own = unsafe { pg_sys::get_func_namespace(function) };
        Schemas {
            function,
            own,
            others: OnceCell::new(),
        }
    }

    /// A function by its name and argument types.
    pub fn function(&self, name: &CStr, arguments: &[Oid]) -> Option<Oid> {
        self.find(|schema| function_in(schema, name, arguments))
    }

    /// The type of that name.
    pub fn type_named(&self, name: &CStr) -> Option<Oid> {
        self.find(|schema| type_in(schema, name))
    }

    fn find(&self, look: impl Fn(Oid) -> Option<Oid>) -> Option<Oid> {
        look(self.own).or_else(|| {
            let others = self.others.get_or_init(|| others(self.function));
            others.iter().copied().find_map(look)
        })
    }
}

/// The schemas of a function's extension.
fn others(function: Oid) -> Vec<Oid> {
    // SAFETY: lookups by identifier and by a name that lives until they are over.
    unsafe {
        let extension = pg_sys::getExtensionOfObject(pg_sys::ProcedureRelationId, function);
        if extension == Oid::INVALID {
            return Vec::new();
        }
        let internal = pg_sys::get_namespace_oid(INTERNAL.as_ptr(), true);
        // Anybody may make a schema of that name.
        let is_its_own = internal != Oid::INVALID
            && pg_sys::getExtensionOfObject(pg_sys::NamespaceRelationId, internal) == extension;
        let internal = is_its_own.then_some(internal);
        internal.into_iter().chain(schema_of(extension)).collect()
    }
}

/// The schema that an extension was created in.
#[cfg(not(feature = "pg15"))]
fn schema_of(extension: Oid) -> Option<Oid> {
    // SAFETY: a lookup by identifier.
    let found = unsafe { pg_sys::get_extension_schema(extension) };
    (found != Oid::INVALID).then_some(found)
}

/// The same for a server that keeps its own function for it to itself.
#[cfg(feature = "pg15")]
fn schema_of(extension: Oid) -> Option<Oid> {
    const SHARE: pg_sys::LOCKMODE = pg_sys::AccessShareLock as pg_sys::LOCKMODE;
    // SAFETY: a scan of a catalog by its index, ended below; its rows have this form.
    unsafe {
        let catalog = pg_sys::table_open(pg_sys::ExtensionRelationId, SHARE);
        let mut key = pg_sys::ScanKeyData::default();
        pg_sys::ScanKeyInit(
            &mut key,
            pg_sys::Anum_pg_extension_oid as i16,
            pg_sys::BTEqualStrategyNumber as u16,
            pg_sys::F_OIDEQ.into(),
            Datum::from(extension),
        );
        let (index, snapshot) = (pg_sys::ExtensionOidIndexId.into(), std::ptr::null_mut());
        let scan = pg_sys::systable_beginscan(catalog, index, true, snapshot, 1, &mut key);
        let row = pg_sys::systable_getnext(scan);
        let found = (!row.is_null()).then(|| {
            (*pg_sys::GETSTRUCT(row).cast::<pg_sys::FormData_pg_extension>()).extnamespace
        });
        pg_sys::systable_endscan(scan);
        pg_sys::table_close(catalog, SHARE);
        found
    }
}

fn type_in(schema: Oid, name: &CStr) -> Option<Oid> {
    // SAFETY: a lookup by name, which lives until it is over.
    let found = unsafe {
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::TYPENAMENSP as c_int,
            pg_sys::Anum_pg_type_oid as i16,
            Datum::from(name.as_ptr()),
            Datum::from(schema),
            Datum::null(),
            Datum::null(),
        )
    };
    (found != Oid::INVALID).then_some(found)
}

fn function_in(schema: Oid, name: &CStr, arguments: &[Oid]) -> Option<Oid> {
    // SAFETY: a lookup by copies that live until it is over.
    let found = unsafe {
        let types = pg_sys::buildoidvector(arguments.as_ptr(), arguments.len() as c_int);
        pg_sys::GetSysCacheOid(
            pg_sys::SysCacheIdentifier::PROCNAMEARGSNSP as c_int,
            pg_sys::Anum_pg_proc_oid as i16,
            Datum::from(name.as_ptr()),
            Datum::from(types),
            Datum::from(schema),
            Datum::null(),
        )
    };
    (found != Oid::INVALID).then_some(found)
}

/// True where the current user may run a function.
pub fn may_execute(function: Oid) -> bool {
    // SAFETY: lookups by identifier.
    unsafe {
        let (user, mode) = (pg_sys::GetUserId(), pg_sys::ACL_EXECUTE as pg_sys::AclMode);
        #[cfg(feature = "pg15")]
        let result = pg_sys::pg_proc_aclcheck(function, user, mode);
        #[cfg(not(feature = "pg15"))]
        let result = pg_sys::object_aclcheck(pg_sys::ProcedureRelationId, function, user, mode);
        result == pg_sys::AclResult::ACLCHECK_OK
    }
}

/// A function as a statement names it under any search path: `public.chrono_score`.
pub fn function(oid: Oid) -> Result<String> {
    // SAFETY: lookups by identifier; the names are palloc'd, or null for an unknown function.
    unsafe {
        let schema = pg_sys::get_namespace_name(pg_sys::get_func_namespace(oid));
        let name = pg_sys::get_func_name(oid);
        if schema.is_null() || name.is_null() {
            return Err(Error::bug("a function without a name"));
        }
        let quoted = CStr::from_ptr(pg_sys::quote_qualified_identifier(schema, name));
        Ok(text::from_server(quoted.to_bytes()))
    }
}

/// An operator as a statement names it under any search path: `OPERATOR(public.<=>)`.
pub fn operator(oid: Oid) -> Result<String> {
    let (mut names, mut types) = (std::ptr::null_mut(), std::ptr::null_mut());
    // SAFETY: a lookup by identifier, which raises where there is none; the names are a list of two
    // strings.
    unsafe {
        pg_sys::format_operator_parts(oid, &mut names, &mut types, false);
        let names = PgList::<c_char>::from_pg(names);
        let (Some(schema), Some(name)) = (names.get_ptr(0), names.get_ptr(1)) else {
            return Err(Error::bug("an operator without a name"));
        };
        let schema = CStr::from_ptr(pg_sys::quote_identifier(schema));
        let (schema, name) = (schema.to_bytes(), CStr::from_ptr(name).to_bytes());
        let (schema, name) = (text::from_server(schema), text::from_server(name));
        Ok(format!("OPERATOR({schema}.{name})"))
    }
}

/// A type as a statement names it under any search path.
pub fn type_of(oid: Oid) -> String {
    // SAFETY: a palloc'd string.
    unsafe { owned(pg_sys::format_type_be_qualified(oid)) }
}

/// An identifier, quoted where need be.
pub fn identifier(name: &str) -> Result<String> {
    let name = CString::new(text::to_server(name))
        .map_err(|_| Error::bug("a name of the server with a zero inside"))?;
    // SAFETY: a string, which the result may be.
    let quoted = unsafe { CStr::from_ptr(pg_sys::quote_identifier(name.as_ptr())) };
    Ok(text::from_server(quoted.to_bytes()))
}
