"""Memory is a cache: after a stop of whatever kind, the index is what the pages and the WAL say."""

import itertools
import time

import psycopg
import pytest
from checks import INDEX, SCHEMA, Load, assert_whole, by_index, connect, fill

STOPS = ["stop", "crash"]


def restart(cluster, how):
    getattr(cluster, how)()
    cluster.start()


@pytest.fixture
def items(cluster):
    """A server with the table `items`, half of its rows older than its index."""
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        fill(connection, 1, 800)
        connection.execute(INDEX)
        fill(connection, 801, 1600)
    return cluster


@pytest.mark.parametrize("how", STOPS)
def test_all_that_was_committed_is_found_and_nothing_else(items, how):
    with connect(items) as connection:
        connection.execute("DELETE FROM items WHERE id % 7 = 0")
        connection.execute("UPDATE items SET n = n + 100 WHERE id % 5 = 0")
        connection.execute("UPDATE items SET v = some_vector(id + 100000) WHERE id % 11 = 0")
        connection.execute("UPDATE items SET v = NULL WHERE id % 13 = 0")
    restart(items, how)
    with connect(items) as connection:
        assert_whole(connection)
        assert_whole(connection, "n >= 100")
        connection.execute("VACUUM items")
        fill(connection, 3001, 3300)
    restart(items, how)
    with connect(items) as connection:
        ids = assert_whole(connection)
        assert max(ids) == 3300


@pytest.mark.parametrize("how", STOPS)
def test_a_first_statement_of_any_kind_loads_the_index(items, how):
    firsts = [
        lambda connection: fill(connection, 10001, 10010),
        lambda connection: connection.execute("VACUUM items"),
        lambda connection: connection.execute("DELETE FROM items WHERE id < 100"),
        lambda connection: connection.execute("UPDATE items SET v = some_vector(id + 7) WHERE id < 200"),
    ]
    for first in firsts:
        restart(items, how)
        with connect(items) as connection:
            first(connection)
            assert_whole(connection)


@pytest.mark.parametrize("how", STOPS)
def test_a_transaction_that_was_open_leaves_no_row(items, how):
    open_connection = connect(items)
    open_connection.execute("BEGIN")
    fill(open_connection, 5001, 5200)
    with connect(items) as connection:
        fill(connection, 6001, 6050)
    restart(items, how)
    open_connection.close()
    with connect(items) as connection:
        ids = assert_whole(connection)
        assert not any(5001 <= id <= 5200 for id in ids)
        connection.execute("VACUUM items")
        fill(connection, 5001, 5200)
        assert_whole(connection)


def test_crashes_under_a_load_of_inserts_lose_no_committed_row(items):
    committed = []
    ids = itertools.count(1_000_000)

    def insert(connection, _):
        id = next(ids)
        connection.execute("INSERT INTO items VALUES (%s, some_vector(%s), 1)", [id, id])
        committed.append(id)

    for _ in range(3):
        with Load(items, insert, insert, insert, server_may_go=True):
            time.sleep(1.5)
            items.crash()
        items.start()
        with connect(items) as connection:
            assert assert_whole(connection).issuperset(committed)
    assert len(committed) > 50


def test_crashes_under_vacuum_bring_no_dead_row_back(items):
    def churn(connection, number):
        first = 10_000 + number * 50
        fill(connection, first, first + 49)
        connection.execute("DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY id LIMIT 60)")
        connection.execute("VACUUM items")

    for _ in range(3):
        with Load(items, churn, server_may_go=True):
            time.sleep(1.5)
            items.crash()
        items.start()
        with connect(items) as connection:
            assert_whole(connection)
            connection.execute("DELETE FROM items WHERE id >= 10000")
            connection.execute("VACUUM items")
            fill(connection, 20_000, 20_500)
            assert_whole(connection)
            connection.execute("DELETE FROM items WHERE id >= 10000")


@pytest.mark.parametrize("delay", [0.05, 0.4, 1.0])
def test_a_crash_during_a_build_leaves_the_table_free_for_the_next(items, delay):
    def build(connection, _):
        connection.execute("DROP INDEX IF EXISTS items_idx")
        connection.execute(f"{INDEX} WITH (ef_construction = 1000)")

    with Load(items, build, server_may_go=True):
        time.sleep(delay)
        items.crash()
    items.start()
    with connect(items) as connection:
        connection.execute("DROP INDEX IF EXISTS items_idx")
        connection.execute(INDEX)
        assert_whole(connection)


def test_an_unlogged_index_is_empty_after_a_crash_and_works(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        connection.execute("ALTER TABLE items SET UNLOGGED")
        connection.execute(INDEX)
        fill(connection, 1, 500)
        assert_whole(connection)
    cluster.restart()
    with connect(cluster) as connection:
        assert len(assert_whole(connection)) == 500
    cluster.crash()
    cluster.start()
    with connect(cluster) as connection:
        assert assert_whole(connection) == set()
        fill(connection, 1, 300)
        assert len(assert_whole(connection)) == 300


def test_the_answers_are_the_same_after_a_restart(items):
    def answers():
        with connect(items) as connection:
            queries = [
                connection.execute("SELECT some_vector(%s)", [seed]).fetchone()[0]
                for seed in range(-30, 0)
            ]
            return [by_index(connection, query, limit=10) for query in queries]

    with connect(items) as connection:
        connection.execute("VACUUM items")
    before = answers()
    items.restart()
    assert answers() == before


def test_a_file_number_that_is_used_again_is_another_index(items):
    """A crash forgets which numbers were used by what was never committed."""
    with connect(items) as connection:
        for _ in range(3):
            with pytest.raises(psycopg.errors.RaiseException), connection.transaction():
                connection.execute("DROP INDEX items_idx")
                connection.execute(INDEX)
                connection.execute("DO $$ BEGIN RAISE 'no'; END $$")
    items.crash()
    items.start()
    with connect(items) as connection:
        for _ in range(3):
            connection.execute("REINDEX INDEX items_idx")
            fill(connection, *connection.execute("SELECT max(id) + 1, max(id) + 20 FROM items").fetchone())
            assert_whole(connection)
