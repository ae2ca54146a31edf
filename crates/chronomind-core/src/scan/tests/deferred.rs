//! Rows that the graph has settled and that wait, bounded, to be wanted.

use super::*;

/// However many rows were put off before: whoever waits for a row can be interrupted.
#[test]
fn a_step_is_short_at_the_beginning_of_a_round_too() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 10_000);
    let mut near = Sorted::new(&world, 32, &HashSet::new());
    near.margin = 1_000;
    let order = AnyOrder::Nearest;
    let mut scan = Scan::new(order, Filter::default(), None, ATTRIBUTES, 400, MEMORY);
    let (mut given, mut before) = (0, 0);
    loop {
        let step = scan.step(&world.postings, &mut near);
        assert!(near.measured - before < 200, "{}", near.measured - before);
        before = near.measured;
        match step {
            Step::Found(_) => given += 1,
            Step::Working => {}
            Step::Done => break,
        }
    }
    assert_eq!(given, rows.len());
}

/// As between vectors whose products overflow.
#[test]
fn a_settled_row_of_which_nothing_is_known_is_not_put_off() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let mut distances: Vec<f64> = (0..100).map(|i| f64::from(i) / 100.0).collect();
    distances.push(f64::NAN);
    let world = World::new(&heap, distances);
    for id in 0..101 {
        world.publish(&Model {
            id,
            at: At::Node(id),
            keys: [None; ATTRIBUTES],
            dead: false,
        });
    }
    let order = AnyOrder::Ranked(Ranking {
        program: program("1 - distance"),
        descending: true,
        nulls_first: false,
    });
    let mut near = Sorted::new(&world, 101, &HashSet::new());
    let mut scan = Scan::new(order, Filter::default(), None, ATTRIBUTES, 1, MEMORY);
    let found = drain(&mut scan, &world.postings, &mut near);
    assert_eq!(found.len(), 101);
    assert!(found[0].distance.is_some_and(f64::is_nan));
}
