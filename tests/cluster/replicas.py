"""Copies of a server: standbys that follow it, and what an archive gives back."""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from checks import wait_until

from scripts.cluster import Cluster
from scripts.host import as_server_user, give_to_server_user


@contextmanager
def directory_of_server():
    """A temporary directory that servers may write to."""
    directory = Path(tempfile.mkdtemp(prefix="chronomind-"))
    try:
        give_to_server_user(directory)
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def base_backup(primary, data, *options):
    """Copies a running server's data directory."""
    command = [primary.pg.bin / "pg_basebackup", "-h", primary.directory, "-U", "postgres"]
    command += ["-D", data, "-c", "fast", *options]
    subprocess.run([str(word) for word in command], check=True, cwd="/", **as_server_user())


@contextmanager
def standby_of(primary, may_crash=False, **settings):
    """A running hot standby of a server, with settings of its own."""
    with directory_of_server() as directory:
        base_backup(primary, directory / "data", "-R", "-X", "stream")
        settings = {**primary.settings, **settings}
        with Cluster(primary.pg, settings=settings, directory=directory) as standby:
            try:
                yield standby
                assert may_crash or "was terminated by signal" not in standby.log.read_text()
            except BaseException:
                print(standby.log_tail(200))  # which pytest shows with the failure
                raise


def catch_up(primary, standby):
    """Waits until the standby has replayed what the primary has written."""
    target = primary.value("SELECT pg_current_wal_lsn()")
    wait_until(lambda: standby.value(f"SELECT pg_last_wal_replay_lsn() >= '{target}'") == "t")


def promote(standby):
    """Makes a primary of a standby."""
    standby.psql("SELECT pg_promote(wait => false)")
    wait_until(lambda: standby.value("SELECT pg_is_in_recovery()") == "f")


def looked_at(connection, query, limit=10):
    """How many rows a search by the distance looks at."""
    statement = f"SELECT id FROM items ORDER BY v <-> '{query}' LIMIT {limit}"
    with connection.transaction():
        connection.execute("SET LOCAL enable_seqscan = off")
        rows = connection.execute(
            "SELECT rows_near + rows_in_zones FROM chrono_explain(%s)", [statement]
        ).fetchall()
    ((count,),) = rows
    return count
