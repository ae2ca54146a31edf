"""A database that is dropped and made again, under the same identifier and from the same template.

Its files have the paths and the identities of those before, so that nothing but the life of the files
tells the memory of the old indexes from that of the new ones.
"""

import pytest
from checks import connect, wait_until
from replicas import catch_up, standby_of

STRATEGIES = ["wal_log", "file_copy"]


def rows(first, last):
    return f"""INSERT INTO t SELECT i, (SELECT array_agg(sin(i * j * 1.37)) FROM generate_series(1, 384) j)::vector
        FROM generate_series({first}, {last}) i"""


def make_template(cluster):
    cluster.psql("CREATE DATABASE origin")
    cluster.psql(
        f"""
        CREATE EXTENSION chronomind CASCADE;
        CREATE TABLE t (id int PRIMARY KEY, v vector(384)) WITH (autovacuum_enabled = off);
        {rows(1, 200)};
        CREATE INDEX t_i ON t USING chrono (v vector_l2_ops);
        """,
        "origin",
    )


def make(cluster, strategy):
    cluster.psql(f"CREATE DATABASE again OID = 100000 TEMPLATE origin STRATEGY {strategy}")


def assert_has(cluster, ids, check=True):
    """The database has these rows, in the table and by the index."""
    with connect(cluster, "again") as connection:
        assert {id for (id,) in connection.execute("SELECT id FROM t")} == set(ids)
        connection.execute("SET enable_seqscan = off; SET enable_sort = off")
        statement = "SELECT id, v <-> (SELECT v FROM t WHERE id = 50) AS d FROM t ORDER BY d"
        found = connection.execute(statement).fetchall()
        assert {id for id, _ in found} == set(ids) and len(found) == len(ids)
        assert [d for _, d in found] == sorted(d for _, d in found)
        if check:
            connection.execute("SELECT chrono_check('t_i')")


def change(cluster):
    """Leaves memory with free places that are taken in the template."""
    cluster.psql("DELETE FROM t WHERE id <= 130 AND id <> 50", "again")
    cluster.psql("VACUUM t", "again")
    cluster.psql(rows(301, 310), "again")
    return {50, *range(131, 201), *range(301, 311)}


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_the_memory_of_the_one_before_does_not_serve(cluster, strategy):
    make_template(cluster)
    for _ in range(2):
        make(cluster, strategy)
        assert_has(cluster, range(1, 201))
        assert_has(cluster, change(cluster))
        cluster.psql("DROP DATABASE again")
    make(cluster, strategy)
    cluster.psql(rows(401, 460), "again")
    rest = {*range(1, 201), *range(401, 461)}
    assert_has(cluster, rest)
    cluster.restart()
    assert_has(cluster, rest)


@pytest.mark.parametrize("strategy", STRATEGIES)
def test_nor_on_a_standby(cluster, strategy):
    make_template(cluster)
    with standby_of(cluster) as standby:
        for _ in range(2):
            make(cluster, strategy)
            catch_up(cluster, standby)
            assert_has(standby, range(1, 201))
            left = change(cluster)
            catch_up(cluster, standby)
            assert_has(standby, left)
            cluster.psql("DROP DATABASE again")
            catch_up(cluster, standby)
        make(cluster, strategy)
        catch_up(cluster, standby)
        assert_has(standby, range(1, 201))


def test_a_drop_that_fails_leaves_memory_as_it_is(cluster):
    make_template(cluster)
    make(cluster, "wal_log")
    assert_has(cluster, range(1, 201))
    # Somebody is connected to it: the drop fails, and what is in memory stays.
    with connect(cluster, "again") as connection:
        connection.execute("SET enable_seqscan = off")
        statement = "SELECT state, memory_bytes > 0 FROM chrono_stats('t_i')"
        assert connection.execute(statement).fetchone() == ("loaded", True)
        with connect(cluster) as other, pytest.raises(Exception, match="being accessed"):
            other.execute("DROP DATABASE again")
        assert connection.execute(statement).fetchone() == ("loaded", True)

    def is_dropped():
        try:
            cluster.psql("DROP DATABASE again")
            return True
        except Exception as error:
            assert "being accessed" in str(error)
            return False

    wait_until(is_dropped)
