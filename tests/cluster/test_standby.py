"""A hot standby answers from what it has replayed, through its graph; promoted, it goes on as one."""

import psycopg
import pytest
from checks import INDEX, SCHEMA, assert_whole, by_index, connect, fill, wait_until
from replicas import catch_up, looked_at, promote, standby_of


def far_query(connection, seed=-5):
    return connection.execute("SELECT some_vector(%s)", [seed]).fetchone()[0]


def assert_searches(connection, rows):
    """A search goes along the graph instead of ranking every row."""
    assert looked_at(connection, far_query(connection)) < rows / 4


def test_a_standby_follows_and_takes_over(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 1000)
        primary.execute(INDEX)
        fill(primary, 1001, 1200)
        with standby_of(cluster) as standby:
            with connect(standby) as replica:
                assert len(assert_whole(replica)) == 1200
                # Rows that come, change and go; places that are used again
                fill(primary, 2001, 2300)
                primary.execute("UPDATE items SET v = some_vector(id + 5000) WHERE id % 10 = 0")
                catch_up(cluster, standby)
                assert len(assert_whole(replica)) == 1500
                primary.execute("DELETE FROM items WHERE id % 3 = 0")
                primary.execute("VACUUM items")
                fill(primary, 3001, 3400)
                catch_up(cluster, standby)
                before = assert_whole(replica)
                assert before == assert_whole(primary)
                assert_whole(replica, "n = 4")
                # An index that is built, and one that is rebuilt, while the standby looks on
                primary.execute("REINDEX INDEX items_idx")
                primary.execute("CREATE INDEX ON items USING chrono (v vector_cosine_ops)")
                catch_up(cluster, standby)
                assert assert_whole(replica) == before
            standby.restart()
            with connect(standby) as replica:
                assert assert_whole(replica) == before
                promote(standby)
                # A backend that was there before the promotion, and a new one
                fill(replica, 4001, 4100)
                assert_whole(replica)
            with connect(standby) as promoted:
                promoted.execute("DELETE FROM items WHERE id % 5 = 0")
                promoted.execute("VACUUM items")
                fill(promoted, 5001, 5100)
                ids = assert_whole(promoted)
            standby.crash()
            standby.start()
            with connect(standby) as promoted:
                assert assert_whole(promoted) == ids
        # The primary has gone its own way.
        assert assert_whole(primary) == before


CHANGES = {
    "insert": ["INSERT INTO items SELECT i, some_vector(i), 1 FROM generate_series(10001, 10400) i"],
    "update of the vector": ["UPDATE items SET v = some_vector(id + 70000) WHERE id % 4 = 0"],
    "update of an attribute": ["UPDATE items SET n = n + 10 WHERE id % 3 = 0"],
    "NULL and zero vectors": [
        "UPDATE items SET v = NULL WHERE id % 50 = 0",
        "UPDATE items SET v = array_fill(0, ARRAY[16])::vector WHERE id % 50 = 1",
    ],
    "delete": ["DELETE FROM items WHERE id % 2 = 0"],
    "vacuum": ["VACUUM items"],
    "places of rows used again": [
        "INSERT INTO items SELECT i, some_vector(i), 2 FROM generate_series(20001, 20600) i",
    ],
    "places used again under the same numbers": [
        "DELETE FROM items",
        "VACUUM items",
        "INSERT INTO items SELECT i, some_vector(-i), 3, '2026-01-01' FROM generate_series(1, 1000) i",
        "DELETE FROM items",
        "VACUUM items",
        "INSERT INTO items SELECT i, some_vector(3 - i), 3, '2026-01-01' FROM generate_series(1, 1000) i",
    ],
    "all at once": [
        "DELETE FROM items WHERE id % 3 = 1",
        "VACUUM items",
        "UPDATE items SET v = some_vector(id + 90000), n = 7 WHERE id % 2 = 1",
        "VACUUM items",
        "INSERT INTO items SELECT i, some_vector(i), 2 FROM generate_series(30001, 30900) i",
    ],
    "reindex": ["REINDEX INDEX items_idx"],
    "reindex concurrently": ["REINDEX INDEX CONCURRENTLY items_idx"],
    "vacuum full": ["VACUUM FULL items"],
    "truncate": [
        "TRUNCATE items",
        "INSERT INTO items SELECT i, some_vector(i), mod(i, 10) FROM generate_series(1, 900) i",
    ],
    "another index of that name": ["DROP INDEX items_idx", INDEX],
    "what is rolled back": [
        "BEGIN",
        "INSERT INTO items SELECT i, some_vector(i), 2 FROM generate_series(50001, 50300) i",
        "REINDEX INDEX items_idx",
        "ROLLBACK",
        "VACUUM items",
    ],
}


def test_whatever_is_done_the_standby_answers_as_the_primary_does(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary, standby_of(cluster) as standby, connect(standby) as replica:
        primary.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        primary.execute(INDEX)
        fill(primary, 1, 1200)
        for name, statements in CHANGES.items():
            for statement in statements:
                primary.execute(statement)
            catch_up(cluster, standby)
            ids = assert_whole(replica)
            assert ids == assert_whole(primary), name
            assert_searches(replica, len(ids))
            assert_whole(replica, "n >= 3")


def test_a_standby_searches_its_graph_and_not_every_row(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 3000)
        primary.execute(INDEX)
        fill(primary, 3001, 4000)
        with standby_of(cluster) as standby, connect(standby) as replica:
            assert_searches(replica, 4000)
            query = far_query(replica)
            nearest = by_index(replica, query, limit=3)
            primary.execute("DELETE FROM items WHERE id = ANY (%s)", [[id for id, _ in nearest]])
            primary.execute("INSERT INTO items VALUES (5000, %s, 1)", [query])
            catch_up(cluster, standby)
            assert by_index(replica, query, limit=1)[0][0] == 5000
            assert by_index(replica, query, limit=1) == by_index(primary, query, limit=1)
            assert_searches(replica, 4000)
            fill(primary, 6001, 8000)
            catch_up(cluster, standby)
            assert_searches(replica, 6000)
            # Also after a start, when nobody has asked the primary to write its graph
            standby.restart()
            with connect(standby) as replica:
                assert_searches(replica, 6000)
                assert_whole(replica)


def test_a_standby_with_too_little_memory_ranks_every_row(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 3000)
        primary.execute(INDEX)
        with standby_of(cluster, **{"chronomind.shared_memory_size": "1MB"}) as standby:
            with connect(standby) as replica:
                assert len(assert_whole(replica)) == 3000
                fill(primary, 3001, 9000)
                primary.execute("DELETE FROM items WHERE id % 2 = 0")
                primary.execute("VACUUM items")
                fill(primary, 10_001, 10_500)
                catch_up(cluster, standby)
                assert assert_whole(replica) == assert_whole(primary)
                assert looked_at(replica, far_query(replica)) == 5000
            assert "does not fit" in standby.log.read_text()
            promote(standby)
            with connect(standby) as promoted:
                fill(promoted, 20_001, 20_100)
                assert len(assert_whole(promoted)) == 5100


@pytest.mark.parametrize("first", ["SELECT", "INSERT", "VACUUM"])
def test_what_was_replayed_since_the_last_scan_is_known_after_a_promotion(cluster, first):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 1000)
        primary.execute(INDEX)
        with standby_of(cluster) as standby, connect(standby) as replica:
            assert_whole(replica)
            # Nobody looks from here to the promotion.
            primary.execute("UPDATE items SET v = some_vector(id + 5000) WHERE id % 2 = 0")
            primary.execute("DELETE FROM items WHERE id % 7 = 0")
            primary.execute("VACUUM items")
            fill(primary, 2001, 2500)
            catch_up(cluster, standby)
            promote(standby)
            if first == "INSERT":
                fill(replica, 3001, 3100)
            elif first == "VACUUM":
                replica.execute("VACUUM items")
            assert_whole(replica)
            replica.execute("DELETE FROM items WHERE id % 5 = 0")
            replica.execute("VACUUM items")
            fill(replica, 4001, 4400)
            ids = assert_whole(replica)
            standby.restart()
            with connect(standby) as promoted:
                assert assert_whole(promoted) == ids


def test_a_standby_of_a_standby_follows_it_through_its_promotion(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 1000)
        primary.execute(INDEX)
        with standby_of(cluster) as first, standby_of(first) as second:
            with connect(first) as middle, connect(second) as last:
                assert_whole(middle)
                assert_whole(last)
                fill(primary, 1001, 1300)
                catch_up(cluster, first)
                promote(first)
                fill(middle, 2001, 2300)
                middle.execute("DELETE FROM items WHERE id % 3 = 0")
                middle.execute("VACUUM items")
                fill(middle, 3001, 3300)
                catch_up(first, second)
                assert assert_whole(last) == assert_whole(middle)
                assert_searches(last, 1200)


class Cursor:
    """A cursor over all rows, nearest first, of a snapshot that it holds; it stands on the first."""

    def __init__(self, connection, at=-1):
        self.connection = connection
        connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ")
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        connection.execute(f"DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> some_vector({at})")
        self.first = connection.execute("FETCH 1 FROM c").fetchall()

    def ids(self):
        rest = self.connection.execute("FETCH ALL FROM c").fetchall()
        self.connection.execute("COMMIT")
        return sorted(id for (id,) in self.first + rest)


def vacuum_and_use_places_again(primary):
    primary.execute("DELETE FROM items WHERE id % 2 = 0")
    for first in (10_001, 20_001):
        primary.execute("VACUUM items")
        fill(primary, first, first + 499)
        primary.execute("DELETE FROM items WHERE id BETWEEN %s AND %s", [first, first + 399])
    primary.execute("VACUUM items")


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        connection.execute("ALTER TABLE items SET (autovacuum_enabled = off)")
        fill(connection, 1, 1000)
        connection.execute(INDEX)
    return cluster


def test_replay_of_a_vacuum_waits_for_a_cursor_that_sees_its_rows(items):
    with standby_of(items, max_standby_streaming_delay="-1") as standby:
        with connect(items) as primary, connect(standby) as reader:
            cursor = Cursor(reader)
            vacuum_and_use_places_again(primary)
            blocked = """SELECT count(*) FROM pg_stat_activity
                WHERE backend_type = 'startup' AND wait_event = 'RecoveryConflictSnapshot'"""
            wait_until(lambda: standby.value(blocked) == "1")
            with connect(standby) as other:
                assert len(by_index(other, far_query(other))) >= 500
            assert cursor.ids() == list(range(1, 1001))
            catch_up(items, standby)
            assert assert_whole(reader) == assert_whole(primary)


def test_a_cursor_that_sees_rows_of_a_replayed_vacuum_is_cancelled(items):
    with standby_of(items, max_standby_streaming_delay="0") as standby:
        with connect(items) as primary, connect(standby) as reader:
            cursor = Cursor(reader)
            vacuum_and_use_places_again(primary)
            catch_up(items, standby)
            with pytest.raises(psycopg.Error, match="conflict with recovery"):
                cursor.ids()
        with connect(items) as primary, connect(standby) as reader:
            assert assert_whole(reader) == assert_whole(primary)


def test_a_cursor_goes_on_across_a_vacuum_of_rows_that_it_does_not_see(items):
    with standby_of(items) as standby:
        with connect(items) as primary, connect(standby) as reader, connect(standby) as other:
            # Gone before the cursor begins, and vacuumed while it is open; not on the page of the table
            # that it stands on, which it keeps replay from pruning as any cursor does
            primary.execute("DELETE FROM items WHERE id <= 500")
            catch_up(items, standby)
            assert_whole(other)
            cursor = Cursor(reader, at=990)
            primary.execute("VACUUM items")
            fill(primary, 10_001, 10_499)
            catch_up(items, standby)
            assert_whole(other)
            assert cursor.ids() == list(range(501, 1001))
            assert assert_whole(reader) == assert_whole(primary)


def test_a_standby_that_tells_its_primary_keeps_the_rows_of_its_cursors(items):
    feedback = {"hot_standby_feedback": "on", "wal_receiver_status_interval": "1"}
    with standby_of(items, **feedback) as standby:
        with connect(items) as primary, connect(standby) as reader, connect(standby) as other:
            cursor = Cursor(reader)
            xmin = "SELECT count(backend_xmin) FROM pg_stat_replication"
            wait_until(lambda: items.value(xmin) == "1")
            vacuum_and_use_places_again(primary)
            catch_up(items, standby)
            assert assert_whole(other) == assert_whole(primary)
            assert cursor.ids() == list(range(1, 1001))


def test_what_a_standby_tells_of_its_indexes(items):
    """Of an unlogged one it has no pages."""
    with connect(items) as primary:
        primary.execute("CREATE UNLOGGED TABLE unlogged (LIKE items)")
        primary.execute("CREATE INDEX unlogged_idx ON unlogged USING chrono (v vector_l2_ops)")
    with standby_of(items) as standby, connect(standby) as replica:
        stats = "SELECT index::text, state, rows, disk_bytes > 0 FROM chrono_indexes() ORDER BY 1"
        unlogged = ("unlogged_idx", "not built", None, False)
        assert replica.execute(stats).fetchall() == [("items_idx", "not loaded", None, True), unlogged]
        (rows,) = replica.execute("SELECT count(*) FROM items").fetchone()
        assert_whole(replica)
        assert replica.execute(stats).fetchall() == [("items_idx", "loaded", rows, True), unlogged]
