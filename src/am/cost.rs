//! What the planner is told that a scan costs.
//!
//! The graph is in memory. To find the nearest rows a search measures the distance of a few
//! thousand nodes, however large the table is; that is the cost before the first row. For every
//! further row it follows the links of another node. What the rows themselves cost to fetch, the
//! planner adds.

/// What is known about a scan when it is planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Rows in the index.
    pub rows: f64,
    /// The part of them that the conditions let through.
    pub selectivity: f64,
    /// Conditions evaluated for each row.
    pub conditions: usize,
    /// Neighbours of a node on the upper layers.
    pub m: u32,
    /// Candidates kept by a search.
    pub ef_search: u32,
    /// The planner's cost of an operator.
    pub operator_cost: f64,
    /// The planner's cost of an index entry.
    pub entry_cost: f64,
}

/// Costs in the planner's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Before the first row.
    pub startup: f64,
    /// For all rows.
    pub total: f64,
}

impl Plan {
    /// The cost of a scan in the order of a distance or score.
    ///
    /// A search descends through `ln(rows) / ln(m)` layers. On the lowest it expands `ef_search`
    /// nodes, more where conditions reject some, and measures those of their `2m` neighbours that
    /// it has not seen before.
    pub fn ordered(&self) -> Cost {
        let rows = self.rows.max(1.0);
        let m = f64::from(self.m);
        let layers = rows.ln() / m.ln();
        let expanded = f64::from(self.ef_search) / self.selectivity.max(1.0 / rows);
        let measured = (layers * m + expanded * UNSEEN * 2.0 * m).min(rows);
        let each = self.entry_cost + (1 + self.conditions) as f64 * self.operator_cost;
        let startup = measured * each;
        let following = (rows - measured) * m * self.operator_cost;
        Cost {
            startup,
            total: startup + following,
        }
    }
}

/// The part of a node's neighbours that are new to a search, on average.
const UNSEEN: f64 = 0.25;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        rows: 60_000.0,
        selectivity: 1.0,
        conditions: 0,
        m: 16,
        ef_search: 40,
        operator_cost: 0.0025,
        entry_cost: 0.005,
    };

    #[test]
    fn the_first_rows_are_far_cheaper_than_all() {
        let cost = PLAN.ordered();
        assert!(cost.startup > 0.0 && cost.startup * 20.0 < cost.total);
    }

    #[test]
    fn growth_is_logarithmic_before_the_first_row() {
        let larger = Plan {
            rows: PLAN.rows * 1000.0,
            ..PLAN
        };
        assert!(larger.ordered().startup < PLAN.ordered().startup * 1.5);
    }

    #[test]
    fn narrow_conditions_never_cost_more_than_measuring_every_row() {
        let narrow = Plan {
            selectivity: 1e-9,
            conditions: 1,
            ..PLAN
        };
        let each = narrow.operator_cost * 2.0 + narrow.entry_cost;
        assert!(narrow.ordered().total <= narrow.rows * each + 1.0);
    }

    #[test]
    fn an_empty_index_is_free() {
        let empty = Plan { rows: 0.0, ..PLAN };
        assert!(empty.ordered().total < 0.02);
    }
}
