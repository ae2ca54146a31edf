"""Shared memory that holds few indexes: what is in it must be all that is needed."""

import pytest

from scripts.cluster import Cluster

MEGABYTES = 30


@pytest.fixture
def server(pg):
    settings = {"chronomind.shared_memory_size": f"{MEGABYTES}MB", "autovacuum": "off"}
    with Cluster(pg, settings) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        yield cluster


def rows(first, last):
    """Rows of 384 dimensions: 1,000 take about 2.4 MB of shared memory."""
    return f"""SELECT i AS id, array_fill(i::real, ARRAY[384])::vector(384) AS v
        FROM generate_series({first}, {last}) AS i"""


def index(table):
    return f"ANALYZE {table}; CREATE INDEX ON {table} USING chrono (v vector_l2_ops);"


def test_a_table_that_was_never_analyzed_is_not_taken_for_a_larger_one(server):
    server.psql(f"CREATE TABLE t AS {rows(1, 6_000)}")
    server.psql("CREATE INDEX ON t USING chrono (v vector_l2_ops)")


def test_a_row_gets_the_memory_of_an_index_that_was_dropped(server):
    server.psql(f"CREATE TABLE gone AS {rows(1, 8_000)}; {index('gone')}")
    server.psql(f"CREATE TABLE t AS {rows(1, 3_000)}; {index('t')}")
    server.psql("DROP TABLE gone")
    server.psql(f"INSERT INTO t {rows(3_001, 8_000)}")
    assert "does not fit" not in server.log.read_text()


def test_an_index_is_loaded_into_the_memory_of_one_that_was_dropped(server):
    server.psql(f"CREATE TABLE t AS {rows(1, 6_000)}; {index('t')}")
    server.restart()
    server.psql(f"CREATE TABLE gone AS {rows(1, 8_000)}; {index('gone')}")
    server.psql("DROP TABLE gone")
    server.psql(
        """
        SET enable_seqscan = off;
        SELECT id FROM t ORDER BY v <-> (SELECT v FROM t LIMIT 1) LIMIT 1
        """
    )
    assert "does not fit" not in server.log.read_text()
