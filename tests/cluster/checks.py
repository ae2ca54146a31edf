"""What the tests of servers share: a table of memories, and the question whether an index is whole."""

import contextlib
import threading
import time

import numpy
import psycopg

from scripts.cluster import Cluster

DIMENSIONS = 16

TABLE = f"""
CREATE TABLE IF NOT EXISTS items (id bigint PRIMARY KEY, v vector({DIMENSIONS}), n int, at timestamptz DEFAULT now());
"""
# `some_vector` is a function of its seed, so that every test can make rows on the server.
SCHEMA = f"""
CREATE FUNCTION some_vector(seed bigint) RETURNS vector IMMUTABLE PARALLEL SAFE LANGUAGE sql AS $$
    SELECT array_agg(x - floor(x) - 0.5 ORDER BY j)::vector
    FROM generate_series(1, {DIMENSIONS}) j, LATERAL (SELECT sin(seed * 12.9898 + j * 78.233) * 43758.5453 AS x) y
$$;
{TABLE}
"""
INDEX = "CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops, n, at)"
FILL = "INSERT INTO items SELECT i, some_vector(i), mod(i, 10) FROM generate_series(%s::bigint, %s) i"


def server(pg, **settings):
    """A server for a test. It survives crashes of its own, which need no disk to be waited for."""
    return Cluster(pg, settings={"fsync": "off", **settings})


def connect(cluster, database="postgres"):
    """A connection that commits each statement."""
    return psycopg.connect(cluster.dsn(database), autocommit=True)


def insist(connection, statement):
    """Runs a statement again until it was not ended: that which sets a timeout runs under the one before."""
    while True:
        try:
            return connection.execute(statement)
        except psycopg.errors.QueryCanceled:
            continue


def fill(connection, first, last):
    """Inserts the rows `first` to `last`."""
    connection.execute(FILL, [first, last])


def by_index(connection, query, where="true", limit=None):
    """Ids and vectors in the order of the distance, through the index and nothing else."""
    statement = f"SELECT id, v FROM items WHERE {where} ORDER BY v <-> '{query}'"
    if limit is not None:
        statement += f" LIMIT {limit}"
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off")
        plan = connection.execute(f"EXPLAIN {statement}").fetchall()
        assert "Index Scan using items_idx" in str(plan), plan
        return connection.execute(statement).fetchall()


def by_scan(connection, where="true"):
    """Ids and vectors without any index."""
    with connection.transaction():
        connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_bitmapscan = off")
        return connection.execute(f"SELECT id, v FROM items WHERE {where}").fetchall()


def assert_whole(connection, where="true", least_recall=0.95):
    """The index is what its table and pages say, and gives each row of the table once, with its own
    vector, the nearest ones first.

    Returns the ids.
    """
    connection.execute("SELECT chrono_check('items_idx')")
    heap = by_scan(connection, where)
    for seed in (-1, -2):
        query = connection.execute("SELECT some_vector(%s)", [seed]).fetchone()[0]
        found = by_index(connection, query, where)
        assert len(found) == len({id for id, _ in found}), "a row came twice"
        assert set(found) == set(heap)
    assert recall(connection, heap, where) >= least_recall
    return {id for id, _ in heap}


def recall(connection, heap, where="true", k=10, queries=20):
    """The share of the true `k` nearest that the index gives, over some queries."""
    vectors = {id: as_array(v) for id, v in heap if v is not None}
    if not vectors:
        return 1.0
    matrix = numpy.stack(list(vectors.values()))
    hits = wanted = 0
    for seed in range(-queries, 0):
        text = connection.execute("SELECT some_vector(%s)", [seed]).fetchone()[0]
        query = as_array(text)
        distances = numpy.linalg.norm(matrix - query, axis=1)
        limit = min(k, len(distances))
        radius = numpy.sort(distances)[limit - 1] + 1e-5
        for id, _ in by_index(connection, text, where, limit):
            hits += id in vectors and numpy.linalg.norm(vectors[id] - query) <= radius
        wanted += limit
    return hits / wanted


def as_array(text):
    """A vector as pgvector prints it."""
    return numpy.array(text[1:-1].split(","), dtype=numpy.float32)


class Load:
    """Statements repeated on connections of their own, until told to stop or the server is gone.

    `step(connection, number)` is called with 0, 1, 2, ... A statement that fails ends the load: with
    `server_may_go` in silence, else at the end of the context.
    """

    def __init__(self, cluster, *steps, server_may_go=False):
        self._cluster = cluster
        self._server_may_go = server_may_go
        self._stopping = threading.Event()
        self._errors = []
        self._threads = [threading.Thread(target=self._work, args=[step]) for step in steps]

    def __enter__(self):
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, kind, *_):
        self._stopping.set()
        for thread in self._threads:
            thread.join(timeout=120)
            assert not thread.is_alive(), "a statement does not end"
        if self._errors and kind is None:
            raise self._errors[0]

    def go_on_until(self, condition):
        """Waits until the load has come so far, however busy the machine is, or has failed."""
        wait_until(lambda: self._errors or condition(), seconds=300)

    def _work(self, step):
        try:
            with connect(self._cluster) as connection:
                number = 0
                while not self._stopping.is_set():
                    step(connection, number)
                    number += 1
        except psycopg.OperationalError as error:
            if not self._server_may_go:
                self._errors.append(error)
        except Exception as error:
            self._errors.append(error)


def wait_until(condition, seconds=120):
    """Polls until `condition()` is true."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "waited in vain"
        time.sleep(0.02)


def wait_for_server(cluster):
    """Waits until a server that restarts its processes takes connections again."""

    def answers():
        with contextlib.suppress(psycopg.OperationalError), connect(cluster) as connection:
            connection.execute("SELECT 1")
            return True
        return False

    wait_until(answers)


def wait_for_restart(cluster, observer):
    """Waits until a server has noticed that a process crashed, which ends all connections, and takes new ones."""

    def is_cut():
        try:
            observer.execute("SELECT 1")
        except psycopg.OperationalError:
            return True
        return False

    wait_until(is_cut)
    wait_for_server(cluster)


def backend_of(connection):
    """The process that serves a connection."""
    return connection.info.backend_pid
