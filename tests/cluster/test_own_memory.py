"""What a process takes for itself, beside shared memory, keeps to the settings for that."""

import threading

import pytest
from checks import DIMENSIONS, INDEX, SCHEMA, backend_of, connect, fill

ROWS = 60_000


@pytest.fixture
def items(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        fill(connection, 1, ROWS)
        connection.execute("ANALYZE items")
    return cluster


def own_megabytes(pid):
    """What a process has in memory that no other has."""
    with open(f"/proc/{pid}/status") as status:
        (kilobytes,) = [line.split()[1] for line in status if line.startswith("RssAnon")]
    return int(kilobytes) / 1024


def most_while(connection, statement):
    """The most that the session's process takes for a statement, in megabytes."""
    pid = backend_of(connection)
    connection.execute("SELECT some_vector(1)")
    before = most = own_megabytes(pid)
    worker = threading.Thread(target=connection.execute, args=[statement])
    worker.start()
    while worker.is_alive():
        most = max(most, own_megabytes(pid))
        worker.join(0.001)
    return most - before


def test_builds_and_scans_keep_to_their_memory(items):
    with connect(items) as connection:
        connection.execute("SET maintenance_work_mem = '1MB'; SET max_parallel_maintenance_workers = 1")
        # With enough of it, it takes more.
        assert most_while(connection, INDEX) < 3
        connection.execute("DROP INDEX items_idx")
        connection.execute("SET maintenance_work_mem = '64MB'")
        assert 3 < most_while(connection, INDEX) < 64
    orders = ["v <-> some_vector(-1)", "(v <-> some_vector(-1)) + 0.1 * n"]
    for order in orders:
        with connect(items) as connection:
            connection.execute("SET work_mem = '64kB'; SET enable_seqscan = off; SET enable_sort = off")
            connection.execute("BEGIN")
            # To remember which rows it has given would take more.
            connection.execute(f"DECLARE c CURSOR FOR SELECT id FROM items ORDER BY {order}")
            assert most_while(connection, f"MOVE {ROWS} FROM c") < 1


def test_a_search_keeps_no_rows(cluster):
    """Rows that it has given out are on disk, beyond work_mem, with policies and without."""
    rows, megabytes = 20_000, 40
    cluster.psql(SCHEMA)
    with connect(cluster) as connection:
        connection.execute(f"CREATE TABLE wide (id bigint, v vector({DIMENSIONS}), note text)")
        connection.execute("ALTER TABLE wide ALTER note SET STORAGE plain")
        width = megabytes * 1_000_000 // rows
        connection.execute(f"INSERT INTO wide SELECT i, some_vector(i), repeat('x', {width}) FROM generate_series(1, {rows}) i")
        connection.execute("CREATE INDEX ON wide USING chrono (v vector_l2_ops)")
        connection.execute("CREATE ROLE reader; GRANT SELECT ON wide TO reader; CREATE POLICY all_rows ON wide USING (true)")
        connection.execute("ALTER TABLE wide ENABLE ROW LEVEL SECURITY")
    # With a query, and without one, as a summary of a context searches.
    for role in ["postgres", "reader"]:
        for query in ["some_vector(-1)", "NULL"]:
            search = f"chrono_search(NULL::wide, {query}, {rows}, recency_weight => 0, importance_weight => 0)"
            with connect(cluster) as connection:
                connection.execute(f"SET ROLE {role}; SET work_mem = '64kB'")
                assert most_while(connection, f"CREATE TEMP TABLE counted AS SELECT count(*) AS n FROM {search}") < megabytes / 2
                assert connection.execute("TABLE counted").fetchone() == (rows,)
