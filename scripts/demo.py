"""See it work, on real texts with real times, beside pgvector, in a private server.

    python3 -m scripts.demo      # GIT=/path: a repository's log instead; DATA=/path: your vectors

Gets what it needs, builds and installs the extension into a server of its own, and leaves none
running. Which texts, and how they can be others, is told in `scripts.texts`.
"""

from scripts import extension, postgres, texts
from scripts.bench import in_venv
from scripts.host import main, say


def _command():
    folder = texts.folder()
    pg = postgres.default()
    extension.install(pg)
    picture = extension.target_dir() / "demo.png"
    in_venv("demo", pg, folder, picture)
    say(f"the comparison as a picture: {picture}")


if __name__ == "__main__":
    main(_command)
