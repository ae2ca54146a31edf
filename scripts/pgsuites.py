"""PostgreSQL's own regression and isolation tests, on a server that has ChronoMind loaded.

    python3 -m scripts.pgsuites [regress|isolation ...] [--tests "int4 join"] [--no-queries]

They know nothing of the extension, and must pass as they do without it. Beside them, in another database of the
same server, go the generated queries of tests/differential, of another seed each time. That takes the better
part of an hour on two cores, so it is no part of `make test`; the server is compiled from source, with the
tests that belong to it.
"""

import argparse
import os
import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from scripts import extension, postgres, pypi
from scripts.cluster import USER, Cluster
from scripts.host import ROOT, as_server_user, die_with_parent, give_to_server_user, main, say

SERVER = "17-suites"
# The suite, its driver below the server's pgxs, and what every one of its tests needs.
SUITES = {
    "regress": ("src/test/regress/pg_regress", "parallel_schedule", ["test_setup"]),
    "isolation": ("src/test/isolation/pg_isolation_regress", "isolation_schedule", []),
}
SETTINGS = {"fsync": "off", "max_connections": "60"}
QUERIES = 1_000_000  # more than there is time for
DATABASE = "beside"


def run_suite(pg, cluster, suite, tests):
    """Runs a suite, or some of its tests; whether all passed."""
    driver, schedule, needed = SUITES[suite]
    files = pg.bin.parent / "suites" / suite
    output = Path(tempfile.mkdtemp(prefix=f"chronomind-{suite}-"))
    give_to_server_user(output)
    command = [
        pg.library_dir / "pgxs" / driver,
        *(f"--inputdir={files}", f"--expecteddir={files}", f"--outputdir={output}"),
        *(f"--bindir={pg.bin}", f"--dlpath={files}"),
        *(f"--host={cluster.directory}", f"--user={USER}", "--max-connections=10"),
        *([*needed, *tests] if tests else [f"--schedule={files / schedule}"]),
    ]
    say(f"PostgreSQL's {suite} tests")
    result = subprocess.run([str(word) for word in command], cwd=output, **as_server_user())
    if result.returncode != 0:
        say(f"what came out, and how it differs: {output}")
        return False
    shutil.rmtree(output)
    return True


@contextmanager
def queries_beside(cluster, seed):
    """Generated queries in a database of their own, until the context ends; yields whether all were right."""
    cluster.psql(f"CREATE DATABASE {DATABASE}")
    python = pypi.venv_python(ROOT / "tests/requirements.txt")
    arguments = ["--dsn", cluster.dsn(DATABASE), "--seed", str(seed), "--queries", str(QUERIES)]
    process = subprocess.Popen(
        [str(python), "-m", "tests.differential", *arguments], cwd=ROOT, preexec_fn=die_with_parent
    )
    outcome = {}
    try:
        yield outcome
    finally:
        process.terminate()
        # It was still asking, and nothing that it asked was answered wrongly.
        outcome["all right"] = process.wait() == 0


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=f"{', '.join(SUITES)}; all by default")
    parser.add_argument("--tests", default="", help="names of tests, in place of the whole schedule")
    parser.add_argument("--no-queries", action="store_true", help="nothing beside them")
    parser.add_argument("--seed", type=int, default=os.getpid(), help="of the queries beside them")
    arguments = parser.parse_args()
    suites = arguments.suites or list(SUITES)
    if unknown := set(suites).difference(SUITES):
        parser.error(f"no such suite: {', '.join(unknown)}")
    pg = postgres.provision(SERVER)
    extension.install(pg)
    failed = []
    with Cluster(pg, SETTINGS) as cluster:
        for suite in suites:
            if arguments.no_queries:
                passed = run_suite(pg, cluster, suite, arguments.tests.split())
            else:
                with queries_beside(cluster, arguments.seed) as queries:
                    passed = run_suite(pg, cluster, suite, arguments.tests.split())
                cluster.psql(f"DROP DATABASE {DATABASE} WITH (FORCE)")
                if not queries["all right"]:
                    failed.append(f"queries beside {suite}, of seed {arguments.seed}")
            if not passed:
                failed.append(suite)
        if "was terminated by signal" in cluster.log.read_text(errors="replace"):
            failed.append("a process of the server crashed")
            say(cluster.log_tail(60))
    if failed:
        say(f"failed: {'; '.join(failed)}")
    return len(failed) > 0


if __name__ == "__main__":
    main(_command)
