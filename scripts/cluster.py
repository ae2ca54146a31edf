"""A private PostgreSQL server for demos, tests and benches.

It listens on a Unix socket in its own directory and nowhere else, has chronomind preloaded,
and never outlives the process that started it.

    with Cluster(pg) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        rows = cluster.query("SELECT 1, 'a'")               # [["1", "a"]]
        cluster.crash()                                      # as after a power cut
        cluster.start()
"""

import csv
import hashlib
import io
import shutil
import signal
import subprocess
import tempfile
import time
from functools import partial
from pathlib import Path

from scripts.host import (
    SetupError,
    as_server_user,
    cached,
    die_with_parent,
    give_to_server_user,
    say,
    server_account,
)

START_TIMEOUT = 120  # seconds; recovery after a crash is part of it
USER = "postgres"


class Cluster:
    """A server on a data directory of its own; a context manager that starts and stops it.

    `settings` are server settings by name; a change to them takes effect at the next start.
    With `directory`, data is kept there and found again by the next run; without, the server
    lives in a temporary directory that goes with it. `preload=False` leaves chronomind out;
    `initdb` are more options for making the data directory.
    """

    def __init__(self, pg, settings=None, directory=None, preload=True, initdb=()):
        self.pg = pg
        self.settings = {
            "listen_addresses": "",
            "shared_preload_libraries": "chronomind" if preload else "",
            **(settings or {}),
        }
        self._initdb = initdb
        self._temporary = directory is None
        self.directory = Path(directory) if directory else None
        self._server = None

    def __enter__(self):
        if self._temporary:
            # Not below the checkout, which the server's user may be unable to enter; and short,
            # for the path of a socket is limited to 107 bytes.
            self.directory = Path(tempfile.mkdtemp(prefix="chronomind-"))
        self.directory.mkdir(parents=True, exist_ok=True)
        give_to_server_user(self.directory)
        try:
            self._check_access()
            self.start()
        except BaseException:
            self._leave(failed=True)
            raise
        return self

    def __exit__(self, kind, *_):
        self._leave(failed=kind is not None and issubclass(kind, Exception))

    def _check_access(self):
        """Says so if the server's user cannot run the server, as when it lies in root's home."""
        server = str(self.pg.bin / "postgres")
        if subprocess.run(["test", "-x", server], **as_server_user()).returncode != 0:
            raise SetupError(f"{server} cannot be run by the user `{server_account().pw_name}`")

    def _leave(self, failed):
        self.stop()
        if self._temporary:
            if failed and self.log.exists():
                kept = self.directory.with_suffix(".log")
                shutil.copyfile(self.log, kept)
                say(f"the server's log: {kept}")
            shutil.rmtree(self.directory, ignore_errors=True)

    @property
    def data(self):
        """The data directory."""
        return self.directory / "data"

    @property
    def is_running(self):
        """Whether the server was started and not stopped since."""
        return self._server is not None

    @property
    def log(self):
        """The server's log file."""
        return self.directory / "log"

    def start(self):
        """Starts the server, on a new data directory if there is none; waits until it answers."""
        if not (self.data / "PG_VERSION").exists():
            self._initialise()
        command = [self.pg.bin / "postgres", "-D", self.data, "-k", self.directory]
        for name, value in self.settings.items():
            command += ["-c", f"{name}={value}"]
        with open(self.log, "a") as log:
            give_to_server_user(self.log)
            self._server = subprocess.Popen(
                [str(word) for word in command],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # Ctrl-C is for us to handle, in order
                preexec_fn=partial(die_with_parent, signal.SIGQUIT),
                cwd="/",
                **as_server_user(),
            )
        deadline = time.monotonic() + START_TIMEOUT
        while self._program("pg_isready", "-q").returncode != 0:
            if self._server.poll() is not None:
                self._server = None
                raise SetupError(f"the server did not start:\n{self.log_tail()}")
            if time.monotonic() > deadline:
                raise SetupError(f"the server does not answer:\n{self.log_tail()}")
            time.sleep(0.05)

    def _initialise(self):
        """Makes the data directory: a copy of one that initdb made before, in a tenth of its time."""
        shutil.rmtree(self.data, ignore_errors=True)
        made = cached(f"data-{self._fingerprint()}", self._initdb_in) / "data"
        command = ["cp", "-a", str(made), str(self.data)]
        subprocess.run(command, check=True, cwd="/", **as_server_user())

    def _fingerprint(self):
        """Tells apart data directories that initdb would make differently."""
        server = self.pg.bin / "postgres"
        state = server.stat()
        facts = [server, state.st_mtime_ns, state.st_size, server_account().pw_uid, *self._initdb]
        return hashlib.sha256(repr([str(fact) for fact in facts]).encode()).hexdigest()[:12]

    def _initdb_in(self, directory):
        give_to_server_user(directory)
        initdb = [self.pg.bin / "initdb", "-D", directory / "data", "-U", USER, "-A", "trust", "-N"]
        options = ["--no-locale", "--encoding=UTF8", "--no-instructions", *self._initdb]
        result = subprocess.run(
            [str(word) for word in initdb + options],
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            cwd="/",
            **as_server_user(),
        )
        if result.returncode != 0:
            raise SetupError(f"initdb failed:\n{result.stdout}")

    def stop(self):
        """Stops the server cleanly, with a checkpoint; does nothing if it is not running."""
        self._signal(signal.SIGINT)

    def crash(self):
        """Stops the server as a power cut would: no checkpoint, recovery at the next start."""
        self._signal(signal.SIGQUIT)

    def restart(self):
        """A clean stop and a start."""
        self.stop()
        self.start()

    def _signal(self, number):
        if self._server is None:
            return
        self._server.send_signal(number)
        try:
            self._server.wait(timeout=START_TIMEOUT)
        except subprocess.TimeoutExpired:
            self._server.kill()
            self._server.wait()
        self._server = None

    def log_tail(self, lines=20):
        """The last lines of the server's log."""
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])

    def psql(self, sql, database="postgres", options=()):
        """Runs SQL through psql and returns what it prints; raises `SqlError` at the first error."""
        flags = ["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", database, *options]
        result = self._program("psql", *flags, input=sql)
        if result.returncode != 0:
            raise SqlError(result.stderr.strip())
        return result.stdout

    def query(self, sql, database="postgres"):
        """The rows of a query, each a list of strings; NULL is the empty string."""
        text = self.psql(sql, database, options=["--csv", "-t"])
        return list(csv.reader(io.StringIO(text)))

    def value(self, sql, database="postgres"):
        """The single value of a query, as a string."""
        ((value,),) = self.query(sql, database)
        return value

    def session(self, script, database="postgres"):
        """All that a psql session shows for a script: statements, results and errors alike."""
        flags = ["-X", "-a", "-q", "-d", database]
        return self._program("psql", *flags, input=script, stderr=subprocess.STDOUT).stdout

    def dsn(self, database="postgres"):
        """A libpq connection string, for clients such as psycopg."""
        return f"host={self.directory} user={USER} dbname={database}"

    def _program(self, name, *arguments, input=None, stderr=subprocess.PIPE):
        """Runs one of PostgreSQL's client programs against this server."""
        command = [self.pg.bin / name, "-h", self.directory, "-U", USER, *arguments]
        return subprocess.run(
            [str(word) for word in command],
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            cwd="/",
            **as_server_user(),
        )


class SqlError(Exception):
    """What psql said on stderr when a statement failed."""
