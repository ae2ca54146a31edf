//! Which duplicates are merged into which: the connected components of the pairs found.
//!
//! Duplicates come in chains, where the first is near the second and the second near the third. All of
//! a chain become one memory, so what is merged is a connected component, into its best member. A run
//! may have to stop in the middle of one; what it leaves must still hang together by pairs of rows
//! that are there, or the next run would find two halves. Hence the order: by a breadth-first tree
//! from the survivor, deepest first, so that a row goes only when all that hang from it are gone.

use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern};
use std::collections::HashSet;

use crate::error::{Error, OrRaise, Result};

/// A member of a component other than the survivor.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Member {
    /// Itself.
    member: usize,
    /// The best of the component: the lowest.
    survivor: usize,
    /// Its neighbour on the shortest way to the survivor.
    parent: usize,
    /// Pairs on that way.
    depth: usize,
}

/// The members of the components of an undirected graph over 1 to `count`, in the order to merge them:
/// the components by survivor, in each the deepest first.
///
/// Breadth-first from each lowest member, neighbours in ascending order: O(V + E log E), and the same
/// for every order of the pairs. Fails where a pair is out of that range.
fn components(count: usize, pairs: &[(i32, i32)]) -> Result<Vec<Member>> {
    let mut edges = Vec::with_capacity(2 * pairs.len());
    for &(left, right) in pairs {
        let node = |number: i32| {
            usize::try_from(number)
                .ok()
                .filter(|node| (1..=count).contains(node))
                .ok_or_else(|| Error::invalid(format!("a pair names {number} of {count} rows")))
        };
        edges.push((node(left)?, node(right)?));
        edges.push((node(right)?, node(left)?));
    }
    edges.sort_unstable();
    edges.dedup();
    let neighbours = |node: usize| {
        let start = edges.partition_point(|&(from, _)| from < node);
        edges[start..]
            .iter()
            .take_while(move |(from, _)| *from == node)
    };

    let mut found = Vec::new();
    // Of the rows in pairs alone: a caller may claim any count.
    let mut seen = HashSet::new();
    for &(survivor, _) in &edges {
        if !seen.insert(survivor) {
            continue;
        }
        let first = found.len();
        let mut next = first;
        let mut from = (survivor, 0);
        loop {
            for &(parent, member) in neighbours(from.0) {
                if seen.insert(member) {
                    found.push(Member {
                        member,
                        survivor,
                        parent,
                        depth: from.1 + 1,
                    });
                }
            }
            let Some(entry) = found.get(next) else { break };
            from = (entry.member, entry.depth);
            next += 1;
        }
        found[first..].reverse();
    }
    Ok(found)
}

/// For pairs of rows that are numbered by rank, 1 the best: which row goes into which, in the order of
/// going. `parent` is the row it is a duplicate of, which is still there then.
#[pg_extern(sql = false)]
fn chrono_components(
    count: i32,
    lefts: Vec<i32>,
    rights: Vec<i32>,
) -> TableIterator<'static, (name!(member, i32), name!(survivor, i32), name!(parent, i32))> {
    let pairs: Vec<(i32, i32)> = lefts.into_iter().zip(rights).collect();
    let members = components(usize::try_from(count).unwrap_or(0), &pairs).or_raise();
    // Numbers up to `count` fit as it does.
    TableIterator::new(members.into_iter().map(|member| {
        (
            member.member as i32,
            member.survivor as i32,
            member.parent as i32,
        )
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn merged(count: usize, pairs: &[(i32, i32)]) -> Vec<(usize, usize, usize)> {
        let members = components(count, pairs).unwrap();
        members
            .iter()
            .map(|member| (member.member, member.survivor, member.parent))
            .collect()
    }

    #[test]
    fn a_chain_goes_from_its_far_end() {
        let pairs = [(4, 2), (1, 4), (3, 2)];
        assert_eq!(merged(5, &pairs), [(3, 1, 2), (2, 1, 4), (4, 1, 1)]);
    }

    #[test]
    fn the_order_and_direction_of_pairs_do_not_matter() {
        let pairs = [(1, 2), (2, 3), (3, 1), (5, 6)];
        let others = [(6, 5), (1, 3), (2, 1), (3, 2), (2, 3), (5, 6)];
        assert_eq!(merged(6, &pairs), merged(6, &others));
        assert_eq!(merged(6, &pairs), [(3, 1, 1), (2, 1, 1), (6, 5, 5)]);
    }

    #[test]
    fn whatever_was_merged_the_rest_hangs_together() {
        // A grid of 5 by 5 with numbers strewn over it
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
        let order = components(25, &pairs).unwrap();
        assert_eq!(order.len(), 24);
        for gone in 0..order.len() {
            let left = |node: i32| order[..gone].iter().all(|m| m.member != node as usize);
            let rest: Vec<_> = pairs
                .iter()
                .copied()
                .filter(|&(a, b)| left(a) && left(b))
                .collect();
            assert_eq!(components(25, &rest).unwrap(), order[gone..]);
        }
    }

    #[test]
    fn nothing_and_self_and_nonsense() {
        assert_eq!(merged(0, &[]), []);
        assert_eq!(merged(2, &[(1, 1)]), []);
        let most = i32::MAX;
        assert_eq!(merged(usize::MAX, &[(most, 2)]), [(most as usize, 2, 2)]);
        for pair in [(0, 1), (1, 3), (-1, 1)] {
            assert!(components(2, &[pair]).is_err());
        }
    }
}
