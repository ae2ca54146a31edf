//! Settings.

use std::sync::OnceLock;

use pgrx::{GucContext, GucFlags, GucRegistry, GucSetting, PostgresGucEnum};

use crate::machine::{self, Size};

/// Bytes in the unit of `chronomind.shared_memory_size`.
const MEGABYTE: u64 = 1 << 20;

static SHARED_MEMORY_SIZE: GucSetting<i32> = GucSetting::<i32>::new(0);
static EF_SEARCH: GucSetting<i32> = GucSetting::<i32>::new(40);
static RECENCY_WEIGHT: GucSetting<f64> = GucSetting::<f64>::new(0.3);
static IMPORTANCE_WEIGHT: GucSetting<f64> = GucSetting::<f64>::new(0.0);
static SCAN_ORDER: GucSetting<ScanOrder> = GucSetting::<ScanOrder>::new(ScanOrder::Strict);
static ENABLE_ORDER_PUSHDOWN: GucSetting<bool> = GucSetting::<bool>::new(true);
static BASE_DECAY_RATE: GucSetting<f64> = GucSetting::<f64>::new(0.1);

/// The shared memory to reserve at server start, and why so much. The same for as long as the server lives.
pub fn shared_memory_size() -> &'static Size {
    static SIZE: OnceLock<Size> = OnceLock::new();
    SIZE.get_or_init(|| match u64::try_from(SHARED_MEMORY_SIZE.get()) {
        Ok(megabytes) if megabytes > 0 => Size {
            bytes: megabytes * MEGABYTE,
            reason: "as chronomind.shared_memory_size says".to_owned(),
        },
        _ => machine::default_size(),
    })
}

/// Candidates that a search keeps while it walks the graph.
pub fn ef_search() -> u32 {
    EF_SEARCH.get().unsigned_abs()
}

/// How a scan gives out its rows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PostgresGucEnum)]
pub enum ScanOrder {
    /// No row comes after one that sorts behind it.
    #[name = c"strict"]
    Strict,
    /// A row that the graph finds late comes late.
    #[name = c"relaxed"]
    Relaxed,
}

/// How a scan gives out its rows.
pub fn scan_order() -> ScanOrder {
    SCAN_ORDER.get()
}

/// Whether the planner may leave the order of a score to an index.
pub fn enable_order_pushdown() -> bool {
    ENABLE_ORDER_PUSHDOWN.get()
}

/// Weight of recency in a blend that names none.
pub fn recency_weight() -> f64 {
    RECENCY_WEIGHT.get()
}

/// Weight of importance in a blend that names none.
pub fn importance_weight() -> f64 {
    IMPORTANCE_WEIGHT.get()
}

/// Decay per hour of rows without a rate of their own.
pub fn base_decay_rate() -> f64 {
    BASE_DECAY_RATE.get()
}

/// Makes the settings known. Those that only take effect at server start can only be defined as such
/// when the library is loaded then, as Postgres demands; later they are there, so that their names
/// are not taken for mistakes, and do nothing.
pub fn define(preloading: bool) {
    GucRegistry::define_int_guc(
        c"chronomind.shared_memory_size",
        c"Shared memory that chrono indexes may use.",
        c"The system hands it out as indexes grow. 0 stands for a quarter of the memory that the machine has, or the container.",
        &SHARED_MEMORY_SIZE,
        0,
        i32::MAX,
        match preloading {
            true => GucContext::Postmaster,
            false => GucContext::Sighup,
        },
        GucFlags::UNIT_MB,
    );
    GucRegistry::define_int_guc(
        c"chronomind.ef_search",
        c"Candidates that a search of a chrono index keeps while it walks the graph.",
        c"More give better recall and slower searches.",
        &EF_SEARCH,
        1,
        10_000,
        GucContext::Userset,
        GucFlags::EXPLAIN,
    );
    GucRegistry::define_enum_guc(
        c"chronomind.scan_order",
        c"Whether a scan of a chrono index keeps to the order in which rows were asked for.",
        c"A row that the graph finds after others that sort behind it is left out where the order is strict, \
          and comes late where it is relaxed. Within a LIMIT, and without one, strict scans find what there is.",
        &SCAN_ORDER,
        GucContext::Userset,
        GucFlags::EXPLAIN,
    );
    GucRegistry::define_bool_guc(
        c"chronomind.enable_order_pushdown",
        c"Enables the planner's use of chrono indexes for orders by a score.",
        c"Off, only the order of the bare distance comes from an index.",
        &ENABLE_ORDER_PUSHDOWN,
        GucContext::Userset,
        GucFlags::EXPLAIN,
    );
    define_float(
        c"chronomind.recency_weight",
        c"Weight of recency in a score that names none.",
        c"At most 1 together with the weight of importance; similarity has the rest.",
        &RECENCY_WEIGHT,
        1.0,
    );
    define_float(
        c"chronomind.importance_weight",
        c"Weight of importance in a score that names none.",
        c"At most 1 together with the weight of recency; similarity has the rest.",
        &IMPORTANCE_WEIGHT,
        1.0,
    );
    define_float(
        c"chronomind.base_decay_rate",
        c"How fast memories without a rate of their own fade, per hour.",
        c"After t hours exp(-rate * t) of their recency is left.",
        &BASE_DECAY_RATE,
        1e6,
    );
}

fn define_float(
    name: &'static std::ffi::CStr,
    short: &'static std::ffi::CStr,
    long: &'static std::ffi::CStr,
    setting: &'static GucSetting<f64>,
    max: f64,
) {
    GucRegistry::define_float_guc(
        name,
        short,
        long,
        setting,
        0.0,
        max,
        GucContext::Userset,
        GucFlags::EXPLAIN,
    );
}
