"""Shared memory that runs out, and comes back: what is given back is used at once, and nothing stays broken.

Rows have 384 dimensions, so that an extent of nodes is small and an index soon has many.
"""

import psycopg
import pytest
from checks import Load, connect, wait_until

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


def unfit_by_a_build(server):
    """A build takes all memory while rows are inserted into `t`, and fails. The index of `t` is unfit then."""
    server.psql(make("t", 3_000))
    server.psql(f"CREATE TABLE large AS {rows(1, 12_000)}")
    with connect(server) as builder, connect(server) as writer:
        # Nobody knows how many rows there are, so that the build takes what there is.
        with builder.transaction():
            builder.execute(make("filler", 7_500))
            warned = []
            writer.add_notice_handler(lambda notice: warned.append(notice.message_primary))
            count = 3_000
            while not warned and count < 12_000:
                writer.execute(f"INSERT INTO t {rows(count + 1, count + 100)}")
                count += 100
            assert "does not fit" in warned[0], "memory never ran out"
            assert state(writer, "t")[0] == "does not fit"
            raise psycopg.Rollback
    return count


def loaded_again(connection, table):
    """Searches until the index is in memory; every search is right meanwhile."""

    def is_loaded():
        assert by_index(connection, search(table)) == [(7,)]
        return state(connection, table)[0] == "loaded"

    wait_until(is_loaded)


def test_an_index_is_loaded_again_when_what_took_the_memory_is_gone(server):
    count = unfit_by_a_build(server)
    with connect(server) as connection:
        loaded_again(connection, "t")
        connection.execute(f"INSERT INTO t {rows(count + 1, count + 500)}")
        assert_whole(connection, "t")
        assert state(connection, "t")[0] == "loaded"
    assert server.log.read_text().count('"t_i" is in chronomind\'s shared memory again') == 1


def test_writers_do_not_keep_an_index_from_being_loaded_again(server):
    count = unfit_by_a_build(server)

    def insert(first):
        def step(connection, number):
            id = first + number
            connection.execute(f"INSERT INTO t {rows(id, id)}")

        return step

    writing = [insert(count + 100_000 * writer) for writer in range(1, 5)]
    with Load(server, *writing), connect(server) as connection:
        loaded_again(connection, "t")
    with connect(server) as connection:
        assert state(connection, "t")[0] == "loaded"
        assert_whole(connection, "t")


def test_vacuum_loads_an_index_again(server):
    unfit_by_a_build(server)
    with connect(server) as connection:
        connection.execute("DELETE FROM t WHERE id % 10 = 0")
        connection.execute("VACUUM t")
        assert state(connection, "t")[0] == "loaded"
        assert_whole(connection, "t")


def test_an_index_that_does_not_fit_does_not_keep_memory_from_others(server):
    server.psql(make("large", 1_000))
    server.psql(make("other", 1_000))
    with connect(server) as connection:
        warned = []
        connection.add_notice_handler(lambda notice: warned.append(notice.message_primary))
        count = 1_000
        while not warned:
            connection.execute(f"INSERT INTO large {rows(count + 1, count + 500)}")
            count += 500
        assert '"large_i"' in warned[0]
        connection.execute(f"INSERT INTO other {rows(1_001, 5_000)}")
        assert state(connection, "other")[0] == "loaded"
        assert state(connection, "large") == ("does not fit", 0)
        assert len(warned) == 1, warned
        assert_whole(connection, "other")
        assert_whole(connection, "large")


def test_memory_that_is_in_use_is_given_back_when_its_user_is_gone(server):
    """A cursor is open on an index that becomes unfit; it is loaded again when that is closed."""
    server.psql(make("t", 3_000))
    with connect(server) as reader:
        with reader.transaction():
            reader.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            reader.execute(f"DECLARE c CURSOR FOR {search('t', 1_000_000)}")
            first = reader.execute("FETCH 10 FROM c").fetchall()
            with connect(server) as builder, connect(server) as writer:
                with builder.transaction():
                    builder.execute(make("filler", 8_000))
                    count = 3_000
                    while state(writer, "t")[0] == "loaded":
                        writer.execute(f"INSERT INTO t {rows(count + 1, count + 100)}")
                        count += 100
                    raise psycopg.Rollback
                writer.execute("VACUUM t")
                assert state(writer, "t")[0] == "does not fit"
                assert state(writer, "t")[1] > 0
            rest = reader.execute("FETCH ALL FROM c").fetchall()
            assert len(set(first + rest)) == len(first + rest) == 3_000
        loaded_again(reader, "t")
        assert_whole(reader, "t")


def test_an_index_that_hardly_fits_is_not_loaded_for_each_row(server):
    server.psql(make("t", 3_000))
    with connect(server) as connection:
        warned = []
        connection.add_notice_handler(lambda notice: warned.append(notice.message_primary))
        count = 3_000
        while count < 20_000:
            connection.execute(f"INSERT INTO t {rows(count + 1, count + 250)}")
            count += 250
        assert len(warned) == 1 + server.log.read_text().count("shared memory again")
        assert len(warned) < 5
        assert state(connection, "t")[0] == "does not fit"
        assert_whole(connection, "t")


def test_a_partial_index_over_few_rows_of_a_large_table_is_built(server):
    server.psql(f"CREATE TABLE large AS {rows(1, 20_000)}; VACUUM ANALYZE large")
    server.psql("CREATE INDEX large_i ON large USING chrono (v vector_l2_ops) WHERE id <= 100")
    with connect(server) as connection:
        assert state(connection, "large")[0] == "loaded"
        assert connection.execute("SELECT rows FROM chrono_stats('large_i')").fetchone() == (100,)


VECTORS = [
    "array_fill(i % 100, ARRAY[384])",
    "CASE WHEN i % 100 = 0 THEN array_fill(i, ARRAY[384]) END",
]


@pytest.mark.parametrize("analyze", ["", "ANALYZE few"])
@pytest.mark.parametrize("vector", VECTORS)
def test_a_table_of_few_vectors_is_built(server, vector, analyze):
    server.psql(
        f"""CREATE TABLE few AS SELECT i AS id, ({vector})::real[]::vector(384) AS v
            FROM generate_series(1, 20000) AS i;
        {analyze}; {index('few')}"""
    )
    with connect(server) as connection:
        assert state(connection, "few")[0] == "loaded"


@pytest.mark.parametrize("analyze", ["", "ANALYZE large"])
def test_a_build_that_does_not_fit_says_so_and_leaves_others_as_they_are(server, analyze):
    server.psql(make("t", 2_000))
    server.psql(f"CREATE TABLE large AS {rows(1, 16_000)}; {analyze}")
    with connect(server) as connection:
        with pytest.raises(psycopg.errors.OutOfMemory) as failure:
            connection.execute(index("large"))
        diagnostics = failure.value.diag
        assert "does not fit" in diagnostics.message_primary
        assert "MB were free" in diagnostics.message_detail
        assert "chronomind.shared_memory_size" in diagnostics.message_hint
        connection.execute(f"INSERT INTO t {rows(2_001, 4_000)}")
        assert state(connection, "t")[0] == "loaded"
        assert_whole(connection, "t")


REBUILDS = ["REINDEX INDEX large_i", "REINDEX TABLE large", "VACUUM FULL large"]


@pytest.mark.parametrize("rebuild", REBUILDS)
def test_an_index_of_more_than_half_of_the_memory_is_rebuilt(server, rebuild):
    server.psql(make("large", 8_000))
    with connect(server) as connection:
        connection.execute(rebuild)
        assert state(connection, "large")[0] == "loaded"
        assert_whole(connection, "large")


def test_an_index_whose_rebuilding_is_rolled_back_is_loaded_again(server):
    server.psql(make("large", 8_000))
    with connect(server) as connection:
        with connection.transaction():
            connection.execute("REINDEX INDEX large_i")
            connection.execute("DELETE FROM large")
            raise psycopg.Rollback
        assert by_index(connection, search("large")) == [(7,)]
        assert state(connection, "large")[0] == "loaded"
        assert_whole(connection, "large")


def test_a_server_says_at_its_start_what_it_takes_and_why(server):
    taken = "chronomind reserves {} MB of shared memory for indexes: "
    assert taken.format(MEGABYTES) + "as chronomind.shared_memory_size says" in server.log.read_text()
    server.settings["chronomind.shared_memory_size"] = "0"
    server.restart()
    assert "MB of shared memory for indexes: a quarter of the" in server.log.read_text()


def test_an_index_that_a_transaction_fills_and_empties_takes_no_more_memory_each_time(server):
    server.psql(make("t", 10))
    server.psql(
        f"""DO $$ BEGIN FOR round IN 1..20 LOOP
            INSERT INTO t {rows(1, 1_000)}; TRUNCATE t;
        END LOOP; END $$"""
    )
    assert "does not fit" not in server.log.read_text()
    with connect(server) as connection:
        connection.execute(f"INSERT INTO t {rows(1, 1_000)}")
        assert state(connection, "t")[0] == "loaded"
        assert_whole(connection, "t")


def test_a_temporary_index_that_has_filled_memory_is_emptied_at_commit(server):
    server.psql(make("filler", 9_000))
    with connect(server) as connection:
        warned = []
        connection.add_notice_handler(lambda notice: warned.append(notice.message_primary))
        connection.execute("CREATE TEMP TABLE t (id int, v vector(384)) ON COMMIT DELETE ROWS")
        connection.execute(index("t"))
        for _ in range(2):
            with connection.transaction():
                connection.execute(f"INSERT INTO t {rows(1, 5_000)}")
                assert "does not fit" in warned.pop()
            with connection.transaction():
                connection.execute(f"INSERT INTO t {rows(1, 500)}")
                assert not warned
                assert state(connection, "t")[0] == "loaded"


def test_an_index_is_rebuilt_in_the_memory_that_the_same_transaction_has_used(server):
    server.psql(make("large", 8_000))
    with connect(server) as connection:
        with connection.transaction():
            connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
            assert connection.execute(search("large")).fetchall() == [(7,)]
            connection.execute("REINDEX INDEX large_i")
        assert state(connection, "large")[0] == "loaded"
        assert_whole(connection, "large")


def test_who_asks_for_numbers_keeps_no_memory_from_others(server):
    server.psql(make("gone", 7_000))
    server.psql(make("t", 2_000))
    with connect(server) as monitor, connect(server) as connection, monitor.transaction():
        assert state(monitor, "gone")[0] == "loaded"
        connection.execute("DROP TABLE gone")
        connection.execute(f"INSERT INTO t {rows(3_001, 8_000)}")
        assert state(connection, "t")[0] == "loaded"
    assert "does not fit" not in server.log.read_text()
