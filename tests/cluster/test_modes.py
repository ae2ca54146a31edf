"""The same index under other ways to run a server and transactions."""

import subprocess

import psycopg
import pytest
from checks import INDEX, SCHEMA, TABLE, assert_whole, connect, fill, server

from scripts.host import as_server_user

NEAREST = "SELECT id FROM items ORDER BY v <-> some_vector(-1) LIMIT 5"


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        fill(connection, 1, 1000)
        connection.execute(INDEX)
    return cluster


@pytest.mark.parametrize("threshold", ["0", "1GB"], ids=["synced", "logged"])
def test_what_is_not_logged_is_on_disk_at_the_commit(pg, threshold):
    """Changes of files that are new in their transaction need no WAL, under the lowest level."""
    minimal = {"wal_level": "minimal", "max_wal_senders": "0", "wal_skip_threshold": threshold}
    with server(pg, **minimal) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        cluster.psql("DROP TABLE items")
        with connect(cluster) as connection:
            with connection.transaction():
                connection.execute(TABLE)
                fill(connection, 1, 500)
                connection.execute(INDEX)
                fill(connection, 501, 700)
                with connection.transaction(force_rollback=True):
                    connection.execute("REINDEX INDEX items_idx")
                    fill(connection, 701, 800)
            cluster.crash()
        cluster.start()
        with connect(cluster) as connection:
            assert len(assert_whole(connection)) == 700
            fill(connection, 801, 900)
            with connection.transaction():
                connection.execute("TRUNCATE items")
                fill(connection, 1, 300)
                connection.execute("REINDEX INDEX items_idx")
                connection.execute("DELETE FROM items WHERE id <= 100")
                fill(connection, 1001, 1100)
            cluster.crash()
        cluster.start()
        with connect(cluster) as connection:
            assert len(assert_whole(connection)) == 300


def test_serializable_transactions_that_searched_what_the_other_wrote_do_not_both_commit(items):
    with connect(items) as one, connect(items) as two:
        for connection in (one, two):
            connection.execute("SET enable_seqscan = off")
            connection.execute("BEGIN ISOLATION LEVEL SERIALIZABLE")
            assert len(connection.execute(NEAREST).fetchall()) == 5
        with pytest.raises(psycopg.errors.SerializationFailure):
            for number, connection in enumerate((one, two)):
                connection.execute("INSERT INTO items VALUES (%s, some_vector(-1), 1)", [2000 + number])
            one.execute("COMMIT")
            two.execute("COMMIT")
        one.execute("ROLLBACK")
        two.execute("ROLLBACK")
        assert_whole(one)


def test_workers_of_a_parallel_query_search(items):
    items.psql(
        """
        CREATE FUNCTION nearest(q vector) RETURNS bigint STABLE PARALLEL SAFE LANGUAGE plpgsql
        SET enable_seqscan = off AS $$ BEGIN RETURN (SELECT id FROM items ORDER BY v <-> q LIMIT 1); END $$;
        """
    )
    query = "SELECT id, nearest(v) FROM items ORDER BY id"
    with connect(items) as connection:
        alone = connection.execute(query).fetchall()
        assert sum(id == found for id, found in alone) >= 990
        connection.execute("SET parallel_setup_cost = 0; SET parallel_tuple_cost = 0")
        connection.execute("SET min_parallel_table_scan_size = 0; SET parallel_leader_participation = off")
        plan = str(connection.execute(f"EXPLAIN (ANALYZE) {query}").fetchall())
        assert "Workers Launched: " in plan and "Workers Launched: 0" not in plan, plan
        assert connection.execute(query).fetchall() == alone


def test_indexes_of_prepared_transactions(pg):
    """One that is built in a prepared transaction is there if that commits, and leaves no memory if not."""
    with server(pg, max_prepared_transactions="5", **{"chronomind.shared_memory_size": "4MB"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, 1500)
            for end in [*["ROLLBACK"] * 4, "COMMIT"]:
                connection.execute("BEGIN")
                connection.execute(INDEX)
                fill(connection, 1501, 1600)
                connection.execute("PREPARE TRANSACTION 'build'")
                if end == "COMMIT":
                    cluster.crash()
                    cluster.start()
                with connect(cluster) as other:
                    other.execute(f"{end} PREPARED 'build'")
        with connect(cluster) as connection:
            assert len(assert_whole(connection)) == 1600


def test_a_server_for_a_single_user_vacuums_and_rebuilds(items):
    """Which is what is left when transaction numbers run out."""
    items.psql("DELETE FROM items WHERE id % 2 = 0")
    items.stop()
    statements = f"VACUUM items\nSET enable_seqscan = off\n{NEAREST}\nREINDEX INDEX items_idx\n{NEAREST}\n"
    command = [items.pg.bin / "postgres", "--single", "-D", items.data, "-c", "shared_preload_libraries=chronomind"]
    done = subprocess.run(
        [str(word) for word in [*command, "postgres"]],
        input=statements,
        capture_output=True,
        text=True,
        cwd="/",
        **as_server_user(),
    )
    assert done.returncode == 0 and "ERROR" not in done.stderr, done.stderr
    assert done.stdout.count("1: id = ") == 10, done.stdout
    items.start()
    with connect(items) as connection:
        assert len(assert_whole(connection)) == 500
