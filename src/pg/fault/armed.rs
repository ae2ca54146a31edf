//! What a session was told to do at a point, and does there.
//!
//! The two functions are in no install script; a test declares them:
//!
//! ```sql
//! CREATE FUNCTION chrono_fault(point text, action text, passing int) RETURNS void
//!     STRICT LANGUAGE c AS '$libdir/chronomind', 'chrono_fault_wrapper';
//! CREATE FUNCTION chrono_fault_points() RETURNS TABLE (point text, latitude text, passed bigint)
//!     LANGUAGE c AS '$libdir/chronomind', 'chrono_fault_points_wrapper';
//! ```

use std::cell::RefCell;
use std::collections::HashMap;

use pgrx::iter::TableIterator;
use pgrx::{name, pg_extern, pg_sys};

use super::{Latitude, Point};
use crate::error::{Error, OrRaise, Result};
use crate::pg::{interrupt, replay};

/// What happens to a backend.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Action {
    /// It is killed, when what it has logged is durable, so that the state is met after recovery.
    Crash,
    /// A step fails.
    Error,
    /// Its statement is cancelled.
    Cancel,
    /// It is told to go.
    Terminate,
    /// It stands still until it gets a SIGCONT.
    Stop,
    /// It finds shared memory full.
    Full,
}

/// An action, and how many passings of its point are left until it happens.
#[derive(Clone, Copy)]
struct Armed {
    point: Point,
    action: Action,
    passings: i32,
}

thread_local! {
    static ARMED: RefCell<Vec<Armed>> = const { RefCell::new(Vec::new()) };
    /// How often each point was passed in this session.
    static PASSED: RefCell<HashMap<&'static str, i64>> = RefCell::default();
}

/// Passes a point.
pub fn at(point: Point) {
    for action in due(point) {
        happen(point, action);
    }
}

/// Passes a point before shared memory is claimed, which may be said to be full.
pub fn claim(point: Point) -> chronomind_core::Result<()> {
    match due(point).is_empty() {
        true => Ok(()),
        false => Err(chronomind_core::Error::OutOfMemory { bytes: 0 }),
    }
}

/// Counts a passing, and tells what is to happen.
fn due(point: Point) -> Vec<Action> {
    PASSED.with_borrow_mut(|passed| *passed.entry(point.name()).or_default() += 1);
    ARMED.with_borrow_mut(|armed| {
        let here = armed.iter_mut().filter(|armed| armed.point == point);
        here.for_each(|armed| armed.passings -= 1);
        let due = armed.extract_if(.., |armed| armed.passings == 0);
        due.map(|armed| armed.action).collect()
    })
}

fn happen(point: Point, action: Action) {
    match action {
        Action::Crash => {
            if !replay::is_in_progress() {
                // SAFETY: the end of what this backend has logged last.
                unsafe { pg_sys::XLogFlush(pg_sys::XactLastRecEnd) };
            }
            signal(libc::SIGKILL);
        }
        Action::Error => Error::contention(format!("fault at {}", point.name())).raise(),
        Action::Cancel => signal(libc::SIGINT),
        Action::Terminate => signal(libc::SIGTERM),
        Action::Stop => signal(libc::SIGSTOP),
        Action::Full => {}
    }
    if point.latitude() == Latitude::Open {
        interrupt::check();
    }
}

/// Sends this process a signal, which has taken effect when this returns.
fn signal(number: i32) {
    // SAFETY: the server handles these as sent by anyone.
    unsafe { libc::raise(number) };
}

#[pg_extern(sql = false)]
fn chrono_fault(point: &str, action: &str, passing: i32) {
    let armed = armed(point, action, passing).or_raise();
    ARMED.with_borrow_mut(|all| all.push(armed));
}

fn armed(point: &str, action: &str, passings: i32) -> Result<Armed> {
    let unknown = |what: &str| Error::invalid(format!("there is no {what}"));
    let point = *Point::ALL
        .iter()
        .find(|known| known.name() == point)
        .ok_or_else(|| unknown(point))?;
    let action = match action {
        "crash" => Action::Crash,
        "error" => Action::Error,
        "cancel" => Action::Cancel,
        "terminate" => Action::Terminate,
        "stop" => Action::Stop,
        "full" => Action::Full,
        _ => return Err(unknown(action)),
    };
    let is_possible = match point.latitude() {
        Latitude::Open | Latitude::Locked => action != Action::Full,
        Latitude::Certain => !matches!(action, Action::Full | Action::Error),
        Latitude::Memory => action == Action::Full,
    };
    if !is_possible || passings < 1 {
        let what = format!("that does not happen at {}", point.name());
        return Err(Error::invalid(what));
    }
    Ok(Armed {
        point,
        action,
        passings,
    })
}

#[pg_extern(sql = false)]
fn chrono_fault_points() -> TableIterator<
    'static,
    (
        name!(point, &'static str),
        name!(latitude, &'static str),
        name!(passed, i64),
    ),
> {
    TableIterator::new(Point::ALL.iter().map(|point| {
        let latitude = match point.latitude() {
            Latitude::Open => "open",
            Latitude::Locked => "locked",
            Latitude::Certain => "certain",
            Latitude::Memory => "memory",
        };
        let passed = PASSED.with_borrow(|passed| passed.get(point.name()).copied());
        (point.name(), latitude, passed.unwrap_or(0))
    }))
}
