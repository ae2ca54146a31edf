//! What is searched for, and how far that has been seen.

use super::near::{Bracket, Care, Fixed, Near};
use crate::postings::{Columns, Filter, Postings, Siblings, Zone, ZoneBounds, packed};
use crate::score::{Batch, Bounds, Distances, LANES, Order, Parts, Program};

/// What is searched for.
pub(super) struct Question<O> {
    pub(super) order: O,
    pub(super) filter: Filter,
    /// What is to be true of a row, its distance included.
    pub(super) condition: Option<Program>,
    /// The attributes that order and condition look at, a bit each.
    pub(super) scored: u32,
    /// Those, and the attributes that the filter looks at.
    pub(super) attributes: u32,
}

impl<O: Order> Question<O> {
    pub(super) fn new(order: O, filter: Filter, condition: Option<Program>) -> Question<O> {
        let conditions = condition.as_ref().map_or(0, Program::attributes);
        let scored = order.attributes() | conditions;
        Question {
            scored,
            attributes: scored | filter.attributes(),
            order,
            filter,
            condition,
        }
    }

    /// An order by nothing but the distance, of all rows, is a search for the nearest.
    pub(super) fn care(&self) -> Care {
        if self.attributes == 0 && self.condition.is_none() {
            Care::Plain
        } else {
            Care::Thorough
        }
    }

    /// No row inside the box that passes has a lower rank, if its distance is not below `nearest`.
    /// `None` when no row inside passes.
    pub(super) fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> Option<u64> {
        let condition = self.condition.as_ref();
        condition
            .is_none_or(|condition| condition.may_hold(nearest, zone))
            .then(|| self.order.bound(nearest, zone))
    }
}

/// What is known of up to [`LANES`] zones or rows before their distances are.
#[derive(Default)]
pub(super) struct Known {
    count: usize,
    order: Parts,
    condition: Parts,
    /// Those with a row that may have no vector, or one without a distance.
    null: u64,
    nan: u64,
}

impl Known {
    /// Those in which some row may have no distance, or NaN.
    pub(super) fn odd(&self) -> u64 {
        self.null | self.nan
    }

    /// Tells that no row in one of them is odd any more.
    pub(super) fn set_even(&mut self, number: usize) {
        self.null &= !(1 << number);
        self.nan &= !(1 << number);
    }

    /// Forgets all rows but those that the mask has bits for, which move together.
    pub(super) fn keep(&mut self, rows: u64) {
        self.count = rows.count_ones() as usize;
        (self.null, self.nan) = (packed(self.null, rows), packed(self.nan, rows));
        self.order.keep(rows);
        self.condition.keep(rows);
    }

    /// Memory of what is held, in bytes, beside itself.
    pub(super) fn bytes(&self) -> usize {
        self.order.bytes() + self.condition.bytes()
    }
}

/// How far the graph has seen.
#[derive(Clone, Copy)]
pub(super) struct Reach {
    /// Every node nearer than this has been settled.
    pub(super) nearest: f64,
    /// How often that has grown.
    pub(super) version: u32,
}

impl Reach {
    pub(super) const NOTHING: Reach = Reach {
        nearest: f64::NEG_INFINITY,
        version: 0,
    };

    pub(super) fn extend(&mut self, frontier: f64) {
        if frontier > self.nearest {
            self.nearest = frontier;
            self.version += 1;
        }
    }
}

/// What bounds depend on.
pub(super) struct View<'a, 'r, O> {
    pub(super) postings: &'a Postings<'r>,
    pub(super) question: &'a Question<O>,
    pub(super) reach: Reach,
    pub(super) fixed: Option<Fixed>,
    /// Any distance may be NaN.
    pub(super) overflows: bool,
}

impl<'a, 'r, O: Order> View<'a, 'r, O> {
    pub(super) fn new<N: Near>(
        postings: &'a Postings<'r>,
        question: &'a Question<O>,
        reach: Reach,
        near: &N,
    ) -> View<'a, 'r, O> {
        View {
            postings,
            question,
            reach,
            fixed: near.fixed(),
            overflows: near.overflows(),
        }
    }

    /// [`Question::bound`] of a zone. Of the zone of everything no attributes are kept, so that its
    /// bound is the lowest of ranks where attributes matter.
    pub(super) fn bound(&self, zone: Zone, nearest: f64, into: &mut ZoneBounds) -> Option<u64> {
        if zone == Zone::ALL && self.question.scored != 0 {
            return Some(0);
        }
        self.postings
            .bounds(zone, self.question.scored, into)
            .then(|| self.bound_of(nearest, into))?
    }

    /// The same with the bounds of the attributes given.
    pub(super) fn bound_of(&self, nearest: f64, bounds: &ZoneBounds) -> Option<u64> {
        let mut bounds = bounds.get();
        bounds.null_distance |= self.fixed == Some(Fixed::Null);
        bounds.nan_distance |= self.fixed == Some(Fixed::NaN) || self.overflows;
        self.question.bound(nearest, &bounds)
    }

    /// Gets to know the zones below one.
    pub(super) fn know_zones(
        &self,
        zones: &Siblings<'_>,
        columns: &mut Columns,
        known: &mut Known,
    ) {
        columns.hold_zones(zones, self.question.scored);
        self.question
            .order
            .parts(&columns.zones(), &mut known.order);
        if let Some(condition) = &self.question.condition {
            condition.parts(&columns.zones(), &mut known.condition);
        }
        (known.null, known.nan) = (zones.null_distances(), zones.nan_distances());
        known.count = LANES;
        match self.fixed {
            Some(Fixed::Null) => known.null = u64::MAX,
            Some(Fixed::NaN) => known.nan = u64::MAX,
            None if self.overflows => known.nan = u64::MAX,
            None => {}
        }
    }

    /// Gets to know some rows that have distances, whatever these are.
    pub(super) fn know(&self, rows: &Batch<'_>, known: &mut Known) {
        self.question.order.parts_of_rows(rows, &mut known.order);
        if let Some(condition) = &self.question.condition {
            condition.parts_of_rows(rows, &mut known.condition);
        }
        (known.count, known.null, known.nan) = (rows.rows(), 0, 0);
    }

    /// [`Question::bound`] of each, with the distances that each may have, and a bit for each that has
    /// one.
    pub(super) fn bounds(
        &self,
        known: &Known,
        distances: &[Bracket],
        bounds: &mut [u64; LANES],
    ) -> u64 {
        let distances = Distances {
            ranges: &distances[..known.count],
            null: known.null,
            nan: known.nan,
        };
        let bounds = &mut bounds[..known.count];
        self.question.order.bounds(&known.order, &distances, bounds);
        let condition = self.question.condition.as_ref();
        condition.map_or(u64::MAX, |condition| {
            condition.may_hold_among(&known.condition, &distances)
        })
    }
}
