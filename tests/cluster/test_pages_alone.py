"""An index that does not fit shared memory: its answers come from the pages, in order, and keep to `work_mem`."""

import itertools

import pytest
from checks import INDEX, SCHEMA, connect, fill, server
from test_own_memory import most_while

ROWS = 40_000
ORDERS = ["v <-> some_vector(-1)", "(v <-> some_vector(-1)) + 0.1 * n"]


@pytest.fixture(scope="module")
def items(pg):
    with server(pg, **{"chronomind.shared_memory_size": "64MB", "autovacuum": "off"}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, ROWS)
            # Rows of one rank: of a NULL vector, and of one that many have.
            connection.execute("UPDATE items SET v = NULL WHERE id % 7 = 0")
            connection.execute("UPDATE items SET v = some_vector(5) WHERE id % 7 = 1")
            connection.execute("VACUUM ANALYZE items")
            connection.execute(INDEX)
        cluster.settings["chronomind.shared_memory_size"] = "2MB"
        cluster.restart()
        with connect(cluster) as connection:
            connection.execute("SET enable_seqscan = off")
            connection.execute("SELECT id FROM items ORDER BY v <-> some_vector(1) LIMIT 1")
            assert connection.execute("SELECT state FROM chrono_stats('items_idx')").fetchone() == ("does not fit",)
        yield cluster


@pytest.mark.parametrize("order", ORDERS)
def test_a_scan_of_all_rows_keeps_to_its_memory_and_gives_each_once_in_order(items, order):
    with connect(items) as connection:
        connection.execute("SET work_mem = '256kB'; SET enable_seqscan = off; SET enable_sort = off")
        # A cursor, because whoever wants all rows is served better by a sort.
        cursor = f"DECLARE c CURSOR FOR SELECT id, {order} AS score FROM items ORDER BY {order}"
        plan = connection.execute(f"EXPLAIN {cursor}").fetchall()
        assert "Index Scan using items_idx" in str(plan), plan
        with connection.transaction():
            connection.execute(cursor)
            assert most_while(connection, f"MOVE {ROWS} FROM c") < 1.2
        with connection.transaction():
            connection.execute(cursor)
            found = connection.execute("FETCH ALL FROM c").fetchall()
    assert len({id for id, _ in found}) == len(found) == ROWS
    scores = [score for _, score in found if score is not None]
    # Scores in SQL have more digits than those of an index.
    assert all(one < other + 1e-6 for one, other in itertools.pairwise(scores))
    assert all(score is None for _, score in found[len(scores) :])


def test_a_few_rows_take_one_pass(items):
    with connect(items) as connection:
        connection.execute("SET enable_seqscan = off")
        explained = connection.execute(
            "SELECT rows_in_zones, rows_given FROM chrono_explain(%s)",
            ["SELECT id FROM items ORDER BY v <-> some_vector(-1) LIMIT 10"],
        ).fetchone()
        assert explained == (ROWS, 10)


def test_as_much_as_a_session_may_take_is_not_taken_before_it_is_needed(items):
    with connect(items) as connection:
        connection.execute("SET enable_seqscan = off; SET enable_sort = off; SET work_mem = '2147483647kB'")
        with connection.transaction():
            connection.execute("DECLARE c CURSOR FOR SELECT id FROM items ORDER BY v <-> some_vector(-1)")
            assert most_while(connection, "MOVE 2 FROM c") < 16
            assert len(connection.execute("FETCH ALL FROM c").fetchall()) == ROWS - 2
