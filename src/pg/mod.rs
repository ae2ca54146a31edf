//! Safe wrappers of what the server offers.
#![allow(unsafe_code)]

pub mod buffer;
pub mod interrupt;
pub mod relation;
pub mod xlog;
