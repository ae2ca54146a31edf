//! Rows that come, die and make room for others meanwhile.

use std::sync::atomic::{AtomicBool, Ordering};

use super::*;

#[test]
fn rows_that_die_while_they_wait_are_not_given_out() {
    let heap = HeapRegion::new(2_000 * UNIT);
    let (world, rows) = stream(&heap, 1_000);
    for order in [AnyOrder::Nearest, AnyOrder::Blend(blend(0.3, 0.2))] {
        let expected = linear(&world, &rows, &order, &Filter::default(), None, None);
        let alive = |id: u32| world.postings.live(id).is_some();
        let before: HashSet<u32> = (0..1_000).filter(|&id| alive(id)).collect();
        let mut near = Sorted::new(&world, 32, &HashSet::new());
        let mut scan = unfiltered(&order, 10, MEMORY);
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
            let mut scan = unfiltered(&order, 10, MEMORY);
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
        let mut scan = unfiltered(&order, 10, MEMORY);
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
