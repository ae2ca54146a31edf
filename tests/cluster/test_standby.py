"""A hot standby answers from what it has replayed; promoted, it goes on as the primary did."""

import shutil
import subprocess
import tempfile
from contextlib import contextmanager
from pathlib import Path

from checks import INDEX, SCHEMA, assert_whole, connect, fill, wait_until

from scripts.cluster import Cluster
from scripts.host import as_server_user, give_to_server_user


@contextmanager
def standby_of(primary):
    """A running hot standby of a server."""
    directory = Path(tempfile.mkdtemp(prefix="chronomind-"))
    try:
        give_to_server_user(directory)
        command = [primary.pg.bin / "pg_basebackup", "-h", primary.directory, "-U", "postgres"]
        command += ["-D", directory / "data", "-R", "-c", "fast", "-X", "stream"]
        subprocess.run([str(word) for word in command], check=True, cwd="/", **as_server_user())
        with Cluster(primary.pg, settings=primary.settings, directory=directory) as standby:
            yield standby
    finally:
        shutil.rmtree(directory, ignore_errors=True)


def catch_up(primary, standby):
    """Waits until the standby has replayed what the primary has written."""
    target = primary.value("SELECT pg_current_wal_lsn()")
    wait_until(lambda: standby.value(f"SELECT pg_last_wal_replay_lsn() >= '{target}'") == "t")


def test_a_standby_follows_and_takes_over(cluster):
    cluster.psql(SCHEMA)
    with connect(cluster) as primary:
        fill(primary, 1, 1000)
        primary.execute(INDEX)
        fill(primary, 1001, 1200)
        with standby_of(cluster) as standby:
            with connect(standby) as replica:
                assert len(assert_whole(replica)) == 1200
                # Rows that come, change and go; places that are used again
                fill(primary, 2001, 2300)
                primary.execute("UPDATE items SET v = some_vector(id + 5000) WHERE id % 10 = 0")
                catch_up(cluster, standby)
                assert len(assert_whole(replica)) == 1500
                primary.execute("DELETE FROM items WHERE id % 3 = 0")
                primary.execute("VACUUM items")
                fill(primary, 3001, 3400)
                catch_up(cluster, standby)
                before = assert_whole(replica)
                assert before == assert_whole(primary)
                assert_whole(replica, "n = 4")
                # An index that is built, and one that is rebuilt, while the standby looks on
                primary.execute("REINDEX INDEX items_idx")
                primary.execute("CREATE INDEX ON items USING chrono (v vector_cosine_ops)")
                catch_up(cluster, standby)
                assert assert_whole(replica) == before
            standby.restart()
            with connect(standby) as replica:
                assert assert_whole(replica) == before
                replica.execute("SELECT pg_promote()")
                wait_until(lambda: standby.value("SELECT pg_is_in_recovery()") == "f")
                # A backend that was there before the promotion, and a new one
                fill(replica, 4001, 4100)
                assert_whole(replica)
            with connect(standby) as promoted:
                promoted.execute("DELETE FROM items WHERE id % 5 = 0")
                promoted.execute("VACUUM items")
                fill(promoted, 5001, 5100)
                ids = assert_whole(promoted)
            standby.crash()
            standby.start()
            with connect(standby) as promoted:
                assert assert_whole(promoted) == ids
        # The primary has gone its own way.
        assert assert_whole(primary) == before
