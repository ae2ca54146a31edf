"""A database that is moved to another tablespace and back keeps its file numbers.

What memory held of its indexes before the first move must not be taken for what they are after the
second.
"""

from scripts.host import give_to_server_user

EVERY_ROW = """
    SET enable_seqscan = off;
    SELECT count(*) FROM (SELECT id FROM t ORDER BY v <-> '[1,2]') rows
"""


def count(cluster):
    return cluster.value(EVERY_ROW, "moving")


def test_rows_inserted_between_two_moves_are_found(cluster):
    tablespace = cluster.directory / "tablespace"
    tablespace.mkdir()
    give_to_server_user(tablespace)
    cluster.psql(f"CREATE TABLESPACE elsewhere LOCATION '{tablespace}'")
    cluster.psql("CREATE DATABASE moving")
    cluster.psql(
        """
        CREATE EXTENSION chronomind CASCADE;
        CREATE TABLE t (id int, v vector(2));
        INSERT INTO t SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 100) i;
        CREATE INDEX ON t USING chrono (v vector_l2_ops);
        """,
        "moving",
    )
    assert count(cluster) == "100"
    cluster.psql("ALTER DATABASE moving SET TABLESPACE elsewhere")
    cluster.psql("INSERT INTO t SELECT i, ARRAY[i, 1] FROM generate_series(101, 150) i", "moving")
    assert count(cluster) == "150"
    cluster.psql("ALTER DATABASE moving SET TABLESPACE pg_default")
    assert count(cluster) == "150"
