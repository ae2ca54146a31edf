//! The search against a linear scan, over a graph that is perfect, lossy or not there.

mod deferred;
mod world;

use std::collections::{HashMap, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};

use proptest::prelude::*;

use super::*;
use crate::arena::{HeapRegion, UNIT};
use crate::postings::{Condition, Test};
use crate::score::{Ranking, encode_float, encode_int, rank};
use world::*;

/// More than enough.
const MEMORY: usize = 1 << 24;

fn orders() -> impl Strategy<Value = AnyOrder> {
    prop_oneof![
        Just(AnyOrder::Nearest),
        Just(labelled()),
        (0.0..1.0_f64, 0.0..1.0_f64)
            .prop_map(|(w, part)| AnyOrder::Blend(blend(w, (1.0 - w) * part))),
        Just(AnyOrder::Blend(blend(1.0, 0.0))),
        Just(AnyOrder::Blend(blend(0.0, 0.0))),
    ]
}

/// Orders as SQL has them, some of which the distance does not raise or not even matter to.
fn rankings() -> impl Strategy<Value = AnyOrder> {
    let expression = prop::sample::select(vec![
        "distance",
        "1 - distance",
        "t",
        "importance",
        "label * 0",
        "0.7 * distance - 0.3 * exp(t / 100000000000)",
        "(1 - distance) * exp(t / 100000000000)",
        "(1 - distance) / (1 - t / 100000000000)",
        "abs(distance - 0.5)",
        "coalesce(distance, 0.3) - CASE WHEN label = 2 THEN 0.5 ELSE importance END",
        "greatest(distance, importance)",
    ]);
    (expression, any::<bool>(), any::<bool>()).prop_map(|(text, descending, nulls_first)| {
        AnyOrder::Ranked(Ranking {
            program: program(text),
            descending,
            nulls_first,
        })
    })
}

/// Conditions that look at the distance.
fn conditions() -> impl Strategy<Value = Option<Program>> {
    let texts = vec![
        "distance < 0.3",
        "1 - distance >= 0.7",
        "distance > 0.8",
        "distance < 0.9 AND distance + importance > 0.4",
        "distance IS NULL",
        "distance < 0.2 OR label = 1",
        "coalesce(distance, 0) < 0.1",
    ];
    prop::option::of(prop::sample::select(texts)).prop_map(|text| text.map(program))
}

fn filters() -> impl Strategy<Value = Vec<Condition>> {
    let condition = prop_oneof![
        (-3..4_i64).prop_map(|key| (3, Test::equal(encode_int(key)))),
        (0.0..1.0_f64).prop_map(|key| (1, Test::Within(encode_float(key), u64::MAX))),
        (-500..0_i64).prop_map(|hour| (0, Test::Within(encode_int(hour * HOUR), u64::MAX))),
        Just((2, Test::Null)),
        Just((1, Test::NotNull)),
    ];
    let condition = condition.prop_map(|(attribute, test)| Condition { attribute, test });
    prop::collection::vec(condition, 0..3)
}

fn distances() -> impl Strategy<Value = Vec<f64>> {
    let distance = prop_oneof![4 => 0.0..2.0_f64, 1 => Just(0.5), 1 => Just(-1.5)];
    prop::collection::vec(distance, 1..60)
}

/// Rows in order of time, more or less, with holes between the ids.
fn rows() -> impl Strategy<Value = Vec<Model>> {
    let importance = prop_oneof![
        6 => 0.0..1.0_f64,
        1 => prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
    ];
    let row = (
        1..40_u32,
        prop_oneof![9 => any::<u32>().prop_map(At::Node), 1 => Just(At::NullVector),
                    1 => Just(At::NoDistance)],
        prop::option::weighted(0.9, -20..5_i64),
        prop::option::weighted(0.8, importance),
        prop::option::weighted(0.3, prop_oneof![0.001..0.1_f64, Just(0.0), Just(-1.0)]),
        prop::option::weighted(0.9, -3..4_i64),
        prop::bool::weighted(0.1),
    );
    prop::collection::vec(row, 0..300).prop_map(|rows| {
        let mut id = 0;
        let made = rows
            .into_iter()
            .map(|(gap, at, jitter, importance, rate, label, dead)| {
                // A few gaps lead into other zones of higher levels.
                id += if gap == 39 { 3_000 } else { gap / 13 + 1 };
                let age = 1_000 - i64::from(id % 1_000);
                let keys = [
                    jitter.map(|jitter| encode_int((jitter - age) * HOUR)),
                    importance.map(encode_float),
                    rate.map(encode_float),
                    label.map(encode_int),
                ];
                Model { id, at, keys, dead }
            });
        made.collect()
    })
}

/// Checks that the rows are those of the linear scan, each once, with their scores.
fn check_set(
    order: &AnyOrder,
    found: &[Found],
    expected: &HashMap<u32, u64>,
) -> std::result::Result<(), TestCaseError> {
    prop_assert_eq!(found.len(), expected.len());
    let mut seen = HashSet::new();
    for row in found {
        prop_assert!(seen.insert(row.posting), "{} came twice", row.posting);
        prop_assert_eq!(expected.get(&row.posting), Some(&order.rank_of(row.score)));
        prop_assert_eq!(row.tid, u64::from(row.posting) + 1);
    }
    Ok(())
}

fn is_ascending(order: &AnyOrder, found: impl IntoIterator<Item = Found>) -> bool {
    let ranks = found.into_iter().map(|row| order.rank_of(row.score));
    ranks.is_sorted()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(256))]

    #[test]
    fn gives_what_a_linear_scan_gives(
        mut rows in rows(),
        distances in distances(),
        order in prop_oneof![orders(), rankings()],
        filter in filters(),
        condition in conditions(),
        chunk in 1..9_usize,
        wanted in 1..20_usize,
        memory in prop::sample::select(vec![0, 2_000, 5_000, 20_000, MEMORY, MEMORY, MEMORY]),
        lost in prop::option::of(prop::collection::hash_set(0..60_u32, 0..12)),
        stop_at in prop::collection::hash_set(0..200_u32, 0..9),
    ) {
        let heap = HeapRegion::new(2_000 * UNIT);
        let world = World::of(&heap, distances, &mut rows);
        let filter: Filter = filter.into_iter().collect();
        let lost = lost.unwrap_or_default();
        let mut near = Sorted::new(&world, chunk, &lost);
        let mut expected = linear(&world, &rows, &order, &filter, condition.as_ref(), None);
        let mut scan =
            Scan::new(order.clone(), filter, condition.clone(), ATTRIBUTES, wanted, memory);

        let (mut found, mut asked) = (Vec::new(), 0);
        loop {
            let mut interrupt = || {
                asked += 1;
                stop_at.contains(&asked)
            };
            match scan.next(&world.postings, &mut near, &mut interrupt) {
                Ok(Some(row)) => {
                    let bound = scan.bound(&world.postings, &near);
                    let proved = bound.is_none_or(|bound| order.rank_of(row.score) <= bound);
                    prop_assert!(proved, "{row:?} before {bound:?}");
                    found.push(row);
                }
                Ok(None) => break,
                Err(error) => prop_assert_eq!(error, Error::Stopped),
            }
        }
        if condition.is_some() {
            // Where the condition ends the search, nobody meets the rows that the graph has lost.
            let given: HashSet<u32> = found.iter().map(|row| row.posting).collect();
            let is_lost = |id: u32| {
                let (block, slot) = world.postings.live(id).unwrap();
                block.node(slot).is_some_and(|node| lost.contains(&node))
            };
            expected.retain(|&id, _| given.contains(&id) || !is_lost(id));
        }
        check_set(&order, &found, &expected)?;
        let statistics = scan.statistics();
        prop_assert_eq!(statistics.given, found.len() as u64);
        if statistics.passes == 0 && condition.is_none() {
            prop_assert_eq!(statistics.near_rows + statistics.zone_rows, found.len() as u64);
        }
        // Only rows that the graph has lost may come late.
        let known = found.into_iter().filter(|row| row.node.is_none_or(|node| !lost.contains(&node)));
        prop_assert!(is_ascending(&order, known));
    }

    #[test]
    fn a_row_whose_distance_overflows_to_nan_comes_where_nan_does(
        mut rows in rows(),
        mut distances in distances(),
        order in prop_oneof![orders(), rankings()],
        filter in filters(),
        condition in conditions(),
        wanted in 1..20_usize,
        memory in prop::sample::select(vec![0, 2_000, 5_000, MEMORY]),
        no_numbers in prop::collection::hash_map(
            0..60_usize,
            prop::sample::select(vec![f64::NAN, f64::INFINITY, f64::NEG_INFINITY]),
            0..6,
        ),
    ) {
        for (at, value) in no_numbers {
            if let Some(distance) = distances.get_mut(at) {
                *distance = value;
            }
        }
        let heap = HeapRegion::new(2_000 * UNIT);
        let world = World::of(&heap, distances, &mut rows);
        let filter: Filter = filter.into_iter().collect();
        let expected = linear(&world, &rows, &order, &filter, condition.as_ref(), None);
        let mut near = Sorted::new(&world, 8, &HashSet::new());
        near.overflows = true;
        let mut scan = Scan::new(order.clone(), filter, condition, ATTRIBUTES, wanted, memory);
        let found = drain(&mut scan, &world.postings, &mut near);
        check_set(&order, &found, &expected)?;
        prop_assert!(is_ascending(&order, found));
    }

    #[test]
    fn a_query_without_distances_is_answered_from_the_zones(
        mut rows in rows(),
        order in prop_oneof![orders(), rankings()],
        filter in filters(),
        condition in conditions(),
        memory in prop::sample::select(vec![0, MEMORY]),
        fixed in prop::sample::select(vec![Fixed::Null, Fixed::NaN]),
    ) {
        let heap = HeapRegion::new(2_000 * UNIT);
        let world = World::of(&heap, vec![0.5], &mut rows);
        let filter: Filter = filter.into_iter().collect();
        let expected = linear(&world, &rows, &order, &filter, condition.as_ref(), Some(fixed));
        let mut scan = Scan::new(order.clone(), filter, condition, ATTRIBUTES, 10, memory);
        let mut near = fixed;
        let found = drain(&mut scan, &world.postings, &mut near);
        check_set(&order, &found, &expected)?;
        prop_assert!(is_ascending(&order, found));
    }
}

/// Pseudo-random numbers below 1.
fn uniform(seed: u64) -> f64 {
    let word = (seed + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    let word = (word ^ word >> 29).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    ((word ^ word >> 32) >> 11) as f64 / (1_u64 << 53) as f64
}

/// A stream of rows, one an hour, each with a vector of its own at a distance that has nothing to
/// do with its time, close together as in high dimensions.
fn stream<'r>(heap: &'r HeapRegion, rows: u32) -> (World<'r>, Vec<Model>) {
    let distances = (0..u64::from(rows))
        .map(|i| 0.4 + 0.6 * uniform(i).powf(0.3))
        .collect();
    let world = World::new(heap, distances);
    let models = (0..rows).map(|id| Model {
        id,
        at: At::Node(id),
        keys: [
            Some(encode_int((i64::from(id) - i64::from(rows)) * HOUR)),
            Some(encode_float(uniform(u64::from(id) + 1_000_000))),
            None,
            Some(encode_int(i64::from(id % 1_000))),
        ],
        dead: false,
    });
    let models: Vec<Model> = models.collect();
    models.iter().for_each(|model| world.publish(model));
    (world, models)
}

/// Gives the first ten, checks them and returns the scan and the cost of the graph.
fn first_ten(
    world: &World<'_>,
    rows: &[Model],
    order: AnyOrder,
    filter: Filter,
) -> (Scan<AnyOrder>, u64) {
    let mut near = Sorted::new(world, 32, &HashSet::new());
    let mut scan = Scan::new(order.clone(), filter.clone(), None, ATTRIBUTES, 10, MEMORY);
    let mut found = Vec::new();
    while found.len() < 10 {
        found.extend(
            scan.next(&world.postings, &mut near, &mut || false)
                .unwrap(),
        );
    }
    let mut best: Vec<u64> = linear(world, rows, &order, &filter, None, None)
        .into_values()
        .collect();
    best.sort_unstable();
    best.truncate(10);
    assert_eq!(
        found.iter().map(|row| rank(row.score)).collect::<Vec<_>>(),
        best
    );
    (scan, near.cost())
}

#[test]
fn only_a_small_part_of_the_rows_is_scored() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 20_000);
    for (recency, importance) in [(0.1, 0.0), (0.3, 0.0), (0.5, 0.0), (0.9, 0.0), (0.3, 0.2)] {
        let order = AnyOrder::Blend(blend(recency, importance));
        let (scan, cost) = first_ten(&world, &rows, order, Filter::default());
        let Statistics {
            near_rows,
            zone_rows,
            ..
        } = scan.statistics();
        println!("{recency} {importance}: near {near_rows}, zones {zone_rows}, graph {cost}");
        assert!(
            near_rows + zone_rows < 1_000,
            "{recency}, {importance}: {near_rows} + {zone_rows}"
        );
        assert!(scan.bytes() < 200_000);
    }
}

#[test]
fn an_order_by_distance_leaves_the_zones_alone() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 20_000);
    let (scan, _) = first_ten(&world, &rows, AnyOrder::Nearest, Filter::default());
    assert_eq!(
        (scan.statistics().blocks, scan.statistics().near_rows),
        (0, 32)
    );
}

#[test]
fn a_narrow_filter_leaves_the_graph_alone_and_a_wide_one_the_zones() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 20_000);
    let at_least = |importance: f64| {
        let test = Test::Within(encode_float(importance), u64::MAX);
        [Condition { attribute: 1, test }]
            .into_iter()
            .collect::<Filter>()
    };
    let (scan, cost) = first_ten(&world, &rows, AnyOrder::Nearest, at_least(0.998));
    assert!(scan.statistics().zone_rows < 100 && cost == 0);
    let newest = Test::Within(encode_int(-100 * HOUR), u64::MAX);
    let newest = [Condition {
        attribute: 0,
        test: newest,
    }]
    .into_iter()
    .collect();
    let (scan, cost) = first_ten(&world, &rows, AnyOrder::Nearest, newest);
    assert!(scan.statistics().blocks < 4 && cost == 0);
    let (scan, cost) = first_ten(&world, &rows, AnyOrder::Nearest, at_least(0.5));
    assert!(scan.statistics().zone_rows == 0 && cost < 1_000);
}

#[test]
fn a_search_for_all_rows_keeps_to_its_memory() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 20_000);
    for order in [
        AnyOrder::Nearest,
        labelled(),
        AnyOrder::Blend(blend(0.3, 0.2)),
    ] {
        let memory = 100_000;
        let mut near = Sorted::new(&world, 32, &HashSet::new());
        let mut scan = Scan::new(
            order.clone(),
            Filter::default(),
            None,
            ATTRIBUTES,
            10,
            memory,
        );
        let mut found = Vec::new();
        while let Some(row) = scan
            .next(&world.postings, &mut near, &mut || false)
            .unwrap()
        {
            // What grows by doubling may hold twice what it needs.
            assert!(scan.bytes() + near.bytes() < 2 * memory);
            found.push(row);
        }
        assert!((2..100).contains(&scan.statistics().passes));
        let expected = linear(&world, &rows, &order, &Filter::default(), None, None);
        assert_eq!(found.len(), expected.len());
        let mut seen = HashSet::new();
        assert!(found.iter().all(|row| seen.insert(row.posting)));
        assert!(is_ascending(&order, found));
    }
}

/// Also one that is true of a row without a distance, where there is none.
#[test]
fn a_threshold_that_few_rows_pass_ends_the_search() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 20_000);
    for threshold in [
        "distance < 0.45",
        "1 - distance > 0.55",
        "NOT 1 - distance <= 0.55",
    ] {
        let condition = Some(program(threshold));
        let order = AnyOrder::Nearest;
        let expected = linear(
            &world,
            &rows,
            &order,
            &Filter::default(),
            condition.as_ref(),
            None,
        );
        assert!((1..32).contains(&expected.len()));
        let mut near = Sorted::new(&world, 32, &HashSet::new());
        let filter = Filter::default();
        let mut scan = Scan::new(order.clone(), filter, condition, ATTRIBUTES, 100, MEMORY);
        let found = drain(&mut scan, &world.postings, &mut near);
        assert!(check_set(&order, &found, &expected).is_ok());
        let Statistics {
            near_rows,
            zone_rows,
            ..
        } = scan.statistics();
        assert!(
            near_rows <= 64 && zone_rows == 0,
            "{threshold}: {near_rows}, {zone_rows}"
        );
    }
}

/// Rows without a distance pass it, and bring the blocks along in which they are.
#[test]
fn of_rows_around_those_without_a_distance_only_what_may_pass_is_measured() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let distances = (0..5_000).map(|i| 0.4 + 0.6 * uniform(i).powf(0.3));
    let world = World::new(&heap, distances.collect());
    let rows: Vec<Model> = (0..5_000)
        .map(|id| Model {
            id,
            at: match id % 50 {
                0 => At::NoDistance,
                _ => At::Node(id),
            },
            keys: [None; ATTRIBUTES],
            dead: false,
        })
        .collect();
    rows.iter().for_each(|model| world.publish(model));
    let condition = Some(program("1 - distance > 0.5"));
    let order = AnyOrder::Nearest;
    let filter = Filter::default();
    let expected = linear(&world, &rows, &order, &filter, condition.as_ref(), None);
    let mut near = Sorted::new(&world, 32, &HashSet::new());
    let mut scan = Scan::new(order.clone(), filter, condition, ATTRIBUTES, 100, MEMORY);
    let found = drain(&mut scan, &world.postings, &mut near);
    assert!(check_set(&order, &found, &expected).is_ok());
    assert!(expected.len() > 10);
    // Of every third, nothing is known before.
    assert!(near.measured < 1_800, "{}", near.measured);
}

#[test]
fn a_step_is_short_where_all_that_wait_are_gone() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, _) = stream(&heap, 5_000);
    // Its bounds are so loose that nearly all rows wait for the last zone.
    let order = AnyOrder::Ranked(Ranking {
        program: program("importance * importance - importance"),
        descending: false,
        nulls_first: false,
    });
    let mut near = Sorted::new(&world, 32, &HashSet::new());
    let mut scan = Scan::new(order, Filter::default(), None, ATTRIBUTES, 5_000, MEMORY);
    while !matches!(scan.step(&world.postings, &mut near), Step::Found(_)) {}
    let waiting = scan.statistics().near_rows + scan.statistics().zone_rows;
    for id in 0..5_000 {
        world.postings.mark_dead(id);
    }
    let steps = std::iter::from_fn(|| match scan.step(&world.postings, &mut near) {
        Step::Done => None,
        step => Some(step),
    });
    let steps = steps.count() as u64;
    assert!(
        waiting > 1_000 && steps >= waiting / cost::BUDGET,
        "{waiting} in {steps}"
    );
}

#[test]
fn rows_that_die_while_they_wait_are_not_given_out() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 1_000);
    for order in [AnyOrder::Nearest, AnyOrder::Blend(blend(0.3, 0.2))] {
        let expected = linear(&world, &rows, &order, &Filter::default(), None, None);
        let alive = |id: u32| world.postings.live(id).is_some();
        let before: HashSet<u32> = (0..1_000).filter(|&id| alive(id)).collect();
        let mut near = Sorted::new(&world, 32, &HashSet::new());
        let mut scan = Scan::new(
            order.clone(),
            Filter::default(),
            None,
            ATTRIBUTES,
            10,
            MEMORY,
        );
        let mut given = HashSet::new();
        while let Some(row) = scan
            .next(&world.postings, &mut near, &mut || false)
            .unwrap()
        {
            assert!(alive(row.posting) && given.insert(row.posting));
            assert_eq!(expected[&row.posting], order.rank_of(row.score));
            // The next best and some that are far away.
            let waiting = expected
                .iter()
                .filter(|(id, _)| !given.contains(id) && alive(**id));
            let next = waiting
                .min_by_key(|(id, rank)| (**rank, **id))
                .map(|(id, _)| *id);
            let victims = next.into_iter().chain([(row.posting * 7 + 13) % 1_000]);
            victims.for_each(|id| {
                world.postings.mark_dead(id);
            });
        }
        assert!(
            before
                .into_iter()
                .filter(|&id| alive(id))
                .all(|id| given.contains(&id))
        );
    }
}

#[test]
fn rows_that_were_there_before_come_once_and_in_order_while_others_arrive_and_die() {
    const BEFORE: u32 = 3_000;
    const AFTER: u32 = 9_000;
    let heap = HeapRegion::new(2_000 * UNIT);
    let distances = (0..64).map(|i| uniform(i) * 2.0).collect();
    let world = World::new(&heap, distances);
    let model = |id: u32| Model {
        id,
        at: At::Node(id % 64),
        keys: [
            Some(encode_int(-i64::from(id * 37 % 1_000) * HOUR)),
            (!id.is_multiple_of(3)).then(|| encode_float(uniform(id.into()))),
            None,
            None,
        ],
        dead: false,
    };
    (0..BEFORE).for_each(|id| world.publish(&model(id)));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let writer = scope.spawn(|| {
            for id in BEFORE..AFTER {
                world.publish(&model(id));
                if id % 5 == 1 {
                    world.postings.mark_dead(id - 1);
                }
            }
            over.store(true, Ordering::Relaxed);
        });
        let mut round = 0;
        while !over.load(Ordering::Relaxed) || round < 4 {
            let order = [AnyOrder::Nearest, AnyOrder::Blend(blend(0.4, 0.2))][round % 2].clone();
            let mut near = Sorted::new(&world, 3, &HashSet::new());
            let mut scan = Scan::new(
                order.clone(),
                Filter::default(),
                None,
                ATTRIBUTES,
                10,
                MEMORY,
            );
            let found = drain(&mut scan, &world.postings, &mut near);
            let mut seen = HashSet::new();
            assert!(found.iter().all(|row| seen.insert(row.posting)));
            assert!((0..BEFORE).all(|id| seen.contains(&id)));
            let before = found.into_iter().filter(|row| row.posting < BEFORE);
            assert!(is_ascending(&order, before));
            round += 1;
        }
        writer.join().unwrap();
    });
}

#[test]
fn rows_that_stay_come_once_and_in_order_while_the_places_of_others_are_used_again() {
    const ROWS: u32 = 4_096;
    const NODES: u32 = 8;
    let stays = |id: u32| (id / 64).is_multiple_of(4);
    for order in [AnyOrder::Nearest, AnyOrder::Blend(blend(0.4, 0.2))] {
        let heap = HeapRegion::new(2_000 * UNIT);
        let distances = (0..NODES).map(|i| uniform(i.into()) * 2.0).collect();
        let world = World::new(&heap, distances);
        let model = |id: u32, node: u32| Model {
            id,
            at: At::Node(node % NODES),
            keys: [
                Some(encode_int(-i64::from(id * 37 % 1_000) * HOUR)),
                Some(encode_float(uniform(id.into()))),
                None,
                None,
            ],
            dead: false,
        };
        let rows: Vec<Model> = (0..ROWS).map(|id| model(id, id)).collect();
        rows.iter().for_each(|row| world.publish(row));
        let mut near = Sorted::new(&world, 1, &HashSet::new());
        let filter = Filter::default();
        let mut scan = Scan::new(order.clone(), filter, None, ATTRIBUTES, 10, MEMORY);
        let (mut found, mut block, mut steps) = (Vec::new(), 0, 0);
        loop {
            match scan.step(&world.postings, &mut near) {
                Step::Found(row) if stays(row.posting) => found.push(row),
                Step::Found(_) | Step::Working => {}
                Step::Done => break,
            }
            steps += 1;
            if block == ROWS / 64 || steps % 5 != 0 {
                continue;
            }
            // The rows of a block go, and others, of other nodes, come in their places.
            if !stays(block * 64) {
                for id in block * 64..(block + 1) * 64 {
                    assert!(world.postings.mark_dead(id));
                }
                for head in &world.heads {
                    world.postings.cut(head);
                }
                world.postings.count_cut();
                assert!(world.postings.is_sparse(block));
                world.postings.free_block(block);
                while let Some(id) = world.postings.next_free() {
                    world.publish(&model(id, id + 3));
                }
            }
            block += 1;
        }
        assert!(block == ROWS / 64, "the search was over too soon");
        let expected: Vec<&Model> = rows.iter().filter(|row| stays(row.id)).collect();
        let ids: HashSet<u32> = found.iter().map(|row| row.posting).collect();
        assert_eq!((ids.len(), found.len()), (expected.len(), expected.len()));
        for row in &found {
            let at = rows[row.posting as usize].at;
            assert_eq!(row.distance, world.distance(at));
        }
        assert!(is_ascending(&order, found));
    }
}
