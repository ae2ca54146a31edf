"""An index that does not fit is loaded again while others are at it: vacuums, searches, loads that fail as well.

Backends are told where to stand still and how to end, as in `test_faults.py`; with a library that has no fault
points these tests are skipped.
"""

import os
import signal
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from checks import INDEX, SCHEMA, assert_whole, backend_of, connect, fill, server, wait_until

ROWS = 3_000
FAULT = """
CREATE FUNCTION chrono_fault(point text, action text, passing int) RETURNS void
    STRICT LANGUAGE c AS '$libdir/chronomind', 'chrono_fault_wrapper';
"""


@pytest.fixture
def items(pg):
    settings = {"autovacuum": "off", "statement_timeout": "60s"}
    with server(pg, **settings) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        try:
            cluster.psql(FAULT)
        except Exception as error:
            if "chrono_fault" not in str(error):
                raise
            pytest.skip("the library has no fault points")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, ROWS)
            connection.execute(INDEX)
        yield cluster


def fault(connection, *what):
    connection.execute("SELECT chrono_fault(%s, %s, %s)", what)


def state(connection):
    return connection.execute("SELECT state FROM chrono_stats('items_idx')").fetchone()[0]


def search(connection):
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        return connection.execute("SELECT id FROM items ORDER BY v <-> some_vector(-3) LIMIT 1").fetchall()


def is_stopped(pid):
    status = Path(f"/proc/{pid}/stat").read_text()
    return status.rpartition(")")[2].split()[0] == "T"


class Beside:
    """A statement on a thread of its own, which stands still on its way."""

    def __init__(self, connection, work):
        self.pid = backend_of(connection)
        self._thread = threading.Thread(target=self._run, args=[connection, work])
        self._thread.start()
        wait_until(lambda: is_stopped(self.pid))

    def _run(self, connection, work):
        with suppress(psycopg.Error):
            work(connection)

    def go_on(self):
        os.kill(self.pid, signal.SIGCONT)
        self._thread.join(timeout=60)
        assert not self._thread.is_alive()


def vacuum_on_pages(items, vacuum):
    """The index does not fit, and a cursor keeps its memory, when a vacuum begins. It stands still then."""
    with connect(items) as reader, connect(items) as writer:
        with reader.transaction():
            reader.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            reader.execute("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> some_vector(-1)")
            reader.execute("FETCH 1 FROM c")
            fault(writer, "insert.memory", "full", 1)
            fault(writer, "insert.memory", "full", 2)
            fill(writer, ROWS + 1, ROWS + 1)
            assert state(writer) == "does not fit"
            # No snapshot keeps the rows that are deleted.
            reader.execute("CLOSE c")
            writer.execute("DELETE FROM items WHERE id % 2 = 0")
            fault(vacuum, "sweep.page", "stop", 1)
            beside = Beside(vacuum, lambda connection: connection.execute("VACUUM items"))
            assert state(writer) == "does not fit"
    return beside


@pytest.mark.parametrize("end", ["cancel", "terminate", "error", None])
def test_an_index_that_is_loaded_during_a_vacuum_on_its_pages_is_whole(items, end):
    with connect(items) as vacuum, connect(items) as loader:
        beside = vacuum_on_pages(items, vacuum_that_ends(vacuum, end))

        def is_loaded():
            search(loader)
            return state(loader) == "loaded"

        wait_until(is_loaded)
        beside.go_on()
        assert_whole_after(items)


@pytest.mark.parametrize("end", ["cancel", None])
def test_an_index_that_is_being_loaded_during_a_vacuum_on_its_pages_is_whole(items, end):
    with connect(items) as vacuum, connect(items) as loader:
        beside = vacuum_on_pages(items, vacuum_that_ends(vacuum, end))
        fault(loader, "load.linked", "stop", 1)

        def until_loaded(connection):
            while state(connection) != "loaded":
                search(connection)

        loading = Beside(loader, until_loaded)
        beside.go_on() if end else os.kill(beside.pid, signal.SIGCONT)
        loading.go_on()
        assert_whole_after(items)


def vacuum_that_ends(connection, end):
    if end is not None:
        fault(connection, "sweep.done", end, 1)
    return connection


def assert_whole_after(items):
    """Rows take the places in the table that vacuum has freed, and each comes once."""
    with connect(items) as connection:
        connection.execute("SELECT chrono_check('items_idx')")
        connection.execute("VACUUM items")
        fill(connection, 10_001, 10_001 + ROWS)
        assert_whole(connection)
        connection.execute("VACUUM items")
        assert state(connection) == "loaded"
        assert_whole(connection)


def test_a_load_that_fails_does_not_count_memory_that_came_free_later(items):
    with connect(items) as connection:
        connection.execute("CREATE TABLE other AS SELECT * FROM items")
        connection.execute("CREATE INDEX other_idx ON other USING chrono (v vector_l2_ops)")
        connection.execute("CREATE TABLE small (v vector(16))")
    items.restart()
    with connect(items) as loader, connect(items) as connection:
        connection.execute("SET enable_seqscan = off")
        connection.execute("SELECT id FROM other ORDER BY v <-> some_vector(1) LIMIT 1")
        fault(loader, "load.memory", "full", 100)
        fault(loader, "load.full", "stop", 1)
        loading = Beside(loader, search)
        connection.execute("DROP TABLE other")
        # It makes room first.
        connection.execute("CREATE INDEX small_idx ON small USING chrono (v vector_l2_ops)")
        loading.go_on()
        assert state(connection) == "does not fit"

        def is_loaded():
            search(connection)
            return state(connection) == "loaded"

        wait_until(is_loaded)


def test_searches_do_not_wait_while_an_index_that_did_not_fit_is_loaded(items):
    with connect(items) as loader, connect(items) as writer, connect(items) as other:
        fault(writer, "insert.memory", "full", 1)
        fault(writer, "insert.memory", "full", 2)
        fill(writer, ROWS + 1, ROWS + 1)
        assert state(other) == "does not fit"
        fault(loader, "load.linked", "stop", 1)

        def until_loaded(connection):
            while state(connection) != "loaded":
                search(connection)

        loading = Beside(loader, until_loaded)
        assert state(other) == "loading"
        found = search(other)
        assert state(other) == "loading"
        loading.go_on()
        assert state(other) == "loaded"
        assert search(other) == found
        assert_whole(other)
