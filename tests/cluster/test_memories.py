"""The memory layer under several sessions at once: nobody waits for a sweep, and nothing is lost."""

import random
import subprocess
import threading
import time

import psycopg
import pytest
from checks import Load, connect, wait_until

MEMORIES = 200
SECONDS = 4


@pytest.fixture
def memories(cluster):
    cluster.psql("SELECT chrono_create_memory('memories', 4)")
    cluster.psql(
        "INSERT INTO memories (content, embedding, importance_at) "
        "SELECT 'memory ' || i, ARRAY[sin(i), cos(i), sin(2 * i), 1]::vector, now() - interval '1 day' "
        f"FROM generate_series(1, {MEMORIES}) i"
    )
    return cluster


def test_a_sweep_waits_for_nobody_and_nobody_for_it(memories):
    with connect(memories) as writer, connect(memories) as sweeper, connect(memories) as reader:
        for connection in (sweeper, reader):
            connection.execute("SET statement_timeout = '20s'")
        with writer.transaction():
            writer.execute("SELECT chrono_touch('memories', ARRAY[7])")
            with sweeper.transaction():
                swept = sweeper.execute("SELECT decayed, forgotten FROM chrono_decay('memories')")
                assert swept.fetchone() == (MEMORIES - 1, 0)
                found = reader.execute(
                    "SELECT max((memory).importance) FROM chrono_search(NULL::memories, '[1,1,1,1]', 50)"
                )
                assert found.fetchone() == (0.5,)
        # Touched at a moment before the sweep's: what is left of it is the next sweep's.
        later = sweeper.execute("SELECT count(*) FROM memories WHERE access_count = 1").fetchone()
        assert later == (1,)
        sweeper.execute("SELECT chrono_decay('memories')")
        left = sweeper.execute("SELECT count(*) FROM memories WHERE importance = 0.5").fetchone()
        assert left == (0,)


def test_no_more_links_than_allowed(memories):
    refused = []

    def link(worker):
        with connect(memories) as connection:
            for target in range(2 + worker, MEMORIES, 4):
                try:
                    connection.execute("SELECT chrono_link('memories', 1, %s)", [target])
                except psycopg.errors.ProgramLimitExceeded:
                    refused.append(target)

    workers = [threading.Thread(target=link, args=[worker]) for worker in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert memories.value("SELECT count(*) FROM memories_links") == "50"
    assert len(refused) == MEMORIES - 2 - 50


def test_a_link_locks_its_ends_in_the_order_of_touches(memories):
    """Whatever its direction: so that links and touches of the same memories do not wait in a circle."""
    with connect(memories) as holder, connect(memories) as linker, connect(memories) as other:
        for source, target in [(5, 2), (2, 5)]:
            with holder.transaction(force_rollback=True):
                holder.execute("DELETE FROM memories WHERE id = 2")
                link = threading.Thread(
                    target=linker.execute, args=["SELECT chrono_link('memories', %s, %s)", [source, target]]
                )
                link.start()
                waits = "SELECT wait_event_type = 'Lock' FROM pg_stat_activity WHERE pid = %s"
                wait_until(lambda: other.execute(waits, [linker.info.backend_pid]).fetchone()[0])
                other.execute("SELECT FROM memories WHERE id = 5 FOR UPDATE NOWAIT")
            link.join()
    assert memories.value("SELECT count(*) FROM memories_links") == "2"


def test_touches_decay_and_forgetting_together(memories):
    touched = [0, 0]

    def toucher(worker):
        def step(connection, number):
            ids = random.sample(range(1, MEMORIES + 1), 20)
            with connection.transaction(force_rollback=number % 5 == 0):
                row = connection.execute("SELECT chrono_touch('memories', %s)", [ids]).fetchone()
            if number % 5:
                touched[worker] += row[0]

        return step

    def sweeper(connection, number):
        connection.execute("SELECT chrono_decay('memories', 50, forget_below => 1e-6)")

    def walker(connection, number):
        source, target = random.sample(range(1, MEMORIES + 1), 2)
        connection.execute("SELECT chrono_link('memories', %s, %s, max_links => 1000)", [source, target])
        connection.execute("SELECT count(*) FROM chrono_related('memories', %s, 3)", [source])

    with Load(memories, toucher(0), toucher(1), sweeper, walker):
        time.sleep(SECONDS)
    assert memories.value("SELECT sum(access_count) FROM memories") == str(sum(touched))
    memories.psql("VACUUM memories")
    memories.psql(
        "SELECT chrono_check(indexrelid) FROM pg_index JOIN pg_class c ON c.oid = indexrelid "
        "JOIN pg_am a ON a.oid = relam WHERE indrelid = 'memories'::regclass AND amname = 'chrono'"
    )


def test_a_dump_has_all_of_it(memories):
    """What was merged before a dump is undone after it is restored."""
    long = "m" * 62
    memories.psql(
        f"SELECT chrono_create_memory('{long}', 4);"
        f"INSERT INTO {long} (content, embedding) SELECT content, embedding FROM memories WHERE id < 5 ORDER BY id;"
        f"SELECT chrono_link('{long}', 1, 2);"
        f"INSERT INTO {long} (content, embedding, importance) SELECT content, embedding, 0.9 FROM memories WHERE id = 2;"
    )
    with connect(memories) as connection:
        merges = connection.execute(f"SELECT survivor, absorbed FROM chrono_consolidate('{long}')")
        assert merges.fetchall() == [("5", "2")]
    dump = subprocess.run(
        [memories.pg.bin / "pg_dump", memories.dsn()], check=True, capture_output=True, text=True
    )
    memories.psql("CREATE DATABASE restored")
    memories.psql(dump.stdout, "restored")
    with connect(memories, "restored") as connection:
        for query, expected in {
            f"SELECT chrono_unconsolidate('{long}', ARRAY[2])": (1,),
            f"SELECT count(*) FROM chrono_related('{long}', 1) WHERE id = 2": (1,),
            f"SELECT count(*) FROM chrono_search(NULL::{long}, '[1,1,1,1]', 20)": (5,),
        }.items():
            assert connection.execute(query).fetchone() == expected, query
