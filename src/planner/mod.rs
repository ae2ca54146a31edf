//! The planner's part: orders by a score become index scans.
//!
//! `hook` is where Postgres enters. A `target` is an index, `translate` makes a score of the sort
//! expression, `clauses` and `predicate` find what the index can do of the `WHERE` clause, and the
//! text of all that (`am::text`) goes into the plan as the argument of `chrono_query`.

mod clauses;
mod conditions;
mod exact;
mod exactness;
mod functions;
pub mod hook;
mod parts;
mod predicate;
mod score;
mod target;
mod times;
mod translate;
mod vanishing;
