//! Threads of this process that Postgres never sees.
//!
//! A backend is single-threaded: signals must reach the main thread, ERROR must unwind the main
//! thread, and no other thread may call the server. So workers run with all signals blocked and get
//! nothing but core code, while the main thread waits, reports progress and watches for interrupts.
//!
//! It answers none while workers run. A backend that is told to go leaves by `proc_exit`, which
//! unwinds nothing: its exit callback would give the memory back that the workers still write to.
//! So an interrupt first stops the workers; if the statement lives on, they are started anew.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use super::interrupt;
use super::wait::Wait;
use crate::error::{Error, Result};

/// Between two looks at interrupts and progress.
const TICK: Duration = Duration::from_millis(5);

/// Runs `work` on `threads` threads until all have returned by themselves, and raises an ERROR if the
/// statement is to end. Workers look at the flag they are given often, and return when it is set;
/// `work` is then called again and goes on where it was left. `tick` runs on the calling thread every
/// few milliseconds and must raise nothing.
pub fn run(
    threads: usize,
    work: impl Fn(&AtomicBool) + Sync,
    mut tick: impl FnMut(),
) -> Result<()> {
    while run_once(threads, &work, &mut tick)? == Ended::Stopped {
        interrupt::check();
    }
    Ok(())
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Ended {
    /// All is done.
    Done,
    /// An interrupt waits to be answered.
    Stopped,
}

fn run_once(
    threads: usize,
    work: &(impl Fn(&AtomicBool) + Sync),
    tick: &mut impl FnMut(),
) -> Result<Ended> {
    let stop = AtomicBool::new(false);
    let _shown = Wait::Link.show();
    thread::scope(|scope| {
        let blocked = Blocked::all();
        let workers: Vec<_> = (0..threads)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || work(&stop)))
            .collect();
        drop(blocked);
        let mut panicked = false;
        let mut started = 0;
        for worker in workers.into_iter().flatten() {
            started += 1;
            while !worker.is_finished() {
                thread::park_timeout(TICK);
                if interrupt::is_pending() {
                    // Relaxed: the flag carries no data.
                    stop.store(true, Ordering::Relaxed);
                }
                tick();
            }
            panicked |= worker.join().is_err();
        }
        match (panicked, started) {
            (true, _) => Err(Error::bug("a worker thread panicked")),
            (false, 0) => Err(Error::contention("no worker thread could be started")),
            _ if stop.load(Ordering::Relaxed) => Ok(Ended::Stopped),
            _ => Ok(Ended::Done),
        }
    })
}

/// All signals blocked for this thread and for those it starts, until dropped.
struct Blocked(libc::sigset_t);

impl Blocked {
    fn all() -> Blocked {
        // SAFETY: plain C structures, filled before they are read.
        unsafe {
            let mut all = std::mem::zeroed();
            let mut before = std::mem::zeroed();
            libc::sigfillset(&mut all);
            libc::pthread_sigmask(libc::SIG_SETMASK, &all, &mut before);
            Blocked(before)
        }
    }
}

impl Drop for Blocked {
    fn drop(&mut self) {
        // SAFETY: the mask is the one that `all` saved.
        unsafe { libc::pthread_sigmask(libc::SIG_SETMASK, &self.0, std::ptr::null_mut()) };
    }
}
