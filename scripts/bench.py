"""Figures: the index beside pgvector's through SQL, then the core's own benches.

    python3 -m scripts.bench [sql] [orders] [memory] [touches] [core]     # all by default

`DATA=/path` names a folder of memories with vectors (see `scripts.texts`); by default it is
`../shared/data/git-memories` where that is, else the demo's data. The SQL figures are printed as
Markdown on standard output. `ROWS=1000000` gives `orders` so many memories.
"""

import argparse
import os

from scripts import extension, postgres, pypi, texts
from scripts.host import ROOT, main, run, say

SHARED_DATA = ROOT / "../shared/data/git-memories"


def in_venv(module, pg, *arguments):
    """Runs a module of `benches.db` on the server `pg`."""
    python = pypi.venv_python(ROOT / "benches/db/requirements.txt")
    environment = {**os.environ, "PG_CONFIG": str(pg.path)}
    run(python, "-m", f"benches.db.{module}", *arguments, cwd=ROOT, env=environment)


def _on_data(module):
    pg = postgres.default()
    extension.install(pg)
    shared = "DATA" not in os.environ and SHARED_DATA.is_dir()
    in_venv(module, pg, SHARED_DATA if shared else texts.folder())


def sql():
    """The extension beside pgvector: build, search, insert."""
    _on_data("bench")


def orders():
    """Any order and any filter, beside a sequential scan and pgvector."""
    _on_data("orders_bench")


def memory():
    """Touching and decaying memories."""
    _on_data("memory")


def touches():
    """A million uses of memories, and what they do to the size of the index."""
    _on_data("touches")


def core():
    """Kernels and graph, without Postgres."""
    run("cargo", "bench", "-p", "chronomind-core", cwd=ROOT)


SUITES = {"sql": sql, "orders": orders, "memory": memory, "touches": touches, "core": core}


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("suites", nargs="*", metavar="SUITE", help=", ".join(SUITES))
    chosen = parser.parse_args().suites or SUITES
    for name in chosen:
        if name not in SUITES:
            parser.error(f"no such suite: {name}")
        say(f"figures: {name}")
        SUITES[name]()


if __name__ == "__main__":
    main(_command)
