//! Safe wrappers of what the server offers.
#![allow(unsafe_code)]

pub mod attribute;
pub mod buffer;
pub mod catalog;
pub mod clock;
pub mod datum;
pub mod interrupt;
pub mod relation;
pub mod startup;
pub mod xlog;
