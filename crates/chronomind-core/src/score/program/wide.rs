//! The widest instructions that the processor has, for loops over columns.
//!
//! Orders that look at attributes spend a third of their time in such loops. Nothing but their width
//! changes: no two operations are fused, so that every result is the same to the bit.
#![allow(unsafe_code)]

/// Loops to be run.
pub(super) trait Loops {
    /// To be inlined always, with all that it calls and that is to be wide.
    fn run(self);
}

/// Runs loops in the widest instructions there are.
#[inline(always)]
pub(super) fn wide(loops: impl Loops) {
    #[cfg(target_arch = "x86_64")]
    {
        use std::arch::is_x86_feature_detected;
        if is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
        {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { x86_64::avx512(loops) };
        }
        if is_x86_feature_detected!("avx2") {
            // SAFETY: as above.
            return unsafe { x86_64::avx2(loops) };
        }
    }
    loops.run();
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Loops;

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    pub(super) fn avx512(loops: impl Loops) {
        loops.run();
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(loops: impl Loops) {
        loops.run();
    }
}
