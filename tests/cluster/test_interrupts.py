"""Interrupts while threads link a graph: they write to shared memory, so they must be gone first."""

import threading
import time

import pytest

DIMENSIONS = 64
ROWS = 12_000


@pytest.fixture
def server(cluster):
    cluster.psql(
        f"""
        CREATE TABLE t (id int, v vector({DIMENSIONS}));
        INSERT INTO t SELECT i, (SELECT array_agg(random())
            FROM generate_series(1, {DIMENSIONS}) WHERE i = i)::vector
        FROM generate_series(1, {ROWS}) i;
        ANALYZE t;
        """
    )
    return cluster


class Build(threading.Thread):
    """CREATE INDEX in a session of its own."""

    def __init__(self, server):
        super().__init__()
        self.server = server
        self.output = None

    def run(self):
        self.output = self.server.session(
            "CREATE INDEX v ON t USING chrono (v vector_l2_ops) WITH (ef_construction = 200)"
        )

    def while_linking(self, call):
        """Calls a function of the backend's pid each time that it is seen linking nodes."""
        linking = """SELECT pid FROM pg_stat_progress_create_index
            WHERE relid = 't'::regclass AND phase LIKE '%linking nodes%'"""
        met = 0
        self.start()
        while self.is_alive():
            for (pid,) in self.server.query(linking):
                self.server.query(f"SELECT {call}({pid})")
                met += 1
            time.sleep(0.02)
        self.join()
        assert met > 0, self.output


def test_no_thread_outlives_the_memory_of_a_terminated_build(server):
    for _ in range(8):
        build = Build(server)
        build.while_linking("pg_terminate_backend")
        assert "terminating connection" in build.output
    assert "panicked" not in server.log.read_text()


def test_a_build_goes_on_after_an_interrupt_that_ends_nothing(server):
    build = Build(server)
    build.while_linking("pg_log_backend_memory_contexts")
    assert "ERROR" not in build.output
    found = server.value(
        """
        SET enable_seqscan = off;
        SELECT count(*) FROM t, LATERAL (
            SELECT id FROM t AS near ORDER BY near.v <-> t.v LIMIT 1) AS nearest
        WHERE t.id % 100 = 0 AND nearest.id = t.id
        """
    )
    # The graph is approximate; a build that stopped would lack rows by the thousand.
    assert int(found) >= 0.98 * ROWS / 100
