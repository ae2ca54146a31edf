"""A standby that is asked while its primary is written to, by many, some of whom are cut off."""

import contextlib
import random
import threading
import time

import psycopg
import pytest
from checks import INDEX, SCHEMA, Load, assert_whole, backend_of, by_index, connect, fill, insist
from replicas import catch_up, promote, standby_of

SECONDS = 6


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        fill(connection, 1, 2000)
        connection.execute(INDEX)
    return cluster


def inserter(first):
    def step(connection, number):
        fill(connection, first + number * 5, first + number * 5 + 4)

    return step


def changer(connection, number):
    id = random.randrange(2000) + 1
    with connection.transaction(force_rollback=number % 4 == 0):
        connection.execute("UPDATE items SET n = n + 1 WHERE id = %s", [id])
        connection.execute("UPDATE items SET v = some_vector(%s) WHERE id = %s", [id + number, id])


def deleter(connection, number):
    oldest = "SELECT id FROM items WHERE id > 1000000 ORDER BY id LIMIT 5"
    connection.execute(f"DELETE FROM items WHERE id IN ({oldest})")


def vacuumer(connection, _):
    connection.execute("VACUUM items")
    time.sleep(0.05)


def rebuilder(connection, _):
    connection.execute("REINDEX INDEX items_idx")
    time.sleep(1)


WRITERS = [inserter(1_000_000), changer, deleter, vacuumer]


def is_conflict(error):
    """What is raised while another error is handled hides it."""
    while error is not None and "conflict with recovery" not in str(error):
        error = error.__context__
    return error is not None


def survivor(standby, step):
    """Replay may end a statement, and its session with it: each step has one of its own."""

    def work(_, number):
        connection = None
        try:
            connection = connect(standby)
            step(connection, number)
        except psycopg.Error as error:
            is_over = connection is not None and connection.closed
            assert is_over or is_conflict(error), error
        finally:
            if connection is not None:
                connection.close()

    return work


def reader(connection, number):
    """The index gives what the table gives, in one snapshot: all rows, in their order."""
    where = ["true", "n = 1", "mod(id, 3) = 0"][number % 3]
    # The session ends with the step, and its transaction with it, however that goes.
    connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
    query = connection.execute("SELECT some_vector(%s)", [number]).fetchone()[0]
    rows = by_index(connection, query, where)
    connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
    table = connection.execute(f"SELECT id, v FROM items WHERE {where}").fetchall()
    assert len(rows) == len(table)
    assert sorted(rows) == sorted(table)


def latest_reader(connection, number):
    """Each statement has a snapshot of its own, and wants the first rows only."""
    query = connection.execute("SELECT some_vector(%s)", [number]).fetchone()[0]
    rows = by_index(connection, query, limit=10)
    assert len({id for id, _ in rows}) == 10


def hurried_reader(connection, number):
    """Cut off anywhere, also while it brings memory up to date."""
    insist(connection, f"SET statement_timeout = {random.randrange(1, 25)}")
    with contextlib.suppress(psycopg.errors.QueryCanceled):
        by_index(connection, [0.1] * 16, limit=5)


@pytest.mark.parametrize("feedback", ["on", "off"])
def test_readers_of_a_standby_see_what_its_table_has(items, feedback):
    settings = {"hot_standby_feedback": feedback, "max_standby_streaming_delay": "1s"}
    with standby_of(items, **settings) as standby:
        # An index that is rebuilt heeds the snapshots of those standbys only that tell of theirs.
        writers = [*WRITERS, rebuilder] if feedback == "on" else WRITERS
        with Load(items, *writers):
            readers = [reader, reader, latest_reader, hurried_reader]
            with Load(standby, *(survivor(standby, step) for step in readers)):
                time.sleep(SECONDS)
        catch_up(items, standby)
        with connect(items) as primary, connect(standby) as replica:
            assert assert_whole(replica) == assert_whole(primary)


def test_readers_that_are_terminated_leave_memory_to_others(items):
    with standby_of(items) as standby:
        stopping = threading.Event()

        def victims():
            while not stopping.is_set():
                with contextlib.suppress(psycopg.Error), connect(standby) as connection:
                    sessions.append(backend_of(connection))
                    # One that began after the last was terminated ends by itself.
                    while not stopping.is_set():
                        by_index(connection, [random.random()] * 16, limit=5)

        sessions = []
        threads = [threading.Thread(target=victims) for _ in range(3)]
        with Load(items, *WRITERS), connect(standby) as killer:
            for thread in threads:
                thread.start()
            end = time.monotonic() + SECONDS
            while time.monotonic() < end or len(sessions) <= 10:
                assert time.monotonic() < end + 300, sessions
                time.sleep(random.random() / 20)
                for process in sessions[-3:]:
                    killer.execute("SELECT pg_terminate_backend(%s)", [process])
            stopping.set()
            for thread in threads:
                killer.execute(
                    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
                    "WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
                )
                thread.join(timeout=60)
                assert not thread.is_alive()
        catch_up(items, standby)
        with connect(items) as primary, connect(standby) as replica:
            assert assert_whole(replica) == assert_whole(primary)


def test_a_promotion_under_load_loses_no_row(items):
    with standby_of(items) as standby:
        with Load(items, *WRITERS), Load(standby, *[survivor(standby, latest_reader)] * 2):
            time.sleep(2)
            promote(standby)
            with connect(standby) as promoted:
                fill(promoted, -100, -1)
                assert_whole(promoted)
        with Load(standby, inserter(2_000_000), changer, deleter, vacuumer, latest_reader):
            time.sleep(2)
        with connect(standby) as promoted:
            ids = assert_whole(promoted)
        assert ids.issuperset(range(-100, 0))
        standby.crash()
        standby.start()
        with connect(standby) as promoted:
            assert assert_whole(promoted) == ids
