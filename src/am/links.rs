//! The neighbour lists of an index on their way to its pages.

use chronomind_core::graph::State;
use chronomind_core::index::Index;
use chronomind_core::record::Upper;

use crate::error::Result;
use crate::pages::links::LinkSink;

/// Writes the lists of the first `nodes` nodes. Those that are not live get empty ones: they are free,
/// or being linked, and might lack the links back to them when the others are written.
pub fn write(memory: &Index<'static>, nodes: u32, sink: &mut impl LinkSink) -> Result<()> {
    let graph = memory.graph();
    let live: Vec<bool> = (0..nodes)
        .map(|node| graph.state(node) == State::Live)
        .collect();
    let mut slots = Vec::new();
    for (node, &is_live) in (0..).zip(&live) {
        graph.copy_links(node, 0, &mut slots);
        if !is_live {
            slots.fill(0);
        }
        sink.links(&slots)?;
    }
    for (node, _) in (0..).zip(&live).filter(|(_, is_live)| **is_live) {
        for layer in 1..=graph.config().layer_of(node) {
            graph.copy_links(node, layer, &mut slots);
            sink.upper(Upper {
                node,
                layer,
                slots: &slots,
            })?;
        }
    }
    Ok(())
}
