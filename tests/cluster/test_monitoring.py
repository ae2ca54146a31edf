"""What Postgres shows of builds, of waits and of vacuums."""

import itertools
import os
import re
import signal
import threading
import time

import pytest
from checks import INDEX, SCHEMA, Load, backend_of, connect, fill, wait_until
from replicas import catch_up, standby_of

ROWS = 6000
NEAREST = "SELECT id FROM items ORDER BY v <-> some_vector(-1) LIMIT 10"
MANY_SEARCHES = (
    "SELECT count(*) FROM generate_series(1, 200) i,"
    " LATERAL (SELECT id FROM items ORDER BY v <-> some_vector(-i) LIMIT 100) found"
)
# Which hardly do anything but look at the graph.
WIDE_SEARCHES = f"SET chronomind.ef_search = 5000; {MANY_SEARCHES.replace('LIMIT 100', 'LIMIT 1')}"


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        connection.execute(INDEX)
        fill(connection, 1, ROWS)
    return cluster


def wait_named(cluster, name):
    """A wait of ours as `pg_stat_activity` shows it. Before PostgreSQL 17, extensions have no names for waits."""
    return ("Extension", name if cluster.pg.major >= 17 else "Extension")


def test_a_build_shows_its_phases_and_how_far_it_is(items):
    """A phase may pass between two looks, so there are more builds until each was met."""
    progress = """
        SELECT phase, tuples_done, tuples_total, wait_event_type, wait_event
        FROM pg_stat_progress_create_index JOIN pg_stat_activity USING (pid)
    """
    phases, linked, waits = set(), set(), set()

    def rebuild(connection, _):
        connection.execute("REINDEX INDEX items_idx")

    def has_met_all(observer):
        for phase, done, total, *wait in observer.execute(progress).fetchall():
            phases.add(phase.removeprefix("building index: "))
            if "linking" in phase:
                assert 0 <= done <= total == ROWS
                linked.add(done)
                waits.add(tuple(wait))
        all_phases = {"reading table", "linking nodes", "writing pages"} <= phases
        return all_phases and len(linked) > 2 and wait_named(items, "ChronoLink") in waits

    with connect(items) as observer, Load(items, rebuild):
        wait_until(lambda: has_met_all(observer))


def is_shown(name, cluster, stopped, seconds, statement):
    """Whether a statement is shown in a wait of ours, while the process of another is stopped, as the system
    may stop any, some `seconds` after it began."""
    shown = "SELECT wait_event_type, wait_event FROM pg_stat_activity WHERE pid = %s"
    with connect(cluster) as observer, connect(cluster) as first, connect(cluster) as second:
        first.execute("SET enable_seqscan = off")
        second.execute("SET enable_seqscan = off")
        behind = threading.Thread(target=second.execute, args=[statement])
        before = threading.Thread(target=first.execute, args=[stopped])
        before.start()
        time.sleep(seconds)
        os.kill(backend_of(first), signal.SIGSTOP)
        # Stopped while it reads a page of the catalog, it keeps the observer waiting as well.
        go_on = threading.Timer(1, os.kill, [backend_of(first), signal.SIGCONT])
        go_on.start()
        behind.start()
        wait = None
        # Until it has what it waits for, or the other goes on.
        while wait != wait_named(cluster, name) and behind.is_alive() and go_on.is_alive():
            time.sleep(0.01)
            wait = observer.execute(shown, [backend_of(second)]).fetchone()
        go_on.cancel()
        os.kill(backend_of(first), signal.SIGCONT)
        before.join()
        behind.join()
        return wait == wait_named(cluster, name)


def moments():
    """Seconds after which to stop a process: at any point, again and again."""
    return (step % 20 * 0.007 for step in range(60))


def test_who_waits_for_a_load_is_shown(items):
    """The rows came after the build, so none has a list on the pages, and a load takes a while."""
    for seconds in moments():
        items.crash()
        items.start()
        if is_shown("ChronoLoad", items, NEAREST, seconds, NEAREST):
            return
    raise AssertionError("nobody was shown waiting")


def test_a_vacuum_that_waits_for_readers_is_shown(items):
    with connect(items) as connection:
        for round, seconds in enumerate(moments()):
            connection.execute("DELETE FROM items WHERE mod(id, 60) = %s", [round])
            if is_shown("ChronoReaders", items, WIDE_SEARCHES, seconds, "VACUUM items"):
                return
    raise AssertionError("nobody was shown waiting")


def test_who_waits_for_memory_to_follow_replay_is_shown(items):
    with connect(items) as primary, standby_of(items) as standby:
        for round, seconds in enumerate(moments()):
            fill(primary, 10_000 * (round + 1), 10_000 * (round + 1) + 2000)
            catch_up(items, standby)
            if is_shown("ChronoReplay", standby, NEAREST, seconds, NEAREST):
                return
    raise AssertionError("nobody was shown waiting")


def verbose_vacuum(connection):
    """What VACUUM VERBOSE says of the index: its pages, and those that are free to be used again."""
    said = []
    connection.add_notice_handler(lambda notice: said.append(notice.message_primary))
    connection.execute("VACUUM (VERBOSE) items")
    pattern = r'index "items_idx": pages: (\d+) in total, (\d+) newly deleted, (\d+) currently deleted, (\d+) reusable'
    ((total, newly, deleted, free),) = re.findall(pattern, "\n".join(said))
    assert newly == deleted == "0", "no page is ever given up"
    return int(total), int(free)


def test_the_numbers_of_a_vacuum_are_right(items):
    counted = "SELECT relpages, reltuples FROM pg_class WHERE relname = 'items_idx'"
    pages_now = "SELECT pg_relation_size('items_idx') / current_setting('block_size')::int"
    with connect(items) as connection:
        frees = []
        for removed in itertools.accumulate([ROWS // 4] * 3):
            connection.execute("DELETE FROM items WHERE id <= %s", [removed])
            total, free = verbose_vacuum(connection)
            (pages,) = connection.execute(pages_now).fetchone()
            assert connection.execute(counted).fetchone() == (total, ROWS - removed)
            assert total == pages
            frees.append(free)
        # A vector is free with its last row.
        assert 0 < frees[0] < frees[1] < frees[2] < total
        # What comes takes the places, and no new page.
        fill(connection, ROWS * 2, ROWS * 2 + ROWS // 2)
        connection.execute("DELETE FROM items WHERE id = %s", [ROWS])
        assert verbose_vacuum(connection)[0] == total
        (rows,) = connection.execute("SELECT count(*) FROM items").fetchone()
        assert connection.execute(counted).fetchone() == (total, rows)
        # An ANALYZE does nothing to the index but count its rows anew.
        connection.execute("DELETE FROM items WHERE mod(id, 2) = 0")
        connection.execute("ANALYZE items")
        (rows,) = connection.execute("SELECT count(*) FROM items").fetchone()
        assert connection.execute(counted).fetchone() == (total, rows)


def test_scans_and_their_rows_are_counted(items):
    """Each rescan is one, and a row that is dead is read and not fetched."""
    counts = "SELECT idx_scan, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE indexrelname = 'items_idx'"

    def counted(connection, *statements):
        connection.execute("SELECT pg_stat_force_next_flush()")
        connection.execute("SELECT pg_stat_reset()")
        for statement in statements:
            connection.execute(statement)
        connection.execute("SELECT pg_stat_force_next_flush()")
        return connection.execute(counts).fetchone()

    with connect(items) as connection:
        connection.execute("SET enable_seqscan = off")
        assert counted(connection, NEAREST) == (1, 10, 10)
        assert counted(connection, MANY_SEARCHES) == (200, 20_000, 20_000)
        blend = "SELECT id FROM items ORDER BY (v <-> some_vector(-1)) + 0.1 * n LIMIT 5"
        filtered = "SELECT id FROM items WHERE n = 3 ORDER BY v <-> some_vector(-1) LIMIT 5"
        assert counted(connection, blend, filtered, NEAREST) == (3, 20, 20)
        # No vacuum can take the rows that another transaction still sees.
        with connect(items) as other, other.transaction():
            other.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            other.execute("SELECT count(*) FROM items")
            connection.execute(f"DELETE FROM items WHERE id IN ({NEAREST})")
            scans, read, fetched = counted(connection, NEAREST)
            assert (scans, fetched) == (1, 10) and read == 20
