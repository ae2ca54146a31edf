"""All tests: the core by itself, then the extension inside real servers.

    python3 -m scripts.test [SUITE...]     # all by default
    python3 -m scripts.test servers        # the SQL tests on every server

Those without a server are `core`, `loom`, `sanitizers` and `fuzz`; those for each server `unit`, `regress`,
`cluster` and `differential`.

The server is that of `PG_CONFIG` where it is set; else there are two: the embedded one, and
one compiled with assertions, for which the extension is built with its own assertions too. The
suite `cron` has a third, the oldest that is supported, with pg_cron: it runs the SQL tests there
too. The suite `faults` has the second, with a library of its own, which the suites after it replace.
With `PG_CONFIG`, the schedules are tested among `cluster` where that server has pg_cron.

The suite `servers`, which runs only when it is named, has one of each major version: the SQL tests on
all of them, and pg_upgrade from each to the next and from the oldest to the newest.
"""

import argparse
import os
import subprocess
import time
from functools import partial
from itertools import pairwise

from scripts import differential, extension, fuzz, postgres, pypi, regress, sanitizers
from scripts.host import ROOT, main, run, say

CORE = ROOT / "crates/chronomind-core"
CORE_TESTS = ["cargo", "test", "-p", CORE.name]
# Server and cargo profile.
DEFAULT_SERVERS = {"embedded-16": "release", "17-cassert": "checked"}
CRON_SERVER = "15-cron"
FAULTS_SERVER = "17-cassert"
EVERY_SERVER = ["15", "embedded-16", "17", "embedded-18"]
# SQL tests that ask the catalog for all that the extension wants to know, in a minute without caches.
UNCACHED = ("definition", "explain", "mistakes", "scans")


def core():
    """The core's tests, with its debug assertions and then as it ships."""
    run(*CORE_TESTS, cwd=ROOT)
    run(*CORE_TESTS, "--release", cwd=ROOT)


def loom():
    """The core's concurrency models, every interleaving of them, on loom's atomics."""
    environment = {**os.environ, "RUSTFLAGS": "--cfg loom"}
    # A directory apart: flags that differ would rebuild everything in the common one.
    target = ["--target-dir", extension.target_dir() / "loom"]
    run(*CORE_TESTS, "--release", *target, "--lib", "models", cwd=ROOT, env=environment)


def unit(pg):
    """What the extension computes without a server, but with the types of one."""
    command = ["cargo", "test", "-p", "chronomind", "--lib", *extension.features(pg)]
    run(*command, cwd=ROOT, env=extension.cargo_environment(pg))


def sql(pg):
    """The SQL tests on one server; with assertions, some of them once more without its caches."""
    failed = regress.run(pg)
    if "--enable-cassert" in pg.value("configure"):
        failed += regress.run(pg, UNCACHED, discard_caches=True)
    if failed:
        raise subprocess.CalledProcessError(1, ["regress"])


def cluster(pg, tests="tests/cluster", **variables):
    """The tests that start, crash and restart servers, and use several connections at once."""
    python = pypi.venv_python(ROOT / "tests/requirements.txt")
    environment = {**os.environ, **variables, "PG_CONFIG": str(pg.path)}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", tests]
    run(*command, cwd=ROOT, env=environment)


def cron():
    """The schedules on a server with pg_cron, and the SQL tests there."""
    if os.environ.get("PG_CONFIG"):
        say("no server is made where PG_CONFIG names one")
        return
    pg = postgres.provision(CRON_SERVER)
    extension.install(pg)
    sql(pg)
    cluster(pg, "tests/cluster/test_schedule.py")


def faults():
    """Backends that end at every point, with a library that can be told to."""
    if os.environ.get("PG_CONFIG"):
        say("a server that PG_CONFIG names gets no library with fault points")
        return
    pg = postgres.provision(FAULTS_SERVER)
    extension.install(pg, DEFAULT_SERVERS[FAULTS_SERVER], extra=["faults"])
    cluster(pg, "tests/cluster/test_faults.py")


def _every_server():
    """What to run on the servers of all major versions, as pairs of a title and a function."""
    servers = [postgres.provision(name) for name in EVERY_SERVER]
    for pg in servers:
        yield f"install on PostgreSQL {pg.major}", partial(extension.install, pg)
        yield f"regress on PostgreSQL {pg.major}", partial(sql, pg)
    for old, new in [*pairwise(servers), (servers[0], servers[-1])]:
        test = partial(cluster, new, "tests/cluster/test_server_upgrade.py")
        yield f"pg_upgrade from {old.major} to {new.major}", partial(test, OLD_PG_CONFIG=str(old.path))


def _servers():
    """Pairs of a server and the profile to build the extension with for it."""
    if os.environ.get("PG_CONFIG"):
        return [(postgres.default(), "release")]
    return [(postgres.provision(name), profile) for name, profile in DEFAULT_SERVERS.items()]


def _steps(chosen):
    """What to run, in order: pairs of a title and a function without arguments."""
    for name, suite in OWN_SUITES.items():
        if name in chosen:
            yield name, suite
    if "servers" in chosen:
        yield from _every_server()
    if not chosen.intersection(SERVER_SUITES):
        return
    for pg, profile in _servers():
        extension.install(pg, profile)
        for name, suite in SERVER_SUITES.items():
            if name in chosen:
                yield f"{name} on PostgreSQL {pg.major}", partial(suite, pg)


# Those that bring what they need, and those for each server.
OWN_SUITES = {
    "core": core,
    "loom": loom,
    "sanitizers": sanitizers.run_all,
    "fuzz": fuzz.run_all,
    "cron": cron,
    "faults": faults,
}
SERVER_SUITES = {"unit": unit, "regress": sql, "cluster": cluster, "differential": differential.ask}


def _command():
    everything = [*OWN_SUITES, *SERVER_SUITES]
    names = [*everything, "servers"]
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(names))
    chosen = set(parser.parse_args().suites or everything)
    if unknown := chosen.difference(names):
        parser.error(f"no such suite: {', '.join(unknown)}")
    failed = []
    for title, step in _steps(chosen):
        say(title)
        started = time.monotonic()
        try:
            step()
            verdict = "ok"
        except subprocess.CalledProcessError:
            failed.append(title)
            verdict = "FAILED"
        say(f"{title}: {verdict}, {time.monotonic() - started:.0f} s")
    if failed:
        say(f"failed: {', '.join(failed)}")
    return len(failed) > 0


if __name__ == "__main__":
    main(_command)
