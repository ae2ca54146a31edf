"""pg_upgrade carries indexes to a newer server, which answers from them at once.

From the server that `OLD_PG_CONFIG` names to the one under test: `python3 -m scripts.test servers` goes
through all of them.
"""

import os
import subprocess

import pytest
from kinds import TABLES, assert_sound, definitions
from replicas import directory_of_server

from scripts.cluster import Cluster
from scripts.host import as_server_user
from scripts.postgres import PgConfig


def server(pg, directory):
    """A server whose data directory stays. With checksums: PostgreSQL 18 has them by default, and pg_upgrade
    wants both sides alike."""
    return Cluster(pg, settings={"fsync": "off"}, directory=directory, initdb=["--data-checksums"])


@pytest.fixture
def old():
    named = os.environ.get("OLD_PG_CONFIG")
    if not named:
        pytest.skip("OLD_PG_CONFIG names no server to upgrade from")
    return PgConfig(named)


def files(cluster):
    """Each index by name, with its bytes on disk: pg_upgrade copies them, and nobody builds them anew."""
    return cluster.query(
        "SELECT index, md5(pg_read_binary_file(pg_relation_filepath(index))) FROM chrono_indexes() ORDER BY 1"
    )


@pytest.mark.parametrize("how", ["--copy", "--link"])
def test_indexes_answer_after_pg_upgrade(old, pg, how):
    with directory_of_server() as before, directory_of_server() as after:
        with server(old, before) as cluster:
            cluster.psql("CREATE EXTENSION chronomind CASCADE")
            cluster.psql(TABLES)
            expected = assert_sound(cluster)
            indexes = definitions(cluster)
            # Pages of unlogged tables reach the disk when the server stops.
            cluster.restart()
            bytes_before = files(cluster)
        with server(pg, after):
            pass
        # As in a postgresql.conf: CREATE INDEX needs the library at server start, also for empty tables.
        preload = "-c shared_preload_libraries=chronomind"
        command = [pg.bin / "pg_upgrade", "-U", "postgres", "-s", after, how]
        command += ["-b", old.bin, "-d", before / "data", "-o", preload]
        command += ["-B", pg.bin, "-D", after / "data", "-O", preload]
        done = subprocess.run(
            [str(word) for word in command], cwd=after, capture_output=True, text=True, **as_server_user()
        )
        assert done.returncode == 0, done.stdout + done.stderr
        with server(pg, after) as cluster:
            assert cluster.value("SELECT count(*) FROM chrono_indexes() WHERE state <> 'not loaded'") == "0"
            assert files(cluster) == bytes_before
            assert definitions(cluster) == indexes
            assert assert_sound(cluster) == expected
            # And they go on.
            cluster.psql("INSERT INTO plain (id, v, n) SELECT i, some_vector(i), 1 FROM generate_series(10001, 10200) i")
            cluster.psql("DELETE FROM plain WHERE id % 2 = 0; DELETE FROM parts WHERE id % 2 = 0; VACUUM")
            cluster.psql("INSERT INTO parts SELECT id, v FROM plain")
            cluster.crash()
            cluster.start()
            assert_sound(cluster)
