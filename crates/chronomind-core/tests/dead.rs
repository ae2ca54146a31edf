//! Nodes that die, leave the graph and are used again: the graph stays sound, complete and good.

mod common;

use std::collections::BTreeMap;
use std::sync::atomic::AtomicU64;

use chronomind_core::arena::HeapRegion;
use chronomind_core::distance::{Element, Metric};
use chronomind_core::epoch::{Epochs, Participant};
use chronomind_core::graph::{Graph, GraphConfig, GraphNear, Inserter, NearSearch, State};
use chronomind_core::index::{Index, IndexConfig};
use chronomind_core::scan::{Care, Near};
use common::{Data, Random, bytes, patient};
use proptest::prelude::*;

fn config(metric: Metric, dimensions: usize, m: u32) -> IndexConfig {
    let graph = GraphConfig {
        metric,
        element: Element::F32,
        dimensions: dimensions as u32,
        m,
        ef_construction: 64,
        seed: 5,
    };
    IndexConfig {
        graph,
        attributes: 0,
    }
}

/// A graph with the vectors that should be in it.
struct Churned<'r> {
    graph: Graph<'r>,
    live: BTreeMap<u32, Vec<f32>>,
    inserter: Inserter,
    /// Some ids below the length were never reserved, or never stored.
    has_holes: bool,
}

impl<'r> Churned<'r> {
    fn new(heap: &'r HeapRegion, config: IndexConfig) -> Churned<'r> {
        let index = Index::create(heap.region(), config).unwrap();
        Churned {
            graph: *index.graph(),
            live: BTreeMap::new(),
            inserter: Inserter::default(),
            has_holes: false,
        }
    }

    fn insert(&mut self, vector: &[f32]) -> u32 {
        let id = self.graph.peek_free().unwrap_or(self.graph.len());
        self.insert_at(id, vector);
        id
    }

    /// Inserts a node behind so many ids that nothing is ever told of.
    fn insert_behind_hole(&mut self, ids: u32, vector: &[f32]) {
        assert_eq!(self.graph.peek_free(), None);
        self.has_holes = true;
        self.insert_at(self.graph.len() + ids, vector);
    }

    fn insert_at(&mut self, id: u32, vector: &[f32]) {
        let upper = self.graph.reserve(id).unwrap();
        assert!([Some(id), None].contains(&self.graph.take_free()));
        assert!(self.graph.store(id, upper, &bytes(vector)));
        self.graph.link(id, &mut self.inserter);
        assert!(self.live.insert(id, vector.to_vec()).is_none());
    }

    fn retire(&mut self, id: u32) {
        assert!(self.graph.retire(id) && !self.graph.retire(id));
        self.live.remove(&id);
    }

    /// Retires about so many in a hundred.
    fn retire_some(&mut self, percent: usize, random: &mut Random) -> u32 {
        let ids: Vec<u32> = self.live.keys().copied().collect();
        let chosen = ids.into_iter().filter(|_| random.below(100) < percent);
        chosen.map(|id| self.retire(id)).count() as u32
    }

    fn unlink(&mut self) -> u32 {
        let global = AtomicU64::new(0);
        let epochs = Epochs::new(&global, &[]);
        self.graph
            .unlink(epochs, &mut self.inserter, &mut || false, &mut patient)
            .unwrap()
    }

    /// The live nodes by distance.
    fn linear(&self, query: &[f32]) -> Vec<u32> {
        let probe = self.graph.probe(&bytes(query)).unwrap();
        let mut all: Vec<(f64, u32)> = self
            .live
            .keys()
            .map(|&id| (self.graph.distance(&probe, id), id))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0));
        all.into_iter().map(|(_, id)| id).collect()
    }

    fn search(&self, query: &[f32], ef: usize) -> Vec<u32> {
        let probe = self.graph.probe(&bytes(query)).unwrap();
        let mut search = NearSearch::new();
        search.find(&self.graph, &probe, ef, &mut || false).unwrap();
        search.nearest().map(|(id, _)| id).collect()
    }

    /// Sound, and a search that covers everything is a linear scan.
    fn check(&self, query: &[f32]) {
        let report = self.graph.check(&mut || false).unwrap();
        assert_eq!((report.live, report.unlinked), (self.live.len() as u32, 0));
        assert_eq!(report.dead, self.graph.dead_nodes());
        if self.has_holes {
            assert!(report.free >= self.graph.free_nodes());
        } else {
            assert_eq!(report.free, self.graph.free_nodes());
        }
        let all = self.graph.len() as usize + 1;
        let mut found = self.search(query, all);
        if report.dead == 0 {
            assert_eq!(found.len(), self.live.len());
        }
        found.retain(|id| self.live.contains_key(id));
        let probe = self.graph.probe(&bytes(query)).unwrap();
        let of = |ids: &[u32]| -> Vec<f64> {
            let distance = |&id| self.graph.distance(&probe, id);
            ids.iter().map(distance).collect()
        };
        if report.dead == 0 {
            assert_eq!(of(&found), of(&self.linear(query)));
        }
    }

    fn recall(&self, data: &Data, ef: usize) -> f64 {
        let mut hits = 0;
        for at in 0..data.query_count() {
            let truth = self.linear(data.query(at));
            let found = self.search(data.query(at), ef);
            let is_found = |id: &&u32| found.iter().take(10).any(|found| found == *id);
            hits += truth[..10].iter().filter(is_found).count();
        }
        hits as f64 / (10 * data.query_count()) as f64
    }
}

#[test]
fn a_dead_node_leaves_and_its_place_is_used_again() {
    let heap = HeapRegion::new(16 << 20);
    let mut churned = Churned::new(&heap, config(Metric::L2, 2, 4));
    for at in 0..200 {
        churned.insert(&[at as f32, 1.0]);
    }
    let held = churned.graph.bytes_held();
    for _ in 0..3 {
        for id in 50..100 {
            churned.retire(id);
        }
        let graph = churned.graph;
        assert_eq!((graph.dead_nodes(), graph.peek_free()), (50, None));
        assert!(!graph.holds(50, &bytes(&[50.0, 1.0])));
        assert!(graph.holds(49, &bytes(&[49.0, 1.0])));
        assert!(churned.search(&[70.0, 1.0], 10).contains(&70));
        assert_eq!(churned.unlink(), 50);
        assert_eq!((graph.dead_nodes(), graph.free_nodes()), (0, 50));
        assert_eq!(graph.state(70), State::Free);
        assert_eq!(graph.vector(70), None);
        assert_eq!(churned.search(&[70.0, 1.0], 200).len(), 150);
        churned.check(&[3.0, 3.0]);
        for id in 50..100 {
            churned.insert(&[150.0 - id as f32, 1.0]);
        }
        churned.check(&[3.0, 3.0]);
        assert_eq!((graph.len(), graph.free_nodes()), (200, 0));
        assert_eq!(graph.bytes_held(), held);
    }
}

/// On a standby, nodes that come and go between two looks at the pages leave ids without memory.
#[test]
fn ids_without_memory_are_passed_over() {
    let heap = HeapRegion::new(64 << 20);
    // Of these, 32 records fill a unit.
    let config = config(Metric::Cosine, 384, 16);
    let mut random = Random(2);
    let mut vector = || -> Vec<f32> { (0..384).map(|_| random.normal()).collect() };
    let mut churned = Churned::new(&heap, config);
    let ids = || (0..100).chain(10_000..10_100);
    for id in ids() {
        churned.has_holes = true;
        churned.insert_at(id, &vector());
    }
    let graph = churned.graph;
    churned.check(&vector());
    assert!(
        graph
            .nodes()
            .map(|(id, _)| id)
            .filter(|id| graph.state(*id) == State::Live)
            .eq(ids())
    );
    for id in [500, 9_000, 10_099 + 5_000, u32::MAX] {
        assert_eq!((graph.state(id), graph.vector(id)), (State::Free, None));
        assert!(!graph.retire(id) && !graph.holds(id, &bytes(&vector())));
        let mut words = vec![7];
        for layer in 0..2 {
            graph.copy_links(id, layer, &mut words);
            assert_eq!(words, vec![0; if layer == 0 { 32 } else { 16 }]);
        }
    }
    // The entry point among them.
    for id in ids()
        .filter(|id| id % 3 == 0)
        .chain(graph.entry().map(|entry| entry.id))
    {
        if graph.state(id) == State::Live {
            churned.retire(id);
        }
    }
    let dead = graph.dead_nodes();
    assert_eq!(churned.unlink(), dead);
    churned.check(&vector());
    assert_eq!(graph.reconnect(&mut churned.inserter, &mut || false), Ok(0));
    for _ in 0..dead {
        churned.insert(&vector());
    }
    churned.check(&vector());
}

/// Extreme vectors send searches through all rows while they are there, and no longer.
#[test]
fn products_overflow_only_while_a_long_vector_is_there() {
    let heap = HeapRegion::new(8 << 20);
    let data = Data::generated(100);
    let mut churned = Churned::new(&heap, config(Metric::Cosine, data.dimensions, 4));
    for at in 0..data.len() {
        churned.insert(data.row(at));
    }
    let graph = churned.graph;
    let query = graph.probe(&bytes(data.query(0))).unwrap();
    let overflows = || GraphNear::new(graph, query.clone(), 10).overflows();
    assert!(!overflows());
    for _ in 0..3 {
        let long = [5e37, 1e38].map(|x| churned.insert(&vec![x; data.dimensions]));
        for id in long {
            assert!(overflows());
            churned.retire(id);
            assert!(overflows());
            churned.unlink();
        }
        assert!(!overflows());
    }
    // A place that is stored and found to be without rows by a loader.
    let id = churned.insert(&vec![5e37; data.dimensions]);
    assert!(overflows());
    graph.vacate(id);
    assert!(!overflows());
}

/// A row that cannot be logged leaves its node reserved, and the next one reserves it again.
#[test]
fn a_place_that_was_reserved_and_not_used_takes_no_more_memory() {
    let heap = HeapRegion::new(8 << 20);
    let graph = Churned::new(&heap, config(Metric::L2, 4, 4)).graph;
    let has_lists = |id: &u32| graph.config().layer_of(*id) > 0;
    let ids: Vec<u32> = (0..1_000).filter(has_lists).collect();
    assert!(ids.len() > 100);
    for id in ids {
        let upper = graph.reserve(id).unwrap();
        assert_eq!(graph.reserve(id).unwrap(), upper);
    }
}

#[test]
fn an_index_whose_nodes_are_all_dead_is_empty() {
    let heap = HeapRegion::new(16 << 20);
    let mut churned = Churned::new(&heap, config(Metric::L2, 2, 2));
    for round in 0..4 {
        for at in 0..100 {
            churned.insert(&[at as f32, round as f32]);
        }
        churned.check(&[3.0, 3.0]);
        churned.retire_some(100, &mut Random(1));
        // Newcomers amid the dead find nobody, and are found when these have left.
        let amid = (0..round).map(|at| churned.insert(&[50.0, at as f32]));
        let amid: Vec<u32> = amid.collect();
        assert_eq!(churned.unlink(), 100);
        churned.check(&[3.0, 3.0]);
        assert_eq!(churned.graph.entry().is_none(), round == 0);
        amid.into_iter().for_each(|id| churned.retire(id));
        churned.unlink();
        assert_eq!(churned.graph.entry(), None);
    }
}

#[test]
fn what_is_stopped_is_done_by_the_next() {
    let data = Data::generated(1_000);
    let heap = HeapRegion::new(32 << 20);
    let mut churned = Churned::new(&heap, config(Metric::Cosine, data.dimensions, 8));
    for at in 0..data.len() {
        churned.insert(data.row(at));
    }
    let dead = churned.retire_some(40, &mut Random(3));
    let global = AtomicU64::new(0);
    let participants = [Participant::default()];
    let epochs = Epochs::new(&global, &participants);
    let graph = churned.graph;
    for steps in (0..4_000).step_by(97) {
        let mut left = steps;
        let stopped = graph.unlink(
            epochs,
            &mut churned.inserter,
            &mut || {
                left -= 1;
                left < 0
            },
            &mut patient,
        );
        if stopped.is_ok() {
            break;
        }
        assert_eq!(graph.dead_nodes(), dead);
        graph.check(&mut || false).unwrap();
    }
    // Nor does it free anything under somebody's pin.
    let pin = epochs.pin(0);
    let mut asked = 0;
    let stopped = graph.unlink(
        epochs,
        &mut churned.inserter,
        &mut || {
            asked += 1;
            asked > 3
        },
        &mut patient,
    );
    assert!(graph.dead_nodes() == 0 || stopped.is_err());
    drop(pin);
    churned.unlink();
    assert_eq!((graph.dead_nodes(), graph.free_nodes()), (0, dead));
    churned.check(data.query(0));
}

/// Somebody stands still under a pin from some moment on.
#[test]
fn what_is_not_waited_for_is_done_by_the_next() {
    let heap = HeapRegion::new(32 << 20);
    let mut churned = Churned::new(&heap, config(Metric::L2, 2, 4));
    let global = AtomicU64::new(0);
    let participants = [Participant::default()];
    let epochs = Epochs::new(&global, &participants);
    let mut random = Random(5);
    let mut ended = [0; 2];
    for step in (0..1_200).step_by(41) {
        while churned.live.len() < 200 {
            churned.insert(&[random.normal(), random.normal()]);
        }
        let graph = churned.graph;
        let dead = churned.retire_some(30, &mut random);
        let (mut left, mut pin) = (step, None);
        let mut interrupt = || {
            left -= 1;
            if left < 0 && pin.is_none() {
                pin = Some(epochs.pin(0));
            }
            false
        };
        let mut patience = 3;
        let mut pause = || {
            patience -= 1;
            patience > 0
        };
        if step == 0 {
            interrupt();
        }
        let freed = graph
            .unlink(epochs, &mut churned.inserter, &mut interrupt, &mut pause)
            .unwrap();
        assert!([0, dead].contains(&freed));
        ended[usize::from(freed > 0)] += 1;
        assert_eq!(graph.dead_nodes(), dead - freed);
        graph.check(&mut || false).unwrap();
        drop(pin);
        assert_eq!(churned.unlink(), dead - freed);
        churned.check(&[0.3, 1.0]);
    }
    assert!(ended[0] > 3 && ended[1] > 3, "{ended:?}");
}

/// Its inserter failed after its row was logged: the row is gone, and vacuum is told so.
#[test]
fn a_node_that_nobody_goes_on_linking_dies_too() {
    let heap = HeapRegion::new(8 << 20);
    let mut churned = Churned::new(&heap, config(Metric::L2, 2, 4));
    for at in 0..50 {
        churned.insert(&[at as f32, 1.0]);
    }
    let graph = churned.graph;
    let upper = graph.reserve(50).unwrap();
    assert!(graph.store(50, upper, &bytes(&[7.0, 7.0])));
    assert!(graph.retire(50) && !graph.retire(50));
    assert_eq!(churned.unlink(), 1);
    assert_eq!(churned.insert(&[8.0, 8.0]), 50);
    churned.check(&[3.0, 3.0]);
}

/// A search that goes on after all that it had met is gone still finds what is left, in order.
#[test]
fn a_walk_outlives_all_that_it_has_met() {
    let heap = HeapRegion::new(32 << 20);
    let mut churned = Churned::new(&heap, config(Metric::L2, 2, 4));
    for at in 0..2_000 {
        churned.insert(&[at as f32, 1.0]);
    }
    let graph = churned.graph;
    let mut near = GraphNear::new(graph, graph.probe(&bytes(&[0.0, 1.0])).unwrap(), 10);
    let mut before = Vec::new();
    assert!(near.advance());
    near.drain(&mut before);
    assert!(!before.is_empty());
    // Neither near the query nor on the way to it.
    let left: Vec<u32> = (0..10).map(|at| 1_903 + 7 * at).collect();
    let gone: Vec<u32> = (0..2_000).filter(|id| !left.contains(id)).collect();
    gone.iter().for_each(|&id| churned.retire(id));
    churned.unlink();
    // Some places are used again, by what lies elsewhere.
    let newcomers: Vec<u32> = (0..30)
        .map(|at| churned.insert(&[-500.0 - at as f32, 1.0]))
        .collect();
    let measured = near.cost();
    let mut after = Vec::new();
    while near.advance() {}
    near.drain(&mut after);
    assert!(near.cost() >= measured);
    assert_eq!(near.frontier(Care::Thorough), f64::INFINITY);
    let is_there = |id: &u32| graph.state(*id) == State::Live;
    assert!(after.iter().all(|(id, _)| is_there(id)));
    let mut found: Vec<u32> = after.iter().map(|&(id, _)| id).collect();
    found.retain(|id| !newcomers.contains(id));
    assert_eq!(found, left);
}

/// Pages that name places without a row, and places that were stored and turn out to have none.
#[test]
fn a_loader_drops_names_of_free_places() {
    let data = Data::generated(600);
    let heap = HeapRegion::new(64 << 20);
    let config = config(Metric::Cosine, data.dimensions, 8);
    let mut old = Churned::new(&heap, config);
    for at in 0..data.len() {
        old.insert(data.row(at));
    }
    let mut new = Churned::new(&heap, config);
    let (len, mut words) = (data.len() as u32, Vec::new());
    for id in 0..len {
        let upper = new.graph.reserve(id).unwrap();
        // One in four is stored and has no rows, one in four is not even stored.
        if id % 4 != 3 {
            new.graph.store(id, upper, &bytes(data.row(id as usize)));
        }
        for layer in 0..=config.graph.layer_of(id) {
            old.graph.copy_links(id, layer, &mut words);
            if layer == 0 || id % 4 != 3 {
                new.graph.restore_list(id, layer, &words, len);
            }
        }
    }
    for id in (0..len).filter(|id| id % 4 >= 2) {
        new.graph.vacate(id);
    }
    for id in 0..len {
        assert_eq!(new.graph.finish_restore(id), id % 4 < 2);
        if id % 4 < 2 {
            new.live.insert(id, data.row(id as usize).to_vec());
        }
    }
    new.graph
        .reconnect(&mut new.inserter, &mut || false)
        .unwrap();
    new.check(data.query(0));
    assert_eq!(new.graph.free_nodes(), len / 2);
    for at in (0..data.len()).filter(|at| at % 4 >= 2) {
        new.insert(data.row(at));
    }
    new.check(data.query(0));
    assert_eq!((new.graph.len(), new.graph.free_nodes()), (len, 0));
}

/// A third of the rows is replaced, twelve times.
#[test]
fn churn_keeps_recall_and_memory() {
    churn(Data::generated(4_500), 12, 16, &[40, 80]);
}

#[test]
#[ignore = "takes minutes; for looking at recall on real data"]
fn churn_of_real_memories() {
    let limit = std::env::var("CHURN_ROWS").map_or(20_000, |rows| rows.parse().unwrap());
    churn(Data::load(limit), 12, 16, &[40, 80]);
}

fn churn(data: Data, rounds: usize, m: u32, beams: &[usize]) {
    let heap = HeapRegion::new((data.len() * 16) << 10);
    let config = config(Metric::Cosine, data.dimensions, m);
    let mut churned = Churned::new(&heap, config);
    // Two thirds at a time; the others are to come.
    let standing = data.len() * 2 / 3;
    let mut random = Random(9);
    let mut waiting: Vec<usize> = (0..data.len()).collect();
    let mut row_of = vec![0; data.len()];
    let mut draw =
        |churned: &mut Churned<'_>, waiting: &mut Vec<usize>, row_of: &mut Vec<usize>| {
            let row = waiting.swap_remove(random.below(waiting.len()));
            let id = churned.insert(data.row(row));
            row_of[id as usize] = row;
        };
    for _ in 0..standing {
        draw(&mut churned, &mut waiting, &mut row_of);
    }
    let held = churned.graph.bytes_held();
    let mut choice = Random(4);
    for round in 0..rounds {
        let ids: Vec<u32> = churned.live.keys().copied().collect();
        for id in ids.into_iter().filter(|_| choice.below(3) == 0) {
            churned.retire(id);
            waiting.push(row_of[id as usize]);
        }
        churned.unlink();
        let thinned = churned.recall(&data, beams[0]);
        while churned.live.len() < standing {
            draw(&mut churned, &mut waiting, &mut row_of);
        }
        let filled = churned.recall(&data, beams[0]);
        eprintln!("round {round}: recall {thinned:.4} with a third less, then {filled:.4}");
    }
    churned.check(data.query(0));
    assert_eq!(churned.graph.bytes_held(), held);
    assert_eq!(churned.graph.len() as usize, standing);

    let mut fresh = Churned::new(&heap, config);
    for vector in churned.live.values() {
        fresh.insert(vector);
    }
    for &ef in beams {
        let (old, new) = (churned.recall(&data, ef), fresh.recall(&data, ef));
        eprintln!("recall at {ef}: churned {old:.4}, fresh {new:.4}");
        assert!(old > new - 0.01, "at {ef}: {old} against {new}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: 100,
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn any_life_of_a_graph_is_sound_and_exact(
        seed in 1_u64..1_000_000,
        m in 2_u32..6,
        metric in prop::sample::select(Metric::ALL.to_vec()),
        steps in prop::collection::vec((0_usize..60, 0_usize..=100, any::<bool>()), 1..12),
        holes in prop::sample::select(vec![0, 1, 500, 5_000]),
    ) {
        let heap = HeapRegion::new(64 << 20);
        let mut churned = Churned::new(&heap, config(metric, 2, m));
        let mut random = Random(seed);
        for (inserts, percent, is_unlinked) in steps {
            for _ in 0..inserts {
                // Few places, so that many are equally far.
                let vector = [random.normal(), 1.0 + random.below(4) as f32];
                if holes > 0 && random.below(20) == 0 && churned.graph.peek_free().is_none() {
                    churned.insert_behind_hole(holes, &vector);
                } else {
                    churned.insert(&vector);
                }
            }
            churned.check(&[0.3, 1.0]);
            // Nearly none and nearly all more often than by halves.
            let percent = if percent % 2 == 0 { percent * percent / 100 } else { percent };
            churned.retire_some(percent, &mut random);
            if is_unlinked {
                churned.unlink();
            }
            churned.check(&[0.3, 1.0]);
        }
        churned.unlink();
        churned.check(&[0.3, 1.0]);
    }
}
