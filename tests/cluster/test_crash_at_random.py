"""Crashes at random moments, again and again, nearer and nearer to the beginning of a step.

A step is a statement of some kind, beside a writer that goes on. The server, or the backend of the step, is
killed within a window after the step begins, which is halved each time: so what lasts a moment at the
beginning of a long statement is met as well as its end. Then all that was committed is there, nothing
else, and the index can be used. Sometimes the disk has lost all that a power cut may take, or the server
comes back with less memory.

    CHRONOMIND_CRASH_SECONDS=600 CHRONOMIND_CRASH_SEED=7   # longer than the default, with another seed
"""

import contextlib
import itertools
import os
import random
import shutil
import signal
import subprocess
import threading
import time

import psycopg
import pytest
from checks import INDEX, SCHEMA, assert_whole, backend_of, by_scan, connect, fill, server, wait_for_restart

SECONDS = float(os.environ.get("CHRONOMIND_CRASH_SECONDS", 25))
SEED = int(os.environ.get("CHRONOMIND_CRASH_SEED", random.randrange(10**6)))
# A power cut takes what was written since the last checkpoint, so there must be none but the test's.
SETTINGS = {"checkpoint_timeout": "1h", "max_wal_size": "20GB", "autovacuum": "off"}
MEMORY = "chronomind.shared_memory_size"
# The last does not hold the index.
SIZES = ["64MB", "32MB", "1MB"]
# More than the least of these holds.
ROWS = 1500
# Seconds
LONGEST, SHORTEST = 0.2, 0.001

STEPS = {
    "insert": "INSERT INTO items SELECT i, some_vector(i), mod(i, 10) FROM generate_series({id}, {id} + 200) i",
    "touch": "UPDATE items SET n = n + 1 WHERE mod(id, 3) = 0",
    "move": "UPDATE items SET v = some_vector(id + {id}) WHERE mod(id, 4) = 0",
    "delete": "DELETE FROM items WHERE id IN (SELECT id FROM items WHERE id < 1000000000 ORDER BY random() LIMIT 200)",
    "vacuum": "VACUUM items",
    "build": "CREATE INDEX another ON items USING chrono (v vector_l2_ops, n)",
    "concurrent build": "CREATE INDEX CONCURRENTLY another ON items USING chrono (v vector_l2_ops)",
    "rebuild": "REINDEX INDEX items_idx",
    "concurrent rebuild": "REINDEX INDEX CONCURRENTLY items_idx",
    "truncate": "BEGIN; TRUNCATE items; ROLLBACK",
    "rewrite": "VACUUM FULL items",
    "checkpoint": "CHECKPOINT",
    "search": "SET enable_seqscan = off; SELECT id FROM items ORDER BY v <-> some_vector(-9)",
}


class Writer(threading.Thread):
    """Commits rows one by one, and takes others away, until the server is gone."""

    def __init__(self, cluster, first):
        super().__init__()
        self.cluster = cluster
        self.next = first
        self.committed, self.deleted, self.open = set(), set(), set()
        self.stopping = threading.Event()

    def run(self):
        with contextlib.suppress(psycopg.OperationalError), connect(self.cluster) as connection:
            while not self.stopping.is_set():
                id, self.next = self.next, self.next + 1
                self.open = {id}
                connection.execute("INSERT INTO items VALUES (%s, some_vector(%s), 1)", [id, id])
                self.committed.add(id)
                if id % 3 == 0:
                    self.open = {id - 1}
                    connection.execute("DELETE FROM items WHERE id = %s", [id - 1])
                    self.deleted.add(id - 1)
                self.open = set()

    def assert_kept(self, ids):
        """What was committed is there; of the last statement nobody knows."""
        assert ids >= self.committed - self.deleted - self.open
        assert not ids & (self.deleted - self.open)


class Disk:
    """What is on the disk at a checkpoint, to be taken back to after a power cut.

    Writes since then are lost, all but those to the WAL, of which the server makes sure.
    """

    LOST = ["base", "global", "pg_xact", "pg_multixact", "pg_subtrans", "pg_twophase"]

    def __init__(self, cluster):
        self.data, self.copy = cluster.data, cluster.directory / "disk"
        shutil.rmtree(self.copy, ignore_errors=True)
        self.copy.mkdir()
        with connect(cluster) as connection:
            connection.execute("CHECKPOINT")
        self._copy(self.data, self.copy)

    def lose_writes(self):
        """To be called while the server is down."""
        for name in self.LOST:
            shutil.rmtree(self.data / name)
        self._copy(self.copy, self.data)

    def _copy(self, source, target):
        # Files go while they are copied, as the server removes them.
        paths = [str(source / name) for name in self.LOST]
        subprocess.run(["cp", "-a", *paths, str(target)], check=False, stderr=subprocess.DEVNULL)


@pytest.fixture
def items(pg):
    """A server with the table `items` and its index."""
    with server(pg, **SETTINGS, **{MEMORY: SIZES[0]}) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(SCHEMA)
        with connect(cluster) as connection:
            fill(connection, 1, ROWS)
            connection.execute(INDEX)
        yield cluster


def tidy(connection):
    """Ends what a crash leaves of statements that are no transaction, and keeps the table small."""
    others = """SELECT indexrelid::regclass::text, indisvalid FROM pg_index
        WHERE indrelid = 'items'::regclass AND NOT indisprimary AND indexrelid <> 'items_idx'::regclass"""
    for name, is_valid in connection.execute(others).fetchall():
        if is_valid:
            connection.execute("SELECT chrono_check(%s)", [name])
        connection.execute(f"DROP INDEX {name}")
    ((surplus,),) = connection.execute(f"SELECT greatest(0, count(*) - {ROWS}) FROM items").fetchall()
    connection.execute(f"DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY random() LIMIT {surplus})")


def crash_within(cluster, window, statement, writer, generator):
    """Kills the server, or one of its backends, within so many seconds after a statement begins."""
    disk = Disk(cluster) if generator.random() < 0.3 else None
    begun, over = threading.Event(), threading.Event()

    def step():
        connection = connect(cluster)
        victims.append(backend_of(connection))
        begun.set()
        # The crash, or too little memory to build an index
        with contextlib.suppress(psycopg.OperationalError):
            for part in statement.split("; "):
                connection.execute(part)
        over.wait()
        connection.close()

    victims = []
    stepper = threading.Thread(target=step)
    with connect(cluster) as observer:
        writer.start()
        stepper.start()
        begun.wait()
        time.sleep(generator.uniform(0, window))
        if disk is None and generator.random() < 0.5:
            os.kill(victims[0], signal.SIGKILL)
            wait_for_restart(cluster, observer)
        else:
            cluster.crash()
    over.set()
    for thread in (stepper, writer):
        thread.join(timeout=60)
        assert not thread.is_alive()
    if not cluster.is_running:
        if disk is not None:
            disk.lose_writes()
        cluster.settings[MEMORY] = generator.choice(SIZES)
        cluster.start()


def test_crashes_at_random_moments_lose_nothing(items):
    print(f"CHRONOMIND_CRASH_SEED={SEED}")
    generator = random.Random(SEED)
    end = time.monotonic() + SECONDS
    ids = itertools.count(10_000, 1000)
    windows = dict.fromkeys(STEPS, LONGEST)
    while time.monotonic() < end:
        name = generator.choice(list(STEPS))
        window = windows[name]
        windows[name] = window / 2 if window > SHORTEST else LONGEST
        writer = Writer(items, 10**9 + next(ids))
        crash_within(items, window, STEPS[name].format(id=next(ids)), writer, generator)
        print(f"{name}, within {window:.4f} s, {len(writer.committed)} rows, {items.settings[MEMORY]}")
        with connect(items) as connection:
            writer.assert_kept({id for id, _ in by_scan(connection, f"id >= {10**9}")})
            tidy(connection)
            assert_whole(connection)
            first = next(ids)
            fill(connection, first, first + 29)
            connection.execute("VACUUM items")
            assert_whole(connection)
