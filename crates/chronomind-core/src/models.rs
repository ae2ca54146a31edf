//! Model checks of the lock-free protocols: loom tries every interleaving of these small stories.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p chronomind-core --lib models`

use loom::sync::Arc;
use loom::thread;

use crate::epoch::{Epochs, Participant};
use crate::graph::entry::{self, Entry};
use crate::graph::free::FreeHead;
use crate::graph::line::Line;
use crate::graph::links::{self, List, PRUNED, SPANNING, id_of, is_pruned, is_spanning, word_of};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

fn slots<const N: usize>(words: [u64; N]) -> Arc<[AtomicU64; N]> {
    Arc::new(words.map(AtomicU64::new))
}

/// The word of a link in the list of an owner at 10.
fn link(id: u32, pruned: bool) -> u64 {
    let marks = if pruned { PRUNED } else { 0 };
    word_of(id, marks, (10.0 - id as f32).abs())
}

fn ids(slots: &[AtomicU64]) -> Vec<u32> {
    slots
        .iter()
        .filter_map(|slot| id_of(slot.load(Ordering::Acquire)))
        .collect()
}

#[test]
fn a_reader_that_sees_a_link_sees_the_node() {
    loom::model(|| {
        let list = slots([0, 0]);
        let vector = Arc::new(AtomicU32::new(0));
        let writer = {
            let (list, vector) = (list.clone(), vector.clone());
            thread::spawn(move || {
                vector.store(42, Ordering::Relaxed);
                links::add(&*list, 7, 0, 1.0);
            })
        };
        for slot in list.iter() {
            if id_of(slot.load(Ordering::Acquire)) == Some(7) {
                assert_eq!(vector.load(Ordering::Relaxed), 42);
            }
        }
        writer.join().unwrap();
        assert_eq!(ids(&*list), [7]);
    });
}

#[test]
fn filling_and_linking_back_lose_and_double_nothing() {
    loom::model(|| {
        let list = slots([0, 0, 0]);
        let back = {
            let list = list.clone();
            thread::spawn(move || {
                let mut line = Line {
                    owner: 10.0,
                    newcomer: 11.0,
                };
                assert!(line.link_back(&*list));
            })
        };
        links::add(&*list, 12, 0, 1.0);
        links::add(&*list, 11, 0, 1.0);
        back.join().unwrap();
        let mut held = ids(&*list);
        held.sort_unstable();
        assert_eq!(held, [11, 12]);
    });
}

#[test]
fn two_newcomers_to_a_full_list_each_find_their_place() {
    two_newcomers([link(30, true), link(40, true)]);
}

#[test]
fn measuring_what_pages_do_not_keep_undoes_nothing() {
    two_newcomers([30, 40].map(|id| word_of(id, PRUNED, f32::NAN)));
}

fn two_newcomers(words: [u64; 2]) {
    loom::model(move || {
        let list = slots(words);
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                let mut line = Line {
                    owner: 10.0,
                    newcomer: 8.0,
                };
                assert!(line.link_back(&*list));
            })
        };
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        assert!(line.link_back(&*list));
        for id in ids(&*list) {
            assert!([30, 40, 8, 11].contains(&id));
        }
        other.join().unwrap();
        let mut held = ids(&*list);
        held.sort_unstable();
        assert_eq!(held, [8, 11]);
    });
}

/// The ids behind the marked words of a list.
fn tree(slots: &[AtomicU64]) -> Vec<u32> {
    let words = slots.iter().map(|slot| slot.load(Ordering::Relaxed));
    let mut tree: Vec<_> = words
        .filter(|&word| is_spanning(word))
        .filter_map(id_of)
        .collect();
    tree.sort_unstable();
    tree
}

#[test]
fn a_link_of_the_tree_outlives_newcomers() {
    loom::model(|| {
        // 12 is marked while 11 wants the slot of the least needed, and 8 hangs under the owner.
        let list = slots([link(12, true), link(40, true)]);
        let child = {
            let list = list.clone();
            thread::spawn(move || {
                assert!(links::hold_child(&*list, 8, 2.0, &mut List::default()));
            })
        };
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        line.link_back(&*list);
        assert!(links::hold_child(&*list, 12, 2.0, &mut List::default()));
        child.join().unwrap();
        assert_eq!(tree(&*list), [8, 12]);
    });
}

#[test]
fn two_who_hold_the_same_parent_for_a_child_put_it_in_once() {
    // 14 is the parent, to be added, or to be marked unless a newcomer takes its slot.
    let newcomer = |list: &[AtomicU64]| {
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        line.link_back(list);
    };
    two_holders([link(12, true), link(40, true)], newcomer);
    two_holders([link(14, true), link(12, false)], newcomer);
    two_holders([link(12, true), link(14, true)], newcomer);
    two_holders([link(12, true), 0], newcomer);
    // Between the two looks at the list, another of its links becomes the least needed.
    two_holders([link(12, false), link(40, false)], |list| {
        list[0].store(link(12, true), Ordering::Release);
    });
}

fn two_holders(words: [u64; 2], between: impl Fn(&[AtomicU64]) + Send + Sync + Copy + 'static) {
    loom::model(move || {
        let list = slots(words);
        let hold = |list: &[AtomicU64]| {
            assert!(links::hold_parent(list, 14, 4.0, &mut List::default()));
        };
        let other = {
            let list = list.clone();
            thread::spawn(move || hold(&*list))
        };
        between(&*list);
        hold(&*list);
        other.join().unwrap();
        assert_eq!(tree(&*list), [14]);
        let held = ids(&*list);
        assert_eq!(held.iter().filter(|&&id| id == 14).count(), 1, "{held:?}");
    });
}

/// A node that has lost its parent gets another while newcomers fill its list and one wanders past.
#[test]
fn a_link_of_the_tree_has_two_ends_or_none() {
    loom::model(|| {
        // 10 has a child and room for one more link of the tree; 14 is to be its parent.
        let list = slots([word_of(20, SPANNING, 1.0), link(12, true)]);
        let parent = slots([link(12, true)]);
        let newcomer = {
            let list = list.clone();
            thread::spawn(move || links::hold_child(&*list, 30, 1.0, &mut List::default()))
        };
        let wanderer = {
            let (list, parent) = (list.clone(), parent.clone());
            thread::spawn(move || {
                if tree(&*parent).contains(&10) {
                    links::hold_parent(&*list, 14, f32::NAN, &mut List::default());
                }
            })
        };
        assert!(links::hold_child(&*parent, 10, 4.0, &mut List::default()));
        if !links::hold_parent(&*list, 14, 4.0, &mut List::default()) {
            links::let_child_go(&*parent, 10);
        }
        let is_hung = newcomer.join().unwrap();
        wanderer.join().unwrap();
        let (kin, children) = (tree(&*list), tree(&*parent));
        assert_eq!(kin.contains(&14), children.contains(&10));
        assert_eq!(kin.contains(&30), is_hung);
        assert!(kin.contains(&14) != is_hung, "there is room for one");
    });
}

#[test]
fn a_mark_never_lands_on_a_newcomer() {
    loom::model(|| {
        // 11 stands in front of 13 and wants to mark it while 12 takes 13's slot.
        let list = slots([link(13, false), link(5, false)]);
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                list[0].compare_exchange(
                    link(13, false),
                    link(12, false),
                    Ordering::Release,
                    Ordering::Relaxed,
                )
            })
        };
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        line.link_back(&*list);
        let _ = other.join().unwrap();
        let words: Vec<u64> = list
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .collect();
        let mut held = ids(&*list);
        held.dedup();
        assert_eq!(held.len(), 2, "{words:?}");
        if let Some(word) = words.iter().find(|&&word| id_of(word) == Some(11)) {
            assert!(!is_pruned(*word));
        }
    });
}

#[test]
fn the_entry_point_only_rises_and_is_linked() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        let linked = Arc::new([AtomicU32::new(0), AtomicU32::new(0)]);
        let raise = |id: u32| {
            let (word, linked) = (word.clone(), linked.clone());
            move || {
                linked[id as usize].store(1, Ordering::Relaxed);
                entry::raise(&word, Entry { id, layer: id });
            }
        };
        let threads = [thread::spawn(raise(0)), thread::spawn(raise(1))];
        let mut highest = 0;
        for _ in 0..2 {
            if let Some(entry) = entry::load(&word) {
                assert!(entry.layer >= highest);
                highest = entry.layer;
                assert_eq!(linked[entry.id as usize].load(Ordering::Relaxed), 1);
            }
        }
        for thread in threads {
            thread.join().unwrap();
        }
        assert_eq!(entry::load(&word), Some(Entry { id: 1, layer: 1 }));
    });
}

#[test]
fn only_one_is_the_first_of_a_graph() {
    loom::model(|| {
        let word = Arc::new(AtomicU64::new(0));
        let first = |id: u32| {
            let word = word.clone();
            // The higher one is no more the first for being higher.
            move || entry::load_or_first(&word, Entry { id, layer: id })
        };
        let other = thread::spawn(first(0));
        let (mine, other) = (first(1)(), other.join().unwrap());
        assert!(mine.is_none() != other.is_none());
        let root = mine.or(other).unwrap();
        assert_eq!(entry::load(&word), Some(root));
    });
}

#[test]
fn a_retired_node_is_not_reused_under_a_pin() {
    loom::model(|| {
        let global = Arc::new(AtomicU64::new(0));
        let participants = Arc::new([Participant::default()]);
        let link = Arc::new(AtomicU64::new(link(0, false)));
        let node = Arc::new(AtomicU32::new(1));
        let reader = {
            let (global, participants) = (global.clone(), participants.clone());
            let (link, node) = (link.clone(), node.clone());
            thread::spawn(move || {
                let epochs = Epochs::new(&global, &participants[..]);
                let pin = epochs.pin(0);
                if id_of(link.load(Ordering::Acquire)).is_some() {
                    assert_eq!(node.load(Ordering::Relaxed), 1, "reused under a pin");
                }
                drop(pin);
            })
        };
        let epochs = Epochs::new(&global, &participants[..]);
        link.store(0, Ordering::Release);
        let stamp = epochs.stamp();
        for _ in 0..2 {
            epochs.try_advance();
        }
        if epochs.is_safe(stamp) {
            node.store(2, Ordering::Relaxed);
        }
        reader.join().unwrap();
    });
}

#[test]
fn whoever_begins_after_a_death_links_to_the_living() {
    loom::model(|| {
        let global = Arc::new(AtomicU64::new(0));
        let participants = Arc::new([Participant::default()]);
        let list = slots([0, link(12, false)]);
        let is_dead = Arc::new(AtomicU32::new(0));
        let inserter = {
            let (global, participants) = (global.clone(), participants.clone());
            let (list, is_dead) = (list.clone(), is_dead.clone());
            thread::spawn(move || {
                let epochs = Epochs::new(&global, &participants[..]);
                let _pin = epochs.pin(0);
                if is_dead.load(Ordering::Acquire) == 0 {
                    links::add(&*list, 7, 0, 3.0);
                }
            })
        };
        is_dead.store(1, Ordering::Release);
        let epochs = Epochs::new(&global, &participants[..]);
        let stamp = epochs.stamp();
        for _ in 0..2 {
            epochs.try_advance();
        }
        if epochs.is_safe(stamp) {
            links::supplant(&*list, |id| id == 7, []);
            inserter.join().unwrap();
            assert_eq!(ids(&*list), [12]);
        }
    });
}

#[test]
fn repair_and_a_newcomer_put_nobody_in_twice() {
    // 30 is dead, and 11 or, until it is live, 12 is to take its slot.
    for words in [
        [link(30, false), link(40, true)],
        [link(40, false), link(30, true)],
        [link(30, true), 0],
    ] {
        repair_beside_a_newcomer(words, vec![link(12, false)]);
        repair_beside_a_newcomer(words, Vec::new());
    }
}

fn repair_beside_a_newcomer(words: [u64; 2], others: Vec<u64>) {
    loom::model(move || {
        let list = slots(words);
        let is_live = Arc::new(AtomicU32::new(0));
        let newcomer = {
            let (list, is_live) = (list.clone(), is_live.clone());
            thread::spawn(move || {
                let mut line = Line {
                    owner: 10.0,
                    newcomer: 11.0,
                };
                line.link_back(&*list);
                // It hangs under the owner.
                assert!(links::hold_child(&*list, 11, 1.0, &mut List::default()));
                is_live.store(1, Ordering::Release);
            })
        };
        let mut others = others.clone();
        if is_live.load(Ordering::Acquire) == 1 {
            others.insert(0, link(11, false));
        }
        links::supplant(&*list, |id| id == 30, others);
        newcomer.join().unwrap();
        let held = ids(&*list);
        assert!(!held.contains(&30), "{held:?}");
        assert_eq!(held.iter().filter(|&&id| id == 11).count(), 1, "{held:?}");
        assert_eq!(tree(&*list), [11]);
    });
}

#[test]
fn a_free_place_is_given_out_once() {
    loom::model(|| {
        let head = Arc::new(FreeHead::new());
        let next = Arc::new([0; 3].map(AtomicU32::new));
        let content = Arc::new([0; 3].map(AtomicU32::new));
        let push = |id: u32| {
            let (head, next, content) = (head.clone(), next.clone(), content.clone());
            move || {
                content[id as usize].store(1, Ordering::Relaxed);
                head.push(id, &next[id as usize]);
            }
        };
        push(0)();
        push(1)();
        let other = thread::spawn(push(2));
        let pop = || head.pop(|id| &next[id as usize]);
        let mut taken: Vec<u32> = [pop(), pop()].into_iter().flatten().collect();
        for &id in &taken {
            assert_eq!(content[id as usize].load(Ordering::Relaxed), 1);
        }
        other.join().unwrap();
        taken.extend(std::iter::from_fn(pop));
        taken.sort_unstable();
        assert_eq!((taken, head.count()), (vec![0, 1, 2], 0));
    });
}

#[test]
fn a_dead_entry_point_gives_way_to_an_heir_or_to_a_higher_newcomer() {
    let entry = |id, layer| Entry { id, layer };
    for heir in [None, Some(entry(2, 0))] {
        loom::model(move || {
            let word = Arc::new(AtomicU64::new(0));
            entry::raise(&word, entry(0, 2));
            let newcomer = {
                let word = word.clone();
                thread::spawn(move || entry::raise(&word, entry(1, 3)))
            };
            entry::inherit(&word, entry(0, 2), heir);
            let seen = entry::load(&word);
            assert!(seen == heir || seen == Some(entry(1, 3)));
            assert!(newcomer.join().unwrap());
            assert_eq!(entry::load(&word), Some(entry(1, 3)));
        });
    }
}
