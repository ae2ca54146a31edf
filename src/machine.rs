//! How much shared memory to take where nobody says.
//!
//! A quarter of the memory that there is for the server: that of the machine, or what the control groups (of a
//! container, or a service) allow. Taking more than they allow is not refused but punished, by the end of some
//! process, while an index that does not fit is only slow. Where the system promises no more memory than it
//! has (`vm.overcommit_memory = 2`), shared memory counts in full from the start, and the server may not start
//! for lack of it: so it is a quarter of what may still be promised at most.

use std::fs::read_to_string;
use std::path::{Path, PathBuf};

/// Taken where the system tells nothing of its memory.
const FALLBACK: u64 = 1 << 30;
/// Taken in any case.
const LEAST: u64 = 16 << 20;
/// The share of memory that is taken.
const SHARE: u64 = 4;

/// An amount of memory, and why it is that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Size {
    /// In bytes.
    pub bytes: u64,
    /// What it was taken from: a phrase.
    pub reason: String,
}

/// What to take on this machine.
pub fn default_size() -> Size {
    size(Path::new("/proc"), Path::new("/sys/fs/cgroup"))
}

/// The same, from what a system tells in these places.
fn size(proc: &Path, groups: &Path) -> Size {
    let information = read_to_string(proc.join("meminfo")).unwrap_or_default();
    let machine = field(&information, "MemTotal:");
    let of_machine = machine.map(|bytes| (bytes, "that the machine has"));
    let of_groups = group_limit(proc, groups).map(|bytes| (bytes, "that its control group allows"));
    let promised = read_to_string(proc.join("sys/vm/overcommit_memory"));
    let is_strict = promised.is_ok_and(|mode| mode.trim() == "2");
    let left = is_strict.then(|| {
        let [limit, used] = ["CommitLimit:", "Committed_AS:"].map(|name| field(&information, name));
        let left = limit.map(|limit| limit.saturating_sub(used.unwrap_or(0)));
        left.map(|bytes| {
            (
                bytes,
                "that may still be promised (vm.overcommit_memory is 2)",
            )
        })
    });
    let sources = [of_machine, of_groups, left.flatten()];
    match sources
        .into_iter()
        .flatten()
        .min_by_key(|&(bytes, _)| bytes)
    {
        Some((bytes, what)) => Size {
            bytes: (bytes / SHARE).max(LEAST),
            reason: format!("a quarter of the {} MB {what}", bytes >> 20),
        },
        None => Size {
            bytes: FALLBACK,
            reason: "the system does not tell how much memory there is".to_owned(),
        },
    }
}

/// A field of `/proc/meminfo`, in bytes.
fn field(information: &str, name: &str) -> Option<u64> {
    let value = information
        .lines()
        .find_map(|line| line.strip_prefix(name))?;
    let kilobytes: u64 = value.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kilobytes * 1024)
}

/// The least that the control groups of this process allow, of either version.
fn group_limit(proc: &Path, groups: &Path) -> Option<u64> {
    let own = read_to_string(proc.join("self/cgroup")).ok()?;
    let limits = own.lines().flat_map(|line| {
        let mut parts = line.splitn(3, ':').skip(1);
        let (Some(controllers), Some(path)) = (parts.next(), parts.next()) else {
            return Vec::new();
        };
        if controllers.is_empty() {
            limits(groups, path, "memory.max")
        } else if controllers.split(',').any(|name| name == "memory") {
            limits(&groups.join("memory"), path, "memory.limit_in_bytes")
        } else {
            Vec::new()
        }
    });
    limits.min()
}

/// The limits of a group and of all those above it. In a container the path may be one outside, which is
/// not there; then the uppermost is the container's own.
fn limits(root: &Path, path: &str, file: &str) -> Vec<u64> {
    let path = Path::new(path.trim_start_matches('/'));
    let is_above = path.components().any(|part| part.as_os_str() == "..");
    let group = if is_above { Path::new("") } else { path };
    let files = group.ancestors().map(|group| root.join(group).join(file));
    files
        .filter_map(|file: PathBuf| read_to_string(file).ok()?.trim().parse().ok())
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const GB: u64 = 1 << 30;

    /// A made-up system: files with what is in them.
    struct System(PathBuf);

    impl System {
        fn new(name: &str, files: &[(&str, &str)]) -> System {
            let root =
                std::env::temp_dir().join(format!("chronomind-{}-{name}", std::process::id()));
            for (file, text) in files {
                let path = root.join(file);
                std::fs::create_dir_all(path.parent().unwrap()).unwrap();
                std::fs::write(path, text).unwrap();
            }
            System(root)
        }

        fn size(&self) -> Size {
            size(&self.0.join("proc"), &self.0.join("cgroup"))
        }
    }

    impl Drop for System {
        fn drop(&mut self) {
            let _ = std::fs::remove_dir_all(&self.0);
        }
    }

    const MACHINE: (&str, &str) = (
        "proc/meminfo",
        "MemTotal:       67108864 kB\nCommitLimit:     8388608 kB\nCommitted_AS:    6291456 kB\n",
    );

    #[test]
    fn a_machine_gives_a_quarter() {
        let system = System::new(
            "machine",
            &[MACHINE, ("proc/sys/vm/overcommit_memory", "0\n")],
        );
        let size = system.size();
        assert_eq!(size.bytes, 16 * GB);
        assert_eq!(
            size.reason,
            "a quarter of the 65536 MB that the machine has"
        );
    }

    #[test]
    fn a_container_gives_a_quarter_of_what_it_may_have() {
        let system = System::new(
            "v2",
            &[
                MACHINE,
                ("proc/self/cgroup", "0::/\n"),
                ("cgroup/memory.max", "4294967296\n"),
            ],
        );
        assert_eq!(system.size().bytes, GB);
        assert!(
            system
                .size()
                .reason
                .contains("4096 MB that its control group")
        );
    }

    #[test]
    fn the_least_of_all_groups_counts() {
        let system = System::new(
            "nested",
            &[
                MACHINE,
                ("proc/self/cgroup", "0::/system.slice/postgresql.service\n"),
                ("cgroup/system.slice/memory.max", "8589934592\n"),
                ("cgroup/system.slice/postgresql.service/memory.max", "max\n"),
            ],
        );
        assert_eq!(system.size().bytes, 2 * GB);
    }

    #[test]
    fn groups_of_the_first_version_count() {
        let group = "12:pids:/x\n5:cpu,memory:/docker/0123\n1:name=systemd:/docker/0123\n";
        // The path is that outside of the container.
        let inside = System::new(
            "v1",
            &[
                MACHINE,
                ("proc/self/cgroup", group),
                ("cgroup/memory/memory.limit_in_bytes", "2147483648\n"),
            ],
        );
        assert_eq!(inside.size().bytes, GB / 2);
        let unlimited = System::new(
            "v1-unlimited",
            &[
                MACHINE,
                ("proc/self/cgroup", group),
                (
                    "cgroup/memory/docker/0123/memory.limit_in_bytes",
                    "9223372036854771712\n",
                ),
            ],
        );
        assert_eq!(unlimited.size().bytes, 16 * GB);
    }

    #[test]
    fn a_system_that_keeps_its_promises_is_asked_for_little() {
        let strict = ("proc/sys/vm/overcommit_memory", "2\n");
        let system = System::new("strict", &[MACHINE, strict]);
        assert_eq!(system.size().bytes, GB / 2);
        assert!(system.size().reason.contains("vm.overcommit_memory"));
        let full = "MemTotal: 67108864 kB\nCommitLimit: 8388608 kB\nCommitted_AS: 9388608 kB\n";
        let system = System::new("full", &[("proc/meminfo", full), strict]);
        assert_eq!(system.size().bytes, LEAST);
    }

    #[test]
    fn a_system_that_tells_nothing_gives_some() {
        assert_eq!(System::new("silent", &[]).size().bytes, FALLBACK);
        let broken = [
            ("proc/meminfo", "MemTotal: much\n"),
            ("proc/self/cgroup", "0::/../..\nnonsense\n"),
            ("cgroup/memory.max", "\n"),
        ];
        assert_eq!(System::new("broken", &broken).size().bytes, FALLBACK);
    }

    #[test]
    fn this_system_gives_some() {
        assert!(default_size().bytes >= LEAST);
    }
}
