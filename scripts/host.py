"""This machine: where things are cached, who may run a server, how commands are run.

PostgreSQL refuses to run as root, so under root every server command is run as an
unprivileged user, and everything that user must read lives outside root's home.
"""

import ctypes
import fcntl
import os
import pwd
import shutil
import signal
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
IS_ROOT = os.geteuid() == 0

_PR_SET_PDEATHSIG = 1
_libc = ctypes.CDLL(None)

# The `make` of this project is a list of commands, not a part of the builds that they start:
# PostgreSQL, for one, makes its generated headers only where it finds itself at level 0. They go from
# this process, so that no command can be started with them, whichever environment it is given.
for _name in ("MAKELEVEL", "MAKEFLAGS", "MFLAGS", "GNUMAKEFLAGS"):
    os.environ.pop(_name, None)


class SetupError(Exception):
    """Something this machine lacks, worded for the person at the keyboard."""


def say(message):
    """Prints one line of progress."""
    print(f"==> {message}", file=sys.stderr, flush=True)


def cache_dir():
    """The directory, outside the checkout, for what is expensive to get: servers, wheels."""
    named = os.environ.get("CHRONOMIND_CACHE")
    if named:
        path = Path(named).absolute()
    elif IS_ROOT:
        path = Path("/var/cache/chronomind")
    else:
        path = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "chronomind"
    path.mkdir(parents=True, exist_ok=True)
    return path


@contextmanager
def locked(name):
    """Holds the lock `name` of the cache: two `make` runs must not provision the same thing."""
    with open(cache_dir() / f"{name}.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def cached(name, make):
    """The cache entry `name`, made by `make(partial_directory)` if it is not there yet.

    The entry appears by one rename when it is whole: an interrupted run leaves only a partial
    directory, which the next run starts over.
    """
    entry = cache_dir() / name
    with locked(name):
        if not entry.exists():
            partial = entry.with_name(f"{name}.partial")
            shutil.rmtree(partial, ignore_errors=True)
            os.umask(0o022)  # the server's user reads what root put there
            partial.mkdir()
            make(partial)
            partial.rename(entry)
    return entry


def server_account():
    """The user that servers run as: whoever calls, or under root `postgres`, else `nobody`."""
    if not IS_ROOT:
        return pwd.getpwuid(os.geteuid())
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise SetupError("running as root, and there is no user `postgres` or `nobody` for the server")


def as_server_user():
    """Arguments for `subprocess` that give up root, if we are root, and a client's settings."""
    account = server_account()
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith("PG")
    }
    environment["HOME"] = "/"
    arguments = {"env": environment}
    if IS_ROOT:
        arguments.update(user=account.pw_uid, group=account.pw_gid, extra_groups=[])
    return arguments


def give_to_server_user(path):
    """Hands a file or directory to the user that servers run as."""
    if IS_ROOT:
        account = server_account()
        os.chown(path, account.pw_uid, account.pw_gid)


def die_with_parent(number=signal.SIGTERM):
    """In a child, before it becomes its program: gets a signal when the process that started it dies, even
    by SIGKILL."""
    _libc.prctl(_PR_SET_PDEATHSIG, number)


def run(*command, **options):
    """Runs a command to completion; raises `subprocess.CalledProcessError` when it fails."""
    return subprocess.run([str(word) for word in command], check=True, **options)


def output_of(*command, **options):
    """What a command prints, without the last newline."""
    return run(*command, stdout=subprocess.PIPE, text=True, **options).stdout.strip()


def run_logged(log, *command, **options):
    """Runs a long command with its output in the file `log`; shows its end on failure."""
    with open(log, "a") as sink:
        result = subprocess.run(
            [str(word) for word in command], stdout=sink, stderr=subprocess.STDOUT, **options
        )
    if result.returncode != 0:
        tail = "\n".join(Path(log).read_text(errors="replace").splitlines()[-30:])
        raise SetupError(f"`{' '.join(map(str, command))}` failed:\n{tail}\n(whole log: {log})")


def need_tools(packages_by_tool):
    """Makes sure that commands exist, installing their Debian packages where we may.

    `packages_by_tool` maps the name of a command, or the path of a file, to its package.
    """
    if not _missing(packages_by_tool):
        return
    # Steps that run beside each other may miss the same, and dpkg serves one at a time.
    with locked("apt"):
        missing = _missing(packages_by_tool)
        if not missing:
            return
        if not (IS_ROOT and shutil.which("apt-get")):
            raise SetupError(f"please install: {' '.join(missing)} (Debian's names)")
        say(f"installing {' '.join(missing)}")
        environment = dict(os.environ, DEBIAN_FRONTEND="noninteractive")
        log = cache_dir() / "apt.log"
        apt = ["apt-get", "-o", "DPkg::Lock::Timeout=600", "-q"]
        run_logged(log, *apt, "update", env=environment)
        install = ["install", "-y", "--no-install-recommends"]
        run_logged(log, *apt, *install, *missing, env=environment)


def _missing(packages_by_tool):
    """The packages of those commands and files that are not there."""
    return [
        package
        for tool, package in packages_by_tool.items()
        if not (os.path.exists(tool) if "/" in tool else shutil.which(tool))
    ]


def main(command):
    """Runs a command-line entry point: SIGTERM unwinds like Ctrl-C, setup errors read well."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        sys.exit(command())
    except SetupError as error:
        sys.exit(f"error: {error}")
    except subprocess.CalledProcessError as error:
        sys.exit(f"error: `{' '.join(error.cmd)}` exited with {error.returncode}")
    except KeyboardInterrupt:
        sys.exit(130)
