"""Without shared_preload_libraries there is no shared memory: every command must say so."""

import pytest

from scripts.cluster import Cluster, SqlError


def test_without_preload_the_error_names_the_setting(pg):
    with Cluster(pg, preload=False) as cluster:
        with pytest.raises(SqlError, match="shared_preload_libraries"):
            cluster.psql(
                """
                CREATE EXTENSION chronomind CASCADE;
                CREATE TABLE t (v vector(2));
                CREATE INDEX ON t USING chrono (v vector_l2_ops);
                """
            )
