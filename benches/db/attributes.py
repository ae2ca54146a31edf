"""Memories with more columns than a time: importance, a decay rate, a kind, a number to filter by."""

from dataclasses import dataclass
from datetime import datetime, timezone

import numpy as np
from pgvector.psycopg import register_vector

from benches.db.contender import EF_CONSTRUCTION, Contender, M

CHRONO = Contender(
    "chronomind",
    "memories",
    "chrono (embedding vector_cosine_ops, created_at, importance, decay_rate, kind, draw)",
    "chronomind.ef_search",
)
HNSW = Contender(
    "pgvector hnsw", "memories_hnsw", "hnsw (embedding vector_cosine_ops)", "hnsw.ef_search"
)
COLUMNS = (
    "id integer PRIMARY KEY, created_at timestamptz NOT NULL, importance float8 NOT NULL, "
    "decay_rate float8 NOT NULL, kind text NOT NULL, draw real NOT NULL"
)
TYPES = ["int4", "timestamptz", "float8", "float8", "text", "float4", "vector"]
KINDS = ("note", "fact", "task")
# Half-lives of the rates, in days.
HALF_LIVES = (3, 300)


@dataclass
class Rows:
    """Columns of all memories, in the order of the corpus."""

    days: np.ndarray  # before the newest
    importance: np.ndarray
    rate: np.ndarray  # per hour
    kinds: np.ndarray
    draw: np.ndarray  # uniform, float32

    @property
    def decision(self):
        """Whether a row has the rare kind."""
        return self.kinds == "decision"


def draw(corpus):
    """Attributes for the memories of a corpus, the same each time."""
    random = np.random.default_rng(1)
    count = len(corpus.ids)
    half_lives = np.exp(random.uniform(*np.log(HALF_LIVES), count))
    kinds = random.choice(KINDS, count).astype("U8")
    kinds[random.random(count) < 0.01] = "decision"
    return Rows(
        days=(corpus.now - corpus.times) / 86400,
        importance=random.uniform(size=count),
        rate=np.log(2) / (24 * half_lives),
        kinds=kinds,
        draw=random.uniform(size=count).astype(np.float32),
    )


def create_tables(connection, corpus, rows):
    """One table for each contender, both with all rows in the same order."""
    connection.execute("CREATE EXTENSION chronomind CASCADE")
    register_vector(connection)
    dimensions = corpus.vectors.shape[1]
    for contender in (CHRONO, HNSW):
        table = contender.table
        connection.execute(f"CREATE TABLE {table} ({COLUMNS}, embedding vector({dimensions}))")
        copying = connection.cursor().copy(f"COPY {table} FROM STDIN WITH (FORMAT BINARY)")
        with copying as copy:
            copy.set_types(TYPES)
            for i, vector in enumerate(corpus.vectors):
                copy.write_row(
                    (
                        int(corpus.ids[i]),
                        datetime.fromtimestamp(int(corpus.times[i]), timezone.utc),
                        float(rows.importance[i]),
                        float(rows.rate[i]),
                        str(rows.kinds[i]),
                        float(rows.draw[i]),
                        vector,
                    )
                )
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    connection.execute("CHECKPOINT")


def describe():
    """What the indexes are, for the record."""
    return f"`{CHRONO.method}`, `{HNSW.method}`, m = {M}, ef_construction = {EF_CONSTRUCTION}"
