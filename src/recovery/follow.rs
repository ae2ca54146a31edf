//! Memory of an index whose pages are changed by replay.
//!
//! On a standby nobody tells memory what the startup process does to the pages. So every scan first
//! brings memory up to what had been replayed when it began: it asks all pages of postings whether they
//! were changed since the last time, and compares those that were with memory, posting by posting.
//! Vectors are looked at through their postings, neighbour lists not at all: nodes are linked anew.
//!
//! # Why that is enough
//!
//! A snapshot sees no row whose posting was not replayed before the snapshot was taken, and the scan asks
//! after. What is replayed while the pages are read may be met or not; it is met again the next time,
//! because its page is newer than the position that memory is then said to be at. A posting that is
//! marked dead, or whose place was given to another, is that of a row which no snapshot sees any more:
//! before its record comes that of the pruning of its table's page, with which replay waits for the
//! snapshots that do, or ends their statements.
//!
//! # Places that are used again
//!
//! The primary gives the places of dead postings and nodes to others, and says nowhere which are free.
//! Memory here keeps no list of them either. It takes a row over when its place is free, and makes room
//! when it is not: the dead leave their chains, nodes and blocks as they do in a vacuum, and the pages are
//! looked through once more. A place that is still taken then was given away after the position that
//! memory is brought to, since all that was there before would have been seen dead: so it is left to the
//! next time. What is dead on the pages and was never alive here has no place at all.
//!
//! # Promotion
//!
//! The first to open an index after a promotion does all this for the last time, before anybody writes,
//! and finds out which places are free.

use chronomind_core::Pause;
use chronomind_core::graph::{Inserter, State};
use chronomind_core::index::{Index, Published};
use chronomind_core::postings::{BLOCK, bits};
use chronomind_core::record::{Flags, Kind, PostingView};

use super::load::{Filling, link, publish};
use super::{Memory, reclaim};
use crate::error::Result;
use crate::pages::changes::{Changes, added};
use crate::pages::{self, segment};
use crate::pg::fault::{self, Point};
use crate::pg::relation::Relation;
use crate::pg::wait::{self, Wait, patience};
use crate::pg::{interrupt, replay};
use crate::shmem;
use crate::shmem::level::KEPT;

type Followed<T> = std::result::Result<T, Filling>;

/// The level that memory must have for a scan, or a writer, that begins now.
pub fn wanted_level() -> u64 {
    if replay::is_in_progress() {
        replay::position()
    } else {
        KEPT
    }
}

/// Brings memory up to the wanted level. False where memory is too small: the index is then on its
/// pages alone.
pub fn catch_up(relation: Relation, incarnation: u64, memory: &Memory) -> Result<bool> {
    let level = memory.place.level();
    if level.position() == KEPT {
        return Ok(true);
    }
    let wanted = wanted_level();
    while level.position() < wanted {
        if !memory.is_complete() {
            return Ok(false);
        }
        let Some(turn) = level.turn() else {
            wait::briefly(Wait::Replay);
            continue;
        };
        // Somebody may have had it since the look at the level.
        let since = level.position();
        if since >= wanted {
            break;
        }
        fault::at(Point::FollowTurn);
        // Later than what is wanted: those who wait may want more.
        let now = wanted_level();
        let is_second = turn.begin();
        let followed = match follow(relation, incarnation, &memory.index, since, now, is_second) {
            Err(Filling::Full) => {
                reclaim()?;
                follow(relation, incarnation, &memory.index, since, now, true)
            }
            followed => followed,
        };
        match followed {
            Ok(()) => turn.reached(now),
            Err(Filling::Failed(error)) => return Err(error),
            Err(lack) => {
                memory.give_up();
                if memory.should_warn() {
                    lack.tell(relation);
                }
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// Takes over what was changed between two levels. `is_second`: somebody has done a part of it.
fn follow(
    relation: Relation,
    incarnation: u64,
    index: &Index<'static>,
    since: u64,
    to: u64,
    is_second: bool,
) -> Followed<()> {
    let snapshot = pages::snapshot(relation)?;
    super::expect_incarnation(relation, &snapshot, incarnation)?;
    let directory = index.pages();
    for kind in [Kind::Vectors, Kind::Postings] {
        // From the first on: when this ends early, the next look goes back as far.
        for (sequence, block) in added(relation, &snapshot, kind, directory)? {
            directory.add(segment(kind), sequence, block)?;
        }
    }
    fault::at(Point::FollowAdded);
    let changes = Changes {
        index: relation,
        snapshot: &snapshot,
        directory,
        since,
    };
    let mut follower = Follower {
        index,
        changes: &changes,
        vector: vec![0; snapshot.layout.vector_bytes()],
        keys: vec![0; snapshot.layout.attributes()],
        unlinked: Vec::new(),
        bereft: Vec::new(),
        occupied: Vec::new(),
        blocks: Vec::new(),
        is_crowded: false,
    };
    if is_second {
        // Which nodes have lost rows went with the one who took them.
        let graph = index.graph();
        let taken = graph.nodes().filter(|&(_, state)| state != State::Free);
        follower.bereft.extend(taken.map(|(node, _)| node));
    }
    let changed = changes.pages()?;
    changes.postings(&changed, |id, posting| follower.bury(id, posting))?;
    fault::at(Point::FollowBuried);
    if follower.is_crowded {
        follower.make_room()?;
    }
    changes.postings(&changed, |id, posting| follower.take(id, posting))?;
    fault::at(Point::FollowTaken);
    link(index, &follower.unlinked)?;
    fault::at(Point::FollowLinked);
    // The lists on the pages know nothing of these.
    index.add_drift(follower.unlinked.len() as u32);
    follower.retire()?;
    fault::at(Point::FollowRetired);
    if to == KEPT {
        find_free_places(index, snapshot.nodes, snapshot.postings)?;
    }
    Ok(())
}

/// Looks through the pages that were changed: first for what is gone, then for what has come.
struct Follower<'a> {
    index: &'a Index<'static>,
    changes: &'a Changes<'a>,
    vector: Vec<u8>,
    keys: Vec<u64>,
    /// Nodes to be linked.
    unlinked: Vec<u32>,
    /// Nodes that have lost a row.
    bereft: Vec<u32>,
    /// Nodes that have another vector on the pages, or none in memory any more.
    occupied: Vec<u32>,
    /// Blocks with places that others have now.
    blocks: Vec<u32>,
    /// Some of those that have come find their places taken.
    is_crowded: bool,
}

impl Follower<'_> {
    /// Marks a posting dead whose row is gone, and looks whether there is room for the one that has come.
    fn bury(&mut self, id: u32, posting: PostingView<'_>) -> Followed<()> {
        let node = posting.has_node().then(|| posting.node());
        let is_dead = posting.flags().contains(Flags::DEAD);
        let held = self.index.posting(id, &mut self.keys);
        let is_same = held.is_some_and(|held| !is_dead && !held.dead && is_same(&held, &posting));
        let (is_taken, had) = (held.is_some(), held.and_then(|held| held.node));

        // What has come after the snapshot of the segments is left to the next time.
        let is_next = !is_dead && !self.is_later(&posting);
        let has_room = match node {
            Some(node) if is_next => self.has_room(node)?,
            _ => true,
        };
        if is_same && has_room {
            return Ok(());
        }
        if self.index.postings().mark_dead(id) {
            self.bereft.extend(had);
        }
        if is_next && is_taken {
            self.blocks.push(id / BLOCK as u32);
            self.is_crowded = true;
        }
        if is_next && !has_room {
            self.occupied.extend(node);
            self.is_crowded = true;
        }
        Ok(())
    }

    /// Takes a posting over that is not in memory, if its places are free.
    fn take(&mut self, id: u32, posting: PostingView<'_>) -> Followed<()> {
        fault::claim(Point::FollowMemory)?;
        self.index.postings().reserve(id)?;
        let is_dead = posting.flags().contains(Flags::DEAD);
        if is_dead || self.is_later(&posting) {
            return Ok(());
        }
        let node = posting.has_node().then(|| posting.node());
        // It is in memory, or its place was given away just now, which is for the next time.
        if self.index.posting(id, &mut self.keys).is_some() {
            let unlinked = node.filter(|&node| self.is_unlinked(node));
            self.unlinked.extend(unlinked);
            return Ok(());
        }
        if let Some(node) = node
            && !self.take_node(node)?
        {
            return Ok(());
        }
        publish(self.index, id, posting, &mut self.keys)?;
        Ok(())
    }

    fn is_later(&self, posting: &PostingView<'_>) -> bool {
        posting.has_node() && posting.node() >= self.changes.snapshot.nodes
    }

    /// Whether a node has the vector that is on the pages, or can get it.
    fn has_room(&mut self, node: u32) -> Result<bool> {
        let graph = self.index.graph();
        match graph.state(node) {
            State::Free => Ok(true),
            State::Stored | State::Live if self.changes.has_vector(node)? => {
                self.changes.vector(node, &mut self.vector)?;
                Ok(graph.holds(node, &self.vector))
            }
            State::Stored | State::Live => Ok(true),
            State::Filling | State::Linking | State::Dead => Ok(false),
        }
    }

    /// Gives a node its vector. False when it has another.
    fn take_node(&mut self, node: u32) -> Followed<bool> {
        let graph = self.index.graph();
        if !self.has_room(node)? {
            return Ok(false);
        }
        if graph.state(node) == State::Free {
            self.changes.vector(node, &mut self.vector)?;
            let upper = graph.reserve(node)?;
            graph.store(node, upper, &self.vector);
        }
        if self.is_unlinked(node) {
            self.unlinked.push(node);
        }
        Ok(true)
    }

    /// Whether a node is to be linked, also one that an interrupted predecessor has left.
    fn is_unlinked(&self, node: u32) -> bool {
        self.index.graph().state(node) == State::Stored
    }

    /// Empties the places of the dead that others have now.
    fn make_room(&mut self) -> Result<()> {
        let (graph, postings) = (self.index.graph(), self.index.postings());
        let epochs = shmem::epochs()?;
        for node in sorted(&mut self.occupied) {
            if postings.cut(graph.postings_of(node)) {
                graph.retire(node);
            }
        }
        let blocks = sorted(&mut self.blocks);
        blocks.iter().for_each(|&number| self.cut_dead(number));
        // Before anything is given away, for those who remember where they were in a chain.
        postings.count_cut();
        fault::at(Point::FollowCut);
        // Without room for it, a row that this level sees would be missing.
        while graph.dead_nodes() > 0 {
            self.unlink(&mut || {
                wait::briefly(Wait::Readers);
                true
            })?;
        }
        fault::at(Point::FollowUnlinked);
        let stamp = epochs.stamp();
        while !epochs.is_safe(stamp) {
            if !epochs.try_advance() {
                wait::briefly(Wait::Readers);
            }
        }
        for number in blocks {
            postings.free_block(number);
        }
        forget_free_places(self.index);
        Ok(())
    }

    /// Takes the dead of a block out of their chains.
    fn cut_dead(&self, number: u32) {
        let postings = self.index.postings();
        if let Some(block) = postings.block(number) {
            for node in bits(block.dead()).filter_map(|slot| block.node(slot)) {
                postings.cut(self.index.graph().postings_of(node));
            }
        }
    }

    /// Takes the life of nodes that have no rows left, and those out of the graph that are many.
    fn retire(&mut self) -> Result<()> {
        const MANY: u32 = 16;
        let (graph, postings) = (self.index.graph(), self.index.postings());
        for node in sorted(&mut self.bereft) {
            if postings.cut(graph.postings_of(node)) {
                graph.retire(node);
            }
        }
        if graph.dead_nodes() > graph.len() / MANY {
            postings.count_cut();
            // What cannot go now goes with the next.
            self.unlink(&mut patience())?;
            forget_free_places(self.index);
        }
        Ok(())
    }

    fn unlink(&self, pause: &mut Pause<'_>) -> Result<()> {
        let epochs = shmem::epochs()?;
        let mut inserter = Inserter::default();
        let mut interrupt = interrupt::is_pending;
        let graph = self.index.graph();
        while let Err(error) = graph.unlink(epochs, &mut inserter, &mut interrupt, pause) {
            match error {
                chronomind_core::Error::Stopped => interrupt::check(),
                error => return Err(error.into()),
            }
        }
        Ok(())
    }
}

/// What is in a list, each once; the list is empty then.
fn sorted(list: &mut Vec<u32>) -> Vec<u32> {
    let mut sorted = std::mem::take(list);
    sorted.sort_unstable();
    sorted.dedup();
    sorted
}

/// Whether memory holds just this row version.
fn is_same(held: &Published<'_>, posting: &PostingView<'_>) -> bool {
    let attributes = || {
        let mut keys = posting.keys().enumerate();
        // What stands for a NULL does not count.
        keys.all(|(at, key)| held.row.key(at).is_none_or(|own| own == key))
    };
    held.tid == posting.tid().pack()
        && held.node == posting.has_node().then(|| posting.node())
        && held.has_distance != posting.flags().contains(Flags::NO_DISTANCE)
        && held.row.nulls == posting.nulls()
        && attributes()
}

/// Leaves it to the pages which places are used again.
pub(super) fn forget_free_places(index: &Index<'static>) {
    index.postings().forget_free();
    while index.graph().take_free().is_some() {}
}

/// Finds the places that nobody has, for those who will write.
fn find_free_places(index: &Index<'static>, nodes: u32, postings: u32) -> Followed<()> {
    const STRIDE: u32 = 4096;
    forget_free_places(index);
    for id in 0..postings {
        if id.is_multiple_of(STRIDE) {
            interrupt::check();
        }
        // Vacuum frees the blocks of which half of the postings are dead.
        index.postings().reserve(id)?;
        index.postings().enter_dead(id);
    }
    for node in (0..nodes).rev() {
        if node.is_multiple_of(STRIDE) {
            interrupt::check();
            fault::at(Point::FollowFreeing);
        }
        index.graph().reserve_record(node)?;
        if index.graph().state(node) == State::Free {
            index.graph().vacate(node);
        }
    }
    Ok(())
}
