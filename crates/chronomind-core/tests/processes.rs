//! One index, several processes: what a server with backends that come, go and get killed does to it.
//!
//! Each process maps the region for itself, so that it lies at another address in each. Some insert
//! and search from the start, one is killed while it inserts under a pin, one attaches after that.
//!
//! May say `unsafe`: it maps memory, forks, and lays a structure of its own out in the region.
#![cfg(target_os = "linux")]
#![allow(unsafe_code)]

mod common;

use std::ptr::NonNull;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use chronomind_core::arena::{Region, Zeroable};
use chronomind_core::distance::{Element, Metric};
use chronomind_core::epoch::{Epochs, Participant};
use chronomind_core::graph::{Graph, GraphConfig, Inserter, NearSearch, State};
use chronomind_core::index::{Index, IndexConfig};
use common::{Data, Random, bytes};

const ROWS: u32 = 6_000;
const BYTES: usize = 64 << 20;
const WORKERS: usize = 4;
const VICTIM: usize = WORKERS;
const LATECOMER: usize = WORKERS + 1;
/// How many nodes the victim inserts before it pins for good.
const VICTIM_PINS_AT: u32 = 200;
/// How many it has inserted when it is killed, in the middle of one more.
const VICTIM_DIES_AT: u32 = 400;

/// What the processes share besides the index; zeroed memory is the beginning.
#[repr(C)]
struct Shared {
    root: AtomicU32,
    next: AtomicU32,
    epoch: AtomicU64,
    inserted: [AtomicU32; LATECOMER + 1],
    participants: [Participant; LATECOMER + 1],
}

// SAFETY: atomics and structures of atomics.
unsafe impl Zeroable for Shared {}

/// Memory that a descriptor names, mapped once more in every process.
struct Memory(i32);

impl Memory {
    fn new() -> Memory {
        // SAFETY: a name that ends in NUL, and a descriptor that is checked.
        let file = unsafe { libc::memfd_create(c"chronomind".as_ptr(), 0) };
        assert!(file >= 0);
        // SAFETY: the descriptor just made.
        assert_eq!(unsafe { libc::ftruncate(file, BYTES as i64) }, 0);
        Memory(file)
    }

    fn map(&self) -> NonNull<u8> {
        let access = libc::PROT_READ | libc::PROT_WRITE;
        // SAFETY: a new mapping of the whole file, at an address of the system's choice.
        let base = unsafe {
            libc::mmap(
                std::ptr::null_mut(),
                BYTES,
                access,
                libc::MAP_SHARED,
                self.0,
                0,
            )
        };
        assert_ne!(base, libc::MAP_FAILED);
        NonNull::new(base.cast()).unwrap()
    }
}

/// The region as one process sees it.
struct Process {
    region: Region<'static>,
    shared: &'static Shared,
}

/// The unit that [`Shared`] has: the first one that a new region gives out.
const SHARED_UNIT: u32 = 1;

impl Process {
    fn create(memory: &Memory) -> Process {
        let base = memory.map();
        // SAFETY: fresh zeros on a page boundary, mapped until the process ends.
        let region = unsafe { Region::create(base, BYTES) };
        assert_eq!(region.claim(1).unwrap().first, SHARED_UNIT);
        Process::over(region)
    }

    fn attach(memory: &Memory) -> Process {
        // SAFETY: `create` laid it out, and it is mapped until the process ends.
        Process::over(unsafe { Region::attach(memory.map()) }.unwrap())
    }

    fn over(region: Region<'static>) -> Process {
        // SAFETY: the unit is claimed for this and never released.
        let shared = unsafe { region.at(SHARED_UNIT, 0) };
        Process { region, shared }
    }

    fn epochs(&self) -> Epochs<'static> {
        Epochs::new(&self.shared.epoch, &self.shared.participants)
    }

    fn index(&self) -> Index<'static> {
        // SAFETY: the index is never released.
        unsafe { Index::open(self.region, self.shared.root.load(Ordering::Acquire)) }.unwrap()
    }

    /// Inserts until the rows are used up, and searches for an earlier row after each.
    fn work(&self, me: usize, data: &Data) {
        let (index, epochs) = (self.index(), self.epochs());
        let graph = index.graph();
        let mut inserter = Inserter::default();
        let mut random = Random(me as u64 + 1);
        let mut held = None;
        loop {
            let id = self.shared.next.fetch_add(1, Ordering::Relaxed);
            if id >= ROWS {
                break;
            }
            let pin = held.is_none().then(|| epochs.pin(me));
            let upper = graph.reserve(id).unwrap();
            assert!(graph.store(id, upper, &bytes(data.row(id as usize))));
            graph.link(id, &mut inserter);
            // Somebody's row, wherever its inserter is with it.
            check_search(graph, data.row(random.below(id as usize + 1)));
            drop(pin);
            let done = self.shared.inserted[me].fetch_add(1, Ordering::Release) + 1;
            if me == VICTIM && done == VICTIM_PINS_AT {
                held = Some(epochs.pin(me));
            }
        }
    }
}

/// A search beside writers: in order, without doubles, and never to a node without a vector.
fn check_search(graph: &Graph<'_>, query: &[f32]) {
    let probe = graph.probe(&bytes(query)).unwrap();
    let mut search = NearSearch::new();
    search.find(graph, &probe, 40, &mut || false).unwrap();
    let mut seen = Vec::new();
    let mut last = f32::NEG_INFINITY;
    for (id, key) in search.nearest() {
        assert!(key >= last && !seen.contains(&id));
        assert!(matches!(graph.state(id), State::Linking | State::Live));
        last = key;
        seen.push(id);
    }
}

/// A child process; killed when the test fails before it has ended.
struct Child(libc::pid_t);

impl Child {
    fn spawn(memory: &Memory, me: usize, data: &Data) -> Child {
        // SAFETY: the child uses its own copy of this thread only, and leaves by `_exit`.
        let pid = unsafe { libc::fork() };
        assert!(pid >= 0);
        if pid == 0 {
            let work = || Process::attach(memory).work(me, data);
            let result = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
            // SAFETY: ends this process without running the parent's exit handlers.
            unsafe { libc::_exit(i32::from(result.is_err())) };
        }
        Child(pid)
    }

    /// The status if the child has ended; waits for that where `flags` do not say otherwise.
    fn wait(&self, flags: i32) -> Option<i32> {
        let mut status = 0;
        // SAFETY: a child of ours that nobody else waits for.
        let ended = unsafe { libc::waitpid(self.0, &mut status, flags) };
        (ended == self.0).then_some(status)
    }

    fn finish(self) {
        assert_eq!(self.wait(0), Some(0), "a process failed");
        std::mem::forget(self);
    }

    fn kill(self) {
        // SAFETY: a child of ours that has not been waited for.
        assert_eq!(unsafe { libc::kill(self.0, libc::SIGKILL) }, 0);
        let status = self.wait(0).unwrap();
        assert!(libc::WIFSIGNALED(status), "it was to be killed at work");
        std::mem::forget(self);
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // SAFETY: a child of ours that has not been waited for.
        unsafe { libc::kill(self.0, libc::SIGKILL) };
        self.wait(0);
    }
}

#[test]
fn an_index_survives_the_death_of_a_process_at_work() {
    let data = Data::load(ROWS as usize);
    let memory = Memory::new();
    let parent = Process::create(&memory);
    let graph = GraphConfig {
        metric: Metric::Cosine,
        element: Element::F32,
        dimensions: data.dimensions as u32,
        m: 16,
        ef_construction: 64,
        seed: 5,
    };
    let config = IndexConfig {
        graph,
        attributes: 0,
    };
    let index = Index::create(parent.region, config).unwrap();
    let graph = index.graph();
    let shared = parent.shared;
    shared.root.store(index.root(), Ordering::Release);

    let victim = Child::spawn(&memory, VICTIM, &data);
    let mut workers = Vec::new();
    for me in 0..WORKERS {
        // One after the other, so that each finds a larger index.
        while shared.next.load(Ordering::Relaxed) < 100 * me as u32 {
            assert_eq!(
                victim.wait(libc::WNOHANG),
                None,
                "the victim ended by itself"
            );
            graph.check(&mut || false).unwrap();
        }
        workers.push(Child::spawn(&memory, me, &data));
    }
    while shared.inserted[VICTIM].load(Ordering::Acquire) < VICTIM_DIES_AT {
        assert_eq!(
            victim.wait(libc::WNOHANG),
            None,
            "the victim ended by itself"
        );
        std::thread::sleep(Duration::from_millis(1));
    }
    victim.kill();

    // Its pin is still there and holds reclamation back, until whoever buries it clears it.
    let epochs = parent.epochs();
    let stamp = epochs.stamp();
    let advance = |times: u32| (0..times).filter(|_| epochs.try_advance()).count();
    assert!(advance(1_000) <= 1 && !epochs.is_safe(stamp));
    epochs.clear(VICTIM);
    while !epochs.is_safe(stamp) {
        advance(1);
        std::thread::yield_now();
    }

    let latecomer = Child::spawn(&memory, LATECOMER, &data);
    workers.push(latecomer);
    for worker in workers {
        worker.finish();
    }

    let inserted: u32 = shared
        .inserted
        .each_ref()
        .map(|count| count.load(Ordering::Relaxed))
        .iter()
        .sum();
    let report = graph.check(&mut || false).unwrap();
    eprintln!("{inserted} inserted: {report:?}");
    assert!(
        inserted >= ROWS - 1,
        "more was lost than the victim had in hand"
    );
    assert!(report.live >= inserted && report.live + report.unlinked <= ROWS);
    check_recall(graph, &data);
}

/// Nearly every live node finds itself, and queries find what a linear scan finds.
fn check_recall(graph: &Graph<'_>, data: &Data) {
    let nearest = |vector: &[f32], ef| -> Vec<u32> {
        let probe = graph.probe(&bytes(vector)).unwrap();
        let mut search = NearSearch::new();
        search.find(graph, &probe, ef, &mut || false).unwrap();
        search.nearest().map(|(id, _)| id).collect()
    };
    let live: Vec<u32> = (0..ROWS)
        .filter(|&id| graph.state(id) == State::Live)
        .collect();
    let found = live
        .iter()
        .filter(|&&id| nearest(data.row(id as usize), 64).contains(&id))
        .count();
    assert!(
        found * 1_000 >= live.len() * 995,
        "{found} of {} found",
        live.len()
    );

    let mut hits = 0;
    for at in 0..data.query_count() {
        let probe = graph.probe(&bytes(data.query(at))).unwrap();
        let mut truth = Vec::new();
        graph.distances(&probe, &live, |id, distance| truth.push((distance, id)));
        truth.sort_by(|a, b| a.0.total_cmp(&b.0));
        let found = nearest(data.query(at), 80);
        hits += truth[..10]
            .iter()
            .filter(|(_, id)| found[..10].contains(id))
            .count();
    }
    let recall = hits as f64 / (10 * data.query_count()) as f64;
    eprintln!(
        "{found} of {} nodes found, recall {recall:.4} at 80",
        live.len()
    );
    assert!(recall >= 0.98, "{recall}");
}
