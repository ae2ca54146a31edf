"""Recall through SQL, on real data where it is there, else on a generated set of its kind."""

import numpy
import pytest
from checks import connect

from scripts.host import ROOT

REAL = ROOT.parent / "shared/data/git-memories"
ROWS, QUERIES, K = 20_000, 300, 10


def load():
    """Vectors, queries and the name of the set."""
    if REAL.exists():
        vectors = numpy.load(REAL / "embeddings.f16.npy").astype(numpy.float32)
        queries = numpy.load(REAL / "queries.f16.npy").astype(numpy.float32)
        return vectors[-ROWS:], queries[:QUERIES], "git-memories"
    # Clusters of many sizes on a sphere, as texts lie.
    random = numpy.random.default_rng(7)
    centres = random.normal(size=(300, 128))
    sizes = random.pareto(1.2, size=300) + 0.1
    owner = random.choice(300, size=ROWS + QUERIES, p=sizes / sizes.sum())
    points = centres[owner] + random.normal(size=(ROWS + QUERIES, 128)) * 0.8
    return points[:ROWS].astype(numpy.float32), points[ROWS:].astype(numpy.float32), "generated"


def normal(vectors):
    return vectors / numpy.linalg.norm(vectors, axis=1, keepdims=True)


def text(vector):
    return "[" + ",".join(f"{x:.7g}" for x in vector) + "]"


@pytest.fixture(scope="module")
def data():
    vectors, queries, name = load()
    return normal(vectors), normal(queries), name


def recall(connection, vectors, queries, expected):
    """The share of the true nearest that is found, and of rows that are returned."""
    connection.execute("SET enable_seqscan = off; SET chronomind.ef_search = 80")
    hits = 0
    for query, limit in zip(queries, expected, strict=True):
        rows = connection.execute(
            f"SELECT id FROM memories ORDER BY embedding <=> %s::vector LIMIT {K}", [text(query)]
        ).fetchall()
        assert len(rows) == K
        hits += sum(1 - vectors[id] @ query <= limit + 1e-6 for (id,) in rows)
    return hits / (len(queries) * K)


def nearest(vectors, queries):
    """The distance of the K-th nearest of each query."""
    distances = 1 - queries @ vectors.T
    return numpy.partition(distances, K - 1, axis=1)[:, K - 1]


def test_recall_of_built_and_inserted_rows(cluster, data):
    vectors, queries, name = data
    half = ROWS // 2
    expected = nearest(vectors, queries)
    with connect(cluster) as connection:
        dimensions = vectors.shape[1]
        connection.execute(f"CREATE TABLE memories (id int, embedding vector({dimensions}))")
        copy(connection, vectors, 0, half)
        connection.execute("CREATE INDEX ON memories USING chrono (embedding vector_cosine_ops)")
        copy(connection, vectors, half, ROWS)
        found = recall(connection, vectors, queries, expected)
        print(f"{name}: recall@{K} {found:.4f}, half of the rows inserted")
        assert found >= 0.98
    cluster.restart()
    with connect(cluster) as connection:
        assert recall(connection, vectors, queries, expected) >= 0.98
        connection.execute("REINDEX TABLE memories")
        found = recall(connection, vectors, queries, expected)
        print(f"{name}: recall@{K} {found:.4f}, all rows built")
        assert found >= 0.98


def copy(connection, vectors, first, last):
    with connection.cursor() as cursor, cursor.copy("COPY memories FROM STDIN") as rows:
        for id in range(first, last):
            rows.write_row((id, text(vectors[id])))
