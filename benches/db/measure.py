"""Latency, recall, build time and WAL, as one client with prepared statements sees them."""

import contextlib
import statistics
import time
from dataclasses import dataclass, field

import numpy as np

from benches.db.contender import CHRONO, HNSW, SCAN, SEARCH, rerank
from benches.db.corpus import NOISE
from benches.db.prepared import Prepared, one_core

EF_SEARCH = (20, 30, 40, 60, 80, 120, 160, 240, 320, 400, 600, 800)
RECALL = 0.98
WARM_UP = 10  # questions
METHOD = "one client over the socket, on the core of its backend, prepared statements (libpq)"


@dataclass
class Answers:
    """Seconds that each question took, and the share of the true answer that it found."""

    seconds: list = field(default_factory=list)
    shares: list = field(default_factory=list)

    def p50(self):
        """Median latency in milliseconds."""
        return 1e3 * statistics.median(self.seconds)

    def found(self):
        """Mean share found: recall, for the nearest."""
        return statistics.fmean(self.shares)


class Client:
    """A connection that asks the questions of a corpus and knows the exact answers."""

    def __init__(self, connection, corpus, exact):
        self.connection = connection
        self.corpus = corpus
        self.exact = exact

    def build(self, contender):
        """Builds the contender's index; seconds."""
        started = time.perf_counter()
        self.connection.execute(contender.build_statement())
        return time.perf_counter() - started

    def nearest(self, contender, ef_search, questions=None):
        """The nearest by similarity through the contender's index."""
        self.set(contender.ef_search, ef_search)
        statement = contender.nearest_statement()
        self.check_plan(statement)
        return self.ask(statement, self.exact.distances.__getitem__, {}, questions)

    def reach_recall(self, contender, recall=RECALL):
        """The smallest beam that finds enough of the nearest, else the widest; and its answers."""
        for ef_search in EF_SEARCH:
            answers = self.nearest(contender, ef_search)
            if answers.found() >= recall:
                break
        return ef_search, answers

    def floor(self, table=CHRONO.table):
        """What any answer costs, as text: a row by its primary key, with a question's vector sent along."""
        statement = f"SELECT id FROM {table} WHERE id = 1 AND %(query)b IS NOT NULL"
        together, apart = (
            self.ask(statement, self.exact.distances.__getitem__, cores=cores).p50()
            for cores in (one_core(self.connection), contextlib.nullcontext())
        )
        return f"{together:.3f} ms ({apart:.3f} ms where each has cores of its own, which sleep meanwhile)"

    def search(self, blend, questions=None):
        """`chrono_search` by the blend."""
        self.set("chronomind.base_decay_rate", blend.rate)
        return self._blended(SEARCH, blend, questions)

    def scan(self, blend, questions=None):
        """All rows by the blend, by brute force."""
        return self._blended(SCAN, blend, questions)

    def rerank(self, blend, pool, questions=None):
        """The nearest `pool`, ordered by the blend."""
        self.set(HNSW.ef_search, max(40, pool))
        return self._blended(rerank(pool), blend, questions)

    def _blended(self, statement, blend, questions):
        parameters = blend.parameters(self.corpus.now)
        if statement is SEARCH:
            del parameters["rate"]
        return self.ask(statement, self.exact.blend(blend).__getitem__, parameters, questions)

    def ask(self, statement, scores, parameters=None, questions=None, cores=None):
        """A statement with each question as `query`, besides other parameters.

        `scores` gives the exact scores of all rows for the number of a question; lower is better.
        Answers are judged once all are there: that would take the caches from the backend. `cores`
        is the context in which they are timed, by default that of one core for both sides.
        """
        parameters = parameters or {}
        vectors = self.corpus.question_vectors[:questions]
        answers = Answers()
        questions = [{"query": vector, **parameters} for vector in vectors]
        with Prepared(self.connection, statement, questions[0]) as prepared:
            asked = [prepared.bind(question) for question in questions]
            results = []
            with cores or one_core(self.connection):
                for warming in asked[:WARM_UP]:
                    prepared.execute(warming)
                for bound in asked:
                    started = time.perf_counter()
                    results.append(prepared.execute(bound))
                    answers.seconds.append(time.perf_counter() - started)
        for number, rows in enumerate(results):
            ids = [int(rows.get_value(at, 0)) for at in range(rows.ntuples)]
            answers.shares.append(self.exact.share_found(scores(number), ids))
        return answers

    def check_plan(self, statement, parameters=None):
        """A figure of a scan that goes another way would be no figure of an index."""
        parameters = {"query": self.corpus.question_vectors[0], **(parameters or {})}
        plan = self.connection.execute(f"EXPLAIN {statement}", parameters).fetchall()
        if not any("Order By:" in line for (line,) in plan):
            raise RuntimeError(f"the planner orders by no index: {plan}")

    def insert(self, contender, first_id, count):
        """Inserts memories like those there are, each in its own transaction.

        Seconds and bytes of WAL an insert.
        """
        random = np.random.default_rng(first_id)
        sources = random.integers(len(self.corpus.vectors), size=count)
        noise = random.normal(size=(count, self.corpus.vectors.shape[1]))
        noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
        vectors = (self.corpus.vectors[sources] + noise).astype(np.float32)
        statement = f"INSERT INTO {contender.table} VALUES (%s, %s, %s, %b)"
        when = self.connection.execute(f"SELECT max(created_at) FROM {CHRONO.table}").fetchone()[0]
        wal = self._wal()
        started = time.perf_counter()
        for offset, (source, vector) in enumerate(zip(sources, vectors)):
            row = (first_id + offset, when, self.corpus.texts[source], vector)
            self.connection.execute(statement, row, prepare=True)
        seconds = time.perf_counter() - started
        return seconds / count, (self._wal() - wal) / count

    def _wal(self):
        """Bytes of WAL written since the cluster was made."""
        position = "SELECT pg_wal_lsn_diff(pg_current_wal_insert_lsn(), '0/0')"
        return int(self.connection.execute(position).fetchone()[0])

    def set(self, setting, value):
        """Sets a server setting for this session."""
        self.connection.execute("SELECT set_config(%s, %s, false)", (setting, str(value)))


def share_text(share):
    """A share as text: `.983`, `1.000`."""
    return f"{share:.3f}".removeprefix("0") if share < 1 else "1.000"
