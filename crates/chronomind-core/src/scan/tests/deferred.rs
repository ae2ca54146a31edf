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
    let mut scan = unfiltered(&order, 400, MEMORY);
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
