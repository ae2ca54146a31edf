"""The walk-through in docs/memory.md is true: its statements give the results that it shows."""

import re

from scripts.host import ROOT

GUIDE = ROOT / "docs/memory.md"
CHAPTER = "## A month of an agent\n"
# A block of SQL, and the block of text behind it, if there is one.
EXAMPLE = re.compile(r"^```sql\n(.*?)^```\n(?:\n```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
MARK = "-- end of an example --"


def test_the_month_is_true(cluster):
    _, _, chapter = GUIDE.read_text().partition(CHAPTER)
    examples = EXAMPLE.findall(chapter)
    assert len(examples) > 10
    script = "".join(f"{sql}\\echo {MARK}\n" for sql, _ in examples)
    shown = cluster.psql(script).split(f"{MARK}\n")
    for (sql, expected), actual in zip(examples, shown, strict=False):
        assert tidy(actual) == tidy(expected), sql


def tidy(text):
    """The lines without the spaces at their ends and empty ones."""
    return [line.rstrip() for line in text.splitlines() if line.strip()]
