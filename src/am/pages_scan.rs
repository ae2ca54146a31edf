//! A scan without memory: every row ranked from the pages.
//!
//! For an index that does not fit shared memory, and for a standby, whose pages change by replay
//! alone. Exact, and as slow as reading the index.

use chronomind_core::distance::{Kernel, Metric, decode, normalise, scale};
use chronomind_core::record::{Definition, Flags, PostingView};
use chronomind_core::scan::Found;
use chronomind_core::score::{Order, Row};

use super::plan::Plan;
use crate::error::Result;
use crate::pages;
use crate::pages::exact::{ExactReader, postings};
use crate::pg::relation::Relation;

/// All rows that pass the filter, in order.
pub fn rank(index: Relation, plan: &Plan) -> Result<Vec<Found>> {
    let snapshot = pages::snapshot(index)?;
    let reader = ExactReader::open(index, &snapshot)?;
    let ruler = Ruler::new(&snapshot.meta.definition, plan.vector.as_deref());
    let mut vector = vec![0; snapshot.layout.vector_bytes()];
    let mut keys = vec![0; snapshot.layout.attributes()];
    let mut rows = Vec::new();
    postings(index, &snapshot, |id, posting| {
        if posting.flags().contains(Flags::DEAD) {
            return Ok(());
        }
        keys.iter_mut()
            .zip(posting.keys())
            .for_each(|(slot, key)| *slot = key);
        let row = Row {
            keys: &keys,
            nulls: posting.nulls(),
        };
        if !plan.filter.matches_row(&row) {
            return Ok(());
        }
        let distance = distance(&reader, &ruler, &posting, &mut vector)?;
        let place = plan.ordering.rank(distance, &row);
        let found = Found {
            tid: posting.tid().pack(),
            posting: id,
            node: posting.has_node().then(|| posting.node()),
            distance,
            score: plan.ordering.score(place),
        };
        rows.push((place, found));
        Ok(())
    })?;
    rows.sort_by_key(|(place, row)| (*place, row.posting));
    Ok(rows.into_iter().map(|(_, row)| row).collect())
}

fn distance(
    reader: &ExactReader<'_>,
    ruler: &Ruler,
    posting: &PostingView<'_>,
    vector: &mut [u8],
) -> Result<Option<f64>> {
    if ruler.query.is_none() || posting.flags().contains(Flags::NULL_VECTOR) {
        return Ok(None);
    }
    if !posting.has_node() {
        return Ok(Some(f64::NAN));
    }
    reader.vector(posting.node(), vector)?;
    Ok(ruler.distance(vector))
}

/// Measures distances from the query.
struct Ruler {
    metric: Metric,
    kernel: Kernel,
    element: chronomind_core::distance::Element,
    /// `None` for NULL; the inner is empty for a query without a distance from anything.
    query: Option<Vec<f32>>,
    has_distance: bool,
}

impl Ruler {
    fn new(definition: &Definition, query: Option<&[u8]>) -> Ruler {
        let Definition {
            metric, element, ..
        } = *definition;
        let mut has_distance = true;
        let query = query.map(|bytes| {
            let mut values = vec![0.0; definition.dimensions as usize];
            decode(element, bytes, &mut values);
            has_distance = metric != Metric::Cosine || normalise(&mut values);
            values
        });
        Ruler {
            metric,
            kernel: Kernel::new(metric, element),
            element,
            query,
            has_distance,
        }
    }

    fn distance(&self, vector: &[u8]) -> Option<f64> {
        let query = self.query.as_ref()?;
        match scale(self.metric, self.element, vector) {
            Some(scale) if self.has_distance => {
                let raw = self.kernel.one(query, vector);
                Some(self.metric.distance(self.metric.key(raw, scale)))
            }
            _ => Some(f64::NAN),
        }
    }
}
