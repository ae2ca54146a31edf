"""What a base backup and an archive give back is an index that is whole."""

import time

import pytest
from checks import INDEX, SCHEMA, Load, assert_whole, by_scan, connect, fill, server, wait_until
from replicas import base_backup, directory_of_server

from scripts.cluster import Cluster


def churn(connection, number):
    first = 10_000 + number * 20
    fill(connection, first, first + 19)
    connection.execute("UPDATE items SET v = some_vector(id + %s), n = 3 WHERE id %% 50 = %s", [number, number % 50])
    connection.execute("DELETE FROM items WHERE id IN (SELECT id FROM items ORDER BY id LIMIT 15)")


def vacuum(connection, _):
    connection.execute("VACUUM items")


@pytest.fixture
def archived(pg):
    """A server with the table `items` that archives its WAL, and the archive."""
    with directory_of_server() as archive:
        settings = {"archive_mode": "on", "archive_command": f"cp %p {archive}/%f"}
        with server(pg, **settings) as running:
            running.psql("CREATE EXTENSION chronomind CASCADE")
            running.psql(SCHEMA)
            with connect(running) as connection:
                fill(connection, 1, 1500)
                connection.execute(INDEX)
            yield running, archive


def test_a_base_backup_of_a_server_under_load_starts_with_a_whole_index(archived):
    primary, _ = archived
    with directory_of_server() as directory:
        with Load(primary, churn, vacuum):
            time.sleep(1)
            base_backup(primary, directory / "data", "-X", "stream")
        with Cluster(primary.pg, settings={"fsync": "off"}, directory=directory) as copy:
            with connect(copy) as connection:
                ids = assert_whole(connection)
                connection.execute("DELETE FROM items WHERE id % 3 = 0")
                connection.execute("VACUUM items")
                fill(connection, 1_000_001, 1_000_300)
                assert len(assert_whole(connection)) > len(ids) / 2


def test_recovery_to_a_point_in_time_gives_the_index_of_that_time(archived):
    primary, archive = archived
    with directory_of_server() as directory:
        with Load(primary, churn, vacuum):
            base_backup(primary, directory / "data", "-X", "none")
            time.sleep(2)
        with connect(primary) as connection:
            then = by_scan(connection)
            connection.execute("SELECT pg_create_restore_point('then')")
            # All of this is to be undone.
            connection.execute("DELETE FROM items WHERE id % 2 = 0")
            connection.execute("VACUUM items")
            fill(connection, 2_000_001, 2_000_500)
            connection.execute("REINDEX INDEX items_idx")
            segment = connection.execute("SELECT pg_walfile_name(pg_switch_wal())").fetchone()[0]
        wait_until((archive / segment).exists)

        (directory / "data" / "recovery.signal").touch()
        settings = {
            "fsync": "off",
            "restore_command": f"cp {archive}/%f %p",
            "recovery_target_name": "then",
            "recovery_target_action": "pause",
        }
        with Cluster(primary.pg, settings=settings, directory=directory) as copy:
            paused = "SELECT pg_get_wal_replay_pause_state()"
            wait_until(lambda: copy.value(paused) == "paused")
            ids = {id for id, _ in then}
            with connect(copy) as connection:
                assert assert_whole(connection) == ids
                connection.execute("SELECT pg_wal_replay_resume()")
                wait_until(lambda: copy.value("SELECT pg_is_in_recovery()") == "f")
                assert assert_whole(connection) == ids
                fill(connection, 3_000_001, 3_000_200)
                connection.execute("VACUUM items")
                assert len(assert_whole(connection)) == len(ids) + 200
