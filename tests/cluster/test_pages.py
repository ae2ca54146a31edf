"""What is on an index's pages is the truth: durable, no larger than it must be, and checked."""

import pytest

from scripts.cluster import SqlError

BLOCK = 8192
HEADER = 24
SPECIAL = BLOCK - 16

HELPERS = """
CREATE FUNCTION vec(dimensions int, seed int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(cos(seed * 7919 + i * 104729.0))::vector FROM generate_series(1, dimensions) i
$$;
CREATE FUNCTION wal_of(statement text) RETURNS numeric LANGUAGE plpgsql AS $$
DECLARE
    before pg_lsn := pg_current_wal_insert_lsn();
BEGIN
    EXECUTE statement;
    RETURN pg_current_wal_insert_lsn() - before;
END $$;
"""


def make(cluster, dimensions, rows, table="t", kind=""):
    """A table of `rows` rows with ids from 1, and an index built over them."""
    cluster.psql(
        f"""
        CREATE {kind} TABLE {table} (id int, v vector({dimensions}), at timestamptz DEFAULT now())
            WITH (autovacuum_enabled = off);
        """
    )
    insert(cluster, dimensions, 1, rows, table)
    cluster.psql(f"CREATE INDEX {table}_index ON {table} USING chrono (v vector_l2_ops, at)")


def insert(cluster, dimensions, first, last, table="t"):
    """Adds rows of these ids."""
    ids = f"generate_series({first}, {last}) id"
    cluster.psql(f"INSERT INTO {table} SELECT id, vec({dimensions}, id) FROM {ids}")


def ids_through_the_index(cluster, dimensions, table="t"):
    """The ids of all rows, as an index scan finds them."""
    settings = "SET enable_seqscan = off; SET enable_sort = off;"
    query = f"SELECT id FROM {table} ORDER BY v <-> vec({dimensions}, 1) LIMIT 1000000"
    assert f"Index Scan using {table}_index" in cluster.psql(f"{settings} EXPLAIN {query}")
    return sorted(int(id) for (id,) in cluster.query(settings + query))


@pytest.fixture
def server(cluster):
    """A server with this file's functions."""
    cluster.psql(HELPERS)
    return cluster


def test_all_that_was_committed_is_there_after_a_crash(server):
    # Many vectors to a page, one over two pages, over three, over eight.
    tables = {dimensions: f"t{dimensions}" for dimensions in (3, 1500, 4000, 16000)}

    def crash_and_expect(ids):
        server.crash()
        server.start()
        for dimensions, table in tables.items():
            assert ids_through_the_index(server, dimensions, table) == ids, table

    for dimensions, table in tables.items():
        make(server, dimensions, rows=20, table=table)
    # Nothing has reached the disk but the WAL: no checkpoint since the build. Then the same where a
    # page is logged whole, for it is the first change after a checkpoint, which recovery ends with.
    for last in (40, 60):
        for dimensions, table in tables.items():
            insert(server, dimensions, last - 19, last, table)
        crash_and_expect(list(range(1, last + 1)))
    # An update leaves the vector alone; after the vacuum, new rows take the places of old ones.
    for dimensions, table in tables.items():
        server.psql(f"UPDATE {table} SET at = at - interval '1 day' WHERE id % 2 = 0")
        server.psql(f"DELETE FROM {table} WHERE id % 5 = 0")
        server.psql(f"VACUUM {table}")
        insert(server, dimensions, 101, 140, table)
    crash_and_expect([id for id in range(1, 61) if id % 5 != 0] + list(range(101, 141)))
    for dimensions, table in tables.items():
        for id in (1, 21, 59, 101, 140):
            query = f"SELECT id FROM {table} ORDER BY v <-> vec({dimensions}, {id}) LIMIT 1"
            assert server.value(f"SET enable_seqscan = off; {query}") == str(id)


def test_an_insert_logs_about_the_size_of_its_row(server):
    make(server, dimensions=384, rows=100)
    server.psql("CREATE TABLE plain (LIKE t)")
    adding = "INSERT INTO {table} SELECT id, vec(384, id), now() FROM generate_series(1001, 1200) id"
    moving = "UPDATE {table} SET at = at - interval '1 day' WHERE id > 1000"
    row = {"vector": 384 * 4, "posting": 16 + 8}
    # A checkpoint makes the next change of each page log it whole.
    for checkpoint in ("", "CHECKPOINT;"):
        logged = {}
        for table in ("t", "plain"):
            for name, statement in (("insert", adding), ("update", moving)):
                server.psql(checkpoint)
                call = f"SELECT wal_of($${statement.format(table=table)}$$) / 200"
                logged[name, table] = float(server.value(call))
            server.psql(f"DELETE FROM {table} WHERE id > 1000")
        inserted = logged["insert", "t"] - logged["insert", "plain"]
        assert inserted < row["vector"] + row["posting"] + 200
        updated = logged["update", "t"] - logged["update", "plain"]
        assert updated < row["posting"] + 200


def test_an_unlogged_index_is_empty_and_usable_after_a_crash(server):
    make(server, dimensions=3, rows=10, kind="UNLOGGED")
    server.crash()
    server.start()
    assert ids_through_the_index(server, 3) == []
    insert(server, 3, 7, 7)
    assert ids_through_the_index(server, 3) == [7]


# Where bytes are written over, and what is said about it. 100 vectors of 1600 bytes take 20 pages
# after the meta page; then come the postings.
DAMAGE = [
    (0, HEADER, b"\xff", "the meta record is missing"),
    (3, SPECIAL + 4, b"\x09", "page 2 of its segment was expected, 9 found"),
    (3, SPECIAL + 14, b"\x00", "it is not a page of a chrono index"),
    (3, 12, (HEADER + 80).to_bytes(2, "little"), "it holds 80 bytes"),
    (21, 12, (HEADER + 25).to_bytes(2, "little"), "it holds 25 bytes"),
    (21, HEADER + 8, b"\x64", "a record names node 100, which does not exist"),
]


def test_damage_is_reported_with_its_place(server):
    if server.value("SHOW data_checksums") == "on":
        pytest.skip("the server itself notices")
    paths = []
    for number in range(len(DAMAGE)):
        make(server, 400, rows=100, table=f"t{number}")
        paths.append(server.value(f"SELECT pg_relation_filepath('t{number}_index')"))
    server.stop()
    for path, (block, offset, bytes, _) in zip(paths, DAMAGE):
        with open(server.data / path, "r+b") as file:
            file.seek(block * BLOCK + offset)
            file.write(bytes)
    server.start()
    for number, (block, _, _, what) in enumerate(DAMAGE):
        with pytest.raises(SqlError) as error:
            query = f"SELECT id FROM t{number} ORDER BY v <-> vec(400, 1) LIMIT 1"
            options = ["-v", "VERBOSITY=verbose"]
            server.psql(f"SET enable_seqscan = off; {query}", options=options)
        text = str(error.value)
        assert f'XX002: index "t{number}_index" is damaged: block {block}: {what}' in text
        assert "HINT:  REINDEX" in text
        server.psql(f"REINDEX INDEX t{number}_index")
        assert ids_through_the_index(server, 400, f"t{number}") == list(range(1, 101))
