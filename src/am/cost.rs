//! What the planner is told that a scan costs.
//!
//! The graph is in memory. To find the nearest rows a search measures the distance of a few
//! thousand nodes, however large the table is; that is the cost before the first row. For every
//! further row it follows the links of another node. A score that is not the distance alone has the
//! search look into some zones of rows as well, and one that prefers large distances, or a filter
//! that few rows pass, into all of them. So does a scan without an order. An index that does not fit
//! memory is read from its pages each time. What the rows themselves cost to fetch, the planner adds.
//!
//! Every cost is finite: infinity minus infinity, which the planner computes, is NaN, and a path of that
//! cost is neither cheaper nor dearer than any other.

use chronomind_core::postings::BLOCK;
use chronomind_core::score::{Binary, Expr, Unary};

use super::direction::{Direction, Trust, direction};
use super::text::QueryText;

/// What rows are wanted in the order of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sought {
    /// The distance.
    Nearest,
    /// A score that is worse for what is further away.
    Near,
    /// Any other score.
    Anywhere,
}

impl From<&QueryText> for Sought {
    fn from(text: &QueryText) -> Sought {
        match (direction(&text.score, Trust::Positive), text.descending) {
            (Direction::Rises, false) if text.score == Expr::Distance => Sought::Nearest,
            (Direction::Rises, false) | (Direction::Falls, true) => Sought::Near,
            _ => Sought::Anywhere,
        }
    }
}

/// True where a condition on the distance lets the scan end before all rows have been seen.
pub fn is_bounded(text: &QueryText) -> bool {
    let falls = |condition: &Expr| direction(condition, Trust::Positive) == Direction::Falls;
    text.predicate.as_ref().is_some_and(falls)
}

/// True where a condition leaves out more than rows without a distance, of which the planner knows.
pub fn is_selective(predicate: &Expr) -> bool {
    match predicate {
        Expr::Binary(Binary::And, left, right) => is_selective(left) || is_selective(right),
        Expr::Binary(Binary::Or, left, right) => is_selective(left) && is_selective(right),
        Expr::Unary(Unary::Not, argument) => {
            !matches!(&**argument, Expr::Unary(Unary::IsNull, value) if **value == Expr::Distance)
        }
        _ => true,
    }
}

/// What is known about a scan when it is planned.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Plan {
    /// Rows in the index.
    pub rows: f64,
    /// The part of them that the conditions let through.
    pub selectivity: f64,
    /// Conditions evaluated for each row.
    pub conditions: usize,
    /// What they are wanted in the order of.
    pub sought: Sought,
    /// The scan ends before all rows have been seen.
    pub is_bounded: bool,
    /// Neighbours of a node on the upper layers.
    pub m: u32,
    /// Candidates kept by a search.
    pub ef_search: u32,
    /// The planner's cost of an operator.
    pub operator_cost: f64,
    /// The planner's cost of an index entry.
    pub entry_cost: f64,
    /// What it costs to read the pages of an index that memory is too small for.
    pub pages_cost: f64,
}

/// Costs in the planner's unit.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// Before the first row.
    pub startup: f64,
    /// For all rows.
    pub total: f64,
}

impl Cost {
    /// Of a path that must not be taken while there is any other: above what the server adds to the
    /// cost of a path that a setting turns off, before PostgreSQL 18.
    pub const PROHIBITIVE: Cost = Cost {
        startup: 1e15,
        total: 1e15,
    };

    fn plus(self, more: f64) -> Cost {
        Cost {
            startup: self.startup + more,
            total: self.total + more,
        }
    }
}

impl Plan {
    /// The cost of a scan for the rows that meet the conditions, in no order: the attributes of all rows
    /// are compared, since rows that are equal in one need not be near in the order of arrival.
    pub fn unordered(&self) -> Cost {
        let rows = self.rows.max(1.0);
        let compared = rows * self.conditions.max(1) as f64 * self.operator_cost;
        let zones = rows / BLOCK as f64 * self.operator_cost;
        let passed = rows * self.selectivity * self.entry_cost;
        let setup = SETUP * self.operator_cost;
        Cost {
            startup: setup,
            total: setup + compared + zones + passed,
        }
        .plus(self.pages_cost)
    }

    /// The cost of a scan in the order of a distance or score.
    pub fn ordered(&self) -> Cost {
        if self.pages_cost > 0.0 {
            // All rows are ranked before the first is given out.
            let each = self.entry_cost + (1 + self.conditions) as f64 * self.operator_cost;
            let ranked = SETUP * self.operator_cost + self.rows.max(1.0) * each + self.pages_cost;
            return Cost {
                startup: ranked,
                total: ranked,
            };
        }
        let rows = self.rows.max(1.0);
        let each = self.entry_cost + (1 + self.conditions) as f64 * self.operator_cost;
        let setup = SETUP * self.operator_cost;
        // Zones that no row can pass are left out; of the others every row is looked at.
        let pass = rows * self.selectivity * each + rows / BLOCK as f64 * self.operator_cost;
        let walk = self.measured(rows) * each;
        if self.sought == Sought::Anywhere || pass <= walk {
            // All rows are ranked before the first is given out.
            return Cost {
                startup: setup + pass,
                total: setup + pass,
            };
        }
        let share = if self.is_bounded { PASSING } else { 1.0 };
        let following = rows * share * f64::from(self.m) * self.operator_cost;
        Cost {
            startup: setup + walk,
            total: setup + walk + following,
        }
    }

    /// The rows that a search looks at before the first is given out.
    ///
    /// It descends through `ln(rows) / ln(m)` layers, through the last but one with a part of its beam,
    /// which is left out here. On the lowest it expands `ef_search` nodes, more where conditions reject
    /// some, and measures those of their `2m` neighbours that it has not seen before.
    fn measured(&self, rows: f64) -> f64 {
        let m = f64::from(self.m);
        let layers = rows.ln() / m.ln();
        let expanded = f64::from(self.ef_search) / self.selectivity.max(1.0 / rows);
        let near = layers * m + expanded * UNSEEN * 2.0 * m;
        let in_zones = match self.sought {
            Sought::Nearest => 0.0,
            Sought::Near | Sought::Anywhere => rows * self.selectivity * IN_ZONES,
        };
        (near + in_zones).min(rows)
    }
}

/// Operators that beginning a scan costs as much as: it reads its query and finds the index.
const SETUP: f64 = 500.0;

/// The part of a node's neighbours that are new to a search, on average.
const UNSEEN: f64 = 0.25;

/// The part of all rows that a search by a score looks at beside the near ones: 0.7 to 2% for all
/// kinds of decay on real data.
const IN_ZONES: f64 = 0.02;

/// The part of all rows that meets a condition that the scan looks at beside those of its clauses:
/// what Postgres guesses for a comparison that it knows nothing about.
pub const PASSING: f64 = 1.0 / 3.0;

#[cfg(test)]
mod tests {
    use super::*;

    const PLAN: Plan = Plan {
        rows: 60_000.0,
        selectivity: 1.0,
        conditions: 0,
        sought: Sought::Nearest,
        is_bounded: false,
        m: 16,
        ef_search: 40,
        operator_cost: 0.0025,
        entry_cost: 0.005,
        pages_cost: 0.0,
    };

    #[test]
    fn the_first_rows_are_far_cheaper_than_all() {
        for sought in [Sought::Nearest, Sought::Near] {
            let cost = Plan { sought, ..PLAN }.ordered();
            assert!(cost.startup > 0.0 && cost.startup * 20.0 < cost.total);
        }
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
    fn what_is_far_away_takes_a_look_at_all() {
        let far = Plan {
            sought: Sought::Anywhere,
            ..PLAN
        };
        assert!(far.ordered().startup > PLAN.ordered().startup * 20.0);
    }

    #[test]
    fn bounded_scans_are_cheaper() {
        let bounded = Plan {
            is_bounded: true,
            ..PLAN
        };
        assert!(bounded.ordered().total < PLAN.ordered().total / 2.0);
    }

    #[test]
    fn whatever_is_planned_costs_something_finite() {
        for rows in [0.0, 1.0, 1e12] {
            for selectivity in [0.0, 1e-9, 1.0] {
                for pages_cost in [0.0, 1e9] {
                    let plan = Plan {
                        rows,
                        selectivity,
                        pages_cost,
                        ..PLAN
                    };
                    for cost in [plan.ordered(), plan.unordered()] {
                        assert!(cost.startup > 0.0 && cost.startup <= cost.total);
                        assert!(cost.total.is_finite() && cost.total < Cost::PROHIBITIVE.total);
                    }
                }
            }
        }
    }

    #[test]
    fn without_an_order_a_narrow_condition_is_cheaper_than_a_wide_one() {
        let narrow = Plan {
            selectivity: 1e-4,
            conditions: 1,
            ..PLAN
        };
        let wide = Plan {
            selectivity: 0.5,
            ..narrow
        };
        assert!(narrow.unordered().total < wide.unordered().total);
        assert!(narrow.unordered().total > narrow.rows * narrow.operator_cost);
    }

    #[test]
    fn what_is_read_from_pages_costs_more() {
        let read = Plan {
            pages_cost: 10_000.0,
            ..PLAN
        };
        assert!(read.ordered().startup > PLAN.ordered().total);
        assert!(read.unordered().startup > PLAN.unordered().total);
    }

    #[test]
    fn an_empty_index_costs_little() {
        let empty = Plan { rows: 0.0, ..PLAN };
        assert!(empty.ordered().total < 2.0);
    }

    #[test]
    fn what_is_sought_follows_from_the_score() {
        let sought = |text: &str| Sought::from(&text.parse::<QueryText>().unwrap());
        assert_eq!(sought("distance"), Sought::Nearest);
        assert_eq!(sought("distance DESC"), Sought::Anywhere);
        assert_eq!(
            sought("(1 - distance) * $1 + importance DESC"),
            Sought::Near
        );
        assert_eq!(sought("1 - distance"), Sought::Anywhere);
        let bounded = |text: &str| is_bounded(&text.parse::<QueryText>().unwrap());
        assert!(bounded(
            "distance WHERE importance > 1 AND 1 - distance > $1"
        ));
        let selective = |text: &str| is_selective(&text.parse().unwrap());
        assert!(!selective("NOT distance IS NULL"));
        assert!(selective("NOT distance IS NULL AND distance < 1"));
        assert!(!bounded("distance WHERE distance > 1"));
        assert!(!bounded("distance WHERE importance > 1"));
    }
}
