"""More indexes than the registry in shared memory has places."""

import psycopg
import pytest
from checks import connect, server

PLACES = 4096
HINT = "share one index"


def make(connection, first, last):
    connection.execute(
        f"""DO $$ BEGIN FOR i IN {first}..{last} LOOP
            EXECUTE format('CREATE TABLE many_%s (v vector(2)); CREATE INDEX ON many_%s USING chrono (v vector_l2_ops)', i, i);
        END LOOP; END $$"""
    )


def test_the_limit_is_told_and_what_has_no_place_is_searched_on_its_pages(pg):
    settings = {"chronomind.shared_memory_size": "400MB", "max_locks_per_transaction": "1000", "autovacuum": "off"}
    with server(pg, **settings) as cluster:
        cluster.psql(
            """
            CREATE EXTENSION chronomind CASCADE;
            CREATE TABLE t (id int, v vector(2));
            INSERT INTO t SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 100) i;
            CREATE INDEX t_i ON t USING chrono (v vector_l2_ops);
            """
        )
        cluster.restart()  # so that `t_i` is not in memory
        with connect(cluster) as connection:
            notices = []
            connection.add_notice_handler(lambda notice: notices.append((notice.message_primary, notice.message_hint)))
            for first in range(1, PLACES, 512):
                make(connection, first, first + 511)
            with pytest.raises(psycopg.errors.ProgramLimitExceeded) as failure:
                make(connection, PLACES + 1, PLACES + 1)
            assert str(PLACES) in failure.value.diag.message_primary
            assert HINT in failure.value.diag.message_hint
            assert not notices
            for id in range(101, 111):
                connection.execute("INSERT INTO t VALUES (%s, ARRAY[%s, 1]::vector)", [id, id])
            connection.execute("SET enable_seqscan = off")
            found = connection.execute("SELECT id FROM t ORDER BY v <-> '[105,1]' LIMIT 1").fetchall()
            assert found == [(105,)]
            ((message, hint),) = notices
            assert str(PLACES) in message and HINT in hint
            assert "shared_memory_size" not in hint
            # One that goes makes room.
            connection.execute("DROP TABLE many_7")
        with connect(cluster) as connection:
            connection.execute("SELECT chrono_check('t_i')")
            assert connection.execute("SELECT state FROM chrono_stats('t_i')").fetchone() == ("loaded",)
