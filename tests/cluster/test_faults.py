"""A backend ends at each of the points that `src/pg/fault` names: nothing is lost, nothing is left behind.

The points exist in a library that was built with the feature `faults` (`python3 -m scripts.test faults`);
with another these tests are skipped.
"""

import itertools
import os
import re
import signal
import threading
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
from checks import (
    INDEX,
    SCHEMA,
    assert_whole,
    backend_of,
    connect,
    fill,
    server,
    wait_for_restart,
    wait_until,
)
from replicas import catch_up, promote, standby_of

from scripts.host import ROOT

FAULTS = """
CREATE FUNCTION chrono_fault(point text, action text, passing int) RETURNS void
    STRICT LANGUAGE c AS '$libdir/chronomind', 'chrono_fault_wrapper';
CREATE FUNCTION chrono_fault_points() RETURNS TABLE (point text, latitude text, passed bigint)
    LANGUAGE c AS '$libdir/chronomind', 'chrono_fault_points_wrapper';
"""
# A vector of three pages is not logged with its row at once.
LONG = """
CREATE FUNCTION long_vector(seed bigint) RETURNS vector IMMUTABLE LANGUAGE sql AS $$
    SELECT array_agg(sin(seed * 7919 + i * 104729.0))::vector FROM generate_series(1, 4200) i
$$;
CREATE TABLE long (id bigint PRIMARY KEY, v vector(4200), at timestamptz DEFAULT now());
"""
LONG_INDEX = "CREATE INDEX long_idx ON long USING chrono (v vector_l2_ops, at)"
SETTINGS = {"autovacuum": "off", "statement_timeout": "60s"}
# Two indexes of `items`, and little more.
SMALL = {**SETTINGS, "chronomind.shared_memory_size": "6MB"}
ROWS = 600
LONG_ROWS = 64
SEARCH = "SELECT id FROM items ORDER BY v <-> some_vector(-3)"

ENDS = ("error", "cancel", "terminate")

ids = itertools.count(1_000_000)


def next_ids(count):
    """The first and the last of so many ids that nobody has."""
    first = next(ids)
    last = first
    for _ in range(count - 1):
        last = next(ids)
    return first, last


def insert(count):
    first, last = next_ids(count)
    return f"INSERT INTO items SELECT i, some_vector(i), mod(i, 10) FROM generate_series({first}, {last}) i"


def insert_long(count):
    first, last = next_ids(count)
    return f"INSERT INTO long SELECT i, long_vector(i) FROM generate_series({first}, {last}) i"


def begin(connection, table="items", rows=ROWS):
    """The table has so many rows, and its index is new."""
    connection.execute(f"DELETE FROM {table} WHERE id NOT IN (SELECT id FROM {table} ORDER BY id LIMIT {rows // 2})")
    connection.execute(f"VACUUM {table}")
    ((missing,),) = connection.execute(f"SELECT {rows} - count(*) FROM {table}").fetchall()
    connection.execute(insert(missing) if table == "items" else insert_long(missing))
    connection.execute(f"REINDEX INDEX {table}_idx")


def every_third(table):
    return f"(SELECT id FROM (SELECT id, row_number() OVER (ORDER BY id) AS at FROM {table}) x WHERE mod(at, 3) = 0)"


class Scenario:
    """A statement at whose points backends end, and what comes before it each time."""

    table = "items"

    def prepare(self, cluster):
        """Makes the state that the statement needs, the same one each time."""

    def statement(self):
        raise NotImplementedError


class Insert(Scenario):
    """New rows: the first in places of dead ones, the last on new pages."""

    def prepare(self, cluster):
        with connect(cluster) as connection:
            begin(connection)
            connection.execute(f"DELETE FROM items WHERE id IN {every_third('items')}")
            connection.execute("VACUUM items")

    def statement(self):
        return insert(ROWS // 2)


class Touch(Scenario):
    """Rows whose vectors are known."""

    def prepare(self, cluster):
        with connect(cluster) as connection:
            begin(connection)

    def statement(self):
        return f"UPDATE items SET n = n + 1 WHERE id IN {every_third('items')}"


class InsertLong(Scenario):
    """Rows whose vectors take three pages."""

    table = "long"

    def prepare(self, cluster):
        with connect(cluster) as connection:
            begin(connection, "long", LONG_ROWS)
            connection.execute(f"DELETE FROM long WHERE id IN {every_third('long')}")
            connection.execute("VACUUM long")

    def statement(self):
        return insert_long(LONG_ROWS // 2)


class Build(Scenario):
    """An index in the place of one whose file is gone, and of one that is in use."""

    def prepare(self, cluster):
        with connect(cluster) as connection:
            connection.execute("REINDEX INDEX items_idx")

    def statement(self):
        return "REINDEX INDEX items_idx"


class Load(Scenario):
    """The first statement after a start of the server."""

    def prepare(self, cluster):
        with connect(cluster) as connection:
            begin(connection)
            connection.execute(insert(ROWS // 3))
        cluster.crash()
        cluster.start()

    def statement(self):
        return "SELECT id FROM items ORDER BY v <-> some_vector(-3) LIMIT 5"


class Vacuum(Scenario):
    """A third of the rows is gone, and all of the oldest; new nodes are so many that their lists take new pages."""

    def prepare(self, cluster):
        with connect(cluster) as connection:
            begin(connection)
            connection.execute(insert(ROWS // 2))
            connection.execute(f"DELETE FROM items WHERE id IN {every_third('items')}")
            connection.execute("DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY id LIMIT 150)")

    def statement(self):
        return "VACUUM items"


class Search(Scenario):
    """All rows, in order."""

    def statement(self):
        return SEARCH


SCENARIOS = {scenario.__name__: scenario() for scenario in (Insert, Touch, InsertLong, Build, Load, Vacuum, Search)}


def declare(cluster):
    """Makes the functions that arm a session, and skips where the library has none."""
    try:
        cluster.psql(FAULTS)
    except Exception as error:
        if "chrono_fault" not in str(error):
            raise
        pytest.skip("the library has no fault points")


def make(cluster):
    cluster.psql("CREATE EXTENSION chronomind CASCADE")
    declare(cluster)
    cluster.psql(SCHEMA + LONG)
    with connect(cluster) as connection:
        fill(connection, 1, ROWS)
        connection.execute(INDEX)


@pytest.fixture(scope="module")
def roomy(pg):
    """A server whose memory holds all there is."""
    with server(pg, **SETTINGS) as cluster:
        make(cluster)
        with connect(cluster) as connection:
            connection.execute(insert_long(LONG_ROWS))
            connection.execute(LONG_INDEX)
        yield cluster
        assert "PANIC" not in cluster.log.read_text()


@pytest.fixture(scope="module")
def tight(pg):
    """A server whose memory holds an index while it is rebuilt, and no more."""
    with server(pg, **SMALL) as cluster:
        make(cluster)
        yield cluster
        # No warning; builds that fail say so in other words.
        assert '_idx" does not fit' not in cluster.log.read_text()


def session(cluster):
    """A connection that goes by the index."""
    connection = connect(cluster)
    connection.execute("SET enable_seqscan = off")
    return connection


def passed(cluster, scenario):
    """The points that a statement passes: of each its latitude, and how often."""
    scenario.prepare(cluster)
    with session(cluster) as connection:
        connection.execute("SELECT chrono_fault_points()")
        connection.execute(scenario.statement())
        points = connection.execute("SELECT * FROM chrono_fault_points() WHERE passed > 0").fetchall()
    assert points
    return {point: (latitude, count) for point, latitude, count in points if latitude != "memory"}


def some(count):
    """The first of so many passings, one in the middle, and the last."""
    return sorted({1, (count + 1) // 2, count})


def strike(connection, scenario, point, action, passing):
    """Arms a session and runs the statement; returns how that ended."""
    connection.execute("SELECT chrono_fault(%s, %s, %s)", [point, action, passing])
    try:
        connection.execute(scenario.statement())
    except psycopg.Error as error:
        return error
    return None


def assert_usable(cluster, scenario):
    """The index is whole, can be written to and vacuumed, and is whole again."""
    with session(cluster) as connection:
        if scenario.table == "long":
            for statement in (None, insert_long(3), "DELETE FROM long WHERE mod(id, 40) = 0", "VACUUM long"):
                if statement:
                    connection.execute(statement)
                connection.execute("SELECT chrono_check('long_idx')")
                by_index = "SELECT count(*) FROM (SELECT id FROM long ORDER BY v <-> long_vector(-1)) x"
                counts = connection.execute(f"SELECT ({by_index}), count(*) FROM long").fetchone()
                assert counts[0] == counts[1]
            return
        assert_whole(connection)
        connection.execute(insert(5))
        connection.execute("UPDATE items SET n = n + 1 WHERE mod(id, 50) = 0")
        connection.execute("DELETE FROM items WHERE mod(id, 40) = 0")
        connection.execute("VACUUM items")
        assert_whole(connection)


def told_of():
    """The points that the documentation tells of."""
    text = (ROOT / "docs/concurrency.md").read_text()
    return set(re.findall(r"`([a-z]+\.[a-z]+)`", text))


def test_every_point_is_passed_and_told_of(roomy):
    points = roomy.query("SELECT point, latitude FROM chrono_fault_points()")
    assert {point for point, _ in points} == told_of()
    mine = {point for scenario in SCENARIOS.values() for point in passed(roomy, scenario)}
    # Those that only a lack of memory leads to, and those of standbys, have tests of their own.
    others = {point for point, latitude in points if latitude == "memory" or point.startswith("follow.")}
    assert mine == told_of() - others - {"insert.refused", "load.full"}


@pytest.mark.parametrize("name", SCENARIOS)
def test_after_a_crash_at_any_point_all_is_there(roomy, name):
    scenario = SCENARIOS[name]
    for point, (_, count) in passed(roomy, scenario).items():
        for passing in some(count):
            scenario.prepare(roomy)
            with connect(roomy) as observer, session(roomy) as connection:
                error = strike(connection, scenario, point, "crash", passing)
                if error is not None or passing == 1:  # no two vacuums look at interrupts as often
                    assert isinstance(error, psycopg.OperationalError), (point, passing)
                    wait_for_restart(roomy, observer)
            assert_usable(roomy, scenario)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_statement_that_ends_at_any_point_leaves_nothing_behind(roomy, name):
    """It fails, is cancelled or terminated; memory stays, and all others go on with it."""
    scenario = SCENARIOS[name]
    for point, (latitude, count) in passed(roomy, scenario).items():
        for action in ENDS:
            if action == "error" and latitude == "certain":
                continue
            scenario.prepare(roomy)
            with session(roomy) as connection:
                error = strike(connection, scenario, point, action, (count + 1) // 2)
                # Where nothing can fail, and under a lock, the server looks at interrupts later or not at all.
                assert error is not None or latitude != "open", (point, action)
                if action != "terminate" and error is not None:
                    connection.execute(scenario.statement())
            assert_usable(roomy, scenario)


@pytest.mark.parametrize("name", ["Insert", "Touch", "InsertLong", "Build"])
def test_a_subtransaction_that_fails_at_any_point_leaves_nothing_behind(roomy, name):
    scenario = SCENARIOS[name]
    for point, (latitude, count) in passed(roomy, scenario).items():
        if latitude == "certain":
            continue
        scenario.prepare(roomy)
        with session(roomy) as connection, connection.transaction():
            with pytest.raises(psycopg.Error, match="fault at"), connection.transaction():
                error = strike(connection, scenario, point, "error", (count + 1) // 2)
                raise error
            connection.execute(scenario.statement())
        assert_usable(roomy, scenario)


@pytest.mark.parametrize("name", ["Insert", "Touch", "Vacuum", "Search"])
def test_a_search_waits_for_nobody_who_stands_still(roomy, name):
    scenario = SCENARIOS[name]
    for point, (_, count) in passed(roomy, scenario).items():
        scenario.prepare(roomy)
        with session(roomy) as sleeper, session(roomy) as searcher:
            # Whoever comes to an index for the first time reads its meta page.
            searcher.execute(SEARCH)
            pid = backend_of(sleeper)
            thread = threading.Thread(target=strike, args=[sleeper, scenario, point, "stop", (count + 1) // 2])
            thread.start()
            try:
                wait_until(lambda: is_stopped(pid) or not thread.is_alive())
                searcher.execute("SET statement_timeout = '20s'")
                searcher.execute(SEARCH)
            finally:
                os.kill(pid, signal.SIGCONT)
                thread.join(timeout=60)
        assert not thread.is_alive(), point
        assert_usable(roomy, scenario)


def test_a_vacuum_leaves_to_the_next_what_somebody_looks_at_who_stands_still(roomy):
    scenario = SCENARIOS["Search"]
    scenario.prepare(roomy)
    with session(roomy) as sleeper, connect(roomy) as vacuum:
        vacuum.execute(f"DELETE FROM items WHERE id IN {every_third('items')}")
        pid = backend_of(sleeper)
        thread = threading.Thread(target=strike, args=[sleeper, scenario, "search.pinned", "stop", 1])
        thread.start()
        try:
            wait_until(lambda: is_stopped(pid) or not thread.is_alive())
            # The first finds dead nodes and leaves them, and so does the next.
            vacuum.execute("VACUUM items")
            vacuum.execute("VACUUM items")
            assert is_stopped(pid)
        finally:
            os.kill(pid, signal.SIGCONT)
            thread.join(timeout=60)
        assert not thread.is_alive()
        vacuum.execute("VACUUM items")
    assert_usable(roomy, scenario)


def is_stopped(pid):
    """Whether a process got a SIGSTOP."""
    return "State:\tT" in Path(f"/proc/{pid}/status").read_text()


def test_no_place_is_lost_by_inserts_that_end_early(roomy):
    """All places are free each time, so that the file need not grow for any of them."""

    def refill(connection, statement):
        connection.execute("DELETE FROM long")
        connection.execute("VACUUM long")
        with suppress(psycopg.Error):
            connection.execute(statement)
        return connection.execute("SELECT pg_relation_size('long_idx')").fetchone()[0]

    scenario = SCENARIOS["InsertLong"]
    points = passed(roomy, scenario)
    with connect(roomy) as observer:
        begin(observer, "long", LONG_ROWS)
        size = refill(observer, insert_long(LONG_ROWS))
        for point, (latitude, count) in points.items():
            for action in ENDS:
                if action == "error" and latitude == "certain":
                    continue
                observer.execute("DELETE FROM long")
                observer.execute("VACUUM long")
                with session(roomy) as connection:
                    strike(connection, scenario, point, action, (count + 1) // 2)
            assert refill(observer, insert_long(LONG_ROWS)) == size, point
        assert_usable(roomy, scenario)


@pytest.mark.parametrize("name", ["Build", "Load"])
def test_no_memory_is_lost_by_those_who_fill_it_and_end_early(tight, name):
    scenario = SCENARIOS[name]
    points = passed(tight, scenario)
    scenario.prepare(tight)
    for point, (latitude, count) in points.items():
        for action in ENDS:
            if action == "error" and latitude == "certain":
                continue
            for passing in (count, 1):
                with session(tight) as connection:
                    strike(connection, scenario, point, action, passing)
    with session(tight) as connection:
        connection.execute("REINDEX INDEX items_idx")
    assert_usable(tight, scenario)


def test_no_place_is_lost_by_inserts_that_are_terminated_while_they_look_for_memory(roomy):
    free = ROWS // 3

    def size_after(strikes):
        SCENARIOS["Insert"].prepare(roomy)
        for _ in range(strikes):
            with pytest.raises(psycopg.OperationalError), connect(roomy) as connection:
                connection.execute("SELECT chrono_fault('insert.memory', 'full', 1)")
                connection.execute("SELECT chrono_fault('insert.refused', 'terminate', 1)")
                connection.execute(insert(1))
        with connect(roomy) as connection:
            connection.execute(insert(free))
            assert_whole(connection)
            return connection.execute("SELECT pg_relation_size('items_idx')").fetchone()[0]

    assert size_after(strikes=free - 5) == size_after(strikes=0)


@pytest.mark.parametrize("name", ["Insert", "Load"])
def test_memory_may_be_full_at_any_time(roomy, name):
    """Then the index lives on its pages until it is loaded again, and no statement fails."""
    scenario, point = SCENARIOS[name], f"{name.lower()}.memory"
    for passing in (1, 100, 290):
        # An insert looks whether what is gone has left memory, and finds some.
        if name == "Insert":
            scenario.prepare(roomy)
            with session(roomy) as connection:
                assert strike(connection, scenario, point, "full", passing) is None
                assert rows_ranked(connection) < ROWS
            assert_usable(roomy, scenario)
        scenario.prepare(roomy)
        with session(roomy) as connection:
            connection.execute("SELECT chrono_fault(%s, 'full', %s)", [point, passing + 1])
            assert strike(connection, scenario, point, "full", passing) is None
            assert state(connection) == "does not fit"
        assert_usable(roomy, scenario)
        roomy.restart()
        with session(roomy) as connection:
            assert rows_ranked(connection) < ROWS
        assert_usable(roomy, scenario)


def state(connection):
    """Where the index is searched; to ask loads nothing."""
    return connection.execute("SELECT state FROM chrono_stats('items_idx')").fetchone()[0]


class LoadAgain(Scenario):
    """A vacuum of an index that became unfit, and fits now."""

    def prepare(self, cluster):
        SCENARIOS["Insert"].prepare(cluster)
        with session(cluster) as connection:
            connection.execute("SELECT chrono_fault('insert.memory', 'full', 101)")
            assert strike(connection, SCENARIOS["Insert"], "insert.memory", "full", 100) is None
            assert state(connection) == "does not fit"

    def statement(self):
        return "VACUUM items"


def test_an_index_that_did_not_fit_is_loaded_whatever_ends_the_first_to_try(roomy):
    scenario = LoadAgain()
    points = [point for point in passed(roomy, scenario) if point.startswith(("load.", "registry.claimed"))]
    assert {"load.claimed", "load.restored", "load.linked"} <= set(points)
    for point in points:
        for action in (*ENDS, "crash"):
            if point == "registry.claimed" and action == "error":
                continue
            scenario.prepare(roomy)
            with connect(roomy) as observer, session(roomy) as connection:
                error = strike(connection, scenario, point, action, 1)
                if action == "crash":
                    wait_for_restart(roomy, observer)
                elif error is not None:
                    assert state(observer) == "does not fit", (point, action)
            # A vacuum tries again.
            assert_usable(roomy, scenario)
            with session(roomy) as connection:
                assert state(connection) == "loaded", (point, action)


def rows_ranked(connection):
    """How many rows a search looks at: all of them without memory."""
    statement = SEARCH + " LIMIT 1"
    rows = connection.execute("SELECT rows_near + rows_in_zones FROM chrono_explain(%s)", [statement])
    return rows.fetchone()[0]


def test_a_load_that_finds_memory_full_may_end_there(roomy):
    for action in ENDS:
        SCENARIOS["Load"].prepare(roomy)
        with session(roomy) as connection:
            connection.execute("SELECT chrono_fault('load.memory', 'full', 100)")
            assert strike(connection, SCENARIOS["Load"], "load.full", action, 1) is not None
        assert_usable(roomy, SCENARIOS["Load"])
        with session(roomy) as connection:
            assert rows_ranked(connection) < ROWS


def test_a_build_that_finds_memory_full_leaves_none_taken(tight):
    with session(tight) as connection:
        for passing in range(1, ROWS, ROWS // 12):
            error = strike(connection, SCENARIOS["Build"], "build.memory", "full", passing)
            assert isinstance(error, psycopg.errors.OutOfMemory)
        connection.execute("REINDEX INDEX items_idx")
    assert_usable(tight, SCENARIOS["Build"])


class Follow(Scenario):
    """The first search of a standby after rows have gone and others have taken some of their places."""

    def __init__(self, primary):
        self.primary = primary

    def prepare(self, standby):
        with connect(self.primary) as connection:
            ((rows,),) = connection.execute("SELECT count(*) FROM items").fetchall()
            connection.execute(insert(ROWS - rows))
            catch_up(self.primary, standby)
            with session(standby) as replica:
                replica.execute(SEARCH)
            connection.execute("DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY id LIMIT 300)")
            connection.execute("VACUUM items")
            connection.execute(insert(40))
            connection.execute("UPDATE items SET n = n + 1 WHERE mod(id, 7) = 0")
            catch_up(self.primary, standby)

    def statement(self):
        return SEARCH


def nodes_without_rows(connection):
    """How many nodes live for nothing. Here no two rows have the same vector."""
    difference = "(SELECT vectors FROM chrono_check('items_idx')) - (SELECT count(v) FROM items)"
    return connection.execute(f"SELECT {difference}").fetchone()[0]


def test_a_standby_that_is_interrupted_at_any_point_forgets_nothing(pg):
    with server(pg, **SETTINGS) as primary:
        make(primary)
        with standby_of(primary, may_crash=True) as standby:
            scenario = Follow(primary)
            points = {point for point in passed(standby, scenario) if point.startswith("follow.")}
            # The last is passed after a promotion only.
            assert points == {point for point in told_of() if point.startswith("follow.")} - {
                "follow.memory",
                "follow.freeing",
            }
            for point in sorted(points):
                for action in ENDS:
                    scenario.prepare(standby)
                    with session(standby) as replica:
                        assert strike(replica, scenario, point, action, 1) is not None
                    with session(standby) as replica:
                        assert_whole(replica)
                        assert nodes_without_rows(replica) == 0, (point, action)
            for passing in (1, 50, 300):
                scenario.prepare(standby)
                with session(standby) as replica:
                    assert strike(replica, scenario, "follow.memory", "full", passing) is None
                    assert_whole(replica)
                    assert nodes_without_rows(replica) == 0, passing
                    assert rows_ranked(replica) < ROWS


@pytest.mark.parametrize("action", [*ENDS, "crash"])
def test_a_promoted_server_that_is_interrupted_finds_all_free_places(pg, action):
    with server(pg, **SETTINGS) as primary:
        make(primary)
        with standby_of(primary, may_crash=True) as standby:
            scenario = Follow(primary)
            scenario.prepare(standby)
            promote(standby)
            with connect(standby) as observer, session(standby) as connection:
                assert strike(connection, scenario, "follow.freeing", action, 1) is not None
                if action == "crash":
                    wait_for_restart(standby, observer)
            assert_usable(standby, scenario)
            with session(standby) as connection:
                connection.execute("DELETE FROM items")
                connection.execute("VACUUM items")
                ((before, used),) = connection.execute(
                    "SELECT pg_relation_size('items_idx'), vectors FROM chrono_check('items_idx')"
                ).fetchall()
                assert used == 0
                connection.execute(insert(ROWS))
                after = connection.execute("SELECT pg_relation_size('items_idx')").fetchone()[0]
                assert after == before
