//! How an operator class of vectors tells the index its metric and element type.
//!
//! Its support functions take nothing and return a number: the discriminant of the core's enum.
//! Names of types and operators are left alone, since anybody may have some of the same name.

use crate::error::{Error, Result};
use crate::pg::catalog::VectorTags;
use chronomind_core::distance::{Element, Metric};
use pgrx::pg_extern;

impl VectorTags {
    /// The metric that support function 1 names.
    pub fn metric(&self) -> Result<Metric> {
        let known = u8::try_from(self.metric).ok().and_then(Metric::from_u8);
        known.ok_or_else(|| unknown("metric", self.metric))
    }

    /// The element type that support function 2 names.
    pub fn element(&self) -> Result<Element> {
        let known = u8::try_from(self.element).ok().and_then(Element::from_u8);
        known.ok_or_else(|| unknown("element type", self.element))
    }
}

fn unknown(what: &str, tag: i16) -> Error {
    Error::invalid(format!("the operator class names {what} {tag}"))
        .hint("Use the operator classes that come with chronomind.")
}

#[pg_extern(sql = false)]
fn chrono_metric_l2() -> i16 {
    Metric::L2 as i16
}

#[pg_extern(sql = false)]
fn chrono_metric_ip() -> i16 {
    Metric::InnerProduct as i16
}

#[pg_extern(sql = false)]
fn chrono_metric_cosine() -> i16 {
    Metric::Cosine as i16
}

#[pg_extern(sql = false)]
fn chrono_metric_l1() -> i16 {
    Metric::L1 as i16
}

#[pg_extern(sql = false)]
fn chrono_element_float4() -> i16 {
    Element::F32 as i16
}

#[pg_extern(sql = false)]
fn chrono_element_float2() -> i16 {
    Element::F16 as i16
}
