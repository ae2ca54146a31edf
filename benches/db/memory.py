"""The memory layer on a corpus, as Markdown: `python3 -m scripts.bench memory`."""

import statistics
import sys
import time
from datetime import datetime, timezone

import numpy as np
import psycopg
from pgvector.psycopg import register_vector

from benches.db import machine
from benches.db.contender import SETTINGS
from benches.db.corpus import load
from scripts import postgres
from scripts.cluster import Cluster
from scripts.host import main, say

TOUCHED = 1_000  # memories a call
ROUNDS = 5
COLUMNS = "id, created_at, content, embedding"


def bench(folder):
    """Measures on the corpus in `folder` and prints."""
    corpus = load(folder)
    with Cluster(postgres.default(), SETTINGS) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            count, dimensions = corpus.vectors.shape
            say(f"loading {count:,} memories of {dimensions} dimensions")
            create_table(connection, corpus)
            print(f"# {corpus.name}: {count:,} x {dimensions}, the memory layer\n")
            print(*machine.describe(connection), sep="\n")
            print("- `python3 -m scripts.bench memory`\n")
            print("| what | rows | seconds |\n|---|---|---|")
            _touch(connection, corpus)
            _decay(connection, count)
            _consolidate(connection, count)


def create_table(connection, corpus):
    """A table of memories with the corpus in it; its index is built when they are there."""
    connection.execute("CREATE EXTENSION chronomind CASCADE")
    register_vector(connection)
    dimensions = corpus.vectors.shape[1]
    connection.execute("SELECT chrono_create_memory('memories', %s)", [dimensions])
    index, definition = connection.execute(
        "SELECT i.indexrelid::regclass::text, pg_get_indexdef(i.indexrelid) FROM pg_index i "
        "JOIN pg_class c ON c.oid = indexrelid JOIN pg_am m ON m.oid = relam "
        "WHERE indrelid = 'memories'::regclass AND amname = 'chrono'"
    ).fetchone()
    connection.execute(f"DROP INDEX {index}")
    copying = connection.cursor().copy(f"COPY memories ({COLUMNS}) FROM STDIN WITH (FORMAT BINARY)")
    with copying as copy:
        copy.set_types(["int8", "timestamptz", "text", "vector"])
        for row in zip(corpus.ids.tolist(), corpus.times.tolist(), corpus.texts, corpus.vectors):
            copy.write_row((row[0], datetime.fromtimestamp(row[1], timezone.utc), *row[2:]))
    connection.execute(definition)
    connection.execute("VACUUM ANALYZE memories")
    connection.execute("CHECKPOINT")


def _touch(connection, corpus):
    random = np.random.default_rng(0)
    seconds = []
    for _ in range(ROUNDS):
        ids = random.choice(corpus.ids, TOUCHED, replace=False).tolist()
        seconds.append(_seconds(connection, "SELECT chrono_touch('memories', %s)", [ids]))
    _row("chrono_touch, median", TOUCHED, statistics.median(seconds))


def _decay(connection, count):
    for sweep in range(1, ROUNDS + 1):
        statement = "SELECT * FROM chrono_decay('memories', batch => 100000)"
        _row(f"chrono_decay, sweep {sweep}", count, _seconds(connection, statement))
        connection.execute("VACUUM memories")


def _consolidate(connection, count):
    """Near duplicates at a similarity of 0.95: all of them, then none."""
    statement = "SELECT count(*) FROM chrono_consolidate('memories', max_merges => 10000)"
    for run in (1, 2):
        _row(f"chrono_consolidate, run {run}", count, _seconds(connection, statement))


def _seconds(connection, statement, parameters=()):
    started = time.perf_counter()
    connection.execute(statement, parameters)
    return time.perf_counter() - started


def _row(name, rows, seconds):
    print(f"| {name} | {rows:,} | {seconds:.3f} |", flush=True)


if __name__ == "__main__":
    main(lambda: bench(sys.argv[1]))
