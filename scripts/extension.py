"""Builds the extension for one PostgreSQL and installs it there. cargo-pgrx is not needed.

The install script is written by hand, so that an install is three copies: the library, the
control file and the SQL.

    python3 -m scripts.extension [build|install] [--destdir DIR]     # into PG_CONFIG's server
"""

import argparse
import fcntl
import json
import os
import shutil
import tempfile
from contextlib import contextmanager
from pathlib import Path

from scripts import libclang, postgres
from scripts.host import ROOT, SetupError, main, output_of, run, say

SUPPORTED = range(15, 19)


def cargo_environment(pg):
    """The variables under which cargo builds pgrx against the server `pg`."""
    if pg.major not in SUPPORTED:
        raise SetupError(f"{pg.path} is PostgreSQL {pg.major}; ChronoMind needs 15 to 18")
    if not Path(pg.value("includedir-server"), "postgres.h").exists():
        raise SetupError(
            f"{pg.path} has no server headers: install postgresql-server-dev-{pg.major}"
        )
    if not shutil.which("cargo"):
        raise SetupError("the Rust toolchain is missing: cargo is not on the PATH")
    return {**os.environ, "PGRX_PG_CONFIG_PATH": str(pg.path), **libclang.environment()}


def features(pg, *extra):
    """The cargo arguments that select the server's major version, and other features."""
    return ["--no-default-features", "--features", ",".join([f"pg{pg.major}", *extra])]


def build(pg, profile="release", extra=()):
    """Compiles the library for `pg`; returns its path, valid until the next build."""
    say(f"building the extension for PostgreSQL {pg.major}")
    command = ["cargo", "build", "--lib", f"--profile={profile}", *features(pg, *extra)]
    environment = cargo_environment(pg)
    run(*command, cwd=ROOT, env=environment)
    return target_dir() / profile / "libchronomind.so"


def target_dir():
    """Where cargo puts what it builds."""
    metadata = output_of("cargo", "metadata", "--format-version=1", "--no-deps", cwd=ROOT)
    return Path(json.loads(metadata)["target_directory"])


def install(pg, profile="release", destdir=None, extra=()):
    """Builds for `pg` and installs, below `destdir` if given; returns the paths it wrote.

    `extra`: features of the crate besides the server's version.
    """
    # What cargo builds for another server has the same name.
    with _target_dir_locked():
        return _install(pg, build(pg, profile, extra), destdir)


@contextmanager
def _target_dir_locked():
    """Keeps others that install from this checkout waiting."""
    directory = target_dir()
    directory.mkdir(parents=True, exist_ok=True)
    with open(directory / "install.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _install(pg, library, destdir):
    control = ROOT / "chronomind.control"
    copies = {library: pg.library_dir / "chronomind.so"}
    for source in [control, *sorted((ROOT / "sql").glob("chronomind--*.sql"))]:
        copies[source] = pg.extension_dir / source.name
    installed = []
    for source, target in copies.items():
        if destdir:
            target = Path(destdir, target.relative_to("/"))
        try:
            _replace(source, target)
        except PermissionError as error:
            raise SetupError(f"no permission to write {target}: install as its owner") from error
        installed.append(target)
    return installed


def _replace(source, target):
    """Puts a copy of `source` in the place of `target` by a rename.

    A running server has the library mapped: writing into the file would pull it from under it.
    """
    target.parent.mkdir(parents=True, exist_ok=True)
    handle, temporary = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    os.close(handle)
    try:
        shutil.copyfile(source, temporary)
        os.chmod(temporary, 0o755 if target.suffix == ".so" else 0o644)
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("action", choices=["build", "install"])
    parser.add_argument("--destdir", help="root directory to install below")
    profile = os.environ.get("CHRONOMIND_PROFILE", "release")
    parser.add_argument("--profile", default=profile, help=f"of cargo ({profile})")
    arguments = parser.parse_args()
    pg = postgres.default()
    if arguments.action == "build":
        print(build(pg, arguments.profile))
        return
    for path in install(pg, arguments.profile, arguments.destdir):
        print(path)
    say("restart the server with shared_preload_libraries = 'chronomind'")


if __name__ == "__main__":
    main(_command)
