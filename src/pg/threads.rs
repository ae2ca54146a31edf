//! Threads of this process that Postgres never sees.
//!
//! A backend is single-threaded: signals must reach the main thread, ERROR must unwind the main
//! thread, and no other thread may call the server. So workers run with all signals blocked and get
//! nothing but core code, while the main thread waits, answers interrupts and reports progress; an
//! ERROR there tells the workers to stop and waits for them before it goes on.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use crate::error::{Error, Result};

/// Between two looks at interrupts and progress.
const TICK: Duration = Duration::from_millis(5);

/// Runs `work` on `threads` threads until all have returned; `tick` runs on the calling thread
/// every few milliseconds and may raise an ERROR. Workers look at the flag they are given often,
/// and return when it is set.
pub fn run(
    threads: usize,
    work: impl Fn(&AtomicBool) + Sync,
    mut tick: impl FnMut(),
) -> Result<()> {
    let stop = AtomicBool::new(false);
    thread::scope(|scope| {
        let blocked = Blocked::all();
        let workers: Vec<_> = (0..threads)
            .map(|_| thread::Builder::new().spawn_scoped(scope, || work(&stop)))
            .collect();
        drop(blocked);
        // When `tick` raises an ERROR, this stops the workers, and the scope waits for them.
        let _stop = StopOnDrop(&stop);
        let mut panicked = false;
        let mut started = 0;
        for worker in workers.into_iter().flatten() {
            started += 1;
            while !worker.is_finished() {
                thread::park_timeout(TICK);
                tick();
            }
            panicked |= worker.join().is_err();
        }
        match (panicked, started) {
            (true, _) => Err(Error::bug("a worker thread panicked")),
            (false, 0) => Err(Error::contention("no worker thread could be started")),
            _ => Ok(()),
        }
    })
}

struct StopOnDrop<'a>(&'a AtomicBool);

impl Drop for StopOnDrop<'_> {
    fn drop(&mut self) {
        // Relaxed: the flag carries no data.
        self.0.store(true, Ordering::Relaxed);
    }
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
