//! A call of a function whose types are known only when it is called.

use pgrx::pg_sys::{self, Datum, Oid};
use pgrx::{FromDatum, IntoDatum};

use super::text;

/// The call that a door was entered with.
#[derive(Clone, Copy)]
pub struct Call(pg_sys::FunctionCallInfo);

impl Call {
    /// # Safety
    /// What Postgres calls the function with, which is not used after it returns.
    pub unsafe fn new(info: pg_sys::FunctionCallInfo) -> Call {
        Call(info)
    }

    /// An argument, `None` for NULL. The type must be the declared one.
    pub fn argument<T: FromDatum>(&self, number: usize) -> Option<T> {
        // SAFETY: the type is the one that the function is declared with.
        self.datum(number)
            .and_then(|datum| unsafe { T::from_datum(datum, false) })
    }

    /// An argument of type `text`, `None` for NULL.
    pub fn text(&self, number: usize) -> Option<String> {
        self.argument::<Vec<u8>>(number)
            .map(|bytes| text::from_server(&bytes))
    }

    /// An argument as it is, `None` for NULL.
    pub fn datum(&self, number: usize) -> Option<Datum> {
        // SAFETY: the call has as many arguments as the function is declared with.
        unsafe {
            let arguments = (*self.0).args.as_slice((*self.0).nargs as usize);
            arguments
                .get(number)
                .filter(|argument| !argument.isnull)
                .map(|argument| argument.value)
        }
    }

    /// The actual type of a polymorphic argument.
    pub fn type_of(&self, number: i32) -> Oid {
        // SAFETY: looks at the expression that the call was planned from.
        unsafe { pg_sys::get_fn_expr_argtype((*self.0).flinfo, number) }
    }

    /// The expression that the call was planned from; null where there is none.
    pub(super) fn expression(&self) -> *mut pg_sys::Node {
        // SAFETY: a call has the description of its function, save for those that C code makes directly.
        unsafe {
            let function = (*self.0).flinfo;
            if function.is_null() {
                std::ptr::null_mut()
            } else {
                (*function).fn_expr
            }
        }
    }

    /// Makes the call one that returns a set of rows, all at once.
    pub fn rows(&self) -> Rows {
        // SAFETY: fails where the caller does not expect a set; the result structure lives as long
        // as the call.
        unsafe {
            pg_sys::InitMaterializedSRF(self.0, 0);
            Rows((*self.0).resultinfo.cast())
        }
    }
}

/// The rows that a call returns. Postgres moves them to disk when they outgrow `work_mem`.
pub struct Rows(*mut pg_sys::ReturnSetInfo);

impl Rows {
    /// Adds a row: a composite value, then numbers. An older version of the extension may declare fewer
    /// columns: the last ones are left out.
    pub fn add<const N: usize>(&mut self, first: Datum, numbers: [Option<f64>; N]) {
        let mut values = vec![first];
        let mut nulls = vec![false];
        for number in numbers {
            nulls.push(number.is_none());
            values.push(number.and_then(f64::into_datum).unwrap_or(Datum::null()));
        }
        // SAFETY: the store and its description were made by `InitMaterializedSRF`. It has as many
        // columns as the function is declared with, which are not more than there are values here.
        unsafe {
            let declared = (*(*self.0).setDesc).natts as usize;
            values.resize(declared, Datum::null());
            nulls.resize(declared, true);
            pg_sys::tuplestore_putvalues(
                (*self.0).setResult,
                (*self.0).setDesc,
                values.as_mut_ptr(),
                nulls.as_mut_ptr(),
            );
        }
    }
}
