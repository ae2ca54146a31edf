//! When may memory that readers might still look at be used again?
//!
//! The problem is the one crossbeam-epoch solves (Fraser 2004, section 5.2.3), except that its
//! participants and deferred closures live on one process's heap, while our readers are processes
//! that share nothing but the region. So here a participant is one word in shared memory, one for
//! each backend, and what is retired is a handle with the epoch at which it became unreachable; the
//! owner of the handle asks [`Epochs::is_safe`] before it uses the memory again.
//!
//! A reader *pins* before it follows the first link and unpins after the last; in between it calls
//! nothing that can leave by another way. The words are cleared on abort and exit all the same
//! ([`Epochs::clear`]): a pin that is left behind would stop reclamation for good.

use crate::primitive::{AtomicU64, Ordering, fence};

/// One participant's word, on a cache line of its own: 0, or `epoch << 1 | 1` while pinned.
#[repr(C, align(64))]
#[derive(Default)]
pub struct Participant {
    word: AtomicU64,
}

/// The global epoch and its participants.
#[derive(Clone, Copy)]
pub struct Epochs<'a> {
    global: &'a AtomicU64,
    participants: &'a [Participant],
}

/// The epoch at which something became unreachable.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp(pub u64);

/// Keeps what was reachable when it was made from being reused.
pub struct Pin<'a> {
    participant: &'a Participant,
}

impl<'a> Epochs<'a> {
    /// The view over shared words; all zero is the beginning.
    pub fn new(global: &'a AtomicU64, participants: &'a [Participant]) -> Epochs<'a> {
        Epochs {
            global,
            participants,
        }
    }

    /// Pins the participant, which must not be pinned. Wait-free.
    pub fn pin(&self, participant: usize) -> Pin<'a> {
        let participant = &self.participants[participant];
        debug_assert_eq!(participant.word.load(Ordering::Relaxed), 0, "pinned twice");
        // The epoch may move on between this load and the store; the pin then holds the epoch back
        // one step earlier than it had to, which is harmless.
        let epoch = self.global.load(Ordering::Relaxed);
        participant.word.store(epoch << 1 | 1, Ordering::Relaxed);
        // SeqCst: pairs with the fence in `try_advance`. Either that one sees this pin, or every
        // load after this fence sees what was unlinked before that one.
        fence(Ordering::SeqCst);
        Pin { participant }
    }

    /// Unpins whatever the participant has pinned, for abort and exit.
    pub fn clear(&self, participant: usize) {
        // Release: pairs with the Acquire in `try_advance`.
        self.participants[participant]
            .word
            .store(0, Ordering::Release);
    }

    /// The stamp for something that was made unreachable just before.
    pub fn stamp(&self) -> Stamp {
        // SeqCst: the unlinking before this must not move past the load of the epoch.
        fence(Ordering::SeqCst);
        Stamp(self.global.load(Ordering::Relaxed))
    }

    /// Moves the epoch on unless somebody is still pinned in an earlier one.
    pub fn try_advance(&self) -> bool {
        let epoch = self.global.load(Ordering::Relaxed);
        // SeqCst: pairs with the fence in `pin`.
        fence(Ordering::SeqCst);
        for participant in self.participants {
            // Acquire: pairs with the Release with which participants unpin; their reads are over.
            let word = participant.word.load(Ordering::Acquire);
            if word != 0 && word >> 1 != epoch {
                return false;
            }
        }
        // Release: whoever sees the new epoch also sees that those reads are over.
        self.global
            .compare_exchange(epoch, epoch + 1, Ordering::Release, Ordering::Relaxed)
            .is_ok()
    }

    /// True when nobody can still be looking at what was stamped: the epoch has moved twice since,
    /// so every pin that could have seen it is gone.
    pub fn is_safe(&self, stamp: Stamp) -> bool {
        // Acquire: pairs with the Release in `try_advance`.
        self.global.load(Ordering::Acquire) >= stamp.0 + 2
    }
}

impl Drop for Pin<'_> {
    fn drop(&mut self) {
        // Release: pairs with the Acquire in `try_advance`; the reads under the pin come before.
        self.participant.word.store(0, Ordering::Release);
    }
}

#[cfg(all(test, not(loom)))]
mod tests {
    use super::*;

    #[test]
    fn a_pin_holds_the_epoch_back_by_one_step_at_most() {
        let global = AtomicU64::new(0);
        let participants = [Participant::default(), Participant::default()];
        let epochs = Epochs::new(&global, &participants);
        let pin = epochs.pin(0);
        let stamp = epochs.stamp();
        assert!(epochs.try_advance());
        assert!(!epochs.try_advance());
        assert!(!epochs.is_safe(stamp));
        drop(pin);
        assert!(epochs.try_advance());
        assert!(epochs.is_safe(stamp));
    }

    #[test]
    fn clearing_stands_in_for_a_lost_pin() {
        let global = AtomicU64::new(0);
        let participants = [Participant::default()];
        let epochs = Epochs::new(&global, &participants);
        std::mem::forget(epochs.pin(0));
        assert!(epochs.try_advance());
        assert!(!epochs.try_advance());
        epochs.clear(0);
        assert!(epochs.try_advance());
    }
}
