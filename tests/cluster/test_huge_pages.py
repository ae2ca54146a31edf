"""The graph comes to lie on huge pages by itself, where the system can make them of small ones."""

import os
import platform
import re
import signal
from pathlib import Path

import pytest
from checks import INDEX, SCHEMA, assert_whole, backend_of, connect, fill, server, wait_for_restart

TRANSPARENT = Path("/sys/kernel/mm/transparent_hugepage")
MEGABYTE = 1 << 20


def can_be_made():
    """Linux can from 6.1 on, unless it is set to make them of other sizes, everywhere or nowhere."""
    if tuple(int(part) for part in re.findall(r"\d+", platform.release())[:2]) < (6, 1):
        return False
    if not TRANSPARENT.exists() or int((TRANSPARENT / "hpage_pmd_size").read_text()) != 2 * MEGABYTE:
        return False
    chosen = [re.search(r"\[(\w+)\]", (TRANSPARENT / name).read_text())[1] for name in ("enabled", "shmem_enabled")]
    process = Path("/proc/self/status").read_text()
    set_aside = Path("/proc/meminfo").read_text()
    return bool(
        chosen[0] in ("always", "madvise")
        and chosen[1] in ("never", "advise")
        and "THP_enabled:\t1" in process
        and re.search(r"HugePages_Total: +0\n", set_aside)
    )


pytestmark = pytest.mark.skipif(not can_be_made(), reason="this system is set up otherwise")


def shared_memory(connection):
    """How often the connection's process maps the server's shared memory, and its bytes on huge pages."""
    [maps] = connection.execute("SELECT pg_read_file('/proc/self/smaps')").fetchone()
    sizes = re.findall(r"^ShmemPmdMapped: +(\d+) kB", maps, re.MULTILINE)
    return maps.count("/dev/zero"), sum(int(size) for size in sizes) * 1024


def make(cluster):
    """An index of 4,000 rows, built of one half and grown by the other, of several MB."""
    cluster.psql(f"CREATE EXTENSION chronomind CASCADE; {SCHEMA}")
    with connect(cluster) as connection:
        fill(connection, 1, 2000)
        connection.execute(INDEX)
        fill(connection, 2001, 4000)


def test_a_graph_is_on_huge_pages_for_all_who_use_it(pg):
    with server(pg) as cluster:
        make(cluster)
        for _ in range(2):
            with connect(cluster) as connection:
                assert shared_memory(connection) == (1, 0)
                assert_whole(connection)
                [used] = connection.execute("SELECT sum(memory_bytes) FROM chrono_indexes()").fetchone()
                mappings, huge = shared_memory(connection)
                assert mappings == 2
                assert huge >= used // 2
            cluster.restart()


def test_after_a_crash_the_memory_of_before_is_gone(pg):
    with server(pg) as cluster:
        make(cluster)
        with connect(cluster) as observer, connect(cluster) as victim:
            assert_whole(victim)
            os.kill(backend_of(victim), signal.SIGKILL)
            wait_for_restart(cluster, observer)
        with connect(cluster) as connection:
            assert shared_memory(connection) == (1, 0)
            assert_whole(connection)
            mappings, huge = shared_memory(connection)
            assert mappings == 2
            assert huge >= 2 * MEGABYTE


def test_inserts_make_them_too(pg):
    with server(pg) as cluster:
        make(cluster)
        with connect(cluster) as connection:
            connection.execute("TRUNCATE items")
            before = 0
            for first in range(1, 40_000, 8_000):
                fill(connection, first, first + 7_999)
                _, huge = shared_memory(connection)
                assert huge > before
                before = huge
            assert_whole(connection)


def test_they_can_be_turned_off(pg):
    with server(pg, huge_pages="off") as cluster:
        make(cluster)
        with connect(cluster) as connection:
            assert_whole(connection)
            assert shared_memory(connection) == (1, 0)
