//! A bucket of a hash table: a list that runs through the nodes in it.
//!
//! Who looks something up waits for nobody, and any number may put nodes in, as on Treiber's stack
//! (1986). Nodes are taken out by one caller at a time. Without that a lock-free list needs marks on
//! the links of those that are leaving (Harris 2001), lest something be put in, or taken out, behind one
//! that is gone. Here nodes are only ever put in at the front, where the one who takes out finds the
//! word changed and looks again, and the links further back are changed by nobody else.
//!
//! A node that was taken out still leads to what comes after it, for those who are at it. So it is put
//! into a bucket again only when every pin that was there when it left is gone.

use crate::primitive::{AtomicU32, Ordering};

/// A view of a bucket.
pub(crate) struct Bucket<'a, N> {
    /// Id + 1 of the first node, 0 for none; zeroed memory is an empty bucket.
    head: &'a AtomicU32,
    /// The word of a node that names the one after it in the same way.
    next: N,
}

impl<'a, N: Fn(u32) -> &'a AtomicU32> Bucket<'a, N> {
    pub(crate) fn new(head: &'a AtomicU32, next: N) -> Bucket<'a, N> {
        Bucket { head, next }
    }

    /// Puts a node in that is in no bucket.
    pub(crate) fn push(&self, id: u32) {
        let link = (self.next)(id);
        let mut first = self.head.load(Ordering::Relaxed);
        loop {
            link.store(first, Ordering::Relaxed);
            let head = self.head;
            // Release: pairs with the Acquire in `links`; the node's link, and what its owner wrote
            // before. Pushes are read-modify-writes, so this covers the nodes further back too.
            match head.compare_exchange_weak(first, id + 1, Ordering::Release, Ordering::Relaxed) {
                Ok(_) => return,
                Err(now) => first = now,
            }
        }
    }

    /// Takes a node out, if it is in. One caller at a time.
    pub(crate) fn remove(&self, id: u32) {
        // The link to it is changed only by a push, and only at the front.
        while let Some((link, _)) = self.links().find(|&(_, at)| at == id) {
            // Acquire, here and in `links`: pairs with the Release of the push, or of the removal, that
            // wrote the link, for whoever reads this caller's.
            let after = (self.next)(id).load(Ordering::Acquire);
            // Release: pairs with the Acquire in `links`; the nodes behind were there before.
            let removed =
                link.compare_exchange(id + 1, after, Ordering::Release, Ordering::Relaxed);
            if removed.is_ok() {
                return;
            }
        }
    }

    /// The nodes that are in from the beginning of the walk to its end, and perhaps some that come or go
    /// meanwhile. To be walked under a pin, or while nobody takes nodes out.
    pub(crate) fn nodes(&self) -> impl Iterator<Item = u32> {
        self.links().map(|(_, id)| id)
    }

    /// The links, with the nodes that they lead to.
    fn links(&self) -> impl Iterator<Item = (&'a AtomicU32, u32)> {
        let mut link = self.head;
        std::iter::from_fn(move || {
            // Acquire: pairs with the Release in `push` and in `remove`; the link of the node is read next.
            let id = link.load(Ordering::Acquire).checked_sub(1)?;
            let found = (link, id);
            link = (self.next)(id);
            Some(found)
        })
    }
}

/// Model checks, as those in `models.rs`.
#[cfg(all(test, loom))]
mod models {
    use loom::sync::Arc;
    use loom::thread;

    use super::*;
    use crate::epoch::{Epochs, Participant};
    use crate::primitive::AtomicU64;

    /// Two buckets and the nodes that come into them.
    struct World {
        heads: [AtomicU32; 2],
        nodes: [Node; 4],
    }

    #[derive(Default)]
    struct Node {
        next: AtomicU32,
        hash: AtomicU32,
    }

    impl World {
        fn with(nodes: impl IntoIterator<Item = u32>) -> Arc<World> {
            let world = Arc::new(World {
                heads: Default::default(),
                nodes: Default::default(),
            });
            nodes.into_iter().for_each(|id| world.push(id));
            world
        }

        fn bucket<'a>(&'a self, at: usize) -> Bucket<'a, impl Fn(u32) -> &'a AtomicU32> {
            Bucket::new(&self.heads[at], |id| &self.nodes[id as usize].next)
        }

        fn push(&self, id: u32) {
            self.nodes[id as usize].hash.store(1, Ordering::Relaxed);
            self.bucket(0).push(id);
        }

        /// The nodes in the first bucket, each as its owner left it.
        fn walk(&self) -> Vec<u32> {
            let ids: Vec<u32> = self.bucket(0).nodes().collect();
            for &id in &ids {
                assert_eq!(self.nodes[id as usize].hash.load(Ordering::Relaxed), 1);
            }
            ids
        }
    }

    #[test]
    fn nodes_come_together() {
        loom::model(|| {
            let world = World::with([0]);
            let others = [1, 2].map(|id| {
                let world = world.clone();
                thread::spawn(move || world.push(id))
            });
            let reader = {
                let world = world.clone();
                thread::spawn(move || assert!(world.walk().ends_with(&[0])))
            };
            reader.join().unwrap();
            for other in others {
                other.join().unwrap();
            }
            let mut held = world.walk();
            held.sort_unstable();
            assert_eq!(held, [0, 1, 2]);
        });
    }

    #[test]
    fn whoever_stays_is_met_while_others_come_and_go() {
        for (leaving, left) in [(2, vec![3, 1, 0]), (1, vec![3, 2, 0]), (0, vec![3, 2, 1])] {
            loom::model(move || {
                let world = World::with([0, 1, 2]);
                let pusher = {
                    let world = world.clone();
                    thread::spawn(move || world.push(3))
                };
                let reader = {
                    let world = world.clone();
                    thread::spawn(move || world.walk())
                };
                world.bucket(0).remove(leaving);
                pusher.join().unwrap();
                let seen = reader.join().unwrap();
                let stays = |id: &&u32| **id != leaving && **id != 3;
                let stayed: Vec<&u32> = seen.iter().filter(stays).collect();
                assert_eq!(stayed, left[1..].iter().collect::<Vec<_>>());
                assert_eq!(world.walk(), left);
            });
        }
    }

    #[test]
    fn who_comes_by_a_link_that_was_mended_sees_what_is_behind() {
        loom::model(|| {
            let world = World::with([]);
            let pusher = {
                let world = world.clone();
                thread::spawn(move || [0, 1].map(|id| world.push(id)))
            };
            let reader = {
                let world = world.clone();
                thread::spawn(move || {
                    let seen = world.walk();
                    assert!([&[][..], &[0], &[1, 0]].contains(&&seen[..]), "{seen:?}");
                })
            };
            world.bucket(0).remove(1);
            pusher.join().unwrap();
            reader.join().unwrap();
        });
    }

    #[test]
    fn no_walk_strays_into_another_bucket() {
        loom::model(|| {
            let global = Arc::new(AtomicU64::new(0));
            let participants = Arc::new([Participant::default()]);
            let world = World::with([0, 1]);
            world.bucket(1).push(2);
            let reader = {
                let (global, participants) = (global.clone(), participants.clone());
                let world = world.clone();
                thread::spawn(move || {
                    let epochs = Epochs::new(&global, &participants[..]);
                    let _pin = epochs.pin(0);
                    let seen = world.walk();
                    assert!(seen == [0] || seen == [1, 0], "{seen:?}");
                })
            };
            world.bucket(0).remove(1);
            let epochs = Epochs::new(&global, &participants[..]);
            let stamp = epochs.stamp();
            for _ in 0..2 {
                epochs.try_advance();
            }
            if epochs.is_safe(stamp) {
                world.bucket(1).push(1);
            }
            reader.join().unwrap();
            assert_eq!(world.walk(), [0]);
        });
    }
}
