"""Consolidation beside those who write to, link and delete what is being merged."""

import contextlib
import random
import time

import numpy
import psycopg
import pytest
from checks import Load, connect

SECONDS = 3
MEMORIES = """
SELECT chrono_create_memory('memories', 3);
-- Three hundred topics of up to five near-duplicates
CREATE FUNCTION about(topic int, variant int) RETURNS vector IMMUTABLE LANGUAGE sql
RETURN ARRAY[cos(topic * 0.7), sin(topic * 0.7), topic / 50.0 + variant / 5000.0]::vector;
"""
REMEMBER = (
    "INSERT INTO memories (content, embedding, context, importance) VALUES "
    "('text', about(%s, %s), 'c', %s) RETURNING id"
)


@pytest.fixture
def memories(cluster):
    cluster.psql(MEMORIES)
    with connect(cluster) as connection:
        for number in range(500):
            remember(connection, number)
    return cluster


def remember(connection, number):
    values = [random.randrange(300), number % 5, random.random()]
    return connection.execute(REMEMBER, values).fetchone()[0]


def some(connection, number):
    """Identifiers of some memories."""
    rows = connection.execute(
        "SELECT id FROM memories ORDER BY hashint8(id + %s) LIMIT %s",
        [random.randrange(10**9), number],
    )
    return [id for (id,) in rows.fetchall()]


def linker(connection, number):
    gone = (psycopg.errors.NoDataFound, psycopg.errors.ForeignKeyViolation)
    with contextlib.suppress(*gone, psycopg.errors.DeadlockDetected):
        ids = some(connection, 2)
        connection.execute("SELECT chrono_link('memories', %s::bigint, %s)", ids)


def deleter(connection, number):
    with contextlib.suppress(psycopg.errors.DeadlockDetected):
        connection.execute("DELETE FROM memories WHERE id = ANY (%s)", [some(connection, 2)])
    time.sleep(0.02)


def toucher(connection, number):
    with contextlib.suppress(psycopg.errors.DeadlockDetected):
        connection.execute("SELECT chrono_touch('memories', %s)", [some(connection, 3)])


# It waits for nobody, so that it is in no deadlock.
def consolidator(connection, number):
    connection.execute("SELECT chrono_consolidate('memories', 0.9999, max_merges => 20)")


def undoer(connection, number):
    changed = (psycopg.errors.NoDataFound, psycopg.errors.ObjectNotInPrerequisiteState)
    with contextlib.suppress(*changed, psycopg.errors.DeadlockDetected):
        connection.execute(
            "SELECT chrono_unconsolidate('memories', ARRAY[absorbed]) FROM memories_merges ORDER BY id DESC LIMIT 1"
        )
    time.sleep(0.05)


# What must hold at any moment, as the number of rows that break it.
BROKEN = {
    "superseded and valid, or neither": (
        "SELECT count(*) FROM memories WHERE superseded_by IS NOT NULL AND valid_to IS NULL"
    ),
    "merged and not logged": (
        "SELECT count(*) FROM memories m WHERE superseded_by IS NOT NULL AND NOT EXISTS ("
        "SELECT FROM memories_merges e WHERE (e.absorbed, e.survivor) = (m.id, m.superseded_by))"
    ),
    "merges in a circle": (
        "WITH RECURSIVE chain (id, heir) AS (SELECT id, superseded_by FROM memories "
        "UNION SELECT c.id, m.superseded_by FROM chain c JOIN memories m ON m.id = c.heir) "
        "SELECT count(*) FROM chain WHERE id = heir"
    ),
}


def checker(connection, number):
    for what, query in BROKEN.items():
        assert connection.execute(query).fetchone() == (0,), what


def test_beside_writers_linkers_and_deleters(memories):
    with Load(
        memories, remember, linker, deleter, toucher, consolidator, consolidator, undoer, checker
    ) as load:
        time.sleep(SECONDS)
        merges = "SELECT count(*) FROM memories_merges"
        load.go_on_until(lambda: int(memories.value(merges)) > 20)
    with connect(memories) as connection:
        checker(connection, 0)
        # When all is quiet, nothing is left to merge, and every link is between memories that hold.
        while connection.execute("SELECT chrono_consolidate('memories', 0.9999)").fetchall():
            pass
        checker(connection, 0)
        connection.execute(
            "DELETE FROM memories_links l USING memories m WHERE l.source = m.id AND m.superseded_by IS NOT NULL"
        )
        index = connection.execute(
            "SELECT indexrelid::regclass FROM pg_index WHERE indrelid = 'memories'::regclass AND indexrelid::regclass::text ~ 'embedding'"
        ).fetchone()[0]
        connection.execute("SELECT chrono_check(%s::regclass)", [index])


def test_what_others_hold_is_left_for_the_next_run(cluster):
    """A run waits for nobody: not for a duplicate, its link, or the other end of its link."""
    cluster.psql(MEMORIES)
    with connect(cluster) as connection, psycopg.connect(cluster.dsn()) as other:
        for id, topic in ((1, 1), (2, 1), (3, 2)):
            connection.execute(
                "INSERT INTO memories (id, content, embedding, importance) VALUES (%s, '', about(%s, 0), %s)",
                [id, topic, 1 / id],
            )
        connection.execute("SELECT chrono_link('memories', 2, 3)")
        connection.execute("SET lock_timeout = '10s'")

        def merged():
            return connection.execute(
                "SELECT survivor, absorbed FROM chrono_consolidate('memories')"
            ).fetchall()

        for taken in (
            "UPDATE memories SET content = 'x' WHERE id = 1",
            "DELETE FROM memories WHERE id = 2",
            "DELETE FROM memories WHERE id = 3",
            "DELETE FROM memories_links",
            "UPDATE memories_links SET relation = 'cause'",
        ):
            other.execute(taken)
            assert merged() == [], taken
            other.rollback()
        # A link that is about to be made to what would be absorbed is not lost either.
        other.execute("SELECT chrono_link('memories', 3, 2)")
        assert merged() == []
        other.commit()
        assert merged() == [("1", "2")]
        links = connection.execute(
            "SELECT source, target FROM memories_links ORDER BY 1"
        ).fetchall()
        assert links == [(1, 3), (3, 1)]


def test_a_deletion_that_comes_first_wins(cluster):
    cluster.psql(MEMORIES)
    with connect(cluster) as connection:
        for id in (1, 2, 3):
            connection.execute(
                "INSERT INTO memories (id, content, embedding) VALUES (%s, '', about(1, 0))", [id]
            )
        connection.execute("DELETE FROM memories WHERE id = 1")
        assert connection.execute(
            "SELECT survivor, absorbed FROM chrono_consolidate('memories')"
        ).fetchall() == [("3", "2")]
        with pytest.raises(psycopg.errors.NoDataFound):
            connection.execute("DELETE FROM memories WHERE id = 2")
            connection.execute("SELECT chrono_unconsolidate('memories', ARRAY[2])")


def test_it_finds_what_comparing_all_pairs_finds(cluster):
    """Each row goes into the best one that it is close to, of those that are left."""
    generator = numpy.random.default_rng(5)
    topics = generator.normal(size=(400, 16))
    vectors = topics[generator.integers(400, size=2000)] + 0.16 * generator.normal(size=(2000, 16))
    vectors /= numpy.linalg.norm(vectors, axis=1, keepdims=True)
    close = vectors @ vectors.T >= 0.95
    # In the order of their ranks, which is that of their numbers here, each that is left takes its neighbours.
    rows = numpy.arange(2000)
    expected = rows.copy()
    for row in rows:
        if expected[row] == row:
            expected[close[row] & (expected == rows) & (rows > row)] = row

    cluster.psql("SELECT chrono_create_memory('memories', 16)")
    with connect(cluster) as connection:
        with connection.cursor().copy("COPY memories (id, content, embedding) FROM STDIN") as copy:
            for id, vector in enumerate(vectors):
                copy.write_row((id, "text", str(vector.tolist())))
        before = time.monotonic()
        while connection.execute(
            "SELECT chrono_consolidate('memories', max_merges => 300)"
        ).fetchall():
            assert time.monotonic() - before < 300, "it finds no end"
        merged = connection.execute(
            "SELECT survivor, absorbed FROM memories_merges ORDER BY id"
        ).fetchall()
    survivor = rows.copy()
    for into, gone in merged:
        survivor[gone] = into
    sizes = numpy.unique(expected, return_counts=True)[1]
    assert (sizes > 2).sum() > 50
    # There are chains: rows that are close to each other and went different ways.
    assert (close & (expected[:, None] != expected)).sum() > 50
    assert (survivor == expected).all()


def test_a_chain_is_merged_by_what_each_is_like(cluster):
    """At 384 dimensions: a walk of near-duplicates from a vector to its opposite, beside many equal ones."""
    with connect(cluster) as connection:
        connection.execute("SELECT chrono_create_memory('memories', 384)")
        generator = numpy.random.default_rng(11)
        base, other = (direction / numpy.linalg.norm(direction) for direction in generator.normal(size=(2, 384)))
        other -= base * (base @ other)
        other /= numpy.linalg.norm(other)
        angles = numpy.arange(0, numpy.pi, 0.1)
        vectors = [numpy.cos(angle) * base + numpy.sin(angle) * other for angle in angles]
        for vector in vectors + [generator.normal(size=384)] * 200:
            connection.execute(
                "INSERT INTO memories (content, embedding, importance) VALUES ('', %s::vector, %s)",
                [str(vector.tolist()), generator.uniform()],
            )
        merges = connection.execute(
            "SELECT survivor::bigint, absorbed::bigint, similarity FROM chrono_consolidate('memories', 0.95)"
        ).fetchall()
        wrong = connection.execute(
            """SELECT l.* FROM memories_merges l JOIN memories s ON s.id = l.survivor JOIN memories a ON a.id = l.absorbed
            WHERE abs(l.similarity - (1 - (s.embedding <=> a.embedding))) > 1e-9 OR l.similarity < 0.95"""
        ).fetchall()
        assert not wrong
        # Of the equal ones one is left; of the chain as many as it takes, none like another.
        left = connection.execute(
            "SELECT count(*) FILTER (WHERE id > %(n)s), count(*) FILTER (WHERE id <= %(n)s) FROM memories WHERE superseded_by IS NULL",
            {"n": len(vectors)},
        ).fetchone()
        assert left[0] == 1 and 5 <= left[1] < len(vectors)
        assert len(merges) == 199 + len(vectors) - left[1]
        alike = connection.execute(
            """SELECT count(*) FROM memories a JOIN memories b ON a.id < b.id AND 1 - (a.embedding <=> b.embedding) >= 0.95001
            WHERE a.superseded_by IS NULL AND b.superseded_by IS NULL"""
        ).fetchone()
        assert alike == (0,)
        assert not connection.execute("SELECT * FROM chrono_consolidate('memories', 0.95)").fetchall()
