"""All that can happen to a table and its indexes at once, autovacuum included; in the end they are one."""

import collections
import contextlib
import random
import time

import psycopg
import pytest
from checks import INDEX, SCHEMA, Load, assert_whole, connect, fill, server, wait_until

SECONDS = 20
ROWS = 2000
# What two who work at once may do to each other, and what others may have dropped in the meantime.
EXPECTED = (
    psycopg.errors.DeadlockDetected,
    psycopg.errors.LockNotAvailable,
    psycopg.errors.UndefinedTable,
    psycopg.errors.UndefinedObject,
    psycopg.errors.ObjectNotInPrerequisiteState,
    psycopg.errors.WrongObjectType,
)


@pytest.fixture
def items(pg):
    """The table `items`, of which no row is lost by TRUNCATE; and another, `fleeting`, of which all are."""
    busy = {
        "autovacuum_naptime": "1s",
        "autovacuum_vacuum_cost_delay": "0",
        "deadlock_timeout": "100ms",
        "max_prepared_transactions": "20",
    }
    with server(pg, **busy) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        for table in ("items", "fleeting"):
            eager = "autovacuum_vacuum_threshold = 50, autovacuum_vacuum_scale_factor = 0.01"
            if table == "fleeting":
                cluster.psql("CREATE TABLE fleeting (LIKE items INCLUDING ALL)")
                cluster.psql(INDEX.replace("items", "fleeting"))
            cluster.psql(f"ALTER TABLE {table} SET ({eager})")
        with connect(cluster) as connection:
            fill(connection, 1, ROWS)
            connection.execute(INDEX)
        yield cluster


def ids(worker, number):
    """Three new ids that no other worker has."""
    first = 1_000_000 * (worker + 1) + number * 3
    return first, first + 2


INSERT = (
    "INSERT INTO items SELECT i, some_vector(CASE WHEN mod(i, 5) = 0 THEN mod(i, 1000) ELSE i END), mod(i, 10) "
    "FROM generate_series(%s::bigint, %s) i"
)


def inserter(connection, number):
    connection.execute(INSERT, ids(0, number))


def aborter(connection, number):
    """Inserts, changes and deletes; and takes all of it back."""
    with connection.transaction(force_rollback=True):
        connection.execute(INSERT, ids(1, number))
        connection.execute("UPDATE items SET v = some_vector(id + 7) WHERE id = %s", [number % ROWS])
        connection.execute("DELETE FROM items WHERE id = %s", [(number * 7) % ROWS])


def nester(connection, number):
    """Subtransactions in subtransactions, of which some are taken back, and some fail."""
    with connection.transaction():
        for depth in range(6):
            with contextlib.suppress(ZeroDivisionError), connection.transaction(force_rollback=depth % 3 == 1):
                first, _ = ids(2, number * 6 + depth)
                connection.execute(INSERT, [first, first])
                with connection.transaction():
                    connection.execute("UPDATE items SET n = n + 1 WHERE id = %s", [first])
                    if depth % 3 == 2:
                        raise ZeroDivisionError


def preparer(connection, number):
    """Transactions that outlive their sessions' interest in them, and end either way."""
    name = f"prepared {number}"
    with connect_like(connection) as other:
        other.execute("BEGIN")
        other.execute(INSERT, ids(3, number))
        other.execute("UPDATE items SET n = n + 1 WHERE id = %s", [ROWS + 1 + number % 50])
        other.execute("DELETE FROM items WHERE id = %s", [3_000_000 + (number - 5) * 3])
        other.execute(f"PREPARE TRANSACTION '{name}'")
    time.sleep(random.choice([0, 0.05, 0.2]))
    connection.execute(f"{random.choice(['COMMIT', 'ROLLBACK'])} PREPARED '{name}'")


def connect_like(connection):
    return psycopg.connect(connection.info.dsn, autocommit=True)


def changer(connection, number):
    """Vectors and attributes; and rows that leave the vector alone."""
    id = random.randrange(ROWS) + 1
    connection.execute("UPDATE items SET v = some_vector(%s) WHERE id = %s", [id + number, id])
    connection.execute("UPDATE items SET n = n + 1, at = now() WHERE mod(id, 97) = %s", [number % 97])


def deleter(connection, number):
    nearest = "SELECT id FROM items WHERE id > 1000000 ORDER BY v <-> some_vector(%s) LIMIT 8"
    connection.execute(f"DELETE FROM items WHERE id IN ({nearest})", [number])


def reader(connection, number):
    """A query by any order gives what its own snapshot has."""
    query = f"some_vector({number % 50})"
    order = [f"v <-> {query}", f"(v <-> {query}) + 0.1 * n", f"-(v <-> {query})"][number % 3]
    with connection.transaction():
        connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ")
        rows = connection.execute("SELECT id, n FROM items").fetchall()
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        connection.execute(f"DECLARE c CURSOR FOR SELECT id, n FROM items ORDER BY {order}")
        found = connection.execute("FETCH 10 FROM c").fetchall()
        time.sleep(0.1)
        found += connection.execute("FETCH ALL FROM c").fetchall()
    assert sorted(found) == sorted(rows)


def nearest_reader(connection, number):
    where = ["true", "mod(id, 2) = 0"][number % 2]
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        found = connection.execute(
            f"SELECT id FROM items WHERE {where} ORDER BY v <-> some_vector(%s) LIMIT 20", [number]
        ).fetchall()
    assert len(set(found)) == len(found) == 20


def vacuum(connection, number):
    options = ["", "(FREEZE, INDEX_CLEANUP on)", "(ANALYZE)", "(PARALLEL 2)"]
    connection.execute(f"VACUUM {options[number % 4]} items")


def build(connection, number):
    """An index that comes and goes, while others use it. One that was the victim of a deadlock is there still."""
    connection.execute("DROP INDEX CONCURRENTLY IF EXISTS other_idx")
    connection.execute(INDEX.replace("INDEX items_idx", "INDEX CONCURRENTLY other_idx"))
    connection.execute("SELECT chrono_check('other_idx')")
    if number % 2:
        connection.execute("DROP INDEX other_idx")


def rebuild(connection, _):
    connection.execute("REINDEX INDEX CONCURRENTLY items_idx")


def maintainer(connection, number):
    """One after another: of two such commands, each waits for the other to end."""
    [vacuum, build, rebuild][number % 3](connection, number // 3)
    time.sleep(0.2)


def truncater(connection, number):
    """Another table that is emptied, filled, dropped and made again; also in vain."""
    with connection.transaction(force_rollback=number % 3 == 0):
        connection.execute("TRUNCATE fleeting")
        connection.execute("INSERT INTO fleeting SELECT * FROM items WHERE id < 200")
        if number % 4 == 0:
            connection.execute("DROP TABLE fleeting; CREATE TABLE fleeting (LIKE items INCLUDING ALL)")
            connection.execute(INDEX.replace("items", "fleeting"))
            connection.execute("INSERT INTO fleeting SELECT * FROM items WHERE id < 100")
    time.sleep(0.2)


def vain_truncater(connection, number):
    """The table of all the others is emptied, and never was."""
    with connection.transaction(force_rollback=True):
        # Others need not wait behind it for those that it waits for.
        connection.execute("SET LOCAL lock_timeout = '90ms'")
        connection.execute("TRUNCATE items")
        connection.execute(INSERT, [1, 20])
    time.sleep(0.2)


def fleeting_writer(connection, number):
    connection.execute(
        "INSERT INTO fleeting SELECT i, some_vector(i), 1 FROM generate_series(%s::bigint, %s) i",
        [1000 + number * 3, 1002 + number * 3],
    )
    time.sleep(0.01)
    connection.execute("DELETE FROM fleeting WHERE mod(id, 5) = %s", [number % 5])


def observer(connection, number):
    connection.execute("SELECT * FROM chrono_indexes()")
    connection.execute("SELECT chrono_check('items_idx')")


def tolerant(step, done):
    """The same, where what others have done in the meantime is no failure. Counts in `done` what was none."""

    def tried(connection, number):
        try:
            with contextlib.suppress(*EXPECTED):
                step(connection, number)
                done[step.__name__] += 1
        except psycopg.errors.InternalError_ as error:
            # CREATE INDEX CONCURRENTLY lets others have the table a moment before its last commit.
            if "tuple concurrently updated" not in str(error):
                raise

    return tried


def test_all_at_once(items):
    writers = [inserter, aborter, nester, preparer, changer, deleter]
    readers = [reader, nearest_reader, observer]
    owners = [maintainer, truncater, vain_truncater, fleeting_writer]
    steps = [*writers, *readers, *owners]
    done = collections.Counter()
    with Load(items, *[tolerant(step, done) for step in steps]) as load:
        time.sleep(SECONDS)
        load.go_on_until(lambda: done.keys() == {step.__name__ for step in steps})
    with connect(items) as connection:
        assert connection.execute("SELECT count(*) FROM pg_prepared_xacts").fetchone() == (0,)
        connection.execute("SELECT chrono_check(index) FROM chrono_indexes() WHERE is_valid")
        connection.execute("DROP INDEX IF EXISTS other_idx")
        assert_whole(connection)
        # Now that nobody is in its way, autovacuum has its turn.
        connection.execute("DELETE FROM items WHERE mod(id, 3) = 0")
        vacuums = "SELECT autovacuum_count FROM pg_stat_user_tables WHERE relname = 'items'"
        wait_until(lambda: connection.execute(vacuums).fetchone()[0] > 0)
        before = assert_whole(connection)
    items.crash()
    items.start()
    with connect(items) as connection:
        assert assert_whole(connection) == before
        connection.execute("SELECT chrono_check(index) FROM chrono_indexes() WHERE is_valid")
