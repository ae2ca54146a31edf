//! A look at the whole structure: does every invariant of the graph hold?
//!
//! Used by every test that builds a graph and by the index check of the Postgres side. It may run
//! beside writers: what it calls broken is broken at any moment, not only at rest. The spanning tree
//! and the list of free nodes are judged only if no node has died that is not free again, because
//! newcomers may be without a parent, and the tree torn, until then.

use super::Graph;
use super::links::id_of;
use super::node::State;
use crate::error::{Error, Interrupt, Result};
use crate::primitive::{AtomicU64, Ordering};

/// What a check saw.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Report {
    /// Live nodes.
    pub live: u32,
    /// Nodes stored or being linked.
    pub unlinked: u32,
    /// Nodes that have died and are still in the graph.
    pub dead: u32,
    /// Nodes whose place is free.
    pub free: u32,
    /// Links on layer 0.
    pub links: u64,
    /// Highest layer in use.
    pub top_layer: u32,
}

impl Graph<'_> {
    /// Checks every list of every node.
    ///
    /// # Errors
    /// [`Error::Inconsistent`] with the first broken invariant; [`Error::Stopped`].
    pub fn check(&self, interrupt: &mut Interrupt<'_>) -> Result<Report> {
        let calm = Calm::of(self);
        let mut report = Report::default();
        let mut live = Vec::new();
        for (id, state) in self.nodes() {
            if id.is_multiple_of(4096) && interrupt() {
                return Err(Error::Stopped);
            }
            match state {
                State::Free => {
                    report.free += 1;
                    continue;
                }
                State::Filling => continue,
                State::Stored | State::Linking => report.unlinked += 1,
                State::Live => {
                    self.check_kin(id, &calm)?;
                    if !self.is_listed(id) && calm.lasts(self) {
                        return Err(Error::Inconsistent {
                            what: "a node is not in the bucket of its vector",
                            id,
                        });
                    }
                    live.push(id);
                }
                State::Dead => report.dead += 1,
            }
            let layer = self.node(id).layer();
            if layer != self.config.layer_of(id) {
                return Err(Error::Inconsistent {
                    what: "a node has a foreign layer",
                    id,
                });
            }
            report.top_layer = report.top_layer.max(layer);
            for at in 0..=layer {
                let links = self.check_list(id, at)?;
                if at == 0 {
                    report.links += links;
                }
            }
        }
        report.live = live.len() as u32;
        let reached = self.reached(false, interrupt)?;
        if let Some(id) = live.into_iter().find(|&id| !reached.contains(id))
            && calm.lasts(self)
        {
            return Err(Error::Inconsistent {
                what: "the spanning tree does not hold a node",
                id,
            });
        }
        self.check_free(&calm)?;
        Ok(report)
    }

    /// Follows the list of free nodes.
    fn check_free(&self, calm: &Calm) -> Result<()> {
        let top = self.peek_free();
        let (mut next, mut count) = (top, 0);
        while let Some(id) = next {
            count += 1;
            let is_sound = count <= self.len() && self.state(id) == State::Free;
            if !is_sound && self.peek_free() == top && calm.lasts(self) {
                return Err(Error::Inconsistent {
                    what: "the list of free nodes holds one that is not",
                    id,
                });
            }
            if !is_sound {
                break;
            }
            // Relaxed: acquired with the top.
            let below = self.node(id).header.next_free.load(Ordering::Relaxed);
            next = below.checked_sub(1);
        }
        Ok(())
    }

    /// A link of the tree stands at both ends by the time both are live, and stays.
    fn check_kin(&self, id: u32, calm: &Calm) -> Result<()> {
        for kin in self.kin(id) {
            let is_torn =
                || self.state(kin) == State::Live && !self.kin(kin).any(|back| back == id);
            if is_torn() && calm.lasts(self) {
                return Err(Error::Inconsistent {
                    what: "a link of the spanning tree has one end only",
                    id,
                });
            }
        }
        Ok(())
    }

    fn check_list(&self, id: u32, layer: u32) -> Result<u64> {
        let broken = |what| Err(Error::Inconsistent { what, id });
        let mut seen: Vec<(u32, &AtomicU64)> = Vec::new();
        for slot in self.list(id, layer) {
            // Acquire: the state of the node behind the id is looked at next.
            let Some(other) = id_of(slot.load(Ordering::Acquire)) else {
                continue;
            };
            if other == id {
                return broken("a node is its own neighbour");
            }
            // A neighbour can lose one slot and get another between two looks, so look again at both:
            // nobody puts it into the list more than three times.
            let twin = seen.iter().find(|(held, _)| *held == other);
            let still = |slot: &AtomicU64| id_of(slot.load(Ordering::Acquire)) == Some(other);
            if twin.is_some_and(|(_, twin)| still(twin) && still(slot)) {
                return broken("a neighbour stands in a list twice");
            }
            // It may have left the list and become free between two looks.
            if !self.state(other).is_linked() && still(slot) && !self.state(other).is_linked() {
                return broken("a link leads to a node that was never linked");
            }
            if self.node(other).layer() < layer {
                return broken("a link leads to a node below its layer");
            }
            seen.push((other, slot));
        }
        Ok(seen.len() as u64)
    }
}

/// Whether the spanning tree may be judged.
struct Calm(Option<u32>);

impl Calm {
    fn of(graph: &Graph<'_>) -> Calm {
        // Acquire: pairs with the Release in `unlink`; the tree that it has mended is looked at next.
        let freed = graph.header.freed.load(Ordering::Acquire);
        let retired = graph.header.retired.load(Ordering::Relaxed);
        Calm((retired == freed).then_some(retired))
    }

    /// True when no node has died since. What `unlink` changes is seen after the deaths before it.
    fn lasts(&self, graph: &Graph<'_>) -> bool {
        self.0 == Some(graph.header.retired.load(Ordering::Relaxed))
    }
}
