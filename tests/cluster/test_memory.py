"""Shared memory that is too small: builds say so early, everything else goes on, slower."""

import re

import psycopg
import pytest
from checks import INDEX, SCHEMA, TABLE, assert_whole, connect, fill, server

SIZE = "chronomind.shared_memory_size"


@pytest.fixture
def small(pg):
    """A server with little shared memory, and the empty table `items`."""
    with server(pg, **{SIZE: "4MB"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        yield cluster


def notices_of(connection):
    """A list to which the connection's notices are added as they come: severity and hint."""
    notices = []
    connection.add_notice_handler(
        lambda notice: notices.append((notice.severity_nonlocalized, notice.message_hint))
    )
    return notices


def grow_until_warned(connection, notices):
    """Inserts until a row finds no memory; returns how many rows there are."""
    count = 0
    while not notices and count < 30_000:
        fill(connection, count + 1, count + 500)
        count += 500
    assert notices, "memory never ran out"
    return count


def test_a_build_that_cannot_fit_fails_and_names_bytes_and_setting(small):
    with connect(small) as connection:
        fill(connection, 1, 20_000)
        with pytest.raises(psycopg.errors.OutOfMemory) as failure:
            connection.execute(INDEX)
        diagnostics = failure.value.diag
        assert "does not fit" in diagnostics.message_primary
        assert re.search(r"\d{7,} bytes", diagnostics.message_detail)
        assert SIZE in diagnostics.message_hint
        assert not connection.execute("SELECT FROM pg_class WHERE relname = 'items_idx'").fetchall()
        # What was taken on the way is free again.
        connection.execute("DELETE FROM items WHERE id > 1000")
        connection.execute("VACUUM FULL items")
        connection.execute(INDEX)
        assert_whole(connection)


def test_a_build_without_statistics_fails_as_well_and_takes_nothing(small):
    """The estimate of a table that was never analysed may be far too low."""
    with connect(small) as connection:
        connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        fill(connection, 1, 20_000)
        connection.execute("UPDATE pg_class SET reltuples = 1, relpages = 1 WHERE relname = 'items'")
        for _ in range(3):
            with pytest.raises(psycopg.errors.OutOfMemory):
                connection.execute(INDEX)
        connection.execute("DELETE FROM items WHERE id > 1000")
        connection.execute("VACUUM FULL items")
        connection.execute(INDEX)
        assert_whole(connection)


def test_inserts_go_on_without_memory_and_the_index_stays_exact(small):
    with connect(small) as connection:
        notices = notices_of(connection)
        connection.execute(INDEX)
        count = grow_until_warned(connection, notices)
        fill(connection, count + 1, count + 50)
        ((severity, hint),) = notices
        assert severity == "WARNING"
        assert SIZE in hint
        assert len(assert_whole(connection, least_recall=1)) == count + 50
        connection.execute("DELETE FROM items WHERE id % 3 = 0")
        connection.execute("VACUUM items")
        fill(connection, count + 51, count + 80)
        assert_whole(connection, least_recall=1)
        assert_whole(connection, "n = 3 AND at > '2020-01-01'", least_recall=1)
        assert len(notices) == 1
    with connect(small) as connection:
        notices = notices_of(connection)
        assert_whole(connection, least_recall=1)
        assert not notices
    small.crash()
    small.start()
    with connect(small) as connection:
        notices = notices_of(connection)
        assert_whole(connection, least_recall=1)
        assert len(notices) == 1
    # With enough memory it is as any other.
    small.settings[SIZE] = "64MB"
    small.restart()
    with connect(small) as connection:
        notices = notices_of(connection)
        assert_whole(connection)
        fill(connection, count + 100, count + 200)
        assert_whole(connection)
        assert not notices


def test_an_index_answers_after_a_restart_with_too_little_memory(pg):
    with server(pg, **{SIZE: "32MB"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, 8000)
            connection.execute(INDEX)
        cluster.settings[SIZE] = "2MB"
        cluster.restart()
        with connect(cluster) as connection:
            notices = notices_of(connection)
            assert_whole(connection, least_recall=1)
            connection.execute("DELETE FROM items WHERE id % 2 = 0")
            connection.execute("VACUUM items")
            fill(connection, 8001, 8100)
            assert_whole(connection, least_recall=1)
            assert len(notices) == 1
            # Where an index that does not fit has been dropped, others have the room.
            connection.execute("DROP TABLE items")
            connection.execute(TABLE)
            fill(connection, 1, 500)
            connection.execute(INDEX)
            assert_whole(connection)


def test_where_an_index_is_searched_is_told(pg):
    stats = "SELECT state, rows, memory_bytes > 0 FROM chrono_stats('items_idx')"
    with server(pg, **{SIZE: "32MB"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, 8000)
            connection.execute(INDEX)
            assert connection.execute(stats).fetchone() == ("loaded", 8000, True)
        cluster.restart()
        with connect(cluster) as connection:
            # To ask does not load it.
            for _ in range(2):
                assert connection.execute(stats).fetchone() == ("not loaded", None, False)
            fill(connection, 8001, 8001)
            assert connection.execute(stats).fetchone() == ("loaded", 8001, True)
        cluster.settings[SIZE] = "2MB"
        cluster.restart()
        with connect(cluster) as connection:
            assert_whole(connection, least_recall=1)
            assert connection.execute(stats).fetchone() == ("does not fit", None, False)


AWAYS = {
    "drop index": "DROP INDEX items_idx",
    "drop table": "DROP TABLE items",
    "truncate": "TRUNCATE items",
    "reindex": "REINDEX INDEX items_idx",
    "reindex concurrently": "REINDEX INDEX CONCURRENTLY items_idx",
    "rollback": "ROLLBACK",
    "rollback to savepoint": "ROLLBACK TO SAVEPOINT s; COMMIT",
}


@pytest.mark.parametrize("away", AWAYS.values(), ids=AWAYS.keys())
def test_memory_of_what_is_gone_is_used_again(pg, away):
    """Each index takes about a quarter of the memory, and there are more in a row than fit."""
    with server(pg, **{SIZE: "8MB"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            for _ in range(7):
                if "ROLLBACK" in away:
                    connection.execute("BEGIN; SAVEPOINT s")
                connection.execute(TABLE)
                connection.execute("TRUNCATE items")
                fill(connection, 1, 1500)
                connection.execute(f"CREATE INDEX IF NOT EXISTS {INDEX.removeprefix('CREATE INDEX ')}")
                connection.execute(away)
            connection.execute(TABLE)
            connection.execute("TRUNCATE items")
            connection.execute("DROP INDEX IF EXISTS items_idx")
            fill(connection, 1, 1500)
            connection.execute(INDEX)
            assert_whole(connection)


def test_memory_of_a_dropped_database_is_used_again(pg):
    with server(pg, **{SIZE: "4MB"}) as cluster:
        for _ in range(4):
            cluster.psql("CREATE DATABASE other")
            cluster.psql("CREATE EXTENSION chronomind CASCADE", "other")
            cluster.psql(SCHEMA, "other")
            with connect(cluster, "other") as connection:
                fill(connection, 1, 1500)
                connection.execute(INDEX)
                assert_whole(connection)
            cluster.psql("DROP DATABASE other")
