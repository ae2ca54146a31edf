"""What a figure was measured on: processor, memory, versions, load."""

import os
import platform
import re
from datetime import date
from pathlib import Path

# Instruction sets that the distance kernels choose among.
SIMD = ("avx512f", "avx512_vnni", "avx2", "fma", "asimd")


def describe(connection):
    """Lines of Markdown."""
    extensions = connection.execute(
        "SELECT string_agg(extname || ' ' || extversion, ', ' ORDER BY extname) FROM pg_extension "
        "WHERE extname IN ('vector', 'chronomind')"
    ).fetchone()[0]
    server = connection.execute("SHOW server_version").fetchone()[0]
    return [
        f"- {date.today()}, {os.cpu_count()} cores of {_processor()}, {_memory()}, "
        f"load {os.getloadavg()[0]:.1f} at the start",
        f"- PostgreSQL {server}, {extensions}",
    ]


def _processor():
    try:
        text = Path("/proc/cpuinfo").read_text()
    except OSError:
        return platform.machine()
    name = re.search(r"model name\s*: (.*)", text)
    flags = re.search(r"(?:flags|Features)\s*: (.*)", text)
    known = [flag for flag in SIMD if flags and flag in flags[1].split()]
    return f"{name[1] if name else platform.machine()} ({' '.join(known)})"


def _memory():
    gigabytes = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30
    return f"{gigabytes:.0f} GiB"


def resident_shared(pid):
    """Bytes of shared memory that a process has touched; Linux only."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(re.search(r"RssShmem:\s+(\d+) kB", status)[1]) * 1024
