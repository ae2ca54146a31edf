"""Any order and any filter through the index, as Markdown: `python3 -m scripts.bench orders`.

`ROWS=1000000` makes the memories so many, by noised copies of those there are.
"""

import os
import sys
from datetime import datetime, timezone
from functools import partial

import numpy as np
import psycopg

from benches.db import attributes, machine, orders
from benches.db.attributes import CHRONO, HNSW
from benches.db.contender import SETTINGS
from benches.db.corpus import load
from benches.db.exact import Exact, K
from benches.db.measure import METHOD, Answers, Client, share_text
from scripts import postgres
from scripts.cluster import Cluster
from scripts.host import main, say

RECALL = 0.99
BEAMS = (40, 60, 80, 120, 200, 400, 800)
POOLS = (40, 100, 500)
ROUNDS = 3  # others use the machine too, so the calmest counts, for all alike
SCANS = 20  # questions; a scan of all rows takes its time
# With this many rows, exact scores of all questions would fill the memory.
MANY, FEWER_QUESTIONS = 200_000, 100


def bench(folder):
    """Measures on the corpus in `folder` and prints."""
    corpus = load(folder)
    rows_wanted = int(os.environ.get("ROWS", len(corpus.ids)))
    if rows_wanted > len(corpus.ids):
        say(f"noised copies, {rows_wanted:,} memories")
        corpus = corpus.grown(rows_wanted)
    if len(corpus.ids) > MANY:
        corpus = corpus.with_questions(FEWER_QUESTIONS)
    rows = attributes.draw(corpus)
    with Cluster(postgres.default(), SETTINGS) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            count, dimensions = corpus.vectors.shape
            say(f"loading {count:,} memories of {dimensions} dimensions")
            attributes.create_tables(connection, corpus, rows)
            print(f"# {corpus.name}: {count:,} x {dimensions}, cosine, top {K}, any order\n")
            print(*machine.describe(connection), sep="\n")
            settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
            print(f"- {METHOD}; {settings}")
            print(f"- {attributes.describe()}")
            print(f"- `python3 -m scripts.bench orders`, each cell: p50 in the calmest of {ROUNDS} rounds,")
            print(f"  share of the true answer; chronomind with the least beam of {BEAMS} that finds {RECALL}\n")
            _Bench(Client(connection, corpus, Exact(corpus)), rows).run()


class _Bench:
    def __init__(self, client, rows):
        self.client = client
        self.rows = rows
        as_of = datetime.fromtimestamp(client.corpus.now, timezone.utc)
        self.parameters = {"as_of": as_of}

    def run(self):
        beams = {}
        for contender in (CHRONO, HNSW):
            say(f"{contender.name}: build")
            seconds = self.client.build(contender)
            beams[contender], answers = self.client.reach_recall(contender, RECALL)
            print(
                f"- {contender.name}: built in {seconds:.1f} s; ten nearest at ef_search "
                f"{beams[contender]}: {_cell(answers)}"
            )
        print(f"- a row by its primary key: {self.client.floor()}\n")
        self._orders()
        self.client.set(HNSW.ef_search, beams[HNSW])
        self._filters()

    def _orders(self):
        pools = [f"{HNSW.name}, nearest {pool} reranked" for pool in POOLS]
        print(f"| order | {CHRONO.name} | all rows scanned | {' | '.join(pools)} |")
        print("|---|---|---|" + "---|" * len(POOLS))
        for order in orders.ORDERS:
            say(order.name)

            def scores(number, order=order):
                return order.scores(self.client.exact.distances[number], self.rows)

            statement = orders.top(order, CHRONO.table, K)
            asks = [self._by_index, self._scan, *(partial(self._rerank, order, pool) for pool in POOLS)]
            self._row(order.name, asks, statement, scores)
        say("chrono_search")
        self._row("the same by chrono_search", [self._ask], orders.SEARCH, scores)

    def _filters(self):
        names = (CHRONO.name, "all rows scanned", HNSW.name, f"{HNSW.name}, iterative scan")
        print(f"\n| nearest of | {' | '.join(names)} |\n|---|---|---|---|---|")
        for condition in orders.filters(self.rows, self.client.corpus.now):
            say(condition.name)
            self.parameters = condition.parameters

            def scores(number, passing=condition.passing):
                return np.where(passing, self.client.exact.distances[number], np.inf)

            ours = orders.filtered(condition, CHRONO.table, K)
            theirs = orders.filtered(condition, HNSW.table, K)
            their_ways = (partial(self._filtered, theirs, way) for way in ("off", "strict_order"))
            self._row(condition.name, [self._by_index, self._scan, *their_ways], ours, scores)

    def _ask(self, statement, scores, questions=None):
        return self.client.ask(statement, scores, self.parameters, questions)

    def _by_index(self, statement, scores):
        """With the least beam, from the default on, that finds enough."""
        self.client.check_plan(statement, self.parameters)
        for beam in BEAMS:
            self.client.set(CHRONO.ef_search, beam)
            answers = self._ask(statement, scores)
            if answers.found() >= RECALL:
                break
        return answers

    def _scan(self, statement, scores):
        self._with("enable_indexscan", "off")
        answers = self._ask(statement, scores, SCANS)
        self._with("enable_indexscan", "on")
        return answers

    def _rerank(self, order, pool, _, scores):
        self.client.set(HNSW.ef_search, max(40, pool))
        return self._ask(orders.rerank(order, HNSW.table, pool, K), scores)

    def _filtered(self, statement, iterative, _, scores):
        # Else the planner would leave its index alone under a narrow filter.
        self._with("enable_seqscan", "off")
        self.client.set("hnsw.iterative_scan", iterative)
        answers = self._ask(statement, scores)
        self._with("enable_seqscan", "on")
        return answers

    def _with(self, setting, value):
        """Sets what the planner decides by, also for statements that have a plan already."""
        self.client.set(setting, value)
        self.client.connection.execute("DISCARD PLANS")

    def _row(self, title, asks, *question):
        """Asks in turn, so that all of them meet the machine as it is at the time."""
        rounds = [[ask(*question) for ask in asks] for _ in range(ROUNDS)]
        answers = [min(each, key=Answers.p50) for each in zip(*rounds)]
        print(f"| {title} | {' | '.join(map(_cell, answers))} |", flush=True)


def _cell(answers):
    return f"{answers.p50():.3f} ms, {share_text(answers.found())}"


if __name__ == "__main__":
    main(lambda: bench(sys.argv[1]))
