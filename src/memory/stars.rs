//! Which duplicates are merged into which: stars around the best rows.
//!
//! Being duplicates is not transitive: in a chain the first may be near the second and the second near
//! the third, and the last the opposite of the first. So a row is merged only into one that it is
//! itself a duplicate of. In the order of their ranks, each row that has not been absorbed survives,
//! and absorbs all its duplicates that nobody absorbed before. What is left is no two duplicates, and
//! the same whatever part of the merges was done before: those absorbed decide nothing.

use pgrx::iter::TableIterator;
use pgrx::{PgSqlErrorCode, name, pg_extern};
use std::collections::HashSet;

use crate::error::{Error, OrRaise, Result};

/// A row that is merged into another.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Merge {
    member: i32,
    survivor: i32,
}

/// The merges of an undirected graph over 1 to `count`, by survivor and member: O(E log E), and the
/// same for every order of the pairs. Fails where a pair is out of that range.
fn stars(count: i32, pairs: &[(i32, i32)]) -> Result<Vec<Merge>> {
    let mut edges = Vec::with_capacity(2 * pairs.len());
    for &(left, right) in pairs {
        if let Some(out) = [left, right].into_iter().find(|n| !(1..=count).contains(n)) {
            return Err(
                Error::invalid(format!("a pair names {out} of {count} rows"))
                    .hint("Rows are numbered from 1 on."),
            );
        }
        edges.push((left, right));
        edges.push((right, left));
    }
    edges.sort_unstable();
    let mut absorbed = HashSet::new();
    let mut merges = Vec::new();
    for of_one in edges.chunk_by(|a, b| a.0 == b.0) {
        let survivor = of_one[0].0;
        if absorbed.contains(&survivor) {
            continue;
        }
        // A better neighbour was absorbed by a still better one, or it would have absorbed this row.
        let worse = of_one.iter().map(|&(_, member)| member);
        for member in worse.filter(|&member| member > survivor) {
            if absorbed.insert(member) {
                merges.push(Merge { member, survivor });
            }
        }
    }
    Ok(merges)
}

/// The merges of the pairs in two arrays.
fn of_arrays(count: i32, lefts: &[Option<i32>], rights: &[Option<i32>]) -> Result<Vec<Merge>> {
    if count < 0 || lefts.len() != rights.len() {
        return Err(
            Error::invalid("pairs need a number of rows and two arrays of one length").detail(
                format!(
                    "There are {count} rows, {} left and {} right members.",
                    lefts.len(),
                    rights.len()
                ),
            ),
        );
    }
    let pairs: Option<Vec<(i32, i32)>> = lefts
        .iter()
        .zip(rights)
        .map(|(&left, &right)| Some((left?, right?)))
        .collect();
    let pairs = pairs.ok_or_else(|| {
        Error::mistake(
            PgSqlErrorCode::ERRCODE_NULL_VALUE_NOT_ALLOWED,
            "a pair of rows must not have a NULL",
        )
    })?;
    stars(count, &pairs)
}

/// For pairs of rows that are numbered by rank, 1 the best: which row goes into which.
#[pg_extern(sql = false)]
fn chrono_stars(
    count: i32,
    lefts: Vec<Option<i32>>,
    rights: Vec<Option<i32>>,
) -> TableIterator<'static, (name!(member, i32), name!(survivor, i32))> {
    let merges = of_arrays(count, &lefts, &rights).or_raise();
    TableIterator::new(
        merges
            .into_iter()
            .map(|merge| (merge.member, merge.survivor)),
    )
}

/// The same as version 0.2.0 declares it. `parent` is what the similarity is shown to: the survivor.
#[pg_extern(sql = false)]
fn chrono_components(
    count: i32,
    lefts: Vec<Option<i32>>,
    rights: Vec<Option<i32>>,
) -> TableIterator<'static, (name!(member, i32), name!(survivor, i32), name!(parent, i32))> {
    let merges = of_arrays(count, &lefts, &rights).or_raise();
    TableIterator::new(
        merges
            .into_iter()
            .map(|merge| (merge.member, merge.survivor, merge.survivor)),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(count: i32, pairs: &[(i32, i32)]) -> Vec<(i32, i32)> {
        let merges = stars(count, pairs).unwrap();
        merges
            .iter()
            .map(|merge| (merge.member, merge.survivor))
            .collect()
    }

    #[test]
    fn the_ends_of_a_chain_do_not_go_into_its_beginning() {
        let pairs = [(4, 2), (1, 4), (3, 2)];
        assert_eq!(merged(5, &pairs), [(4, 1), (3, 2)]);
    }

    #[test]
    fn the_order_and_direction_of_pairs_do_not_matter() {
        let pairs = [(1, 2), (2, 3), (3, 1), (5, 6)];
        let others = [(6, 5), (1, 3), (2, 1), (3, 2), (2, 3), (5, 6)];
        assert_eq!(merged(6, &pairs), merged(6, &others));
        assert_eq!(merged(6, &pairs), [(2, 1), (3, 1), (6, 5)]);
    }

    /// A grid of 5 by 5 with numbers strewn over it.
    fn grid() -> Vec<(i32, i32)> {
        let number = |row: i32, column: i32| (row * 5 + column) * 7 % 25 + 1;
        let mut pairs = Vec::new();
        for row in 0..5 {
            for column in 0..5 {
                if row < 4 {
                    pairs.push((number(row, column), number(row + 1, column)));
                }
                if column < 4 {
                    pairs.push((number(row, column), number(row, column + 1)));
                }
            }
        }
        pairs
    }

    #[test]
    fn every_merge_is_of_a_pair_and_no_pair_survives() {
        let pairs = grid();
        let merges = stars(25, &pairs).unwrap();
        let is_gone = |node| merges.iter().any(|merge| merge.member == node);
        for merge in &merges {
            let (low, high) = (merge.survivor, merge.member);
            assert!(pairs.contains(&(low, high)) || pairs.contains(&(high, low)));
            assert!(low < high && !is_gone(low));
        }
        assert!(pairs.iter().all(|&(a, b)| is_gone(a) || is_gone(b)));
    }

    #[test]
    fn whatever_was_merged_the_rest_goes_the_same_way() {
        let pairs = grid();
        let merges = stars(25, &pairs).unwrap();
        for gone in 0..merges.len() {
            let left = |node: i32| merges[..gone].iter().all(|merge| merge.member != node);
            let rest: Vec<_> = pairs
                .iter()
                .copied()
                .filter(|&(a, b)| left(a) && left(b))
                .collect();
            assert_eq!(stars(25, &rest).unwrap(), merges[gone..]);
        }
    }

    #[test]
    fn nothing_and_self_and_nonsense() {
        assert_eq!(merged(0, &[]), []);
        assert_eq!(merged(2, &[(1, 1)]), []);
        assert_eq!(merged(i32::MAX, &[(i32::MAX, 2)]), [(i32::MAX, 2)]);
        for pair in [(0, 1), (1, 3), (-1, 1)] {
            assert!(stars(2, &[pair]).is_err());
        }
        assert!(of_arrays(2, &[Some(1), None], &[Some(2), Some(1)]).is_err());
        assert!(of_arrays(2, &[Some(1)], &[]).is_err());
        assert!(of_arrays(-1, &[], &[]).is_err());
    }
}
