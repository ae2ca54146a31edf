"""Runs the SQL tests: each file of tests/regress/sql through psql, its output compared.

Every test has a database of its own, with the helpers of tests/regress/prelude.sql. What psql prints,
statements and errors included, must equal tests/regress/expected/NAME.out. There are as many servers as
processors; each runs one test at a time, so that none sees the roles, sessions or memory of another that
runs meanwhile.

    python3 -m scripts.regress [--accept] [NAME ...]     # on PG_CONFIG's server
"""

import argparse
import difflib
import os
import queue
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack

from scripts import extension, postgres
from scripts.cluster import Cluster
from scripts.host import ROOT, SetupError, main, say

TESTS = ROOT / "tests/regress"
CREATION = "CREATE EXTENSION chronomind CASCADE;\n"
# Of a server with assertions: what it caches of the catalog is gone at every occasion.
DISCARDING = "SET debug_discard_caches = 1;\n"
# What would make the output depend on where the test runs, and a disk that need not be waited for.
SETTINGS = {"timezone": "UTC", "datestyle": "ISO, MDY", "lc_messages": "C", "fsync": "off"}


def run(pg, names=(), accept=False, discard_caches=False):
    """Runs the tests named, or all, against the installed extension; returns how many failed.

    With `accept`, the output becomes what is expected from now on. With `discard_caches`, which takes
    a hundred times as long, the server forgets the catalog wherever it might be told to.
    """
    tests = sorted((TESTS / "sql").glob("*.sql"))
    if unknown := set(names).difference(test.stem for test in tests):
        raise SetupError(f"no such SQL test: {', '.join(sorted(unknown))}")
    if names:
        tests = [test for test in tests if test.stem in names]
    failed = 0
    with ExitStack() as stack:
        free = queue.SimpleQueue()
        workers = min(os.cpu_count(), len(tests))
        for _ in range(workers):
            free.put(stack.enter_context(Cluster(pg, settings=SETTINGS)))

        def output(test):
            cluster = free.get()
            try:
                return _output(cluster, test, discard_caches)
            finally:
                free.put(cluster)

        pool = stack.enter_context(ThreadPoolExecutor(workers))
        # In the order of their names, whichever ends first.
        for test, actual in zip(tests, pool.map(output, tests), strict=True):
            expected = TESTS / "expected" / f"{test.stem}.out"
            if accept:
                expected.parent.mkdir(exist_ok=True)
                expected.write_text(actual)
            difference = _difference(expected, actual)
            print(f"{'not ok' if difference else 'ok'}  {test.stem}", flush=True)
            print(difference, end="", flush=True)
            failed += bool(difference)
    print(f"regress: {len(tests) - failed} passed, {failed} failed", flush=True)
    return failed


def _output(cluster, test, discard_caches):
    database = f"regress_{test.stem}"
    cluster.psql(f'CREATE DATABASE "{database}"')
    cluster.psql((TESTS / "prelude.sql").read_text(), database)
    script = test.read_text()
    if discard_caches:
        # After the creation, which is long and not what is tested.
        assert CREATION in script, test.name
        script = script.replace(CREATION, CREATION + DISCARDING, 1)
    return cluster.session(script, database).replace(DISCARDING, "", 1)


def _difference(expected, actual):
    wanted = expected.read_text() if expected.exists() else ""
    lines = difflib.unified_diff(
        wanted.splitlines(), actual.splitlines(), "expected", "actual", lineterm=""
    )
    return "".join(f"{line}\n" for line in lines)


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--accept", action="store_true", help="take the output as expected")
    parser.add_argument("names", nargs="*", help="tests to run; all by default")
    arguments = parser.parse_args()
    pg = postgres.default()
    extension.install(pg)
    say(f"SQL tests on PostgreSQL {pg.major}")
    return run(pg, arguments.names, arguments.accept) > 0


if __name__ == "__main__":
    main(_command)
