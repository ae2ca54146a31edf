"""A statement may end at any point: killed, terminated, cancelled. Others go on, and no memory is lost."""

import collections
import os
import random
import re
import signal
import time

import psycopg
import pytest
from checks import (
    INDEX,
    SCHEMA,
    Load,
    assert_whole,
    backend_of,
    connect,
    fill,
    insist,
    server,
    wait_for_server,
    wait_until,
)

# Enough for the index of `items` here, and for not many more.
SMALL = {"chronomind.shared_memory_size": "12MB", "max_parallel_maintenance_workers": "1"}
# Of a statement that was cancelled, and of one whose session was terminated.
ENDED = (psycopg.errors.QueryCanceled.sqlstate, psycopg.errors.AdminShutdown.sqlstate)
SLOW_INDEX = f"{INDEX} WITH (m = 32, ef_construction = 1000)"


@pytest.fixture
def items(pg):
    """A server whose shared memory holds the index of its table only a few times."""
    with server(pg, **SMALL) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, 2000)
        yield cluster


def pid_of(connection, query):
    """The process that runs a statement like that, waited for."""
    statement = "SELECT pid FROM pg_stat_activity WHERE query LIKE %s AND pid <> pg_backend_pid() AND state = 'active'"
    found = []

    def runs():
        found[:] = connection.execute(statement, [query]).fetchall()
        return found

    wait_until(runs)
    return found[0][0]


def test_a_killed_inserter_takes_nothing_with_it(items):
    with connect(items) as connection:
        connection.execute(INDEX)
    committed = []

    def insert(first):
        def step(connection, number):
            id = first + number
            connection.execute("INSERT INTO items VALUES (%s, some_vector(%s), 1)", [id, id])
            committed.append(id)

        return step

    for round in range(3):
        first = 100_000 * (round + 1)
        victim = psycopg.connect(items.dsn(), autocommit=True)
        with Load(items, insert(first), insert(first + 50_000), server_may_go=True):
            wait_until(lambda: len(committed) > round * 20)
            os.kill(backend_of(victim), signal.SIGKILL)
            time.sleep(0.5)
        wait_for_server(items)
        with connect(items) as connection:
            assert assert_whole(connection).issuperset(committed)


def test_a_killed_builder_leaves_no_index_and_no_memory_taken(items):
    for _ in range(3):
        with Load(items, lambda connection, _: connection.execute(SLOW_INDEX), server_may_go=True):
            with connect(items) as observer:
                os.kill(pid_of(observer, "CREATE INDEX%"), signal.SIGKILL)
            time.sleep(0.2)
        wait_for_server(items)
    with connect(items) as connection:
        connection.execute(INDEX)
        assert_whole(connection)


def test_terminated_and_cancelled_builds_give_their_memory_back(items):
    def build(connection, _):
        connection.execute(SLOW_INDEX)

    with connect(items) as observer:
        for number in range(14):
            end = "pg_terminate_backend" if number % 2 else "pg_cancel_backend"
            with Load(items, build, server_may_go=True):
                pid = pid_of(observer, "CREATE INDEX%")
                time.sleep(0.02 * (number % 7))
                observer.execute(f"SELECT {end}(%s)", [pid])
            observer.execute("DROP INDEX IF EXISTS items_idx")
        observer.execute(INDEX)
        assert_whole(observer)


def test_timed_out_builds_give_their_memory_back(items):
    with connect(items) as connection:
        ended = 0
        for number in range(20):
            insist(connection, f"SET statement_timeout = {1 + number * 7}")
            try:
                connection.execute(SLOW_INDEX)
                insist(connection, "DROP INDEX items_idx")
            except psycopg.errors.QueryCanceled:
                ended += 1
        assert ended > 3
        insist(connection, "SET statement_timeout = 0")
        connection.execute(INDEX)
        assert_whole(connection)
        # Scans end by a timeout, too, and hold nothing afterwards.
        for number in range(20):
            insist(connection, "SET statement_timeout = 1")
            insist(connection, "SET enable_seqscan = off")
            try:
                connection.execute(
                    "SELECT count(*) FROM items a, LATERAL (SELECT id FROM items b ORDER BY b.v <-> a.v) c"
                )
            except psycopg.errors.QueryCanceled:
                ended += 1
        insist(connection, "SET statement_timeout = 0")
        connection.execute("RESET enable_seqscan")
        for _ in range(5):
            connection.execute("REINDEX INDEX items_idx")
        assert_whole(connection)


def test_a_terminated_reader_does_not_stop_memory_from_being_reused(items):
    with connect(items) as connection:
        connection.execute(INDEX)
        for number in range(5):
            reader = psycopg.connect(items.dsn())
            reader.execute("SET enable_seqscan = off")
            reader.execute("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> some_vector(-1)")
            reader.execute("FETCH 10 FROM c")
            connection.execute("SELECT pg_terminate_backend(%s)", [backend_of(reader)])
            with pytest.raises(psycopg.OperationalError):
                reader.execute("FETCH 10 FROM c")
        for _ in range(10):
            connection.execute("REINDEX INDEX items_idx")
        assert_whole(connection)


def test_statements_that_end_at_any_point_leave_nothing_behind(items):
    """Sessions of all kinds are cancelled and terminated while they work; neither a pin nor a lock, a thread or
    memory stays."""
    with connect(items) as connection:
        connection.execute(INDEX)
    scan = "SELECT count(*) FROM items a, LATERAL (SELECT id FROM items b ORDER BY b.v <-> a.v LIMIT 50) c"
    statements = {
        "insert": "INSERT INTO items SELECT i, some_vector(i), 1 FROM generate_series({0}, {0} + 50) i",
        "update": "UPDATE items SET n = n + 1, v = CASE WHEN mod(id, 2) = 0 THEN v ELSE some_vector(id + {0}) END "
        "WHERE mod(id, 40) = mod({0}, 40)",
        "delete": "DELETE FROM items WHERE id > 2000 AND mod(id, 3) = mod({0}, 3)",
        "scan": scan,
        "passes": f"SET work_mem = '64kB'; {scan.replace(' LIMIT 50', '')}",
        "vacuum": "VACUUM items",
        "build": "REINDEX INDEX items_idx",
        "check": "SELECT chrono_check('items_idx')",
    }
    done = collections.Counter()

    def worker(kind, statement):
        def step(_, number):
            with connect(items) as own:
                try:
                    own.execute("SET enable_seqscan = off; SET application_name = 'victim'")
                    own.execute(statement.format(10_000 * (number + 1)))
                    done[kind] += 1
                except psycopg.errors.DeadlockDetected:
                    pass
                except psycopg.OperationalError as error:
                    # None: the server had closed the connection before it read the statement.
                    assert error.sqlstate in (None, *ENDED), error
                    done[f"no {kind}"] += 1

        return step

    def end_some(connection, number):
        end = ["pg_cancel_backend", "pg_terminate_backend"][number % 2]
        victims = "application_name = 'victim' AND state = 'active'"
        connection.execute(
            f"SELECT {end}(pid) FROM pg_stat_activity WHERE {victims} ORDER BY random() LIMIT 2"
        )
        time.sleep(random.random() * 0.03)

    workers = [worker(kind, statement) for kind, statement in statements.items()]
    with Load(items, *workers, end_some) as load:
        time.sleep(12)
        load.go_on_until(lambda: all(done[f"no {kind}"] > 0 for kind in statements))
    assert not re.search("terminated by signal|PANIC|panicked", items.log.read_text())

    with connect(items) as connection:
        assert_whole(connection)
        # Whoever still had a pin, vacuum would wait for.
        connection.execute("DELETE FROM items WHERE id > 1000")
        connection.execute("VACUUM items")
        (rows, vectors) = connection.execute("SELECT rows, vectors FROM chrono_stats('items_idx')").fetchone()
        assert vectors <= rows == 1000
        for _ in range(10):
            connection.execute("REINDEX INDEX items_idx")
        assert_whole(connection)
        pids = [pid for (pid,) in connection.execute("SELECT pid FROM pg_stat_activity")]
        assert {len(os.listdir(f"/proc/{pid}/task")) for pid in pids} == {1}
