//! The neighbour lists of an index on their way to its pages.

use chronomind_core::index::Index;
use chronomind_core::record::Upper;

use crate::error::Result;
use crate::pages::links::LinkSink;

/// Writes the lists of the first `nodes` nodes, which must be live.
pub fn write(memory: &Index<'static>, nodes: u32, sink: &mut impl LinkSink) -> Result<()> {
    let graph = memory.graph();
    let mut slots = Vec::new();
    for node in 0..nodes {
        graph.copy_links(node, 0, &mut slots);
        sink.links(&slots)?;
    }
    for node in 0..nodes {
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
