//! Model checks of the lock-free protocols: loom tries every interleaving of these small stories.
//!
//! `RUSTFLAGS="--cfg loom" cargo test --release -p chronomind-core --lib models`

use loom::sync::Arc;
use loom::thread;

use crate::epoch::{Epochs, Participant};
use crate::graph::entry::{self, Entry};
use crate::graph::links::{self, Measure, PRUNED, Side, id_of, word_of};
use crate::primitive::{AtomicU32, AtomicU64, Ordering};

/// Nodes on a line; ids are positions.
struct Line {
    owner: f32,
    newcomer: f32,
}

impl Measure for Line {
    fn measure(&mut self, side: Side, ids: &[u32], limit: &[f32], out: &mut [f32]) -> bool {
        let here = if side == Side::Owner {
            self.owner
        } else {
            self.newcomer
        };
        for (at, &id) in ids.iter().enumerate() {
            out[at] = (here - id as f32).abs();
            if limit.get(at).is_some_and(|&limit| out[at] < limit) {
                return true;
            }
        }
        false
    }
}

fn slots<const N: usize>(words: [u32; N]) -> Arc<[AtomicU32; N]> {
    Arc::new(words.map(AtomicU32::new))
}

fn ids(slots: &[AtomicU32]) -> Vec<u32> {
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
                links::add(&*list, 7, false);
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
                assert!(links::link_back(&*list, 11, 1.0, &mut line));
            })
        };
        links::add(&*list, 12, false);
        links::add(&*list, 11, false);
        back.join().unwrap();
        let mut held = ids(&*list);
        held.sort_unstable();
        assert_eq!(held, [11, 12]);
    });
}

#[test]
fn two_newcomers_to_a_full_list_each_find_their_place() {
    loom::model(|| {
        let list = slots([word_of(30, true), word_of(40, true)]);
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                let mut line = Line {
                    owner: 10.0,
                    newcomer: 8.0,
                };
                assert!(links::link_back(&*list, 8, 2.0, &mut line));
            })
        };
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        assert!(links::link_back(&*list, 11, 1.0, &mut line));
        for id in ids(&*list) {
            assert!([30, 40, 8, 11].contains(&id));
        }
        other.join().unwrap();
        let mut held = ids(&*list);
        held.sort_unstable();
        assert_eq!(held, [8, 11]);
    });
}

#[test]
fn a_mark_never_lands_on_a_newcomer() {
    loom::model(|| {
        // 11 stands in front of 13 and wants to mark it while 12 takes 13's slot.
        let list = slots([word_of(13, false), word_of(5, false)]);
        let other = {
            let list = list.clone();
            thread::spawn(move || {
                list[0].compare_exchange(
                    word_of(13, false),
                    word_of(12, false),
                    Ordering::Release,
                    Ordering::Relaxed,
                )
            })
        };
        let mut line = Line {
            owner: 10.0,
            newcomer: 11.0,
        };
        links::link_back(&*list, 11, 1.0, &mut line);
        let _ = other.join().unwrap();
        let words: Vec<u32> = list
            .iter()
            .map(|slot| slot.load(Ordering::Relaxed))
            .collect();
        let mut held = ids(&*list);
        held.dedup();
        assert_eq!(held.len(), 2, "{words:?}");
        if let Some(word) = words.iter().find(|&&word| id_of(word) == Some(11)) {
            assert_eq!(word & PRUNED, 0);
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
fn a_retired_node_is_not_reused_under_a_pin() {
    loom::model(|| {
        let global = Arc::new(AtomicU64::new(0));
        let participants = Arc::new([Participant::default()]);
        let link = Arc::new(AtomicU32::new(word_of(0, false)));
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
