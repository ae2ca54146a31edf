"""The demo: questions by similarity and by the blend, a restart, a comparison with pgvector."""

import shutil
import sys

import psycopg
from pgvector.psycopg import register_vector

from benches.db import picture
from benches.db.comparison import compare
from benches.db.contender import BOTH, SETTINGS, Blend, create_tables
from benches.db.corpus import load
from benches.db.exact import Exact
from benches.db.measure import Client
from scripts import postgres
from scripts.cluster import Cluster
from scripts.host import main, say

BLEND = Blend(weight=0.3, half_life_days=365)
QUESTIONS = 3  # shown in full; the figures come from all

NEAREST = """\
SELECT created_at, text, embedding <=> %(query)b AS distance
FROM memories ORDER BY embedding <=> %(query)b LIMIT 10"""
SEARCH = """\
SELECT (memory).created_at, (memory).text, score, distance, recency, importance
FROM chrono_search(NULL::memories, %(query)b, k => 10, recency_weight => %(weight)s,
                   as_of => %(as_of)s)"""


def demo(folder, picture_path):
    """Shows everything on the texts in `folder` and draws the comparison."""
    corpus = load(folder)
    with Cluster(postgres.default(), SETTINGS) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            count, dimensions = corpus.vectors.shape
            say(f"loading {count:,} memories of {dimensions} dimensions from {corpus.name}")
            create_tables(connection, corpus)
            client = Client(connection, corpus, Exact(corpus))
            builds = {}
            for contender in BOTH:
                print(f"\n{contender.build_statement()};", flush=True)
                builds[contender] = client.build(contender)
                print(f"-- {builds[contender]:.2f} s")
            _explain(connection, corpus)
            before = _answers(connection, corpus)
            _show(corpus, before)

        say("restarting the server, asking again")
        cluster.restart()
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            register_vector(connection)
            if _answers(connection, corpus) != before:
                raise RuntimeError("the answers after the restart differ from those before it")
            rows = sum(len(answer) for pair in before for answer in pair)
            say(f"the same answers: all {rows} rows, and every term of their scores")
            client = Client(connection, corpus, client.exact)
            comparison = compare(client, builds, BLEND)
    print(f"\n{comparison.table()}\n", flush=True)
    picture.draw(comparison, picture_path)


def _answers(connection, corpus):
    """For each of the first questions, the rows of `NEAREST` and of `SEARCH`."""
    connection.execute("SET timezone = 'UTC'")
    connection.execute(f"SET chronomind.base_decay_rate = {BLEND.rate}")
    answers = []
    for vector in corpus.question_vectors[:QUESTIONS]:
        nearest = connection.execute(NEAREST, {"query": vector}).fetchall()
        weights = BLEND.parameters(corpus.now)
        del weights["rate"]
        found = connection.execute(SEARCH, {"query": vector, **weights}).fetchall()
        answers.append((nearest, found))
    return answers


def _explain(connection, corpus):
    """The plan of the nearest, without the many numbers of the question's vector."""
    options = "ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF"
    query = {"query": corpus.question_vectors[0]}
    plan = connection.execute(f"EXPLAIN ({options}) {NEAREST}", query).fetchall()
    print(f"\nEXPLAIN ({options})\n{_readable(NEAREST)};")
    for (line,) in plan:
        print(line if len(line) < 100 else f"{line[:60]} ...")


def _show(corpus, answers):
    print("\n-- by similarity alone, and by similarity and recency together:")
    print(f"{_readable(NEAREST)};\n{_readable(SEARCH)};")
    print(
        f"-- score = (1 - w) * distance/2 + w * (1 - recency), w = {BLEND.weight}, lower is better;"
    )
    print(f"-- recency = exp(-rate * age), half after {BLEND.half_life_days} days;", end=" ")
    print("importance has no weight here")
    width = shutil.get_terminal_size((120, 24)).columns
    for question, (nearest, found) in zip(corpus.questions, answers):
        print(f"\n? {question}"[:width])
        print("      distance  created")
        for rank, (created_at, text, distance) in enumerate(nearest, 1):
            print(f"  {rank:2}    {distance:.4f}  {created_at:%Y-%m-%d}  {text}"[:width])
        print("       score  distance  recency  importance  created")
        for rank, (created_at, text, *terms) in enumerate(found, 1):
            score, distance, recency, importance = terms
            line = (
                f"  {rank:2}  {score:.4f}    {distance:.4f}   {recency:.4f}      {importance:.2f}"
            )
            print(f"{line}    {created_at:%Y-%m-%d}  {text}"[:width])
    print(flush=True)


def _readable(statement):
    """A statement as one would write it in psql."""
    for placeholder, name in {
        "%(query)b": ":query",
        "%(weight)s": str(BLEND.weight),
        "%(as_of)s": ":newest",
    }.items():
        statement = statement.replace(placeholder, name)
    return statement


if __name__ == "__main__":
    main(lambda: demo(sys.argv[1], sys.argv[2]))
