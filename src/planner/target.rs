//! An index that an order is translated for: what its columns are, and what it is asked by.

use std::cell::Cell;
use std::ffi::CStr;

use chronomind_core::distance::Metric;
use pgrx::pg_sys::{self, Oid};

use crate::am::callbacks::{self, ORDER_BY_DISTANCE, ORDER_BY_NUMERIC_SCORE, ORDER_BY_SCORE};
use crate::am::columns::Columns;
use crate::pg::attribute::AttributeType;
use crate::pg::catalog::{self, METRIC_FUNCTION};
use crate::pg::index_info::IndexInfo;
use crate::pg::names::{self, Schemas};
use crate::pg::node::Node;
use crate::pg::{make, planned};

/// An index, and the identities of what belongs to its extension.
pub struct Target<'p> {
    index: IndexInfo<'p>,
    columns: Columns,
    /// The schemas of the extension.
    schemas: Schemas,
    /// The type `chrono_query`.
    query_type: Oid,
    distance_function: Oid,
    score_function: Option<Oid>,
    importance_function: Option<Oid>,
    number_function: Oid,
    /// Whether the query has parameters that it makes.
    makes_numbers: Cell<bool>,
}

impl<'p> Target<'p> {
    /// `None` where the index is not of the extension's own operator classes.
    pub fn new(index: IndexInfo<'p>) -> Option<Target<'p>> {
        let columns = index.with_relation(callbacks::columns_of_open).ok()?;
        let (family, vector) = (index.family(0), index.input_type(0));
        // Nobody needs the search path to find what the operator class came with.
        let schemas = Schemas::of(index.support_function(0, METRIC_FUNCTION));
        let distance = catalog::family_operator(family, vector, vector, ORDER_BY_DISTANCE)?;
        let float = pg_sys::FLOAT8OID;
        let time = pg_sys::TIMESTAMPTZOID;
        let score = [float, time, float, float, float, float, time];
        let importance = [float, time, float, time];
        Some(Target {
            index,
            columns,
            query_type: schemas.type_named(c"chrono_query")?,
            distance_function: catalog::operator_function(distance),
            score_function: schemas.function(c"chrono_score", &score),
            importance_function: schemas.function(c"chrono_importance", &importance),
            number_function: schemas.function(c"chrono_key", &[pg_sys::ANYELEMENTOID])?,
            makes_numbers: Cell::new(false),
            schemas,
        })
    }

    /// The metric of the distance.
    pub fn metric(&self) -> Metric {
        self.columns.metric
    }

    /// The function that measures the index's distance.
    pub fn distance_function(&self) -> Oid {
        self.distance_function
    }

    /// `chrono_score`
    pub fn score_function(&self) -> Option<Oid> {
        self.score_function
    }

    /// `chrono_importance`
    pub fn importance_function(&self) -> Option<Oid> {
        self.importance_function
    }

    /// True for the indexed vector.
    pub fn is_vector(&self, node: Node<'_>) -> bool {
        self.index.holds(0, node)
    }

    /// The attribute that an expression is.
    pub fn attribute(&self, node: Node<'_>) -> Option<(&str, AttributeType)> {
        let found = (1..self.index.columns()).find(|&column| self.index.holds(column, node))?;
        let name = self.columns.names.get(found - 1)?;
        Some((name, *self.columns.attributes.get(found - 1)?))
    }

    /// An expression as the `double precision` that the index knows its value by.
    pub fn number(&self, node: Node<'p>) -> Node<'p> {
        let float = pg_sys::FLOAT8OID;
        match node.type_of() {
            pg_sys::FLOAT8OID => node,
            pg_sys::FLOAT4OID => make::cast(pg_sys::F_FLOAT8_FLOAT4, float, node),
            pg_sys::INT2OID => make::cast(pg_sys::F_FLOAT8_INT2, float, node),
            pg_sys::INT4OID => make::cast(pg_sys::F_FLOAT8_INT4, float, node),
            pg_sys::INT8OID => make::cast(pg_sys::F_FLOAT8_INT8, float, node),
            _ => {
                self.makes_numbers.set(true);
                make::call(self.number_function, float, &[node])
            }
        }
    }

    /// The weight or rate that `chrono_score` would take.
    pub fn blend(&self, part: &str, weights: [Node<'p>; 2]) -> Option<Node<'p>> {
        let (text, float) = (pg_sys::TEXTOID, pg_sys::FLOAT8OID);
        let function = runnable(&self.schemas, c"chrono_blend", &[text, float, float])?;
        let [recency, importance] = weights;
        Some(make::call(
            function,
            float,
            &[make::text(part), recency, importance],
        ))
    }

    /// The rate that `chrono_importance` would take for rows without one.
    pub fn base_rate(&self) -> Option<Node<'p>> {
        self.blend("decay", [make::null(pg_sys::FLOAT8OID); 2])
    }

    /// `now()`
    pub fn now(&self) -> Node<'p> {
        make::call(pg_sys::F_NOW.into(), pg_sys::TIMESTAMPTZOID, &[])
    }

    /// `vector <~> chrono_query(text, query, parameters)`, of a type that a sort family sorts.
    pub fn order(
        &self,
        sorts: impl Fn(Oid) -> bool,
        vector: Node<'p>,
        text: &str,
        query: Node<'p>,
        parameters: &[Node<'p>],
    ) -> Option<Node<'p>> {
        let kind = self.index.input_type(0);
        let results = [
            (pg_sys::FLOAT8OID, ORDER_BY_SCORE),
            (pg_sys::NUMERICOID, ORDER_BY_NUMERIC_SCORE),
        ];
        let (result, strategy) = results.into_iter().find(|(result, _)| sorts(*result))?;
        let family = self.index.family(0);
        let operator = catalog::family_operator(family, kind, self.query_type, strategy)?;
        let types = [pg_sys::TEXTOID, kind, pg_sys::FLOAT8ARRAYOID];
        let function = runnable(&self.schemas, c"chrono_query", &types)?;
        // The executor wants to be allowed to run what the index spares it.
        let may_order = names::may_execute(catalog::operator_function(operator));
        if !may_order || self.makes_numbers.get() && !names::may_execute(self.number_function) {
            return None;
        }
        let arguments = [make::text(text), query, make::array(parameters)];
        let asked = planned::call(function, self.query_type, &arguments);
        Some(make::operator(operator, result, vector, asked))
    }
}

/// A function of the extension that the current user may run. Without it there is no path, and the
/// query has another plan; it names none of these functions and must not fail for them.
fn runnable(schemas: &Schemas, name: &CStr, arguments: &[Oid]) -> Option<Oid> {
    let function = schemas.function(name, arguments)?;
    names::may_execute(function).then_some(function)
}
