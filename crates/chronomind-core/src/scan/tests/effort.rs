//! How few rows are looked at, and how little memory it takes.

use super::*;

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
    let orders = [
        AnyOrder::Nearest,
        labelled(),
        AnyOrder::Blend(blend(0.3, 0.2)),
    ];
    for (order, in_order) in orders
        .iter()
        .flat_map(|order| [(order, true), (order, false)])
    {
        let memory = 100_000;
        let mut near = Sorted::new(&world, 32, &HashSet::new());
        let mut scan = unfiltered(order, 10, memory);
        if !in_order {
            scan = scan.as_found();
        }
        let mut found = Vec::new();
        while let Some(row) = scan
            .next(&world.postings, &mut near, &mut || false)
            .unwrap()
        {
            // What grows by doubling may hold twice what it needs.
            assert!(scan.bytes() + near.bytes() < 2 * memory);
            found.push(row);
        }
        // In order, rounds keep to the memory too.
        let passes = scan.statistics().passes;
        assert!(passes < 100 && (in_order || passes >= 2), "{passes}");
        let expected = linear(&world, &rows, order, &Filter::default(), None, None);
        assert_eq!(found.len(), expected.len());
        let mut seen = HashSet::new();
        assert!(found.iter().all(|row| seen.insert(row.posting)));
        assert!(is_ascending(order, found));
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
    let mut scan = unfiltered(&order, 5_000, MEMORY);
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
