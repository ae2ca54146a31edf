//! The region on huge pages, on servers that have none set aside.
//!
//! The problem: a walk touches hundreds of places all over an index, and with pages of 4 KiB a quarter of
//! its time goes into finding where they are (misses of the TLB). `huge_pages` of Postgres cures that where
//! an administrator has set such pages aside for all of shared memory, which is rare. Linux (6.1) can also
//! make a huge page out of small ones when asked for it by address, but only for memory that starts at a
//! multiple of its size both in the file behind the mapping and in the process, and Postgres maps shared
//! memory at any page.
//!
//! So the region starts at such a multiple in the file, and each process maps it a second time, at an address
//! that is one too, where it uses it. Whoever is the first to use memory on a huge page asks for it; the others
//! get it with their first access. What the system refuses stays on small pages: nothing but speed depends on
//! it. `huge_pages = off` leaves everything on small pages, and so does an administrator who has turned
//! transparent huge pages off.

use chronomind_core::arena::{HUGE_PAGE, Region};

use crate::pg::settings;

/// Where in the file behind Postgres's shared memory an address lies, if that is memory which can be on huge
/// pages and is not.
pub fn place_in_file(address: *const u8) -> Option<usize> {
    let size = transparent("hpage_pmd_size")?.trim().parse();
    let is_off = transparent("enabled")?.contains("[never]");
    if size != Ok(HUGE_PAGE) || is_off || !settings::huge_pages() {
        return None;
    }
    let maps = std::fs::read_to_string("/proc/self/maps").ok()?;
    place_in_mapping(&maps, address.addr())
}

/// What the system says of transparent huge pages.
fn transparent(what: &str) -> Option<String> {
    std::fs::read_to_string(format!("/sys/kernel/mm/transparent_hugepage/{what}")).ok()
}

/// What a list of mappings, as Linux gives it, says of an address in anonymous shared memory.
fn place_in_mapping(maps: &str, address: usize) -> Option<usize> {
    maps.lines().find_map(|line| {
        let mut words = line.split_ascii_whitespace();
        let (from, to) = words.next()?.split_once('-')?;
        let hexadecimal = |digits| usize::from_str_radix(digits, 16).ok();
        let (from, to) = (hexadecimal(from)?, hexadecimal(to)?);
        let offset = hexadecimal(words.nth(1)?)?;
        let file = words.nth(2)?;
        let found = (from..to).contains(&address) && file == "/dev/zero";
        found.then(|| offset + (address - from))
    })
}

/// The region where this process maps it a second time, at the start of a huge page.
///
/// # Safety
/// All of the region must be mapped where it says, shared, until the process ends.
pub unsafe fn map_again(region: Region<'static>) -> Option<Region<'static>> {
    // SAFETY: the caller's promise.
    let base = unsafe { system::map_again(region.base(), region.bytes()) }?;
    // SAFETY: the same memory, mapped until the process ends; what the system is asked for leaves what
    // the memory holds as it is.
    Some(unsafe { region.mapped_at(base, asking::taken) })
}

/// When the system is asked, which may take milliseconds.
pub mod asking {
    use std::cell::RefCell;
    use std::ptr::NonNull;

    use super::system;

    thread_local! {
        /// What to ask for later, if later it is to be.
        static PUT_OFF: RefCell<Option<Vec<NonNull<u8>>>> = const { RefCell::new(None) };
    }

    /// Memory on this huge page is used from now on.
    pub(super) fn taken(page: NonNull<u8>) {
        let is_put_off =
            PUT_OFF.with_borrow_mut(|pages| pages.as_mut().map(|pages| pages.push(page)).is_some());
        if !is_put_off {
            system::ask(page);
        }
    }

    /// While this lives the system is not asked for anything: for work under a lock.
    pub struct PutOff;

    impl PutOff {
        /// From now on.
        pub fn begin() -> PutOff {
            PUT_OFF.with_borrow_mut(|pages| {
                pages.get_or_insert_default();
            });
            PutOff
        }
    }

    impl Drop for PutOff {
        fn drop(&mut self) {
            let pages = PUT_OFF.take();
            pages.into_iter().flatten().for_each(system::ask);
        }
    }
}

#[cfg(target_os = "linux")]
mod system {
    use std::ffi::c_void;
    use std::io;
    use std::ptr::{NonNull, null_mut};

    use super::HUGE_PAGE;

    /// As in `madvise(2)`; the bindings have it for some C libraries only.
    const MADV_COLLAPSE: i32 = 25;
    /// Others use pages for moments only.
    const TRIES: u32 = 5;

    /// # Safety
    /// So many bytes must be mapped at `base`, shared, until the process ends.
    pub unsafe fn map_again(base: NonNull<u8>, bytes: usize) -> Option<NonNull<u8>> {
        let room = bytes + HUGE_PAGE;
        let flags = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS | libc::MAP_NORESERVE;
        // SAFETY: a new mapping at an address of the system's choice.
        let reserved = unsafe { libc::mmap(null_mut(), room, libc::PROT_NONE, flags, -1, 0) };
        if reserved == libc::MAP_FAILED {
            return None;
        }
        let wanted = reserved.wrapping_byte_add(reserved.align_offset(HUGE_PAGE));
        let flags = libc::MREMAP_MAYMOVE | libc::MREMAP_FIXED;
        // SAFETY: `wanted` has room for the bytes within what was reserved above, which nobody uses. An
        // old length of 0 leaves the old mapping as it is.
        let mapped = unsafe { libc::mremap(base.as_ptr().cast(), 0, bytes, flags, wanted) };
        if mapped == libc::MAP_FAILED {
            // What is reserved, addresses and nothing else, stays so: some of it may be gone and another's.
            return None;
        }
        // Whether or not they are heeded.
        let _ = advise(mapped, bytes, libc::MADV_HUGEPAGE);
        // A dump of the process has this memory where Postgres maps it.
        let _ = advise(mapped, bytes, libc::MADV_DONTDUMP);
        NonNull::new(mapped.cast())
    }

    /// Asks for a huge page.
    pub fn ask(page: NonNull<u8>) {
        let start = page.as_ptr().cast();
        // Where there is no page at all, asking is refused.
        let _ = advise(start, 1, libc::MADV_POPULATE_READ);
        for _ in 0..TRIES {
            match advise(start, HUGE_PAGE, MADV_COLLAPSE) {
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
                // Systems differ in what they can do and in the memory they have left.
                Ok(()) | Err(_) => break,
            }
        }
    }

    fn advise(start: *mut c_void, bytes: usize, advice: i32) -> io::Result<()> {
        // SAFETY: none of the advice given above changes what the memory holds.
        match unsafe { libc::madvise(start, bytes, advice) } {
            0 => Ok(()),
            _ => Err(io::Error::last_os_error()),
        }
    }
}

/// Other systems have no such way.
#[cfg(not(target_os = "linux"))]
mod system {
    use std::ptr::NonNull;

    pub unsafe fn map_again(_: NonNull<u8>, _: usize) -> Option<NonNull<u8>> {
        None
    }

    pub fn ask(_: NonNull<u8>) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAPS: &str = "\
55d0c8a00000-55d0c8b14000 r--p 00000000 fe:00 1835078                    /usr/lib/postgresql/bin/postgres
55d0e9c3f000-55d0e9c8b000 rw-p 00000000 00:00 0                          [heap]
7f2a40000000-7f2a80001000 rw-s 00003000 00:01 2050                       /dev/zero (deleted)
7f2a90000000-7f2a90001000 rw-s 00000000 00:01 3                          /SYSV0052e2c1 (deleted)
7f2aa0000000-7f2ae0000000 rw-s 00000000 00:0f 4711                       /anon_hugepage (deleted)
7f2af0000000-7f2af0002000 rw-p 00000000 00:00 0
";

    #[test]
    fn an_address_in_anonymous_shared_memory_has_a_place_in_its_file() {
        assert_eq!(place_in_mapping(MAPS, 0x7f2a_4000_0000), Some(0x3000));
        assert_eq!(place_in_mapping(MAPS, 0x7f2a_8000_0fff), Some(0x4000_3fff));
    }

    #[test]
    fn other_memory_has_none() {
        let elsewhere = [
            ("not mapped", 0x7f2a_8000_1000),
            ("of a program", 0x55d0_c8a0_0000),
            ("of System V", 0x7f2a_9000_0000),
            ("on huge pages already", 0x7f2a_a000_0000),
            ("of this process", 0x7f2a_f000_0000),
        ];
        for (what, address) in elsewhere {
            assert_eq!(place_in_mapping(MAPS, address), None, "{what}");
        }
    }
}
