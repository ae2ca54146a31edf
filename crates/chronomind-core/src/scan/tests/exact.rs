//! Every row once and in order, whatever the order, the filter and what the graph knows.

use super::*;

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
        wanted in prop_oneof![6 => 1..20_usize, 1 => 20..400_usize, 1 => Just(usize::MAX)],
        in_order in any::<bool>(),
        keeps in 1..4_u32,
        memory in prop::sample::select(vec![0, 2_000, 5_000, 20_000, MEMORY, MEMORY, MEMORY]),
        lost in prop::option::of(prop::collection::hash_set(0..60_u32, 0..12)),
        late in prop::option::of((1..8_usize, 1..40_usize)),
        stop_at in prop::collection::hash_set(0..200_u32, 0..9),
    ) {
        let heap = HeapRegion::new(2_000 * UNIT);
        let world = World::of(&heap, distances, &mut rows);
        let filter: Filter = filter.into_iter().collect();
        let lost = lost.unwrap_or_default();
        let mut near = Sorted::new(&world, chunk, &lost);
        if let Some((every, by)) = late {
            near = near.late(every, by);
        }
        let live = rows.iter().filter(|row| !row.dead).count();
        let mut expected = linear(&world, &rows, &order, &filter, condition.as_ref(), None);
        let mut scan =
            Scan::new(order.clone(), filter, condition.clone(), ATTRIBUTES, wanted, memory);
        if !in_order {
            scan = scan.as_found();
        }

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
                    if !row.posting.is_multiple_of(keeps) {
                        scan.pass_over();
                    }
                    found.push(row);
                }
                Ok(None) => break,
                Err(error) => prop_assert_eq!(error, Error::Stopped),
            }
        }
        let is_sure = lost.is_empty() && late.is_none() || in_order && (wanted >= live || memory == 0);
        if !is_sure && (in_order || condition.is_some()) {
            // In order, what the graph has missed may come too late; and where the condition ends the search,
            // nobody meets it.
            let given: HashSet<u32> = found.iter().map(|row| row.posting).collect();
            let is_lost = |id: u32| {
                let (block, slot) = world.postings.live(id).unwrap();
                let is_lost = |node| late.is_some() || lost.contains(&node);
                block.node(slot).is_some_and(is_lost)
            };
            expected.retain(|&id, _| given.contains(&id) || !is_lost(id));
        }
        check_set(&order, &found, &expected)?;
        let statistics = scan.statistics();
        prop_assert_eq!(statistics.given, found.len() as u64);
        if statistics.passes == 0 && condition.is_none() {
            let scored = statistics.near_rows + statistics.zone_rows;
            prop_assert_eq!(scored, found.len() as u64 + statistics.late);
        }
        if is_sure {
            prop_assert_eq!(statistics.late, 0);
        }
        // As they are found, rows that the graph has lost may come late.
        let known = found.into_iter().filter(|row| {
            if in_order {
                row.posting.is_multiple_of(keeps)
            } else {
                late.is_none() && row.node.is_none_or(|node| !lost.contains(&node))
            }
        });
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
