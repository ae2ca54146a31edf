"""A million uses of memories, as Markdown: does the index grow? `python3 -m scripts.bench touches`.

A touch changes importance and times, not the vector, so it is a row version that the index must know
and forget again. Autovacuum is off; a VACUUM comes as often as its default settings would have it.
"""

import sys
import time

import numpy as np
import psycopg

from benches.db import machine
from benches.db.contender import SETTINGS
from benches.db.corpus import load
from benches.db.memory import create_table
from scripts import postgres
from scripts.cluster import Cluster
from scripts.host import main, say

TOUCHES = 1_000_000
CALL = 1_000  # touches a call
VACUUM_SHARE = 0.2  # of the rows, dead, at which autovacuum begins by default
REPORT = 100_000  # touches between two lines


def bench(folder):
    """Touches the memories of the corpus in `folder` and prints sizes."""
    corpus = load(folder)
    with Cluster(postgres.default(), SETTINGS) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            count, dimensions = corpus.vectors.shape
            say(f"loading {count:,} memories of {dimensions} dimensions")
            create_table(connection, corpus)
            print(f"# {corpus.name}: {count:,} x {dimensions}, {TOUCHES:,} touches\n")
            print(*machine.describe(connection), sep="\n")
            print(f"- `python3 -m scripts.bench touches`: {CALL:,} memories a call of `chrono_touch`, half of")
            print("  them of the tenth that is used most; VACUUM when a fifth of the rows are dead\n")
            print("| touches | index on disk | in memory | table | seconds, VACUUM included |")
            print("|---|---|---|---|---|")
            disk, memory, _ = _touch(connection, corpus)
            print(f"\nAt most {disk:.3f} times what it was on disk, {memory:.3f} times in memory.")


def _touch(connection, corpus):
    """Touches and vacuums; returns the largest [sizes](_sizes) as multiples of the first."""
    random = np.random.default_rng(0)
    used_most = random.choice(corpus.ids, len(corpus.ids) // 10, replace=False)
    index = connection.execute("SELECT index::text FROM chrono_indexes()").fetchone()[0]
    first = _sizes(connection, index)
    largest = np.array(first)
    _row(0, first, 0)
    started = time.perf_counter()
    dead = 0
    for done in range(CALL, TOUCHES + 1, CALL):
        some = random.choice(used_most, CALL // 2, replace=False)
        rest = np.setdiff1d(corpus.ids, some)
        ids = np.concatenate([some, random.choice(rest, CALL - len(some), replace=False)])
        (touched,) = connection.execute("SELECT chrono_touch('memories', %s)", [ids.tolist()]).fetchone()
        assert touched == CALL
        dead += CALL
        if dead > VACUUM_SHARE * len(corpus.ids):
            largest = np.maximum(largest, _sizes(connection, index))
            connection.execute("VACUUM memories")
            dead = 0
        if done % REPORT == 0:
            _row(done, _sizes(connection, index), time.perf_counter() - started)
            connection.execute("SELECT chrono_check(%s)", [index])
    return largest / first


def _sizes(connection, index):
    """Bytes of the index on disk and in memory, and of the table."""
    return connection.execute(
        "SELECT disk_bytes, memory_bytes, pg_table_size('memories') FROM chrono_stats(%s)", [index]
    ).fetchone()


def _row(touches, sizes, seconds):
    megabytes = " | ".join(f"{size / 2**20:.1f} MB" for size in sizes)
    print(f"| {touches:,} | {megabytes} | {seconds:.0f} |", flush=True)


if __name__ == "__main__":
    main(lambda: bench(sys.argv[1]))
