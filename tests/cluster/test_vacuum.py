"""VACUUM frees places in the table, which other rows take; the index must not mistake one for the other."""

import pytest
from checks import INDEX, SCHEMA, assert_whole, by_index, connect, fill, server


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        fill(connection, 1, 1000)
        connection.execute(INDEX)
    return cluster


def places(connection, where):
    return set(connection.execute(f"SELECT ctid::text FROM items WHERE {where}").fetchall())


@pytest.mark.parametrize("then", ["go on", "restart", "crash"])
def test_a_place_that_is_used_again_is_found_under_its_new_vector_only(items, then):
    with connect(items) as connection:
        freed = places(connection, "id % 2 = 0")
        connection.execute("DELETE FROM items WHERE id % 2 = 0")
        connection.execute("VACUUM items")
        fill(connection, 10_001, 10_500)
        assert len(freed & places(connection, "id > 10000")) > 400
    if then == "restart":
        items.restart()
    elif then == "crash":
        items.crash()
        items.start()
    with connect(items) as connection:
        assert_whole(connection)
        assert_whole(connection, "n = 3")
        for id in (10_001, 10_250, 10_500):
            query = connection.execute("SELECT v FROM items WHERE id = %s", [id]).fetchone()[0]
            assert by_index(connection, query, limit=1)[0][0] == id


def test_a_scan_that_began_before_the_vacuum_gives_no_row_that_came_after(items):
    with connect(items) as reader, connect(items) as writer:
        with reader.transaction():
            reader.execute("SET LOCAL enable_seqscan = off")
            reader.execute("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> some_vector(-1)")
            first = reader.execute("FETCH 5 FROM c").fetchall()
            writer.execute("DELETE FROM items WHERE id % 2 = 0")
            writer.execute("VACUUM items")
            fill(writer, 10_001, 10_500)
            rest = reader.execute("FETCH ALL FROM c").fetchall()
        ids = [id for (id,) in first + rest]
        assert sorted(ids) == list(range(1, 1001))
        writer.execute("VACUUM items")
        fill(writer, 20_001, 20_500)
        assert_whole(writer)


def test_churn_in_place_leaves_the_index_whole(items):
    with connect(items) as connection:
        for round in range(6):
            first = 10_000 * (round + 1)
            connection.execute("DELETE FROM items WHERE mod(id, 3) = %s", [round % 3])
            connection.execute("UPDATE items SET n = n + 10 WHERE id % 7 = 0")
            connection.execute("VACUUM items")
            fill(connection, first, first + 400)
            assert_whole(connection)
        connection.execute("VACUUM items")
        counts, rows = connection.execute(
            "SELECT reltuples, (SELECT count(*) FROM items) FROM pg_class WHERE relname = 'items_idx'"
        ).fetchone()
        assert counts == rows


def test_all_rows_may_go(items):
    with connect(items) as connection:
        for _ in range(3):
            connection.execute("DELETE FROM items")
            connection.execute("VACUUM items")
            assert assert_whole(connection) == set()
            fill(connection, 1, 300)
            assert len(assert_whole(connection)) == 300


def test_autovacuum_and_parallel_vacuum(pg):
    with server(pg, autovacuum_naptime="1s", min_parallel_index_scan_size="0") as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, 2000)
            connection.execute(INDEX)
            connection.execute("CREATE INDEX other_idx ON items USING chrono (v vector_cosine_ops)")
            for round in range(3):
                connection.execute("DELETE FROM items WHERE mod(id, 4) = %s", [round])
                connection.execute("VACUUM (PARALLEL 2) items")
                fill(connection, 10_000 * (round + 1), 10_000 * (round + 1) + 300)
                assert_whole(connection)
