//! What a search orders its rows by.
//!
//! A score is any function of a row's distance to the query and of its attributes. The search
//! needs it in two forms: at points, to rank rows that it has seen, and over a box, to know the
//! first rank that rows it has *not* seen can have. [`Order`] is that pair of forms; the whole
//! exactness of the search rests on one law between them: the bound never exceeds the rank of a
//! row inside the box.
//!
//! What is compared is not scores but *ranks*: integers whose order is the order of the rows. So
//! the direction, and where NULL and NaN belong, are known in one place only.

mod blend;
mod expr;
mod key;
mod program;
mod ranking;

pub use blend::{Blend, Terms, faded_expr, microseconds};
pub use expr::{Binary, BlendExpr, Expr, ParseError, Unary, Variadic};
pub use key::{AttributeKind, decode_float, decode_int, encode_float, encode_int};
pub use program::{CompileError, Interval, Parts, Program};
pub use ranking::Ranking;

/// The attributes of one row.
#[derive(Debug, Clone, Copy)]
pub struct Row<'a> {
    /// One key for each attribute; what stands for a NULL is without meaning.
    pub keys: &'a [u64],
    /// Bit `i` is set when attribute `i` is NULL.
    pub nulls: u32,
}

impl Row<'_> {
    /// The key of an attribute, `None` for NULL.
    pub fn key(&self, attribute: usize) -> Option<u64> {
        (self.nulls >> attribute & 1 == 0).then(|| self.keys[attribute])
    }

    /// The value of an [`AttributeKind::Int`] attribute.
    pub fn int(&self, attribute: usize) -> Option<i64> {
        self.key(attribute).map(decode_int)
    }

    /// The value of an [`AttributeKind::Float`] attribute.
    pub fn float(&self, attribute: usize) -> Option<f64> {
        self.key(attribute).map(decode_float)
    }
}

/// A box that holds the attributes of a set of rows.
#[derive(Debug, Clone, Copy)]
pub struct Bounds<'a> {
    /// For each attribute the least key among the rows, above `high` where all are NULL.
    pub low: &'a [u64],
    /// For each attribute the greatest key among the rows.
    pub high: &'a [u64],
    /// Bit `i` is set when attribute `i` may be NULL in some row.
    pub nulls: u32,
    /// Some row may have no vector, so that its distance is NULL.
    pub null_distance: bool,
    /// Some row may have a vector without a distance, so that its distance is NaN.
    pub nan_distance: bool,
}

impl Bounds<'_> {
    /// Least and greatest key of an attribute, `None` where every row has NULL.
    pub fn keys(&self, attribute: usize) -> Option<(u64, u64)> {
        let (low, high) = (self.low[attribute], self.high[attribute]);
        (low <= high).then_some((low, high))
    }

    /// True when the attribute may be NULL in some row.
    pub fn has_null(&self, attribute: usize) -> bool {
        self.nulls >> attribute & 1 != 0
    }
}

/// The greatest number of rows in a [`Batch`].
pub const LANES: usize = 64;

/// Some rows, in columns: [`LANES`] at most.
#[derive(Debug, Clone, Copy)]
pub struct Batch<'a> {
    /// The distance of each row. It is NaN where a vector has none; what stands for a NULL is
    /// without meaning.
    pub distances: &'a [f64],
    /// Bit `i` is set when the distance of row `i` is NULL, for it has no vector.
    pub null_distances: u64,
    /// The key of attribute `a` of row `i` is at `a * stride + i`; what stands for a NULL is without
    /// meaning.
    pub keys: &'a [u64],
    /// Keys from one attribute to the next, at least as many as there are rows.
    pub stride: usize,
    /// For each attribute, bit `i` is set when it is NULL in row `i`.
    pub nulls: &'a [u64],
}

impl Batch<'_> {
    /// How many rows there are.
    pub fn rows(&self) -> usize {
        self.distances.len()
    }

    /// The keys of an attribute.
    pub fn column(&self, attribute: usize) -> &[u64] {
        &self.keys[attribute * self.stride..][..self.rows()]
    }
}

/// The attributes of some boxes, in columns: [`LANES`] at most.
#[derive(Debug, Clone, Copy)]
pub struct Boxes<'a> {
    /// How many there are.
    pub count: usize,
    /// For each attribute the least key among the rows, above the greatest where all are NULL: that
    /// of attribute `a` and box `i` is at `a * stride + i`.
    pub low: &'a [u64],
    /// In the same way the greatest keys.
    pub high: &'a [u64],
    /// Keys from one attribute to the next, at least as many as there are boxes.
    pub stride: usize,
    /// For each attribute, bit `i` is set when it may be NULL in box `i`.
    pub nulls: &'a [u64],
}

/// The distances of the rows in some boxes.
#[derive(Debug, Clone, Copy)]
pub struct Distances<'a> {
    /// For each box a distance that no row inside has a lesser one than, and one that none has a greater
    /// one than.
    pub ranges: &'a [(f64, f64)],
    /// Bit `i` is set when a row of box `i` may have no vector.
    pub null: u64,
    /// Bit `i` is set when a row of box `i` may have a vector without a distance.
    pub nan: u64,
}

impl Boxes<'_> {
    /// Least and greatest key of an attribute of a box, `None` where every row has NULL.
    pub fn keys(&self, attribute: usize, number: usize) -> Option<(u64, u64)> {
        let at = attribute * self.stride + number;
        let (low, high) = (self.low[at], self.high[at]);
        (low <= high).then_some((low, high))
    }

    /// True when the attribute may be NULL in some row of a box.
    pub fn has_null(&self, attribute: usize, number: usize) -> bool {
        self.nulls[attribute] >> number & 1 != 0
    }
}

/// An order of rows by their score, as ranks: a row with a lower rank comes first.
pub trait Order {
    /// The attributes it looks at, a bit each. Rows and boxes may hold anything in the others.
    fn attributes(&self) -> u32;

    /// Writes the rank of each row.
    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]);

    /// A rank that none of certain rows has a lower one than: of those whose attributes are inside
    /// the box and whose distance is at least `nearest`, NaN or NULL (the latter two only where the
    /// box says that such rows may be there).
    fn bound(&self, nearest: f64, zone: &Bounds<'_>) -> u64;

    /// What bounds of some boxes take from their attributes, to be made once for any distances. Nothing
    /// where only the distance matters.
    fn parts(&self, _boxes: &Boxes<'_>, _parts: &mut Parts) {}

    /// The same of rows, each of which is a box of its own.
    fn parts_of_rows(&self, _rows: &Batch<'_>, _parts: &mut Parts) {}

    /// Writes the bound of each of the boxes that the parts are of.
    fn bounds(&self, parts: &Parts, distances: &Distances<'_>, bounds: &mut [u64]);

    /// The score that has a rank, but for the sign of zero; `None` for NULL.
    fn score(&self, rank: u64) -> Option<f64>;

    /// The rank of one row. The distance is `None` where the row has no vector and NaN where the
    /// vector has no distance.
    fn rank(&self, distance: Option<f64>, row: &Row<'_>) -> u64 {
        let nulls: [u64; 32] =
            std::array::from_fn(|attribute| u64::from(row.nulls >> attribute & 1));
        let batch = Batch {
            distances: &[distance.unwrap_or_default()],
            null_distances: u64::from(distance.is_none()),
            keys: row.keys,
            stride: 1,
            nulls: &nulls,
        };
        let mut rank = [0];
        self.ranks(&batch, &mut rank);
        rank[0]
    }
}

/// Plain similarity: the distance itself.
#[derive(Debug, Clone, Copy)]
pub struct Nearest;

impl Order for Nearest {
    fn attributes(&self) -> u32 {
        0
    }

    fn ranks(&self, rows: &Batch<'_>, ranks: &mut [u64]) {
        for (row, (rank, &distance)) in ranks.iter_mut().zip(rows.distances).enumerate() {
            *rank = match rows.null_distances >> row & 1 {
                0 => encode_float(distance),
                _ => u64::MAX,
            };
        }
    }

    fn bound(&self, nearest: f64, _zone: &Bounds<'_>) -> u64 {
        encode_float(nearest)
    }

    fn bounds(&self, _parts: &Parts, distances: &Distances<'_>, bounds: &mut [u64]) {
        for (bound, (nearest, _)) in bounds.iter_mut().zip(distances.ranges) {
            *bound = encode_float(*nearest);
        }
    }

    fn score(&self, rank: u64) -> Option<f64> {
        unrank(rank)
    }
}

/// The place of a score in Postgres's ascending order, as an integer: numbers, then NaN, then NULL.
pub fn rank(score: Option<f64>) -> u64 {
    score.map_or(u64::MAX, encode_float)
}

/// What [`rank`] was given, but for the sign of zero.
pub fn unrank(rank: u64) -> Option<f64> {
    (rank != u64::MAX).then(|| decode_float(rank))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranks_put_nan_and_null_last() {
        let ascending = [
            Some(f64::NEG_INFINITY),
            Some(-1.0),
            Some(0.0),
            Some(1e-300),
            Some(f64::INFINITY),
            Some(f64::NAN),
            None,
        ];
        assert!(
            ascending
                .windows(2)
                .all(|pair| rank(pair[0]) < rank(pair[1]))
        );
        assert_eq!(rank(Some(-0.0)), rank(Some(0.0)));
        assert_eq!(rank(Some(-f64::NAN)), rank(Some(f64::NAN)));
    }

    #[test]
    fn nulls_have_no_key() {
        let row = Row {
            keys: &[encode_int(7), encode_float(0.5)],
            nulls: 0b10,
        };
        assert_eq!((row.int(0), row.float(1)), (Some(7), None));
        let zone = Bounds {
            low: &[encode_int(7), u64::MAX],
            high: &[encode_int(9), 0],
            nulls: 0b10,
            null_distance: false,
            nan_distance: false,
        };
        assert_eq!(zone.keys(0), Some((encode_int(7), encode_int(9))));
        assert_eq!((zone.keys(1), zone.has_null(1)), (None, true));
    }
}
