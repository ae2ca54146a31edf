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
        if x86_64::has_avx512() {
            // SAFETY: the processor has what the function is compiled for.
            return unsafe { x86_64::avx512(loops) };
        }
        if x86_64::has_avx2() {
            // SAFETY: as above.
            return unsafe { x86_64::avx2(loops) };
        }
    }
    loops.run();
}

#[cfg(target_arch = "x86_64")]
mod x86_64 {
    use super::Loops;
    use std::arch::is_x86_feature_detected;

    /// Also what the compiler takes AVX-512 to imply: not every hypervisor does.
    #[inline(always)]
    pub(super) fn has_avx512() -> bool {
        is_x86_feature_detected!("avx512f")
            && is_x86_feature_detected!("avx512dq")
            && is_x86_feature_detected!("avx512vl")
            && is_x86_feature_detected!("fma")
            && is_x86_feature_detected!("f16c")
            && has_avx2()
    }

    #[inline(always)]
    pub(super) fn has_avx2() -> bool {
        is_x86_feature_detected!("avx2")
    }

    #[target_feature(enable = "avx512f,avx512dq,avx512vl")]
    pub(super) fn avx512(loops: impl Loops) {
        loops.run();
    }

    #[target_feature(enable = "avx2")]
    pub(super) fn avx2(loops: impl Loops) {
        loops.run();
    }
}

/// How loops are run where tests choose it.
#[cfg(test)]
#[derive(Debug, Clone, Copy)]
pub(super) enum Width {
    Plain,
    #[cfg(target_arch = "x86_64")]
    Avx2,
    #[cfg(target_arch = "x86_64")]
    Avx512,
}

#[cfg(test)]
impl Width {
    /// Those that the processor has.
    pub(super) fn all() -> Vec<Width> {
        let mut widths = vec![Width::Plain];
        #[cfg(target_arch = "x86_64")]
        {
            widths.extend(x86_64::has_avx2().then_some(Width::Avx2));
            widths.extend(x86_64::has_avx512().then_some(Width::Avx512));
        }
        widths
    }

    /// Runs loops in one of [`all`](Width::all).
    pub(super) fn run(self, loops: impl Loops) {
        match self {
            #[cfg(target_arch = "x86_64")]
            // SAFETY: the processor has it, or it would not be there to be chosen.
            Width::Avx2 => unsafe { x86_64::avx2(loops) },
            #[cfg(target_arch = "x86_64")]
            // SAFETY: as above.
            Width::Avx512 => unsafe { x86_64::avx512(loops) },
            Width::Plain => loops.run(),
        }
    }
}
