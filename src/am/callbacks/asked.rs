//! How many rows a statement will ask a scan for.
//!
//! A scan is told what to order by, and not how many rows are wanted. Whether the first ten of them are, or
//! all, decides about how the index is searched: of an order that is wanted to its end, no row may be
//! missed. The planner knows the LIMIT only where it is a constant, and a plan may be for any. The executor
//! knows it when the first row is asked for. So when a statement starts, every scan of ours is told of
//! the LIMIT above it, if there is one that stops it: through the private field of its order's function,
//! which is there for whoever calls that function, and for an order by an index nobody does.

use std::sync::OnceLock;

use pgrx::pg_sys::{self, LimitState, NodeTag, PlanState, QueryDesc, ScanKeyData};
use pgrx::{PgList, pg_guard};

use super::{ORDER_BY_DISTANCE, begin_scan};

type Hook = unsafe extern "C-unwind" fn(*mut QueryDesc, std::ffi::c_int);

/// Whoever was told before us.
static PREVIOUS: OnceLock<Option<Hook>> = OnceLock::new();

/// Has the executor tell us of statements that start. For the server's start only.
pub fn install() {
    // SAFETY: the server is starting, in a single thread.
    unsafe {
        PREVIOUS.get_or_init(|| {
            let previous = pg_sys::ExecutorStart_hook;
            pg_sys::ExecutorStart_hook = Some(executor_start);
            previous
        });
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn executor_start(query: *mut QueryDesc, flags: std::ffi::c_int) {
    // SAFETY: Postgres gives a valid statement, and whoever was told before us gets the same.
    unsafe {
        match PREVIOUS.get() {
            Some(Some(previous)) => {
                pg_sys::ffi::pg_guard_ffi_boundary(|| previous(query, flags));
            }
            _ => pg_sys::standard_ExecutorStart(query, flags),
        }
        if flags as u32 & pg_sys::EXEC_FLAG_EXPLAIN_ONLY != 0 {
            return;
        }
        tell((*query).planstate, Demand::ALL);
        let state = (*query).estate;
        if !state.is_null() {
            let plans = PgList::<PlanState>::from_pg((*state).es_subplanstates);
            plans.iter_ptr().for_each(|plan| tell(plan, Demand::ALL));
        }
    }
}

/// What is asked of a node of a plan.
#[derive(Clone, Copy)]
struct Demand {
    /// What stops it, null where nothing does.
    limit: *mut LimitState,
    /// How many of its rows there are expected to be for one that counts for the limit.
    each: f64,
    /// It is asked for a row only when the limit has counted the one before, or that did not pass.
    one_by_one: bool,
}

impl Demand {
    const ALL: Demand = Demand {
        limit: std::ptr::null_mut(),
        each: 1.0,
        one_by_one: false,
    };

    /// The demand on a node below one with fewer rows.
    fn through(self, above: f64, below: f64) -> Demand {
        let each = (below / above.max(1.0)).max(1.0);
        Demand {
            each: self.each * each,
            ..self
        }
    }
}

/// Tells the scans in a plan what is asked of them.
///
/// # Safety
/// A node of a plan that has been started, or null.
unsafe fn tell(node: *mut PlanState, demand: Demand) {
    if node.is_null() {
        return;
    }
    // SAFETY: by the caller; a node's tag says what it is.
    unsafe {
        let (left, right) = ((*node).lefttree, (*node).righttree);
        let rows = |node: *mut PlanState| {
            let plan = node.as_ref().and_then(|node| node.plan.as_ref());
            plan.map_or(1.0, |plan| plan.plan_rows)
        };
        let below = |child| demand.through(rows(node), rows(child));
        match (*node).type_ {
            NodeTag::T_LimitState => {
                let limit: *mut LimitState = node.cast();
                let demand = match (*limit).limitOption {
                    pg_sys::LimitOption::LIMIT_OPTION_COUNT => Demand {
                        limit,
                        each: 1.0,
                        one_by_one: true,
                    },
                    // All that equal the last one are wanted, and none may be missed.
                    _ => Demand::ALL,
                };
                tell(left, demand);
            }
            NodeTag::T_IndexScanState => tell_scan(node.cast(), demand),
            // They hand rows on in the order in which they come, one by one.
            NodeTag::T_ResultState | NodeTag::T_LockRowsState | NodeTag::T_ProjectSetState => {
                tell(left, below(left))
            }
            // It reads ahead, to the end of those that are equal.
            NodeTag::T_IncrementalSortState => {
                let demand = below(left);
                let one_by_one = false;
                tell(
                    left,
                    Demand {
                        one_by_one,
                        ..demand
                    },
                );
            }
            NodeTag::T_SubqueryScanState => {
                let scan = &*node.cast::<pg_sys::SubqueryScanState>();
                tell(scan.subplan, below(scan.subplan));
            }
            NodeTag::T_NestLoopState => {
                tell(left, below(left));
                tell(right, Demand::ALL);
            }
            NodeTag::T_MergeAppendState => {
                let append = &*node.cast::<pg_sys::MergeAppendState>();
                children(append.mergeplans, append.ms_nplans).for_each(|child| tell(child, demand));
            }
            NodeTag::T_AppendState => {
                let append = &*node.cast::<pg_sys::AppendState>();
                children(append.appendplans, append.as_nplans)
                    .for_each(|child| tell(child, demand));
            }
            _ => {
                tell(left, Demand::ALL);
                tell(right, Demand::ALL);
                if (*node).type_ == NodeTag::T_CustomScanState {
                    let scan = &*node.cast::<pg_sys::CustomScanState>();
                    let plans = PgList::<PlanState>::from_pg(scan.custom_ps);
                    plans.iter_ptr().for_each(|plan| tell(plan, Demand::ALL));
                }
            }
        }
    }
}

/// # Safety
/// So many nodes of a plan that has been started.
unsafe fn children(
    plans: *mut *mut PlanState,
    count: std::ffi::c_int,
) -> impl Iterator<Item = *mut PlanState> {
    // SAFETY: by the caller.
    (0..count.max(0) as usize).map(move |at| unsafe { *plans.add(at) })
}

/// # Safety
/// A scan of an index that has been started.
unsafe fn tell_scan(scan: *mut pg_sys::IndexScanState, demand: Demand) {
    // SAFETY: by the caller. What is told lives as long as the statement's plan, as do its keys.
    unsafe {
        let (index, keys) = ((*scan).iss_RelationDesc, (*scan).iss_OrderByKeys);
        if index.is_null() || (*scan).iss_NumOrderByKeys != 1 || keys.is_null() {
            return;
        }
        let ours = begin_scan as *const ();
        let routine = (*index).rd_indam.as_ref();
        let begin = routine.and_then(|routine| routine.ambeginscan);
        if !begin.is_some_and(|begin| std::ptr::eq(begin as *const (), ours)) {
            return;
        }
        let node = &(*scan).ss.ps;
        // A scan by a score knows of most conditions itself. So does one with conditions of an index of some,
        // and nobody says how many rows those let pass; as if it were as few as the others do.
        let has_filter = !node.qual.is_null() && (*keys).sk_strategy == ORDER_BY_DISTANCE;
        let demand = if has_filter {
            let of = node.plan.as_ref().map_or(1.0, |plan| plan.plan_rows);
            // A table never analyzed has no count; then all its rows may be asked for.
            let rows = f64::from((*(*index).rd_rel).reltuples);
            let rows = if rows < 0.0 { f64::INFINITY } else { rows };
            let share = (rows / of.max(1.0)).max(1.0);
            let share = if (*scan).iss_NumScanKeys > 0 {
                share.sqrt()
            } else {
                share
            };
            demand.through(1.0, share)
        } else {
            demand
        };
        let context = (*node.state).es_query_cxt;
        let told = pg_sys::MemoryContextAlloc(context, size_of::<Demand>());
        told.cast::<Demand>().write(demand);
        (*keys).sk_func.fn_extra = told;
    }
}

/// How many rows have passed everything above a scan so far. As long as it stays the same, they have not.
///
/// # Safety
/// A scan of ours, with the keys that it was begun with.
pub unsafe fn passed(scan: &pg_sys::IndexScanDescData) -> Option<i64> {
    if scan.numberOfOrderBys != 1 {
        return None;
    }
    // SAFETY: by the caller; nobody else writes where the demand is, and the limit lives as long.
    unsafe {
        let demand = (*scan.orderByData).sk_func.fn_extra.cast::<Demand>();
        let demand = demand.as_ref().filter(|demand| demand.one_by_one)?;
        demand.limit.as_ref().map(|limit| limit.position)
    }
}

/// How many rows will be asked of a scan with such an order, as far as anybody told.
///
/// # Safety
/// A key of a scan of ours, from the executor or from ourselves.
pub unsafe fn rows(order: &ScanKeyData) -> Option<usize> {
    // SAFETY: nobody else writes there.
    unsafe {
        let demand = order.sk_func.fn_extra.cast::<Demand>().as_ref()?;
        let Some(limit) = demand.limit.as_ref() else {
            return Some(usize::MAX);
        };
        if limit.lstate == pg_sys::LimitStateCond::LIMIT_INITIAL {
            return None;
        }
        if limit.noCount {
            return Some(usize::MAX);
        }
        let rows = limit.offset.saturating_add(limit.count).max(0);
        Some((rows as f64 * demand.each).ceil() as usize)
    }
}
