"""All tests: the core by itself, then the extension inside real servers.

    python3 -m scripts.test [--lanes N] [SUITE...]     # all by default
    python3 -m scripts.test cluster@embedded-16        # one suite on one server
    python3 -m scripts.test servers                    # the SQL tests on every server
    python3 -m scripts.test check                      # the most in five minutes, for who changes something

Those without a server are `core`, `loom`, `sanitizers` and `fuzz`; those for each server `unit`, `regress`,
`cluster` and `differential`.

The server is that of `PG_CONFIG` where it is set; else there are two: the embedded one, and
one compiled with assertions, for which the extension is built with its own assertions too. The
suite `cron` has a third, the oldest that is supported, with pg_cron: it runs the SQL tests there
too. The suite `faults` has a copy of the second, for a library of its own.
With `PG_CONFIG`, the schedules are tested among `cluster` where that server has pg_cron.

The suite `servers`, which runs only when it is named, has one of each major version: the SQL tests on
all of them, and pg_upgrade from each to the next and from the oldest to the newest.

Suites run two at a time, beside the servers that are still compiled: see `scripts.lanes`.
"""

import argparse
import os
import subprocess
import sys
from dataclasses import dataclass
from functools import partial
from itertools import pairwise

from scripts import differential, extension, fuzz, lanes, postgres, pypi, regress, sanitizers
from scripts.host import ROOT, main, run, say
from scripts.lanes import Step

CORE = ROOT / "crates/chronomind-core"
CORE_TESTS = ["cargo", "test", "-p", CORE.name]
# Programs of tests are not optimised as a whole, each with its library: that takes longer than to run them.
UNLINKED = ["--config", 'profile.release.lto="off"']
# SQL tests that ask the catalog for all that the extension wants to know, in a minute without caches.
UNCACHED = ("definition", "explain", "mistakes", "scans")
LANES = 2
# Of the suite `check`: so many generated queries, on the server that it has.
CHECKED_QUERIES = 400


@dataclass(frozen=True)
class Server:
    """A server under test, and how the extension is built for it."""

    name: str  # of `scripts.postgres`; None for that of PG_CONFIG
    profile: str = "release"
    extra: tuple = ()  # features of the crate
    copy: str = ""

    @property
    def label(self):
        """What stands behind the @ in names of steps."""
        return "-".join(filter(None, [self.name or "yours", self.copy]))

    @property
    def pg(self):
        """The server, made where it is not there yet."""
        return postgres.provision(self.name, self.copy) if self.name else postgres.default()


EMBEDDED = Server("embedded-16")
ASSERTING = Server("17-cassert", "checked")
CRON = Server("15-cron")
FAULTS = Server("17-cassert", "checked", ("faults",), "faults")
EVERY = [Server(name) for name in ("15", "embedded-16", "17", "embedded-18")]
YOURS = Server(None)


def core(profile):
    """The core's tests: with assertions and checks of overflow, or as it ships."""
    run(*CORE_TESTS, "--profile", profile, *UNLINKED, cwd=ROOT)


def loom():
    """The core's concurrency models, every interleaving of them, on loom's atomics."""
    environment = {**os.environ, "RUSTFLAGS": "--cfg loom"}
    # A directory apart: flags that differ would rebuild everything in the common one.
    target = ["--target-dir", extension.target_dir() / "loom"]
    run(*CORE_TESTS, "--release", *target, "--lib", "models", cwd=ROOT, env=environment)


def build(server):
    """Builds the extension for the server and installs it there."""
    extension.install(server.pg, server.profile, extra=server.extra)


def unit(server):
    """What the extension computes without a server, but with the types of one."""
    # In the profile of the library, whose dependencies are built already.
    command = ["cargo", "test", "-p", "chronomind", "--lib", "--profile", server.profile]
    pg = server.pg
    run(*command, *extension.features(pg), cwd=ROOT, env=extension.cargo_environment(pg))


def sql(server):
    """The SQL tests on one server; with assertions, some of them once more without its caches."""
    pg = server.pg
    failed = regress.run(pg)
    if "--enable-cassert" in pg.value("configure"):
        failed += regress.run(pg, UNCACHED, discard_caches=True)
    if failed:
        raise subprocess.CalledProcessError(1, ["regress"])


def cluster(server, *arguments, tests="tests/cluster", **variables):
    """The tests that start, crash and restart servers, and use several connections at once."""
    pg = server.pg
    python = pypi.venv_python(ROOT / "tests/requirements.txt")
    # What is packaged is what was built, and not built for another time.
    environment = {**os.environ, "CHRONOMIND_PROFILE": server.profile}
    environment |= {**variables, "PG_CONFIG": str(pg.path)}
    command = [python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--durations=15"]
    # Each test has a server of its own; which of them waits most is not known before.
    beside = ["-n", os.cpu_count(), "--dist", "worksteal"]
    run(*command, *beside, *arguments, tests, cwd=ROOT, env=environment)


def cron(server):
    """The schedules on a server with pg_cron, and the SQL tests there."""
    sql(server)
    cluster(server, tests="tests/cluster/test_schedule.py")


def faults(server):
    """Backends that end at every point, with a library that can be told to."""
    cluster(server, "tests/cluster/test_unfit.py", tests="tests/cluster/test_faults.py")


def upgrade(old, new):
    """pg_upgrade from one server to another."""
    test = "tests/cluster/test_server_upgrade.py"
    cluster(new, tests=test, OLD_PG_CONFIG=str(old.pg.path))


def asked(server, *arguments):
    """Generated queries."""
    differential.ask(server.pg, *arguments)


# Not on a server that PG_CONFIG names: no pg_cron is put there, and no library with fault points.
OWN_SERVERS = ("cron", "faults")


def _on(server, suite, function, **options):
    """The step of a suite on a server."""
    return Step(f"{suite}@{server.label}", partial(function, server), (_build(server).name,), **options)


def _compile(server, after=()):
    return Step(f"compile@{server.label}", lambda: say(server.pg.path), after)


def _build(server):
    return Step(f"build@{server.label}", partial(build, server), (f"compile@{server.label}",), builds=True)


def _steps():
    """All there is, what others wait for and what takes longest first."""
    yours = bool(os.environ.get("PG_CONFIG"))
    servers = [YOURS] if yours else [ASSERTING, EMBEDDED]
    yield from (_compile(server) for server in servers)
    yield from (_build(server) for server in reversed(servers))
    yield Step("core@release", partial(core, "release"), builds=True)
    for server in reversed(servers):
        yield _on(server, "cluster", cluster)
    if not yours:
        yield _compile(CRON)
        yield _compile(FAULTS, (f"compile@{ASSERTING.label}",))
        yield from (_build(server) for server in (FAULTS, CRON))
        yield _on(FAULTS, "faults", faults)
        yield _on(CRON, "cron", cron)
    yield Step("core@checked", partial(core, "checked"), builds=True)
    for server in servers:
        yield _on(server, "regress", sql)
        yield _on(server, "differential", asked)
        yield _on(server, "unit", unit, builds=True)
    for name in sanitizers.TESTS:
        yield Step(f"sanitizers@{name}", partial(sanitizers.run_all, [name]))
    yield Step("loom", loom)
    yield Step("fuzz", fuzz.run_all)


def _every_server():
    """The steps of the suite `servers`."""
    for server in EVERY:
        yield from (_compile(server), _build(server), _on(server, "regress", sql))
    for old, new in [*pairwise(EVERY), (EVERY[0], EVERY[-1])]:
        needed = (_build(old).name, _build(new).name)
        yield Step(f"upgrade@{old.label}-{new.label}", partial(upgrade, old, new), needed)


def _checks():
    """The steps of the suite `check`: nothing that takes long to compile, nothing that waits."""
    server = YOURS if os.environ.get("PG_CONFIG") else EMBEDDED
    yield from (_compile(server), _build(server))
    yield Step("core@release", partial(core, "release"), builds=True)
    yield _on(server, "regress", sql)
    queries = partial(asked, server, "--queries", str(CHECKED_QUERIES))
    yield Step(f"differential@{server.label}", queries, (_build(server).name,))


def _named(name, steps):
    """The names of the steps that a SUITE means."""
    return [step.name for step in steps if name in (step.name, step.name.partition("@")[0])]


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help="suites, or steps such as cluster@embedded-16")
    parser.add_argument("--lanes", type=int, default=LANES, help=f"how many run at a time ({LANES})")
    parser.add_argument("--alone", metavar="STEP", help="one step, in this process, without what it needs")
    parser.add_argument("--list", action="store_true", help="the names of the steps")
    arguments = parser.parse_args()
    apart = {"servers": _every_server, "check": _checks}
    kind = next((name for name in arguments.suites if name in apart), "")
    steps = list(apart.get(kind, _steps)())
    if kind and arguments.suites != [kind]:
        parser.error(f"{kind} stands alone")
    if arguments.list:
        print(*[step.name for step in steps], sep="\n")
        return 0
    if arguments.alone:
        (step,) = [step for step in steps if step.name == arguments.alone]
        try:
            step.run()
        except subprocess.CalledProcessError as error:
            say(f"{step.name}: `{' '.join(map(str, error.cmd))}` exited with {error.returncode}")
            return 1
        return 0
    if os.environ.get("PG_CONFIG") and not kind:
        say(f"on the server of PG_CONFIG; {' and '.join(OWN_SERVERS)} have servers of their own, and are left out")
    if arguments.suites and not kind:
        chosen = []
        for name in arguments.suites:
            named = _named(name, steps)
            if not named:
                parser.error(f"no such suite: {name}")
            chosen += named
        steps = lanes.with_needed(steps, chosen)
    command = [sys.executable, "-m", "scripts.test", *([kind] if kind else []), "--alone"]
    failed = lanes.run_all(steps, command, arguments.lanes)
    if failed:
        say(f"failed: {', '.join(failed)}")
    return len(failed) > 0


if __name__ == "__main__":
    main(_command)
