"""The programs of examples/ run, and say what they should."""

import subprocess
import sys

from scripts.host import ROOT

EXAMPLES = ROOT / "examples"


def run(name, address):
    """What an example prints."""
    command = [sys.executable, EXAMPLES / name, address]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.splitlines()


BEST = "['The deploy key is in the vault']"


def test_plain_sql(cluster):
    shown = cluster.psql((EXAMPLES / "plain.sql").read_text())
    assert "The deploy key is in the vault" in shown
    assert cluster.query("SELECT survivor, absorbed FROM notes_merges") == [["2", "3"]]


def test_psycopg(cluster):
    recalled, tidied = run("psycopg_memory.py", cluster.dsn())
    assert recalled.startswith("['The deploy key is in the vault', ")
    assert tidied == "1 merged, 0 forgotten"
    # A second run finds its table, and merges what is there twice now.
    _, tidied = run("psycopg_memory.py", cluster.dsn())
    assert tidied == "3 merged, 0 forgotten"


def test_sqlalchemy(cluster):
    nearest, recalled, tidied = run(
        "sqlalchemy_memory.py", f"postgresql+psycopg://postgres@/postgres?host={cluster.directory}"
    )
    assert nearest == BEST
    assert recalled == "['Deploys are on Tuesdays', 'The deploy key is in the vault']"
    assert tidied == "2 touched, 1 merged"
