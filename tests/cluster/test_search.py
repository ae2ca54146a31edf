"""chrono_search beside other transactions."""

import psycopg
import pytest


def test_an_older_transaction_does_not_use_an_index_that_lacks_what_it_sees(cluster):
    cluster.psql(
        """
        CREATE TABLE memories (id int, embedding vector(2), created_at timestamptz);
        INSERT INTO memories VALUES (1, '[1, 0]', now()), (2, '[0, 1]', now());
        """
    )
    search = "SELECT (memory).id FROM chrono_search(NULL::memories, '[1, 0]')"
    with psycopg.connect(cluster.dsn()) as older:
        older.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        older.execute("SELECT FROM memories")
        # Updated in place, so that the index has the new versions only.
        cluster.psql(
            """
            UPDATE memories SET embedding = '[-1, 0]' WHERE id = 1;
            CREATE INDEX ON memories USING chrono (embedding vector_cosine_ops, created_at);
            """
        )
        with pytest.raises(psycopg.errors.LockNotAvailable, match="is younger than"):
            older.execute(search)
    assert cluster.query(search) == [["2"], ["1"]]
