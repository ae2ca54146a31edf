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
        # What needs the index says so; what does not goes on, if it has to sort.
        assert_not_preloaded(cluster, "INSERT INTO t VALUES ('[5,6]')")
        assert_not_preloaded(cluster, "SELECT chrono_search(NULL::t, '[3,3]', recency_weight => 0)")
        assert cluster.value("SELECT count(*) FROM t") == "2"
        assert cluster.value(nearest) == "[3,4]"
        cluster.settings["shared_preload_libraries"] = "chronomind"
        cluster.restart()
        assert cluster.value(nearest) == "[3,4]"


def test_settings_are_known_without_preload(pg):
    """A name that is right is not taken for a mistake; one that is wrong is."""
    settings = {"chronomind.shared_memory_size": "64MB", "chronomind.no_such_setting": "1"}
    with Cluster(pg, preload=False, settings=settings) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        shown = cluster.session(
            "SELECT chrono_score(0.5, now()); SHOW chronomind.shared_memory_size;"
        )
        assert 'invalid configuration parameter name "chronomind.no_such_setting"' in shown
        assert 'name "chronomind.shared_memory_size"' not in shown
        assert "64MB" in shown


@pytest.mark.parametrize("variable", ["RUST_BACKTRACE", "RUST_LIB_BACKTRACE"])
def test_no_backtrace_reaches_a_client(pg, monkeypatch, variable):
    """Whatever the server's environment asks for, an error has no detail that it should not have."""
    monkeypatch.setenv(variable, "1")
    with Cluster(pg) as cluster:
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        for call in [
            "chrono_explain('SELECT * FROM nowhere')",  # raised by the server, inside the library
            "chrono_explain('SELECT 1; SELECT 2')",  # raised by the library
        ]:
            with pytest.raises(SqlError) as error:
                cluster.psql(f"SELECT {call}", options=["-v", "VERBOSITY=verbose"])
            assert "ERROR" in str(error.value)
            assert "DETAIL" not in str(error.value), error.value
