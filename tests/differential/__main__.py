"""Asks the questions of a seed: `scripts/differential.py` passes the arguments on."""

import argparse
import collections
import random
import re
import signal
import sys
import time
from contextlib import ExitStack

import psycopg

from scripts import postgres
from scripts.cluster import Cluster
from tests.differential import data, expressions, filters, shapes
from tests.differential.judge import Truth

OF_THE_SERVER = {"autovacuum": "off", "fsync": "off"}
# Only the plan in question is wanted, however few the rows.
SETTINGS = {
    "timezone": "UTC",
    "jit": "off",
    "enable_seqscan": "off",
    "enable_bitmapscan": "off",
    "enable_sort": "off",
}
FULL = 1000  # of `chronomind.ef_search`: no table but the largest has as many rows
# Where the graph is larger than its search: the share of the true answers, over all questions.
LEAST_FOUND = 0.99
# What arithmetic raises that has no value; a plan may come to it where another does not.
WITHOUT_VALUE = (
    psycopg.errors.NumericValueOutOfRange,
    psycopg.errors.DivisionByZero,
    psycopg.errors.FloatingPointException,
    psycopg.errors.InvalidArgumentForLogarithm,
    psycopg.errors.InvalidArgumentForPowerFunction,
    psycopg.errors.DatetimeFieldOverflow,
)
TREES = 0.3  # of the expressions are drawn at random
SHOWN = 3  # failures of each shape, in full


class WithoutValue(Exception):
    """The sequential scan raises an error, so that there is nothing to compare with."""


class Tally:
    """What came out, by the kind of expression."""

    def __init__(self):
        self.asked = collections.Counter()
        self.raised = collections.Counter()  # by the sequential scan: nothing to compare with
        self.wanted = collections.Counter()
        self.found = collections.Counter()
        self.failures = collections.Counter()  # by shape

    def report(self):
        """Lines for people."""
        for kind in sorted(self.asked):
            share = self.found[kind] / max(1, self.wanted[kind])
            yield (
                f"{kind:14}{self.asked[kind]:6} queries, {self.raised[kind]:4} that raise; "
                f"{share:.5f} of {self.wanted[kind]} rows of tables whose graph is not searched in full"
            )

    def poor(self):
        """Kinds of expressions that find too little."""
        return [
            kind
            for kind, wanted in self.wanted.items()
            if self.found[kind] < LEAST_FOUND * wanted
        ]


def draw(tables, seed, number):
    """The question `number` of a seed, and its shape. It depends on nothing else."""
    dice = random.Random(f"{seed}/{number}")
    table = dice.choice(tables)
    draw_expression = expressions.tree if dice.random() < TREES else expressions.named
    question = shapes.Question(
        table=table,
        query=dice.randrange(len(table.queries)),
        expression=draw_expression(dice),
        direction=dice.choice(expressions.DIRECTIONS),
        where=filters.draw(dice),
        limit=dice.choice((1, 3, 10, 10, 50, 300, 1000, 2000)),
        offset=dice.choice((0, 0, 0, 1, 7, 100, 400)),
        optional=filters.draw_optional(dice),
        ef_search=dice.choice((FULL, FULL, 40)),
    )
    return question, dice.choice([shape for shape in shapes.SHAPES if shapes.suits(shape, question)])


def ask(connection, question, shape):
    """The truth or the error of the sequential scan, the plan, the ids of the index."""
    with connection.transaction(force_rollback=True):
        connection.execute("SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on")
        try:
            truth = _truth(connection, question, shape)
        except psycopg.errors.DataError as error:
            raise WithoutValue from error
    with connection.transaction(force_rollback=True):
        connection.execute(f"SET LOCAL chronomind.ef_search = {question.ef_search}")
        statements = shape(question)
        for statement in statements.before:
            connection.execute(statement)
        plan = "\n".join(line for (line,) in connection.execute(statements.plan()))
        ids = [row for each in statements.fetches for (row,) in connection.execute(each)]
    return truth, plan, ids


def _truth(connection, question, shape):
    table = question.table
    distance = f"(i.v {table.operator} {{q}})"
    score = f"({question.expression.sql})::float8"
    slack, slope = table.slack(question.query), question.expression.slope
    # Where the slope is known, a step on the distance is the server's, and no other.
    scores = [
        question.literal(score)
        if slope is not None
        else question.literal(score, f"({distance} {sign} {slack}::float8)")
        for sign in "-+"
    ]
    # A row without a vector may have a score, and nothing blurs that.
    blur = f"coalesce({slack} * {slope or 0}, 0)"
    where = question.conditions() + (f" AND {shapes.JOINED}" if shape is shapes.join else "")
    sql = (
        f"SELECT i.id, {question.literal(score)}, {scores[0]} - {blur}, {scores[1]} + {blur} "
        f"FROM {table.name} i WHERE {where}"
    )
    return Truth(connection.execute(question.literal(sql)).fetchall(), question.direction)


def check_plan(question, shape, plan):
    """What is wrong with a plan, or nothing."""
    by_score = re.search(r"Order By: \(v <~~?> ", plan)
    by_index = by_score or re.search(r"Order By: \(v <(=>|->|#>|\+>) ", plan)
    if shape in shapes.WITHOUT_LIMIT:
        return "an approximate order without LIMIT" if by_score else ""
    sorted_by = re.search(r"(?m)^\s*(?:->\s+)?Sort\n\s*Sort Key: (.*)$", plan)
    if by_index and not sorted_by:
        return ""
    # Conditions drawn at random may contradict each other, and leave no row to order.
    if "One-Time Filter: false" in plan and " Scan " not in plan:
        return ""
    # The planner may find that an expression drawn at random does not depend on the distance.
    depends = sorted_by and f" {question.table.operator} " in sorted_by[1]
    # It leaves an expression alone that takes a step where the index's number may be on its other side:
    # of the distance, or, among those drawn at random, of what was rounded or is numeric.
    steps = {
        "tree": r"::numeric|floor\(|WHEN .*[<>=]",
        "boost": rf"WHEN .*{re.escape(question.table.operator)}.* THEN",
    }.get(question.expression.kind)
    step = steps and sorted_by and re.search(steps, sorted_by[1])
    is_free = step or question.expression.may_sort
    return "the index does not order" if (depends or by_index) and not is_free else ""


def check(connection, question, shape, tally):
    """Asks one question; the description of a failure, or nothing."""
    kind = question.expression.kind
    tally.asked[kind] += 1
    statements = shape(question)
    told = "\n".join((*statements.before, *statements.fetches))
    try:
        truth, plan, ids = ask(connection, question, shape)
    except (WithoutValue, *WITHOUT_VALUE):
        # An expression that has no value for some row: the index may answer what a scan does not.
        tally.raised[kind] += 1
        return ""
    except psycopg.Error as error:
        return f"{type(error).__name__}: {error}\n{told}"
    finally:
        if not connection.closed:
            connection.execute("DEALLOCATE ALL")
    if wrong := check_plan(question, shape, plan):
        return f"{wrong}\n{told}\n{plan}"
    limit, offset = (None, 0) if shape in shapes.WITHOUT_LIMIT else (question.limit, question.offset)
    verdict = truth.judge(ids, limit, offset)
    if not question.table.exact and question.ef_search == FULL:
        tally.wanted[kind] += verdict.wanted
        tally.found[kind] += verdict.found
    if verdict.wrong and (question.finds_all or not verdict.excusable):
        return f"{verdict.wrong}\n{told}\n{plan}"
    return ""


def main():
    """Returns the exit status."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--seed", type=int, default=1, help="of data and questions")
    parser.add_argument("--queries", type=int, default=1500, help="how many questions")
    parser.add_argument("--first", type=int, default=0, help="number of the first question")
    parser.add_argument("--whole", action="store_true", help="the largest table in full")
    parser.add_argument("--dsn", help="an empty database of a server that runs, in place of one of its own")
    arguments = parser.parse_args()
    tables = list(data.tables(arguments.seed, arguments.whole))
    tally = Tally()
    stopping = []
    signal.signal(signal.SIGTERM, lambda *_: stopping.append(True))
    started = time.monotonic()
    asked = 0
    with ExitStack() as stack:
        log_tail = None
        dsn = arguments.dsn
        if not dsn:
            cluster = stack.enter_context(Cluster(postgres.default(), OF_THE_SERVER | SETTINGS))
            dsn, log_tail = cluster.dsn(), cluster.log_tail
        connection = stack.enter_context(psycopg.connect(dsn, autocommit=True))
        connection.prepare_threshold = None
        for name, value in SETTINGS.items():
            connection.execute(f"SET {name} = {value}")
        connection.execute("CREATE EXTENSION chronomind CASCADE")
        for table in tables:
            data.create(connection, table, arguments.seed)
            print(f"{table.name}: {len(table.rows)} rows", flush=True)
        for number in range(arguments.first, arguments.first + arguments.queries):
            if stopping:
                break
            asked += 1
            question, shape = draw(tables, arguments.seed, number)
            if wrong := check(connection, question, shape, tally):
                tally.failures[shape.__name__] += 1
                if tally.failures[shape.__name__] <= SHOWN:
                    again = f"--seed {arguments.seed} --first {number} --queries 1"
                    again += " --whole" if arguments.whole else ""
                    shown = re.sub(r"\[[-\d.,e+]{60,}\]", "[...]", wrong)
                    print(f"\nFAILED {shape.__name__}, {again}\n{shown}\n", flush=True)
            if connection.closed:
                raise SystemExit(f"the server is gone:\n{log_tail() if log_tail else dsn}")
    print(*tally.report(), sep="\n")
    if poor := tally.poor():
        print(f"find less than {LEAST_FOUND}: {', '.join(poor)}")
    if failures := tally.failures.total():
        print(f"failed: {dict(tally.failures)}")
    print(
        f"differential: {asked} queries, {failures} failed, "
        f"{time.monotonic() - started:.0f} s"
    )
    return bool(failures or poor)


if __name__ == "__main__":
    sys.exit(main())
