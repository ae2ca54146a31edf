//! Asking for memory before it is needed.

/// Bytes of a cache line.
const LINE: usize = 64;

/// Asks for the cache lines of so many bytes from a place on, which starts one of them.
///
/// Into the second cache: the first can wait for some twenty lines at a time, and a walk that asks there
/// for the codes of all of a node's neighbours is held up until most have come.
#[inline(always)]
pub(crate) fn prefetch<T>(start: *const T, bytes: usize) {
    #[cfg(target_arch = "x86_64")]
    for line in 0..bytes.div_ceil(LINE) {
        use std::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        let at = start.cast::<i8>().wrapping_add(LINE * line);
        // SAFETY: a prefetch is a hint: it reads nothing and faults nowhere.
        unsafe { _mm_prefetch::<_MM_HINT_T1>(at) };
    }
    #[cfg(not(target_arch = "x86_64"))]
    let _ = (start, bytes, LINE);
}
