"""Writers, readers and every kind of maintenance at once; in the end the index is the table."""

import random
import time

import pytest
from checks import INDEX, SCHEMA, Load, assert_whole, by_index, connect, fill

SECONDS = 6


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        fill(connection, 1, 2000)
        connection.execute(INDEX)
    return cluster


def inserter(worker):
    """Inserts ids of its own; some rows have the vector of another worker's."""

    def step(connection, number):
        first = 1_000_000 * (worker + 1) + number * 3
        connection.execute(
            "INSERT INTO items SELECT i, some_vector(CASE WHEN mod(i, 5) = 0 THEN mod(i, 1000000) ELSE i END), 1 "
            "FROM generate_series(%s::bigint, %s) i",
            [first, first + 2],
        )

    return step


def changer(connection, number):
    """Updates attributes, vectors, and takes some of it back."""
    id = random.randrange(2000) + 1
    with connection.transaction(force_rollback=number % 4 == 0):
        connection.execute("UPDATE items SET n = n + 1 WHERE id = %s", [id])
        connection.execute("UPDATE items SET v = some_vector(%s) WHERE id = %s", [id + number, id])


def deleter(connection, number):
    nearest = "SELECT id FROM items WHERE id > 1000000 ORDER BY v <-> some_vector(%s) LIMIT 5"
    connection.execute(f"DELETE FROM items WHERE id IN ({nearest})", [number])


def reader(connection, number):
    """What a query returns is of its own snapshot, in order, and passes its condition."""
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        query = connection.execute("SELECT some_vector(%s)", [number]).fetchone()[0]
        where = ["true", "n = 1", "mod(id, 2) = 0"][number % 3]
        found = by_index(connection, query, where, 20)
        assert len({id for id, _ in found}) == len(found) == 20
        rows = connection.execute(
            f"SELECT count(*) FROM items WHERE {where} AND id = ANY (%s)", [[id for id, _ in found]]
        ).fetchone()
        assert rows == (20,)


def cursor_reader(connection, number):
    """A cursor that stays open while others work, and then gives all rows of its snapshot."""
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        query = [number % 7 / 10] * 16
        connection.execute(f"DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> '{query}'")
        first = connection.execute("FETCH 10 FROM c").fetchall()
        time.sleep(0.3)
        rest = connection.execute("FETCH ALL FROM c").fetchall()
        ids = [id for (id,) in first + rest]
        assert len(set(ids)) == len(ids) >= 1000


def vacuumer(connection, number):
    commands = ["VACUUM items", "VACUUM (FREEZE, INDEX_CLEANUP on) items", "ANALYZE items"]
    connection.execute(commands[number % 3])
    time.sleep(0.05)


def checker(connection, number):
    connection.execute("SELECT chrono_check('items_idx')")


def test_writers_readers_and_vacuum_at_once(items):
    writers = [inserter(0), inserter(1), changer, deleter]
    with Load(items, *writers, reader, reader, cursor_reader, checker, vacuumer):
        time.sleep(SECONDS)
    with connect(items) as connection:
        assert_whole(connection)
        connection.execute("VACUUM items")
        before = assert_whole(connection)
    items.restart()
    with connect(items) as connection:
        assert assert_whole(connection) == before


def test_indexes_built_concurrently_miss_no_row(items):
    def builder(connection, number):
        connection.execute("DROP INDEX CONCURRENTLY IF EXISTS other_idx")
        connection.execute(INDEX.replace("INDEX items_idx", "INDEX CONCURRENTLY other_idx"))

    with Load(items, inserter(0), inserter(1), changer, deleter, builder):
        time.sleep(SECONDS)
    with connect(items) as connection:
        valid = connection.execute(
            "SELECT indisvalid FROM pg_index WHERE indexrelid = to_regclass('other_idx')"
        ).fetchone()
        assert valid == (True,)
        connection.execute("DROP INDEX items_idx; ALTER INDEX other_idx RENAME TO items_idx")
        assert_whole(connection)


def test_rebuilt_concurrently_it_answers_all_the_while(items):
    def rebuild(connection, number):
        connection.execute("REINDEX INDEX CONCURRENTLY items_idx")

    with Load(items, inserter(0), changer, deleter, reader, rebuild):
        time.sleep(SECONDS)
    with connect(items) as connection:
        assert_whole(connection)


def test_whoever_comes_first_after_a_restart_loads_for_all(items):
    for _ in range(3):
        items.crash()
        items.start()
        inserters = [inserter(worker) for worker in random.sample(range(10_000), 2)]
        with Load(items, *inserters, reader, reader, reader):
            time.sleep(1)
        with connect(items) as connection:
            assert_whole(connection)


def test_many_sessions_make_and_drop_indexes(items):
    """Each its own: also temporary ones, under the same names."""

    def session(worker):
        def step(connection, number):
            kind = "TEMPORARY" if worker % 2 else ""
            name = "temporary_items" if worker % 2 else f"items_{worker}"
            connection.execute(f"CREATE {kind} TABLE {name} (id int, v vector(3))")
            connection.execute(f"CREATE INDEX ON {name} USING chrono (v vector_cosine_ops)")
            connection.execute(
                f"INSERT INTO {name} SELECT i, ARRAY[{worker + 1}, i, 1]::vector FROM generate_series(1, 100) i"
            )
            with connection.transaction():
                connection.execute("SET LOCAL enable_seqscan = off")
                found = connection.execute(f"SELECT v FROM {name} ORDER BY v <=> '[1,2,3]'").fetchall()
            assert len(found) == 100
            assert all(v.startswith(f"[{worker + 1},") for (v,) in found)
            connection.execute(f"DROP TABLE {name}")

        return step

    with Load(items, *[session(worker) for worker in range(4)]):
        time.sleep(SECONDS)
    with connect(items) as connection:
        assert_whole(connection)


def test_two_builds_of_one_table_at_once(items):
    def builder(name):
        def step(connection, number):
            connection.execute(f"CREATE INDEX {name} ON items USING chrono (v vector_cosine_ops, at)")
            connection.execute(f"DROP INDEX {name}")

        return step

    with Load(items, builder("one"), builder("two"), reader):
        time.sleep(SECONDS)
    with connect(items) as connection:
        assert_whole(connection)
