"""Which PostgreSQL to build and test against.

A server is named `embedded-16`, `embedded-18`, or, compiled from source, `15`, `15-cron` with
pg_cron, `15-cassert`, `17`, `17-cassert`, or `17-suites` with PostgreSQL's own tests. `PG_CONFIG` in
the environment names the user's own instead.

The servers in the cache stay pristine. Each checkout works in a copy of its own, made of hard
links: PostgreSQL finds its files relative to its program, so copies run in parallel, each with
the extension of its checkout installed.

    python3 -m scripts.postgres embedded-16     # prints the path of its pg_config
"""

import hashlib
import os
import sys
from pathlib import Path

from scripts import postgres_embedded, postgres_source
from scripts.host import ROOT, SetupError, cached, main, output_of

DEFAULT = "embedded-16"


class PgConfig:
    """An installed PostgreSQL, as its `pg_config` describes it."""

    def __init__(self, path):
        self.path = Path(path).absolute()
        if not os.access(self.path, os.X_OK):
            raise SetupError(f"{path} is not a pg_config that can be run")
        version = self.value("version").split()[1]
        digits = "".join(c if c.isdigit() else " " for c in version)
        self.major = int(digits.split()[0])
        self.bin = Path(self.value("bindir"))

    def value(self, name):
        """One value, by the name of the option: `sharedir`, `includedir-server`, ..."""
        return output_of(self.path, f"--{name}")

    @property
    def library_dir(self):
        """Where loadable modules go."""
        return Path(self.value("pkglibdir"))

    @property
    def extension_dir(self):
        """Where control files and install scripts go."""
        return Path(self.value("sharedir")) / "extension"


def provision(name, copy=""):
    """The server `name` as a copy that belongs to this checkout; `copy` names one beside the first, for
    another library."""
    kind, _, flavour = name.partition("-")
    if kind == "embedded" and flavour in postgres_embedded.PREFIXES:
        entry, prefix = postgres_embedded.provision(flavour)
    elif kind in postgres_source.SUITES and flavour in postgres_source.FLAVOURS:
        entry, prefix = postgres_source.provision(kind, flavour), "."
    elif (kind, flavour) == ("15", "cron"):
        entry, prefix = postgres_source.provision_with_cron(kind), "."
    else:
        raise SetupError(f"no such server: {name}")

    checkout = hashlib.sha256(str(ROOT).encode()).hexdigest()[:12]

    def link(directory):
        # A hard link costs nothing, and an install replaces files instead of writing to them.
        output_of("cp", "-al", f"{entry}/.", directory)

    # The name of the entry tells apart builds that differ; see postgres_source.
    place = "-".join(["checkout", checkout, entry.name, *filter(None, [copy])])
    return PgConfig(cached(place, link) / prefix / "bin/pg_config")


def default():
    """The user's `PG_CONFIG`, else this checkout's embedded server."""
    named = os.environ.get("PG_CONFIG")
    return PgConfig(named) if named else provision(DEFAULT)


if __name__ == "__main__":
    main(lambda: print((provision(sys.argv[1]) if sys.argv[1:] else default()).path))
