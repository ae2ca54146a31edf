//! The doors of functions whose types are known only when they are called.
//!
//! Postgres calls them with a raw pointer; what is behind a door is safe. This file may say
//! `unsafe`.
#![allow(unsafe_code)]

use pgrx::{pg_extern, pg_sys};

use super::search;
use crate::error::OrRaise;
use crate::pg::call::Call;

#[pg_extern(sql = false)]
unsafe fn chrono_search(call: pg_sys::FunctionCallInfo) {
    // SAFETY: Postgres gives a valid call, which does not outlive this function.
    search::search(unsafe { Call::new(call) }).or_raise();
}
