"""Shared memory that runs out, and comes back: what is given back is used at once, and nothing stays broken.

Rows have 384 dimensions, so that an extent of nodes is small and an index soon has many.
"""

import psycopg
import pytest
from checks import Load, connect

from scripts.cluster import Cluster

MEGABYTES = 30


@pytest.fixture
def server(pg):
    settings = {
        "chronomind.shared_memory_size": f"{MEGABYTES}MB",
        "autovacuum": "off",
        "fsync": "off",
    }
    with Cluster(pg, settings) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        yield cluster


def rows(first, last):
    """Rows of 384 dimensions, all different: 1,000 take about 2.4 MB of shared memory."""
    return f"""SELECT i AS id, array_fill(i::real, ARRAY[384])::vector(384) AS v
        FROM generate_series({first}, {last}) AS i"""


def make(table, count):
    return f"CREATE TABLE {table} AS {rows(1, count)}; ANALYZE {table}; {index(table)}"


def index(table):
    return f"CREATE INDEX {table}_i ON {table} USING chrono (v vector_l2_ops);"


def search(table, limit=1):
    return f"SELECT id FROM {table} ORDER BY v <-> (SELECT v FROM {table} WHERE id = 7) LIMIT {limit}"


def by_index(connection, statement):
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        return connection.execute(statement).fetchall()


def state(connection, table):
    return connection.execute(f"SELECT state, memory_bytes FROM chrono_stats('{table}_i')").fetchone()


def assert_whole(connection, table):
    """The index passes the check and gives each row once."""
    connection.execute(f"SELECT chrono_check('{table}_i')")
    found = by_index(connection, search(table, 1_000_000))
    expected = connection.execute(f"SELECT count(*) FROM {table}").fetchone()[0]
    assert len(found) == len(set(found)) == expected


def test_a_row_gets_memory_that_came_free_while_others_search(server):
    server.psql(make("gone", 7_000))
    server.psql(make("t", 2_000))
    server.psql(make("other", 1_500))
    searching = [lambda connection, _: by_index(connection, search("other", 800))] * 4
    with Load(server, *searching), connect(server) as connection:
        connection.execute("DROP TABLE gone")
        connection.execute(f"INSERT INTO t {rows(3_001, 8_000)}")
        assert state(connection, "t")[0] == "loaded"
    assert "does not fit" not in server.log.read_text()


def test_memory_is_not_given_back_under_a_scan(server):
    """A cursor is open on an index while its memory is wanted, and reads on to the end."""
    server.psql(make("read", 3_000))
    server.psql(make("other", 1_000))
    with connect(server) as reader, connect(server) as writer:
        with reader.transaction():
            reader.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            reader.execute(f"DECLARE c CURSOR FOR {search('read', 1_000_000)}")
            first = reader.execute("FETCH 100 FROM c").fetchall()
            # Whoever makes room must leave what the cursor is on.
            with pytest.raises(psycopg.errors.OutOfMemory):
                writer.execute(make("large", 14_000))
            writer.execute(f"INSERT INTO other {rows(1_001, 3_000)}")
            rest = reader.execute("FETCH ALL FROM c").fetchall()
        assert len(set(first + rest)) == len(first + rest) == 3_000
        assert_whole(writer, "read")
        assert_whole(writer, "other")
