"""A statement may end at any point: killed, terminated, cancelled. Others go on, and no memory is lost."""

import os
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
    server,
    wait_for_server,
    wait_until,
)

# Enough for the index of `items` here, and for not many more.
SMALL = {"chronomind.shared_memory_size": "12MB", "max_parallel_maintenance_workers": "1"}
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
            connection.execute(f"SET statement_timeout = {1 + number * 7}")
            try:
                connection.execute(SLOW_INDEX)
                connection.execute("DROP INDEX items_idx")
            except psycopg.errors.QueryCanceled:
                ended += 1
        assert ended > 3
        connection.execute("SET statement_timeout = 0")
        connection.execute(INDEX)
        assert_whole(connection)
        # Scans end by a timeout, too, and hold nothing afterwards.
        for number in range(20):
            connection.execute("SET statement_timeout = 1; SET enable_seqscan = off")
            try:
                connection.execute(
                    "SELECT count(*) FROM items a, LATERAL (SELECT id FROM items b ORDER BY b.v <-> a.v) c"
                )
            except psycopg.errors.QueryCanceled:
                ended += 1
        connection.execute("SET statement_timeout = 0; RESET enable_seqscan")
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
