//! Postings against a plain list of rows, and under several writers.

use std::ops::Bound;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use proptest::prelude::*;

use super::*;
use crate::arena::{HeapRegion, UNIT};
use crate::score::{Bounds, encode_int};

const ATTRIBUTES: usize = 2;
const NODES: u32 = 5;

fn postings(heap: &HeapRegion) -> Postings<'_> {
    let blocks = heap.words(Postings::block_words(ATTRIBUTES)).unwrap();
    let zones = heap.words(Postings::zone_words(ATTRIBUTES)).unwrap();
    Postings::new(blocks, zones, ATTRIBUTES)
}

fn heads() -> Vec<AtomicU32> {
    (0..NODES).map(|_| AtomicU32::new(0)).collect()
}

fn place(node: u32, heads: &[AtomicU32]) -> Place<'_> {
    match heads.get(node as usize) {
        Some(head) => Place::Node { node, head },
        None if node == NODES => Place::NullVector,
        None => Place::NoDistance,
    }
}

type Values = [Option<i64>; ATTRIBUTES];

fn publish(
    postings: &Postings<'_>,
    id: u32,
    node: u32,
    values: &Values,
    heads: &[AtomicU32],
) -> bool {
    let keys = values.map(|value| value.map_or(0, encode_int));
    let nulls = values
        .iter()
        .enumerate()
        .fold(0, |m, (i, v)| m | u32::from(v.is_none()) << i);
    postings.reserve(id).unwrap();
    postings.publish(id, tid(id), place(node, heads), &Row { keys: &keys, nulls })
}

fn tid(id: u32) -> u64 {
    u64::from(id) << 16 | 7
}

/// What a posting of the model is.
#[derive(Debug, Clone)]
struct Model {
    id: u32,
    node: u32,
    values: Values,
    dead: bool,
}

fn rows() -> impl Strategy<Value = Vec<Model>> {
    // Ids from two runs, one of them behind the first zone of level 2.
    let id = prop_oneof![0..200_u32, 262_100..262_200_u32];
    let value = || prop::option::weighted(0.8, -3..4_i64);
    let row = (
        id,
        0..NODES + 2,
        [value(), value()],
        prop::bool::weighted(0.2),
    )
        .prop_map(|(id, node, values, dead)| Model {
            id,
            node,
            values,
            dead,
        });
    prop::collection::vec(row, 1..80).prop_map(|mut rows| {
        let mut seen = std::collections::HashSet::new();
        rows.retain(|row| seen.insert(row.id));
        rows
    })
}

/// A condition and the same thing over plain values.
fn condition() -> impl Strategy<Value = (Condition, i64, i64, u8)> {
    (0..ATTRIBUTES, -4..5_i64, -4..5_i64, 0..6_u8).prop_map(|(attribute, low, high, kind)| {
        let (from, to) = (encode_int(low), encode_int(high));
        let test = match kind {
            0 => Test::range(Bound::Included(from), Bound::Excluded(to)),
            1 => Test::range(Bound::Excluded(from), Bound::Unbounded),
            2 => Test::equal(from),
            3 => Test::OneOf([to, from, to].into_iter().collect()),
            4 => Test::Null,
            _ => Test::NotNull,
        };
        (Condition { attribute, test }, low, high, kind)
    })
}

fn passes(value: Option<i64>, low: i64, high: i64, kind: u8) -> bool {
    match (kind, value) {
        (4, value) => value.is_none(),
        (_, None) => false,
        (0, Some(value)) => low <= value && value < high,
        (1, Some(value)) => low < value,
        (2, Some(value)) => value == low,
        (3, Some(value)) => value == low || value == high,
        _ => true,
    }
}

fn zones_of(id: u32) -> impl Iterator<Item = Zone> {
    (0..5).map(move |level| Zone {
        level,
        index: (u64::from(id) >> (6 * (level + 1))) as u32,
    })
}

fn covers(bounds: &Bounds<'_>, node: u32, values: &Values) -> bool {
    (node != NODES || bounds.null_distance)
        && (node != NODES + 1 || bounds.nan_distance)
        && (0..ATTRIBUTES).all(|i| match values[i].map(encode_int) {
            Some(key) => bounds
                .keys(i)
                .is_some_and(|(low, high)| low <= key && key <= high),
            None => bounds.has_null(i),
        })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(100))]

    #[test]
    fn blocks_zones_chains_and_filters_match_a_list(
        rows in rows(),
        conditions in prop::collection::vec(condition(), 0..3),
    ) {
        let heap = HeapRegion::new(600 * UNIT);
        let postings = postings(&heap);
        let heads = heads();
        for row in &rows {
            prop_assert!(publish(&postings, row.id, row.node, &row.values, &heads));
            prop_assert!(!publish(&postings, row.id, row.node, &row.values, &heads));
            if row.dead {
                prop_assert!(postings.mark_dead(row.id));
                prop_assert!(!postings.mark_dead(row.id));
            }
        }
        let dead = rows.iter().filter(|row| row.dead).count() as u64;
        prop_assert_eq!(postings.counts(), (rows.len() as u64, dead));

        let filter: Filter = conditions.iter().map(|one| one.0.clone()).collect();
        let expected = |row: &Model| {
            conditions.iter().all(|(one, low, high, kind)| {
                passes(row.values[one.attribute], *low, *high, *kind)
            })
        };
        for row in &rows {
            let (number, slot) = split(row.id);
            let block = postings.block(number).unwrap();
            prop_assert_eq!(postings.live(row.id).is_some(), !row.dead);
            prop_assert_eq!(block.tid(slot), tid(row.id));
            prop_assert_eq!(block.node(slot), (row.node < NODES).then_some(row.node));
            prop_assert_eq!(block.no_distance() >> slot & 1 != 0, row.node == NODES + 1);
            let mut keys = [0; ATTRIBUTES];
            let read = block.row(slot, u32::MAX >> (32 - ATTRIBUTES), &mut keys);
            prop_assert_eq!([read.int(0), read.int(1)], row.values);
            prop_assert_eq!(filter.matches_row(&read), expected(row));

            let siblings: Vec<&Model> = rows.iter().filter(|r| split(r.id).0 == number).collect();
            let matching = siblings.iter().filter(|r| expected(r) && !r.dead);
            let mask = matching.fold(0, |mask, r| mask | 1 << split(r.id).1);
            prop_assert_eq!(filter.matches(&block, block.live()), mask);

            for zone in zones_of(row.id) {
                let mut bounds = ZoneBounds::new(ATTRIBUTES);
                prop_assert!(postings.bounds(zone, 0b11, &mut bounds));
                prop_assert!(covers(&bounds.get(), row.node, &row.values));
                let parent = Zone { level: zone.level + 1, index: zone.index / FAN as u32 };
                let inside = |r: &&Model| zones_of(r.id).any(|other| other == zone);
                let place = zone.index as usize % FAN;
                let below = postings.below(parent).unwrap();
                let may_match = filter.may_match_among(&below, u64::MAX);
                prop_assert!(may_match >> place & 1 != 0 || !expected(row));
                let all_match = filter.all_match_among(&below, u64::MAX) >> place & 1 != 0;
                let all = rows.iter().filter(inside).all(&expected);
                // Of a set of keys only the ends are compared.
                let is_told = conditions.iter().all(|(_, _, _, kind)| *kind != 3);
                prop_assert!(all_match == all || all && !is_told);
                for i in 0..ATTRIBUTES {
                    let values = rows.iter().filter(inside).filter_map(|r| r.values[i]);
                    let tight = values.clone().min().zip(values.max());
                    let tight = tight.map(|(low, high)| (encode_int(low), encode_int(high)));
                    prop_assert_eq!(bounds.get().keys(i), tight);
                }
            }
        }
        for node in 0..NODES {
            let chain: Vec<u32> = postings.chain(&heads[node as usize]).collect();
            let newest_first = rows.iter().rev().filter(|row| row.node == node).map(|row| row.id);
            prop_assert_eq!(chain, newest_first.collect::<Vec<_>>());
        }
    }
}

#[test]
fn whoever_sees_that_a_posting_was_published_sees_all_of_it() {
    const WRITERS: u32 = 3;
    const EACH: u32 = 3_000;
    let heap = HeapRegion::new(300 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    let done: Vec<AtomicU32> = (0..WRITERS).map(|_| AtomicU32::new(0)).collect();
    let values = |id: u32| {
        [
            Some(i64::from(id) * 7919 % 10_007),
            (!id.is_multiple_of(5)).then_some(-1),
        ]
    };
    std::thread::scope(|scope| {
        for writer in 0..WRITERS {
            let (done, heads, postings) = (&done, &heads, &postings);
            scope.spawn(move || {
                for step in 0..EACH {
                    let id = step * WRITERS + writer;
                    assert!(publish(postings, id, id % (NODES + 2), &values(id), heads));
                    // Release: as a commit is to the snapshots after it.
                    done[writer as usize].store(step + 1, Ordering::Release);
                }
            });
        }
        let mut bounds = ZoneBounds::new(ATTRIBUTES);
        loop {
            let seen: Vec<u32> = done
                .iter()
                .map(|done| done.load(Ordering::Acquire))
                .collect();
            for writer in 0..WRITERS {
                let Some(step) = seen[writer as usize].checked_sub(1) else {
                    continue;
                };
                let id = step * WRITERS + writer;
                let (block, slot) = postings.live(id).unwrap();
                assert_eq!(block.tid(slot), tid(id));
                for zone in zones_of(id) {
                    assert!(postings.bounds(zone, 0b11, &mut bounds));
                    assert!(covers(&bounds.get(), id % (NODES + 2), &values(id)));
                }
                if let Some(node) = block.node(slot) {
                    assert!(
                        postings
                            .chain(&heads[node as usize])
                            .any(|other| other == id)
                    );
                }
            }
            if seen.iter().all(|&done| done == EACH) {
                break;
            }
        }
    });
    assert_eq!(postings.counts(), (u64::from(WRITERS * EACH), 0));
    let chained: usize = heads.iter().map(|head| postings.chain(head).count()).sum();
    let placed = (0..WRITERS * EACH)
        .filter(|id| id % (NODES + 2) < NODES)
        .count();
    assert_eq!(chained, placed);
}

#[test]
fn one_of_several_publishers_wins() {
    let heap = HeapRegion::new(100 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    let wins = AtomicU64::new(0);
    std::thread::scope(|scope| {
        let publish_all = || {
            for id in 0..500 {
                let won = publish(&postings, id, id % NODES, &[Some(1), None], &heads);
                wins.fetch_add(u64::from(won), Ordering::Relaxed);
            }
        };
        // Joined by hand: ThreadSanitizer does not see that the end of a scope waits.
        for publisher in [(); 3].map(|()| scope.spawn(publish_all)) {
            publisher.join().unwrap();
        }
    });
    assert_eq!(wins.into_inner(), 500);
    assert_eq!(
        heads
            .iter()
            .map(|head| postings.chain(head).count())
            .sum::<usize>(),
        500
    );
}

#[test]
fn a_full_region_refuses_and_keeps_what_it_has() {
    let heap = HeapRegion::new(12 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    let full = (0..).find(|&id| postings.reserve(id).is_err()).unwrap();
    assert_eq!(full % BLOCK as u32, 0);
    assert!(postings.block(split(full).0).is_none());
    assert!(!postings.mark_dead(full));
    for id in 0..full {
        assert!(publish(&postings, id, 0, &[Some(0), Some(0)], &heads));
    }
    assert_eq!(postings.counts(), (u64::from(full), 0));
}

/// Cuts all chains and frees the blocks that are sparse, as vacuum does.
fn reclaim(postings: &Postings<'_>, heads: &[AtomicU32], blocks: u32) {
    for head in heads {
        let empty = postings.cut(head);
        assert_eq!(empty, postings.chain(head).next().is_none());
    }
    postings.count_cut();
    for number in (0..blocks).rev() {
        if postings.is_sparse(number) {
            postings.free_block(number);
        }
    }
}

/// A row to come: its node and values, and whether it is the first to go.
fn newcomer() -> impl Strategy<Value = (u32, Values, bool)> {
    let value = || prop::option::weighted(0.8, -3..4_i64);
    (0..NODES + 2, [value(), value()], prop::bool::weighted(0.97))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]

    #[test]
    fn the_dead_make_room_and_leave_no_trace(
        rounds in prop::collection::vec(prop::collection::vec(newcomer(), 1..300), 2..7),
    ) {
        let heap = HeapRegion::new(100 * UNIT);
        let postings = postings(&heap);
        let heads = heads();
        let mut alive: Vec<Model> = Vec::new();
        let mut end = 0;
        let mut most = 0;
        for round in rounds {
            for (node, values, dead) in round {
                let id = postings.next_free().unwrap_or(end);
                end = end.max(id + 1);
                prop_assert!(publish(&postings, id, node, &values, &heads));
                alive.push(Model { id, node, values, dead });
            }
            most = most.max(alive.len());
            prop_assert!(alive.iter().map(|row| row.id).collect::<std::collections::HashSet<_>>().len() == alive.len());
            alive.retain(|row| {
                if row.dead {
                    assert!(postings.mark_dead(row.id));
                }
                !row.dead
            });
            reclaim(&postings, &heads, end.div_ceil(BLOCK as u32));

            let (published, dead) = postings.counts();
            prop_assert_eq!(published - dead, alive.len() as u64);
            for node in 0..NODES {
                let chain: Vec<u32> = postings.chain(&heads[node as usize]).collect();
                let mine = alive.iter().rev().filter(|row| row.node == node);
                prop_assert_eq!(chain, mine.map(|row| row.id).collect::<Vec<_>>());
            }
            for row in &alive {
                prop_assert!(postings.live(row.id).is_some());
                for zone in zones_of(row.id) {
                    let mut bounds = ZoneBounds::new(ATTRIBUTES);
                    prop_assert!(postings.bounds(zone, 0b11, &mut bounds));
                    prop_assert!(covers(&bounds.get(), row.node, &row.values));
                }
            }
            let occupied = postings.below(Zone { level: 1, index: 0 }).unwrap().occupied();
            for number in 0..end / BLOCK as u32 {
                let block = postings.block(number).unwrap();
                // What is free leaves nothing behind, in no zone that spans nothing else.
                prop_assert_eq!(block.ready() == 0, occupied >> number & 1 == 0);
                prop_assert!(!postings.is_sparse(number));
            }
            if alive.is_empty() && end.is_multiple_of(BLOCK as u32) {
                let top = postings.below(Zone::ALL).unwrap();
                prop_assert_eq!(top.occupied(), 0);
            }
        }
        prop_assert!(end as usize <= 2 * most + BLOCK, "{end} places for {most} rows");
    }
}

/// An inserter failed between the two steps, its row is logged, and vacuum finds it gone.
#[test]
fn what_is_entered_and_never_shown_can_die() {
    let heap = HeapRegion::new(100 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    let keys = [0, 0];
    let row = Row {
        keys: &keys,
        nulls: 0,
    };
    for id in 0..BLOCK as u32 {
        postings.reserve(id).unwrap();
        assert!(!postings.mark_dead(id));
        assert!(postings.enter(id, tid(id), place(0, &heads), &row));
        assert!(!postings.enter(id, tid(id), place(0, &heads), &row));
        if id >= 40 {
            postings.show(id);
        }
    }
    for id in 0..40 {
        assert!(postings.mark_dead(id) && !postings.mark_dead(id));
    }
    assert_eq!(postings.counts(), (64, 40));
    assert_eq!(postings.block(0).unwrap().dead().count_ones(), 40);
    reclaim(&postings, &heads, 1);
    assert_eq!(postings.counts(), (24, 0));
    assert_eq!(postings.chain(&heads[0]).count(), 24);
    assert_eq!(postings.next_free(), Some(0));
    assert!(publish(&postings, 0, 1, &[Some(3), None], &heads));
    assert!(postings.live(0).is_some() && postings.live(1).is_none());
}

#[test]
fn what_is_loaded_dead_can_be_used_again() {
    let heap = HeapRegion::new(100 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    for id in 0..3 * BLOCK as u32 {
        postings.reserve(id).unwrap();
        if id == 70 {
            assert!(publish(&postings, id, 0, &[Some(1), None], &heads));
        } else {
            postings.enter_dead(id);
        }
    }
    assert_eq!(postings.counts(), (192, 191));
    reclaim(&postings, &heads, 3);
    assert_eq!(postings.counts(), (1, 0));
    for expected in (0..70).chain(71..192) {
        assert_eq!(postings.next_free(), Some(expected));
        assert!(publish(&postings, expected, 1, &[None, Some(2)], &heads));
    }
    assert_eq!(postings.next_free(), None);
    assert!(postings.live(70).is_some());
}

#[test]
fn who_reads_while_blocks_are_used_again_never_meets_the_dead() {
    // Rows of a round carry its number. They go in the next, but for some that stay until an even one.
    const ROUNDS: u64 = 400;
    let heap = HeapRegion::new(100 * UNIT);
    let postings = postings(&heap);
    let heads = heads();
    let global = AtomicU64::new(0);
    let participants = [crate::epoch::Participant::default()];
    let epochs = crate::epoch::Epochs::new(&global, &participants);
    let gone = AtomicU64::new(0);
    let stays = |slot: usize| slot.is_multiple_of(4);
    let row = |round: u64, id: u32| {
        postings.reserve(id).unwrap();
        let values = [encode_int(round as i64), encode_int(-(round as i64))];
        let row = Row {
            keys: &values,
            nulls: 0,
        };
        assert!(postings.publish(id, round, place(id % NODES, &heads), &row));
    };
    (0..4 * BLOCK as u32).for_each(|id| row(1, id));
    std::thread::scope(|scope| {
        let reader = scope.spawn(|| {
            let mut last = 0;
            while last < ROUNDS - 1 {
                let _pin = epochs.pin(0);
                // Acquire: as a snapshot is to the vacuums before it.
                last = gone.load(Ordering::Acquire);
                for (block, slot) in (0..4 * BLOCK as u32).filter_map(|id| postings.live(id)) {
                    assert!(block.tid(slot) + u64::from(stays(slot)) > last);
                    assert_eq!(block.key(0, slot), encode_int(block.tid(slot) as i64));
                }
                for (node, head) in heads.iter().enumerate() {
                    for id in postings.chain(head) {
                        let (number, slot) = split(id);
                        let node_of = postings.block(number).unwrap().node(slot);
                        assert!(node_of.is_none_or(|of| of == node as u32));
                    }
                }
            }
        });
        for round in 2..=ROUNDS {
            let is_even = round.is_multiple_of(2);
            for id in (0..4 * BLOCK as u32).filter(|&id| is_even || !stays(split(id).1)) {
                postings.mark_dead(id);
            }
            gone.store(round - 1, Ordering::Release);
            heads
                .iter()
                .for_each(|head| assert!(postings.cut(head) || !is_even));
            postings.count_cut();
            let stamp = epochs.stamp();
            while !epochs.is_safe(stamp) {
                epochs.try_advance();
                std::thread::yield_now();
            }
            for number in 0..4 {
                assert!(postings.is_sparse(number));
                postings.free_block(number);
            }
            while let Some(id) = postings.next_free() {
                row(round, id);
            }
        }
        reader.join().unwrap();
    });
}
