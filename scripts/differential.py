"""Generated queries, answered by the index and by a sequential scan: see tests/differential.

    python3 -m scripts.differential [--seed N] [--queries N] [--whole]     # on PG_CONFIG's server
"""

import os
import subprocess
import sys

from scripts import extension, postgres, pypi
from scripts.host import ROOT, main, run, say


def ask(pg, *arguments):
    """Asks, with what `tests.differential` takes; raises where an answer is wrong."""
    python = pypi.venv_python(ROOT / "tests/requirements.txt")
    run(python, "-m", "pytest", "-q", "-p", "no:cacheprovider", "tests/differential", cwd=ROOT)
    environment = {**os.environ, "PG_CONFIG": str(pg.path)}
    run(python, "-m", "tests.differential", *arguments, cwd=ROOT, env=environment)


def _command():
    pg = postgres.default()
    if not {"-h", "--help"}.intersection(sys.argv):
        extension.install(pg)
    say(f"generated queries on PostgreSQL {pg.major}")
    try:
        ask(pg, *sys.argv[1:])
    except subprocess.CalledProcessError:
        return 1
    return 0


if __name__ == "__main__":
    main(_command)
