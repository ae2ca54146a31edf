//! What is reserved at server start, and how each process finds it.

use std::ffi::{CStr, c_void};
use std::mem::size_of;
use std::ptr::NonNull;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU64, Ordering};

use chronomind_core::arena::{HUGE_PAGE, Region};
use chronomind_core::epoch::{Epochs, Participant, Pin};
use pgrx::{pg_guard, pg_sys};

use super::lock::Lock;
use super::registry::{Entry, Registry};
use super::uses::{self, ENTRIES, Uses};
use super::{dropped, huge};
use crate::error::Result;
use crate::pg::notice;
use crate::{guc, preload};

const NAME: &CStr = c"chronomind";
/// The lock of the registry, as `pg_stat_activity` names it to those who wait for it.
const LOCK: &CStr = c"ChronoRegistry";
const PAGE: usize = 4096;

/// What every process shares, as this process sees it.
struct Control {
    region: Region<'static>,
    /// The region where a process uses it: it may map it again for itself, on huge pages. The postmaster
    /// does not use it.
    view: OnceLock<Region<'static>>,
    epochs: Epochs<'static>,
    uses: Uses,
    registry: Registry,
}

// SAFETY: a view of shared memory made of atomics; the lock is only used through Postgres.
unsafe impl Send for Control {}
// SAFETY: as above.
unsafe impl Sync for Control {}

/// Set by the postmaster before it forks, so that every process has it from birth; set anew when a
/// crash makes it lay shared memory out again. Never freed: a few words each time.
static CONTROL: AtomicPtr<Control> = AtomicPtr::new(std::ptr::null_mut());

static mut PREVIOUS_REQUEST: pg_sys::shmem_request_hook_type = None;
static mut PREVIOUS_STARTUP: pg_sys::shmem_startup_hook_type = None;

/// Where the parts of the reserved memory lie, in bytes from a page-aligned start.
struct Plan {
    participants: usize,
    uses_at: usize,
    entries_at: usize,
    entries_end: usize,
    region_bytes: usize,
}

impl Plan {
    fn new() -> Plan {
        // SAFETY: settled before shared memory is requested.
        let participants = unsafe { pg_sys::MaxBackends } as usize;
        let uses_at = (size_of::<Participant>() * (participants + 1)).next_multiple_of(PAGE);
        let entries_at = (uses_at + size_of::<uses::Row>() * participants).next_multiple_of(PAGE);
        let entries_end = entries_at + size_of::<Entry>() * ENTRIES;
        let region_bytes = Region::round(guc::shared_memory_size().bytes as usize);
        Plan {
            participants,
            uses_at,
            entries_at,
            entries_end,
            region_bytes,
        }
    }

    /// With room to align both the start and the region.
    fn bytes(&self) -> usize {
        PAGE + self.entries_end + HUGE_PAGE + self.region_bytes
    }

    /// Where the region lies, for a start at that place of the file behind it, if it can be on huge pages.
    fn region_at(&self, place: Option<usize>) -> usize {
        match place {
            Some(place) => (place + self.entries_end).next_multiple_of(HUGE_PAGE) - place,
            None => self.entries_end.next_multiple_of(PAGE),
        }
    }
}

/// Asks Postgres to call us when it lays out shared memory. Only while the server starts.
pub fn install() {
    // SAFETY: the postmaster is single-threaded and loads libraries before it uses the hooks.
    unsafe {
        PREVIOUS_REQUEST = pg_sys::shmem_request_hook;
        pg_sys::shmem_request_hook = Some(request);
        PREVIOUS_STARTUP = pg_sys::shmem_startup_hook;
        pg_sys::shmem_startup_hook = Some(startup);
    }
    dropped::install();
}

#[pg_guard]
extern "C-unwind" fn request() {
    // SAFETY: called by the postmaster at the one time when both requests are allowed.
    unsafe {
        if let Some(previous) = PREVIOUS_REQUEST {
            previous();
        }
        let plan = Plan::new();
        notice::reserves(plan.region_bytes, &guc::shared_memory_size().reason);
        pg_sys::RequestAddinShmemSpace(plan.bytes());
        pg_sys::RequestNamedLWLockTranche(LOCK.as_ptr(), 1);
    }
}

#[pg_guard]
extern "C-unwind" fn startup() {
    // SAFETY: called by the postmaster once shared memory is there, before any child exists; the
    // memory is as large as the plan says, since that is what was requested, and zeroed.
    unsafe {
        if let Some(previous) = PREVIOUS_STARTUP {
            previous();
        }
        let plan = Plan::new();
        let mut found = false;
        let raw = pg_sys::ShmemInitStruct(NAME.as_ptr(), plan.bytes(), &mut found);
        let start = raw.cast::<u8>().add(raw.align_offset(PAGE));
        let place = huge::place_in_file(start);
        let Some(region_base) = NonNull::new(start.add(plan.region_at(place))) else {
            return;
        };
        let region = if found {
            match Region::attach(region_base) {
                Some(region) => region,
                None => return,
            }
        } else {
            Region::create(region_base, plan.region_bytes)
        };
        let global = &*start.cast::<AtomicU64>();
        let participants =
            std::slice::from_raw_parts(start.cast::<Participant>().add(1), plan.participants);
        let rows = std::slice::from_raw_parts(
            start.add(plan.uses_at).cast::<uses::Row>(),
            plan.participants,
        );
        let uses = Uses::new(rows);
        let entries =
            std::slice::from_raw_parts(start.add(plan.entries_at).cast::<Entry>(), ENTRIES);
        let control = Control {
            region,
            view: match place {
                Some(_) => OnceLock::new(),
                None => OnceLock::from(region),
            },
            epochs: Epochs::new(global, participants),
            uses,
            registry: Registry::new(entries, uses, Lock::named(LOCK)),
        };
        // Relaxed: read only by this process and by those it forks.
        CONTROL.store(Box::into_raw(Box::new(control)), Ordering::Relaxed);
    }
}

/// What is shared.
///
/// # Errors
/// When the library was not loaded at server start.
fn control() -> Result<&'static Control> {
    let control = CONTROL.load(Ordering::Relaxed);
    // SAFETY: null, or a box that is never freed.
    match unsafe { control.as_ref() } {
        Some(control) => {
            arm_exit();
            Ok(control)
        }
        None => Err(preload::missing()),
    }
}

/// The region that holds all indexes.
///
/// # Errors
/// When the library was not loaded at server start.
pub fn region() -> Result<Region<'static>> {
    let control = control()?;
    Ok(*control.view.get_or_init(|| {
        // SAFETY: Postgres keeps the memory mapped until the process ends.
        let again = unsafe { huge::map_again(control.region) };
        again.unwrap_or(control.region)
    }))
}

/// The registry of indexes.
///
/// # Errors
/// When the library was not loaded at server start.
pub fn registry() -> Result<&'static Registry> {
    Ok(&control()?.registry)
}

/// The epochs that all backends take part in.
///
/// # Errors
/// When the library was not loaded at server start.
pub fn epochs() -> Result<Epochs<'static>> {
    Ok(control()?.epochs)
}

/// Pins this backend, so that nothing it can reach in the region is reused. Nothing that is called
/// under a pin may call Postgres.
pub fn pin(epochs: Epochs<'static>) -> Pin<'static> {
    epochs.pin(participant())
}

/// The number of this process among the backends.
pub(super) fn participant() -> usize {
    // SAFETY: a backend that runs statements has its entry in the array of processes, whose first
    // MaxBackends places are for backends.
    #[cfg(any(feature = "pg15", feature = "pg16"))]
    let number = unsafe { (*pg_sys::MyProc).pgprocno };
    #[cfg(not(any(feature = "pg15", feature = "pg16")))]
    // SAFETY: as above.
    let number = unsafe { pg_sys::MyProcNumber };
    number as usize
}

/// Makes sure that this process leaves nothing behind: neither when a transaction aborts, nor when
/// the process ends without one.
fn arm_exit() {
    static ARMED: AtomicBool = AtomicBool::new(false);
    // Relaxed: a process has one thread that comes here.
    if !ARMED.swap(true, Ordering::Relaxed) {
        // SAFETY: both callbacks live as long as the process.
        unsafe {
            pg_sys::before_shmem_exit(Some(on_exit), pg_sys::Datum::from(0));
            pg_sys::RegisterXactCallback(Some(on_transaction_end), std::ptr::null_mut());
        }
    }
}

fn leave_nothing() {
    if let Ok(control) = control() {
        control.epochs.clear(participant());
        control.uses.let_go(participant());
        control
            .registry
            .abandon_claims_of(std::process::id(), control.region);
    }
}

#[pg_guard]
unsafe extern "C-unwind" fn on_exit(_code: i32, _argument: pg_sys::Datum) {
    leave_nothing();
}

#[pg_guard]
unsafe extern "C-unwind" fn on_transaction_end(
    event: pg_sys::XactEvent::Type,
    _argument: *mut c_void,
) {
    use pg_sys::XactEvent::{
        XACT_EVENT_ABORT, XACT_EVENT_COMMIT, XACT_EVENT_PARALLEL_ABORT, XACT_EVENT_PARALLEL_COMMIT,
        XACT_EVENT_PRE_COMMIT, XACT_EVENT_PREPARE,
    };
    match event {
        XACT_EVENT_PRE_COMMIT => dropped::before_commit(),
        XACT_EVENT_ABORT | XACT_EVENT_PARALLEL_ABORT => {
            dropped::after_abort();
            leave_nothing();
        }
        // Scans are over, and the locks on relations are still held: whoever waits for one of these to drop
        // an index finds it in use by nobody.
        XACT_EVENT_COMMIT | XACT_EVENT_PARALLEL_COMMIT | XACT_EVENT_PREPARE => {
            if let Ok(control) = control() {
                control.uses.let_go(participant());
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_region_that_can_be_on_huge_pages_starts_with_one_in_its_file_and_ends_within_the_plan() {
        for entries_end in [
            1,
            PAGE,
            700_001,
            HUGE_PAGE - 1,
            HUGE_PAGE,
            3 * HUGE_PAGE + 5,
        ] {
            let plan = Plan {
                participants: 1,
                uses_at: 0,
                entries_at: 0,
                entries_end,
                region_bytes: 640 * PAGE,
            };
            for page in 0..=HUGE_PAGE / PAGE {
                let place = 5 * HUGE_PAGE + page * PAGE;
                let at = plan.region_at(Some(place));
                assert_eq!((place + at) % HUGE_PAGE, 0);
                assert!(at >= entries_end);
                // What Postgres gives may start up to a page before the place.
                assert!(PAGE + at + plan.region_bytes <= plan.bytes());
            }
            let at = plan.region_at(None);
            assert_eq!(at % PAGE, 0);
            assert!(at >= entries_end && PAGE + at + plan.region_bytes <= plan.bytes());
        }
    }
}
