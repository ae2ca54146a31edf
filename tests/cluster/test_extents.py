"""Indexes that lie in many extents of memory, some of which have none: those of 384 dimensions soon do."""

import pytest
from checks import INDEX, SCHEMA, assert_whole, connect, fill
from replicas import catch_up, promote, standby_of

# 32 nodes fill an extent.
WIDE_SCHEMA = SCHEMA.replace("16", "384")


@pytest.mark.parametrize("is_looked_at", [True, False])
def test_a_standby_passes_over_nodes_that_it_has_never_seen(cluster, is_looked_at):
    """Rows come and are vacuumed between two looks of a standby, with others behind them."""
    cluster.psql(WIDE_SCHEMA)
    with connect(cluster) as primary, standby_of(cluster) as standby:
        primary.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        fill(primary, 1, 1000)
        primary.execute(INDEX)
        catch_up(cluster, standby)

        def assert_replica(rows):
            with connect(standby) as replica:
                assert len(assert_whole(replica, least_recall=0.7)) == rows

        assert_replica(1000)
        fill(primary, 1001, 1200)
        fill(primary, 1201, 1400)
        primary.execute("DELETE FROM items WHERE id BETWEEN 1001 AND 1200")
        primary.execute("VACUUM items")
        catch_up(cluster, standby)
        assert_replica(1200)
        # So many nodes die that they are taken out of the graph.
        primary.execute("DELETE FROM items WHERE id <= 200")
        primary.execute("VACUUM items")
        catch_up(cluster, standby)
        if is_looked_at:
            assert_replica(1000)
            assert_replica(1000)
        promote(standby)
        with connect(standby) as promoted:
            fill(promoted, 2001, 2100)
            promoted.execute("DELETE FROM items WHERE id BETWEEN 1201 AND 1300")
            promoted.execute("VACUUM items")
            fill(promoted, 3001, 3300)
            assert len(assert_whole(promoted, least_recall=0.7)) == 1300


ATTRIBUTES = ", ".join(f"a{number}" for number in range(8))
# Vectors that differ and cost little to make.
ROWS = """INSERT INTO items SELECT i, (array_fill(0, ARRAY[382]) || ARRAY[sin(i), cos(i)]::float4[])::vector,
    i, i, i, i, i, i, i, i FROM generate_series(%s::int, %s) i"""


def buffers_of_insert(connection, id):
    """How many pages an INSERT of one row looks at."""
    statement = ROWS.replace("%s::int, %s", f"{id}, {id}")
    explained = connection.execute(f"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) {statement}")
    plan = explained.fetchone()[0][0]["Plan"]
    return plan["Shared Hit Blocks"] + plan["Shared Read Blocks"]


def test_an_insert_finds_the_page_of_a_free_posting_at_once(cluster):
    """Pages of vectors are numbered far beyond those of postings, and both grow."""
    types = ATTRIBUTES.replace(",", " bigint,")
    cluster.psql(
        f"CREATE TABLE items (id int, v vector(384), {types} bigint) WITH (autovacuum_enabled = off)"
    )
    with connect(cluster) as connection:
        # 4,146 pages of vectors.
        connection.execute(ROWS, [1, 22_000])
        connection.execute(
            f"CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops, {ATTRIBUTES})"
            " WITH (m = 4, ef_construction = 16)"
        )
        # More than a hundred pages of postings.
        connection.execute(ROWS, [22_001, 34_000])
        connection.execute("DELETE FROM items WHERE id BETWEEN 22001 AND 28000")
        connection.execute("VACUUM items")
        buffers_of_insert(connection, 40_000)  # which also looks up what it needs of the catalog
        most = max(buffers_of_insert(connection, 40_001 + number) for number in range(10))
        assert most < 50
        connection.execute("SELECT chrono_check('items_idx')")
