"""The two indexes, each on a table of its own with the same rows, and the questions put to them."""

from dataclasses import dataclass
from datetime import datetime, timezone
from math import log

from pgvector.psycopg import register_vector

from benches.db.exact import K

M, EF_CONSTRUCTION = 16, 64

# The same for both. Autovacuum would make the measurements of either noisy at random.
SETTINGS = {
    "autovacuum": "off",
    "jit": "off",
    "maintenance_work_mem": "1GB",
    "max_parallel_maintenance_workers": "2",
    "max_wal_size": "4GB",
    "shared_buffers": "512MB",
}


@dataclass(frozen=True)
class Contender:
    """An index under test."""

    name: str
    table: str
    method: str  # after USING
    ef_search: str  # the setting's name

    def build_statement(self):
        """CREATE INDEX."""
        return (
            f"CREATE INDEX ON {self.table} USING {self.method} "
            f"WITH (m = {M}, ef_construction = {EF_CONSTRUCTION})"
        )

    def nearest_statement(self):
        """The K nearest by similarity; takes `query`."""
        return f"SELECT id FROM {self.table} ORDER BY embedding <=> %(query)b LIMIT {K}"


CHRONO = Contender(
    "chronomind",
    "memories",
    "chrono (embedding vector_cosine_ops, created_at)",
    "chronomind.ef_search",
)
HNSW = Contender(
    "pgvector hnsw", "memories_hnsw", "hnsw (embedding vector_cosine_ops)", "hnsw.ef_search"
)
BOTH = (CHRONO, HNSW)


@dataclass(frozen=True)
class Blend:
    """Similarity and recency in one score: the weight of recency, and when half of it is gone."""

    weight: float
    half_life_days: float

    @property
    def rate(self):
        """Decay per hour."""
        return log(2) / (24 * self.half_life_days)

    def __str__(self):
        similarity = round(1 - self.weight, 3)
        return (
            f"{similarity} similarity + {self.weight} recency, half-life {self.half_life_days} days"
        )

    def parameters(self, now):
        """What the statements below take, besides `query`."""
        as_of = datetime.fromtimestamp(now, timezone.utc)
        return {"weight": self.weight, "rate": self.rate, "as_of": as_of}


# chrono_search takes the base rate from the setting, so that `rate` has no place in it.
SEARCH = f"""
    SELECT (memory).id FROM chrono_search(NULL::{CHRONO.table}, %(query)b, k => {K},
                                          recency_weight => %(weight)s, as_of => %(as_of)s)"""

_SCORE = """(1 - %(weight)s::float8) * distance / 2 + %(weight)s::float8 * (1 - exp(
    -%(rate)s::float8 * greatest(0, extract(epoch FROM %(as_of)s - created_at)::float8 / 3600)))"""

# What the blend costs without an index that knows it: all rows ...
SCAN = f"""
    SELECT id FROM (SELECT id, created_at, embedding <=> %(query)b AS distance
                    FROM {HNSW.table}) AS every
    ORDER BY {_SCORE} LIMIT {K}"""


def rerank(pool):
    """... or, as is commonly done, only the `pool` nearest, which is another question."""
    return f"""
    SELECT id FROM (SELECT id, created_at, embedding <=> %(query)b AS distance
                    FROM {HNSW.table} ORDER BY embedding <=> %(query)b LIMIT {pool}) AS near
    ORDER BY {_SCORE} LIMIT {K}"""


def create_tables(connection, corpus):
    """One table for each contender, both with all rows in the same order."""
    connection.execute("CREATE EXTENSION chronomind CASCADE")
    register_vector(connection)
    dimensions = corpus.vectors.shape[1]
    for table in (CHRONO.table, HNSW.table):
        connection.execute(
            f"CREATE TABLE {table} (id integer PRIMARY KEY, created_at timestamptz NOT NULL, "
            f"text text NOT NULL, embedding vector({dimensions}) NOT NULL)"
        )
    copying = connection.cursor().copy(f"COPY {CHRONO.table} FROM STDIN WITH (FORMAT BINARY)")
    with copying as copy:
        copy.set_types(["int4", "timestamptz", "text", "vector"])
        for row in zip(corpus.ids.tolist(), corpus.times.tolist(), corpus.texts, corpus.vectors):
            copy.write_row((row[0], datetime.fromtimestamp(row[1], timezone.utc), *row[2:]))
    connection.execute(f"INSERT INTO {HNSW.table} SELECT * FROM {CHRONO.table} ORDER BY id")
    for table in (CHRONO.table, HNSW.table):
        connection.execute(f"VACUUM (FREEZE, ANALYZE) {table}")
    connection.execute("CHECKPOINT")
