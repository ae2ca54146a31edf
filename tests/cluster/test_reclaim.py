"""What is gone makes room: tables that change for ever do not grow their index, in the file or in memory."""

import random
import time

import psycopg
import pytest
from checks import (
    INDEX,
    SCHEMA,
    Load,
    assert_whole,
    connect,
    fill,
    server,
)

ROWS = 3000
# What fits the index of `ROWS` rows, and half as many again.
SMALL = {"chronomind.shared_memory_size": "4MB"}


@pytest.fixture
def items(pg):
    """A server whose memory the index would outgrow, if it grew, and the index of `ROWS` rows."""
    with server(pg, **SMALL) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
            fill(connection, 1, ROWS)
            connection.execute(INDEX)
        yield cluster


def size(connection):
    return connection.execute("SELECT pg_relation_size('items_idx')").fetchone()[0]


def fail_on_notice(connection):
    """Memory that runs out is told with a notice, once."""
    notices = []
    connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
    return notices


def test_touching_rows_does_not_grow_the_index(items):
    """Updates that leave the vector alone, of one row in four more often than of the others."""
    random.seed(7)
    with connect(items) as connection:
        notices = fail_on_notice(connection)
        sizes = []
        for round in range(30):
            connection.execute(
                "UPDATE items SET n = n + 1, at = now() WHERE mod(id * 7919 + %s, 4) = 0 OR mod(id, 4) = 1",
                [round],
            )
            connection.execute("VACUUM items")
            sizes.append(size(connection))
            if round % 6 == 0:
                assert_whole(connection)
        assert_whole(connection)
        assert_whole(connection, "n = 3", least_recall=0.9)
        assert sizes[-1] == sizes[14]
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
        try:
            with connection.transaction(force_rollback=number % 5 == 0):
                first = 100_000 + number * 20
                connection.execute(
                    "DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT 40)"
                )
                fill(connection, first, first + 39)
                connection.execute("UPDATE items SET n = n + 1 WHERE mod(id, 50) = %s", [number % 50])
        except psycopg.errors.UniqueViolation:
            pass

    def vacuum(connection, _):
        connection.execute("VACUUM items")

    for seconds in (0.3, 1.1, 2.3):
        with Load(items, churn, vacuum, server_may_go=True):
            wait_until(lambda: True)
            time.sleep(seconds)
            items.crash()
        items.start()
        with connect(items) as connection:
            assert_whole(connection)
            connection.execute("VACUUM items")
            assert_whole(connection)
