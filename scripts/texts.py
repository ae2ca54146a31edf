"""Real dated texts to remember, from this machine: the data of the demo.

They are, in this order of preference: the log of a git repository (`GIT=/path`); the Debian
changelogs of the installed packages; and, where those are few, the changelog of SQLAlchemy, twenty
years of it, from its source package. Each becomes a folder in the cache:

    memories.tsv.gz    id, Unix time, text, in order of time
    queries.tsv        the same for texts that are held back, to be asked for

A folder of one's own is named as `DATA=/path`. It has the vectors too, in the same order:
`embeddings.f16.npy` and `queries.f16.npy`, one a row.
"""

import calendar
import email.utils
import glob
import gzip
import hashlib
import os
import random
import re
import time
from pathlib import Path

from scripts.host import SetupError, cached, output_of, say
from scripts.pypi import unpack_sdist

SQLALCHEMY = "sqlalchemy==2.0.44"
CHANGELOGS = "/usr/share/doc/*/changelog*.gz"

FILES = ("memories.tsv.gz", "queries.tsv", "embeddings.f16.npy", "queries.f16.npy")

FEWEST = 5_000  # texts below which a machine's changelogs do not make a demo
FEWEST_OF_GIT = 500  # for the user's own choice; below that there are no topics to find
MOST_PER_RELEASE = 10  # or the kernel, with a thousand in some, would be most of them
SHORTEST, LONGEST = 25, 300  # characters
HELD_BACK = 300

# Asked before the texts that were held back.
QUESTIONS = {
    "debian-changelogs": [
        "heap overflow in png or tiff images",
        "out of bounds read in parser",
        "memory leak",
    ],
    "sqlalchemy-changelog": [
        "eager loading returns the wrong rows",
        "deadlock or leak in the connection pool",
        "JSON column on PostgreSQL",
    ],
    "git-log": [],
}


def folder():
    """The folder with the texts to use, made if need be."""
    if named := os.environ.get("DATA"):
        for file in FILES:
            if not (Path(named) / file).exists():
                raise SetupError(f"DATA={named} has no {file}; see scripts/texts.py")
        return Path(named).absolute()
    if repository := os.environ.get("GIT"):
        head = output_of("git", "-C", repository, "rev-parse", "HEAD")
        log, count = _folder("git-log", head, lambda: _git(repository))
        if count < FEWEST_OF_GIT:
            raise SetupError(f"{repository} has {count} commits; the demo needs {FEWEST_OF_GIT}")
        return log
    installed = sorted(glob.glob(CHANGELOGS))
    stamps = "".join(f"{path} {os.stat(path).st_mtime_ns}\n" for path in installed)
    debian, count = _folder("debian-changelogs", stamps, lambda: _debian(installed))
    if count >= FEWEST:
        return debian
    return _folder("sqlalchemy-changelog", SQLALCHEMY, _sqlalchemy)[0]


def _folder(name, version, read):
    """The cache entry with the texts that `read` gives, and their number."""

    def make(directory):
        say(f"reading {name}")
        times = {}  # by text: one that appears again is remembered from the first time
        for when, text in sorted(read()):
            text = " ".join(re.sub(r"https?://\S+", "", text).split())
            if len(text) >= SHORTEST:
                times.setdefault(text[:LONGEST], int(when))
        (directory / "count").write_text(str(len(times)))
        rows = [(number, when, text) for number, (text, when) in enumerate(times.items())]
        held_back = random.Random(0).sample(rows, min(HELD_BACK, len(rows) // 20))
        newest = rows[-1][1] if rows else 0
        asked = [(-1, newest, question) for question in QUESTIONS[name]] + held_back
        kept = sorted(set(rows) - set(held_back))
        with gzip.open(directory / "memories.tsv.gz", "wt", encoding="utf-8") as file:
            file.writelines(f"{number}\t{when}\t{text}\n" for number, when, text in kept)
        with open(directory / "queries.tsv", "w", encoding="utf-8") as file:
            file.writelines(f"{number}\t{when}\t{text}\n" for number, when, text in asked)

    digest = hashlib.sha256(version.encode() + Path(__file__).read_bytes()).hexdigest()[:12]
    entry = cached(f"texts-{name}-{digest}", make)
    return entry, int((entry / "count").read_text())


def _git(repository):
    """The commits of a git repository: subject line and first paragraph."""
    log = output_of(
        "git",
        "-C",
        repository,
        "log",
        "--no-merges",
        "--format=%ct%x09%s %b%x00",
        errors="replace",
    )
    for commit in log.split("\0"):
        when, tab, text = commit.strip().partition("\t")
        if tab:
            yield int(when), text


def _debian(paths):
    """The items of Debian changelogs, each with the name of its source package."""
    entries = {}  # by (package, version): several packages have their source's changelog
    for path in paths:
        try:
            with gzip.open(path, "rt", encoding="utf-8", errors="replace") as lines:
                for release, when, items in _releases(lines):
                    entries[release] = when, items[:MOST_PER_RELEASE]
        except (OSError, EOFError):
            continue
    for (package, _), (when, items) in entries.items():
        for item in items:
            yield when, f"{package}: {item}"


_HEAD = re.compile(r"([a-z0-9][a-z0-9.+-]+) \(([^()\s]+)\) .*;")
_ITEM = re.compile(r" {2,4}[*+-] +(.*)")
_FOOT = re.compile(r" -- .*>\s+(.*)")


def _releases(lines):
    """The releases of one changelog: ((package, version), Unix time, items)."""
    release = None
    for line in lines:
        if match := _HEAD.match(line):
            release, items = match.groups(), []
        elif release is None:
            continue
        elif match := _ITEM.match(line):
            items.append(match[1])
        elif match := _FOOT.match(line):
            when = email.utils.parsedate_tz(match[1])
            if when and when[0] >= 1990:
                yield release, email.utils.mktime_tz(when), items
            release = None
        elif items and line.startswith("    "):
            items[-1] += " " + line.strip()


def _sqlalchemy():
    """The changes of SQLAlchemy, dated by the release that brought them."""
    source = cached("sqlalchemy", lambda partial: unpack_sdist(SQLALCHEMY, partial))
    for path in sorted(source.rglob("doc/build/changelog/changelog_*.rst")):
        when, paragraphs = None, []
        for block in re.split(r"\n\s*\n", path.read_text(encoding="utf-8")):
            if released := re.search(r":released:[ \t]*(.*)", block):
                when = _day(released[1])
            elif block.strip().startswith(".. change::"):
                paragraphs = []
            elif when and not paragraphs and not block.strip().startswith(".."):
                paragraphs.append(block)
                # Roles such as :meth:`.Session.execute` leave what they name.
                yield when, re.sub(r":[\w:]+:`[~.]*([^`]*)`", r"\1", block)


def _day(text):
    """Unix time of a day as changelogs write it: `October 10, 2025` or `Sun Oct 12 2008`."""
    for form in ("%B %d, %Y", "%b %d, %Y", "%a %b %d %Y", "%B %d %Y"):
        try:
            return calendar.timegm(time.strptime(text.strip(), form))
        except ValueError:
            continue
    return None


if __name__ == "__main__":
    print(folder())
