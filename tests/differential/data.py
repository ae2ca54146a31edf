"""The tables that are asked: each has its rows once plain and, where they are few, once partitioned."""

import gzip
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

import numpy as np

from scripts.host import ROOT

# The moment from which queries count ages.
AS_OF = datetime(2026, 6, 1, 12, tzinfo=timezone.utc)
KINDS = ("note", "fact", "task", "joke")
QUERIES = 12  # vectors to ask for, each data set

# From here on, neighbours among whole numbers are one and the same in double precision.
INEXACT = 2**53
# Products of two such coordinates are infinite in single precision, and their sums are NaN.
HUGE = 3e19

SHARED = ROOT / "../shared/data/git-memories"

COLUMNS = """id integer PRIMARY KEY, v {type}({dimensions}), at timestamptz, day date, importance real,
    rate double precision, n integer, kind text, active boolean, big bigint, remark text"""
INDEXED = "at, day, importance, rate, n, kind, active, big"
# Of them all, `remark` is not in the index.
NAMES = ("id", "v", "at", "day", "importance", "rate", "n", "kind", "active", "big", "remark")


@dataclass
class Table:
    """Rows and queries before they are in a server."""

    name: str
    operator: str  # of the distance
    vectors: np.ndarray
    queries: np.ndarray
    ages: np.ndarray  # days before AS_OF
    nulls: float = 0.0  # share of NULLs in every column
    extremes: bool = False  # infinities and NaN among the numbers
    element: str = "vector"
    exact: bool = True  # the graph is searched in full
    rows: list = field(default_factory=list)

    @property
    def dimensions(self):
        """Of the vectors."""
        return self.vectors.shape[1]

    def slack(self, query):
        """By how much a row's distance in single precision may differ from the server's, as SQL."""
        if self.operator == "<=>":
            return "2e-6"
        norm = float(np.linalg.norm(self.queries[query].astype(np.float64)))
        # Of a product it grows with both lengths, of a difference with their sum.
        sign = "*" if self.operator == "<#>" else "+"
        length = "vector_norm" if self.element == "vector" else "l2_norm"
        return f"(2e-6 * greatest(1, 2 * ({length}(i.v) {sign} {norm:.9g})))"


OPCLASSES = {"<=>": "cosine", "<->": "l2", "<#>": "ip", "<+>": "l1"}


def tables(seed, whole):
    """All data sets; with `whole`, the largest in full."""
    random = np.random.default_rng(seed)
    yield _small(random, "nulls", "<=>", 3, nulls=0.15)
    yield _small(random, "extremes", "<->", 4, nulls=0.05, extremes=True)
    yield _small(random, "halves", "<#>", 6, nulls=0.02, element="halfvec")
    yield _small(random, "grid", "<+>", 2)
    # With as many dimensions vectors have codes.
    yield _small(random, "codes", "<->", 80, nulls=0.05)
    yield _small(random, "half_codes", "<#>", 64, element="halfvec")
    yield _small(random, "turned_codes", "<=>", 100, nulls=0.1)
    yield _huge(random)
    yield _clustered(random)
    yield _memories(random, whole)


def _small(random, name, operator, dimensions, **options):
    # Few values a coordinate: distances tie, vectors repeat, and some are zero.
    vectors = random.integers(-2, 3, size=(500, dimensions)).astype(np.float32)
    queries = random.normal(size=(QUERIES, dimensions)).astype(np.float32)
    queries[1] = 0
    # Rows' own vectors, the same longer, and one at whole distances from all: where steps have their edges.
    queries[6:8] = vectors[:2]
    queries[8] = 3 * vectors[2]
    queries[9] = random.integers(-2, 3, size=dimensions)
    return Table(name, operator, vectors, queries, random.exponential(40, 500), **options)


def _huge(random):
    """Vectors whose products with each other are numbers, infinities and NaN."""
    table = _small(random, "huge", "<#>", 4, nulls=0.05)
    table.vectors[::9] *= HUGE
    table.queries[2:5] = random.integers(-1, 2, size=(3, 4)) * HUGE
    return table


def _clustered(random):
    centres = random.normal(size=(25, 16))
    of = random.integers(25, size=900)
    vectors = (centres[of] + 0.1 * random.normal(size=(900, 16))).astype(np.float32)
    queries = (centres[:QUERIES] + 0.2 * random.normal(size=(QUERIES, 16))).astype(np.float32)
    # Memories of one kind come in bursts.
    ages = 8 * of + random.exponential(3, 900)
    return Table("clustered", "<=>", vectors, queries, ages)


def _memories(random, whole):
    """Texts of 21 years where they are at hand, else vectors that drift over time."""
    if SHARED.is_dir():
        vectors = np.load(SHARED / "embeddings.f16.npy").astype(np.float32)
        queries = np.load(SHARED / "queries.f16.npy").astype(np.float32)
        with gzip.open(SHARED / "memories.tsv.gz", "rt", encoding="utf-8") as lines:
            times = np.array([int(line.split("\t")[1]) for line in lines])
        ages = (times.max() - times) / 86400
    else:
        drift = np.cumsum(random.normal(size=(20_000, 48)), axis=0) / 100
        vectors = (drift + random.normal(size=drift.shape)).astype(np.float32)
        queries = (drift[-QUERIES:] + random.normal(size=(QUERIES, 48))).astype(np.float32)
        ages = np.linspace(7000, 0, len(vectors)) * random.uniform(0.99, 1, len(vectors))
    if not whole:
        kept = np.sort(random.choice(len(vectors), 5_000, replace=False))
        vectors, ages = vectors[kept], ages[kept]
    return Table("memories", "<=>", vectors, queries[:QUERIES], ages, exact=False)


def _fill(table, random):
    """Draws the columns beside vector and time, and leaves NULLs in all."""
    numbers = {
        "importance": random.choice([0, 0.25, 0.5, 0.5, 1, 2], len(table.vectors)),
        "rate": random.choice([0, 0.001, 0.01, 0.1], len(table.vectors)),
    }
    if table.extremes:
        for values in numbers.values():
            values[random.integers(len(values), size=30)] = np.inf
            values[random.integers(len(values), size=30)] = -np.inf
            values[random.integers(len(values), size=30)] = np.nan
    # Times without end: where Postgres raises an error for an age, the question counts for nothing.
    always, never = (range(10, 14), range(14, 17)) if table.extremes else ((), ())
    for i, vector in enumerate(table.vectors):
        at = AS_OF - timedelta(days=float(table.ages[i]))
        values = (
            as_text(vector),
            "infinity" if i in always else "-infinity" if i in never else at,
            at.date(),
            float(numbers["importance"][i]),
            float(numbers["rate"][i]),
            int(random.integers(-5, 40)),
            KINDS[min(random.geometric(0.5), 4) - 1],
            bool(random.random() < 0.3),
            _big(random),
            random.choice(["red", "green"]),
        )
        is_null = random.random(len(values)) < table.nulls
        table.rows.append((i, *(None if gone else value for gone, value in zip(is_null, values))))


def _big(random):
    """A whole number: mostly one of those that double precision does not tell apart."""
    small = int(random.integers(40))
    return (small, -INEXACT - small, INEXACT + small, INEXACT + small, 2**60 + small * 2**22 + small % 3)[
        random.integers(5)
    ]


def as_text(vector):
    """A vector as SQL reads it."""
    return "[" + ",".join(f"{x:.6g}" for x in vector.tolist()) + "]"


def create(connection, table, seed):
    """Makes the table, its index, and a past for both: rows deleted, changed, vacuumed, inserted."""
    random = np.random.default_rng(seed)
    _fill(table, random)
    name = table.name
    columns = COLUMNS.format(type=table.element, dimensions=table.dimensions)
    opclass = f"{table.element}_{OPCLASSES[table.operator]}_ops"
    late = set(random.choice(len(table.rows), len(table.rows) // 10, replace=False).tolist())
    connection.execute(f"CREATE TABLE {name} ({columns})")
    _copy(connection, name, [row for row in table.rows if row[0] not in late])
    connection.execute(f"INSERT INTO {name} SELECT id + 1000000, v, at FROM {name} WHERE id % 7 = 0")
    connection.execute(f"CREATE INDEX {name}_chrono ON {name} USING chrono (v {opclass}, {INDEXED})")
    connection.execute(f"DELETE FROM {name} WHERE id >= 1000000")
    connection.execute(f"UPDATE {name} SET remark = 'blue' WHERE id % 11 = 0")
    connection.execute(f"VACUUM {name}")
    _copy(connection, name, [row for row in table.rows if row[0] in late])
    connection.execute(f"ANALYZE {name}")

    vectors = ", ".join(f"({i}, '{as_text(query)}')" for i, query in enumerate(table.queries))
    connection.execute(
        f"CREATE TABLE {name}_queries (number integer PRIMARY KEY, v {table.element}({table.dimensions}), "
        f"as_of timestamptz DEFAULT '{AS_OF}', weight double precision DEFAULT 0.3)"
    )
    connection.execute(f"INSERT INTO {name}_queries VALUES {vectors}")
    connection.execute(f"CREATE VIEW {name}_view AS SELECT * FROM {name}")
    if table.exact:
        _partition(connection, name, opclass)


def _copy(connection, name, rows):
    with connection.cursor().copy(f"COPY {name} ({', '.join(NAMES)}) FROM STDIN") as copy:
        for row in rows:
            copy.write_row(row)


def _partition(connection, name, opclass):
    connection.execute(f"CREATE TABLE {name}_parted (LIKE {name}) PARTITION BY RANGE (id)")
    for number, (low, high) in enumerate((("MINVALUE", 150), (150, 400), (400, "MAXVALUE"))):
        connection.execute(
            f"CREATE TABLE {name}_part{number} PARTITION OF {name}_parted "
            f"FOR VALUES FROM ({low}) TO ({high})"
        )
    connection.execute(f"INSERT INTO {name}_parted SELECT * FROM {name}")
    connection.execute(f"CREATE INDEX ON {name}_parted USING chrono (v {opclass}, {INDEXED})")
    connection.execute(f"ANALYZE {name}_parted")
