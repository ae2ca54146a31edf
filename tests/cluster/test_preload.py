"""Without shared_preload_libraries there is no shared memory: every command must say so."""

import re

import pytest

from scripts.cluster import Cluster, SqlError

# SQLSTATE, what is wrong, and what to do about it
NOT_PRELOADED = re.compile(
    "55000.*not loaded at server start.*HINT: .*shared_preload_libraries", re.DOTALL
)


def assert_not_preloaded(cluster, sql):
    with pytest.raises(SqlError, match=NOT_PRELOADED):
        cluster.psql(sql, options=["-v", "VERBOSITY=verbose"])


def test_without_preload_no_index_can_be_made(pg):
    with Cluster(pg, preload=False) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE; CREATE TABLE t (v vector(2))")
        assert_not_preloaded(cluster, "CREATE INDEX ON t USING chrono (v vector_l2_ops)")


def test_scores_need_no_shared_memory(pg):
    with Cluster(pg, preload=False) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        assert cluster.value("SELECT chrono_score(0.5, now(), recency_weight => 0)") == "0.25"


def test_an_index_is_there_again_when_the_library_is(pg):
    with Cluster(pg) as cluster:
        cluster.psql(
            """
            CREATE EXTENSION chronomind CASCADE;
            CREATE TABLE t (v vector(2));
            INSERT INTO t VALUES ('[1,2]'), ('[3,4]');
            CREATE INDEX ON t USING chrono (v vector_l2_ops);
            """
        )
        cluster.settings["shared_preload_libraries"] = ""
        cluster.restart()
        nearest = "SET enable_seqscan = off; SELECT v FROM t ORDER BY v <-> '[3,3]' LIMIT 1"
        assert_not_preloaded(cluster, nearest)
        assert_not_preloaded(cluster, "INSERT INTO t VALUES ('[5,6]')")
        assert cluster.value("SELECT count(*) FROM t") == "2"
        cluster.settings["shared_preload_libraries"] = "chronomind"
        cluster.restart()
        assert cluster.value(nearest) == "[3,4]"
