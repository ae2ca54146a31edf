"""What is gone makes room: tables that change for ever do not grow their index, in the file or in memory."""

import contextlib
import itertools
import time

import psycopg
import pytest
from checks import (
    INDEX,
    SCHEMA,
    Load,
    assert_whole,
    by_scan,
    connect,
    fill,
    insist,
    recall,
    server,
)

ROWS = 4000
ROUNDS = 12
# The index of `ROWS` rows takes 2.8 MB of it; a third more would not fit.
SMALL = {"chronomind.shared_memory_size": "3MB"}


@pytest.fixture(params=[SMALL])
def items(pg, request):
    """A server whose memory the index would outgrow, if it grew, and the index of `ROWS` rows."""
    with server(pg, **request.param) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
            fill(connection, 1, ROWS)
            # So that the build knows how many rows there are.
            connection.execute("VACUUM items")
            connection.execute(INDEX)
        yield cluster


def size(connection):
    return connection.execute("SELECT pg_relation_size('items_idx')").fetchone()[0]


def notices_of(connection):
    """Memory that runs out is told with a notice, once."""
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    return notices


def replace_a_third(connection, round):
    """Deletes a third of the rows and inserts as many others."""
    connection.execute(
        "DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT %s)", [ROWS // 3]
    )
    connection.execute("VACUUM items")
    first = ROWS * 10 * (round + 1)
    fill(connection, first, first + ROWS // 3 - 1)


def test_replacing_rows_grows_neither_file_nor_memory_and_keeps_recall(items):
    with connect(items) as connection:
        notices = notices_of(connection)
        before = size(connection)
        for round in range(ROUNDS):
            replace_a_third(connection, round)
            assert_whole(connection)
        assert size(connection) <= 1.3 * before
        assert notices == []
        churned = recall(connection, by_scan(connection), queries=100)
        items.restart()
    with connect(items) as connection:
        notices = notices_of(connection)
        assert_whole(connection)
        reloaded = recall(connection, by_scan(connection), queries=100)
        # There is no room for two of them at once.
        connection.execute("DROP INDEX items_idx")
        connection.execute(INDEX)
        fresh = recall(connection, by_scan(connection), queries=100)
        assert min(churned, reloaded) >= fresh - 0.01
        assert notices == []


def test_touching_rows_does_not_grow_the_index(items):
    """Updates that leave the vector alone, of one row in four more often than of the others."""
    with connect(items) as connection:
        notices = notices_of(connection)
        sizes = [size(connection)]
        for round in range(30):
            connection.execute(
                "UPDATE items SET n = n + 1, at = now() WHERE random() < 0.2 OR mod(id, 4) = 1"
            )
            connection.execute("VACUUM items")
            sizes.append(size(connection))
            if round % 6 == 0:
                assert_whole(connection)
        assert_whole(connection)
        assert_whole(connection, "n = 3", least_recall=0.9)
        assert max(sizes) <= 1.3 * sizes[0], sizes
        assert notices == []


def test_cursors_that_stay_open_give_their_rows_while_all_places_are_used_again(items):
    with connect(items) as reader, connect(items) as writer, reader.transaction():
        reader.execute("SET LOCAL enable_seqscan = off")
        # The writer's rows come and go after this snapshot, and their places are used again.
        writer.execute("DELETE FROM items WHERE id > 1000")
        expected = set(range(1, 1001))
        cursors = {
            "near": "ORDER BY v <-> some_vector(-1)",
            "far": "ORDER BY -(v <-> some_vector(-2))",
            "mixed": "ORDER BY (v <-> some_vector(-3)) + 0.1 * n",
        }
        found = {}
        for name, order in cursors.items():
            reader.execute(f"DECLARE {name} CURSOR FOR SELECT id FROM items {order}")
            found[name] = reader.execute(f"FETCH 3 FROM {name}").fetchall()
        for round in range(8):
            writer.execute("VACUUM items")
            fill(writer, 10_000 * (round + 1), 10_000 * (round + 1) + 1500)
            for name in cursors:
                found[name] += reader.execute(f"FETCH 40 FROM {name}").fetchall()
            writer.execute("DELETE FROM items WHERE id > 1000")
        for name in cursors:
            found[name] += reader.execute(f"FETCH ALL FROM {name}").fetchall()
            ids = [id for (id,) in found[name]]
            assert len(ids) == len(set(ids)) and set(ids) == expected, name


def test_a_crash_amid_churn_leaves_the_index_whole(items):
    def churn(connection, number):
        # Half of the ids are those of the step before, some of which are still there.
        first = 100_000 + number * 20
        clash = psycopg.errors.UniqueViolation
        with contextlib.suppress(clash), connection.transaction(force_rollback=number % 5 == 0):
            connection.execute(
                "DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT 40)"
            )
            fill(connection, first, first + 39)
            connection.execute("UPDATE items SET n = n + 1 WHERE mod(id, 50) = %s", [number % 50])

    def vacuum(connection, _):
        connection.execute("VACUUM items")

    for seconds in (0.3, 1.1, 2.3):
        with Load(items, churn, vacuum, server_may_go=True):
            time.sleep(seconds)
            items.crash()
        items.start()
        with connect(items) as connection:
            assert_whole(connection)
            connection.execute("VACUUM items")
            assert_whole(connection)


def test_a_vacuum_that_is_cancelled_is_done_by_the_next(items):
    with connect(items) as connection:
        before = size(connection)
        for round in range(8):
            replace_a_third(connection, round)
            connection.execute("DELETE FROM items WHERE mod(id, 5) = 0")
            for milliseconds in (1, 3, 9, 20):
                insist(connection, f"SET statement_timeout = {milliseconds}")
                with contextlib.suppress(psycopg.errors.QueryCanceled):
                    connection.execute("VACUUM items")
                insist(connection, "RESET statement_timeout")
            connection.execute("VACUUM items")
            fill(connection, 10**8 + round * 10**5, 10**8 + round * 10**5 + 599)
            connection.execute("DELETE FROM items WHERE id >= 100000000")
            assert_whole(connection)
        assert size(connection) <= 1.5 * before


@pytest.mark.parametrize("items", [{}], indirect=True, ids=["roomy"])
def test_readers_and_writers_get_along_with_vacuums_that_make_room(items):
    def replace(worker):
        def step(connection, number):
            first = 10**6 * (worker + 1) + number * 30
            with contextlib.suppress(psycopg.errors.DeadlockDetected), connection.transaction():
                connection.execute(
                    "DELETE FROM items WHERE id IN "
                    "(SELECT id FROM items WHERE mod(id, 2) = %s ORDER BY random() LIMIT 30)",
                    [worker],
                )
                # Every other vector is one that was there before.
                connection.execute(
                    "INSERT INTO items SELECT i * 2 + %s, "
                    "some_vector(CASE WHEN mod(i, 2) = 0 THEN mod(i, 3000) ELSE i END), 1 "
                    "FROM generate_series(%s::bigint, %s) i",
                    [worker, first, first + 29],
                )

        return step

    def touch(connection, number):
        with contextlib.suppress(psycopg.errors.DeadlockDetected):
            connection.execute("UPDATE items SET n = n + 1 WHERE mod(id, 100) = %s", [number % 100])

    def read(connection, number):
        query = f"some_vector({number % 50})"
        order = [f"v <-> {query}", f"(v <-> {query}) + 0.1 * n"][number % 2]
        statement = f"SELECT id, v <-> {query}, n FROM items"
        with connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
            rows = connection.execute(statement).fetchall()
            connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            connection.execute(f"DECLARE c CURSOR FOR {statement} ORDER BY {order}")
            found = connection.execute("FETCH 10 FROM c").fetchall()
            time.sleep(0.2)
            found += connection.execute("FETCH 500 FROM c").fetchall()
            time.sleep(0.2)
            found += connection.execute("FETCH ALL FROM c").fetchall()
        assert sorted(found) == sorted(rows)
        scores = [distance + 0.1 * n * (number % 2) for _, distance, n in found]
        disorder = sum(b < a - 1e-9 for a, b in itertools.pairwise(scores))
        assert disorder <= len(scores) / 50, "the order is not that of the snapshot"

    def vacuum(connection, _):
        connection.execute("VACUUM items")

    def check(connection, _):
        connection.execute("SELECT chrono_check('items_idx')")

    with connect(items) as connection:
        with Load(items, replace(0), replace(1), touch, read, read, read, vacuum, check):
            time.sleep(12)
        assert_whole(connection)
        connection.execute("VACUUM items")
        assert_whole(connection)
        # How much room it took while cursors kept what was gone depends on the machine; but now that they
        # are closed, all of that room serves again.
        before = size(connection)
        for number in range(10**4, 10**4 + 300):
            replace(0)(connection, number)
            if number % 50 == 0:
                connection.execute("VACUUM items")
        assert_whole(connection)
        assert size(connection) <= 1.1 * before
