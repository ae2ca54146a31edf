"""What a subscription writes is in the subscriber's indexes, and no chrono index is taken for a key."""

import pytest
from checks import INDEX, SCHEMA, assert_whole, by_scan, connect, fill, server, wait_until


@pytest.fixture
def publisher(pg):
    """A server with a database that has the table `items`, and another of the same name that is empty."""
    with server(pg, wal_level="logical") as cluster:
        cluster.psql("CREATE DATABASE subscriber")
        for database in ("postgres", "subscriber"):
            cluster.psql("CREATE EXTENSION chronomind CASCADE", database)
            cluster.psql(SCHEMA, database)
            cluster.psql(INDEX, database)
        yield cluster


@pytest.mark.parametrize("identity", ["DEFAULT", "FULL"])
def test_a_subscriber_has_what_its_publisher_has(publisher, identity):
    with connect(publisher) as source, connect(publisher, "subscriber") as target:
        if identity == "FULL":
            target.execute("ALTER TABLE items DROP CONSTRAINT items_pkey")
        source.execute(f"ALTER TABLE items REPLICA IDENTITY {identity}")
        fill(source, 1, 300)
        source.execute("CREATE PUBLICATION all_items FOR TABLE items")
        # Both are of one server, so the slot cannot be made by the subscription, which would wait for itself.
        source.execute("SELECT pg_create_logical_replication_slot('items', 'pgoutput')")
        connection = publisher.dsn().replace("'", "''")
        target.execute(
            f"CREATE SUBSCRIPTION items CONNECTION '{connection}' PUBLICATION all_items WITH (create_slot = false)"
        )
        wait_until(lambda: len(by_scan(target)) == 300)
        fill(source, 1001, 1200)
        source.execute("UPDATE items SET v = some_vector(id + 5000) WHERE id % 7 = 0")
        source.execute("UPDATE items SET v = NULL WHERE id % 50 = 0")
        source.execute("UPDATE items SET n = n + 1 WHERE id % 3 = 0")
        source.execute("DELETE FROM items WHERE id % 10 = 1")
        expected = sorted(by_scan(source))
        wait_until(lambda: sorted(by_scan(target)) == expected)
        assert assert_whole(target) == {id for id, _ in expected}
        source.execute("TRUNCATE items")
        fill(source, 1, 50)
        wait_until(lambda: {id for id, _ in by_scan(target)} == set(range(1, 51)))
        assert_whole(target)
        # So that the server can stop
        target.execute("ALTER SUBSCRIPTION items DISABLE")
        target.execute("ALTER SUBSCRIPTION items SET (slot_name = NONE)")
        target.execute("DROP SUBSCRIPTION items")
