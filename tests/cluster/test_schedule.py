"""Upkeep by a real pg_cron: jobs that are there once, do what they should, and go."""

import pytest
from checks import connect, server, wait_until

# Jobs run in background workers, which need no way to connect to the server.
CRON = {"shared_preload_libraries": "chronomind,pg_cron", "cron.use_background_workers": "on"}

MEMORIES = """
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 2);
INSERT INTO memories (id, content, embedding, importance, decay_rate, importance_at) VALUES
    (1, 'kept', '[1,0]', 1, 0, now()),
    (2, 'its duplicate', '[1,0.01]', 0.5, 0, now()),
    (3, 'faded', '[0,1]', 1, 1, now() - interval '1 year');
"""


@pytest.fixture
def cron(pg):
    """A server with memories, and with pg_cron in its database `postgres`."""
    if not (pg.library_dir / "pg_cron.so").exists():
        pytest.skip("this server has no pg_cron")
    with server(pg, **CRON) as running:
        running.psql("CREATE EXTENSION pg_cron")
        running.psql(MEMORIES)
        yield running


def jobs(connection):
    return connection.execute(
        "SELECT jobname::text, schedule, command, active FROM cron.job ORDER BY jobid"
    ).fetchall()


DECAY = "chrono_decay public.memories"
CONSOLIDATE = "chrono_consolidate public.memories"


def test_a_schedule_is_there_once(cron):
    with connect(cron) as connection:
        first = connection.execute(
            "SELECT * FROM chrono_schedule('memories', forget_below => 0.05)"
        ).fetchall()
        assert [(job, schedule) for _, job, schedule, _ in first] == [
            (DECAY, "0 * * * *"),
            (CONSOLIDATE, "30 3 * * *"),
        ]
        expected = [(job, schedule, command, True) for _, job, schedule, command in first]
        assert jobs(connection) == expected
        again = connection.execute(
            "SELECT * FROM chrono_schedule('memories', forget_below => 0.05)"
        ).fetchall()
        assert again == first
        assert jobs(connection) == expected

        # Other hours take the place of the old ones, and a job that is not wanted goes.
        connection.execute("SELECT chrono_schedule('memories', '5 4 * * *', consolidate => NULL)")
        ((job, schedule, command, _),) = jobs(connection)
        assert (job, schedule) == (DECAY, "5 4 * * *")
        assert "forget_below" not in command

        removed = connection.execute("SELECT chrono_unschedule('memories')").fetchone()
        assert removed == (1,)
        assert jobs(connection) == []
        assert connection.execute("SELECT chrono_unschedule('memories')").fetchone() == (0,)


def test_tables_have_jobs_of_their_own(cron):
    with connect(cron) as connection:
        long = "m" * 60
        connection.execute('CREATE SCHEMA "An App"')
        odd = '"it\'s %s \\ $1"'
        for name in ('"An App".memories', long + "1", long + "2", odd):
            connection.execute("SELECT chrono_create_memory(%s, 2)", [name])
            connection.execute("SELECT chrono_schedule(%s)", [name])
        assert len({job for job, *_ in jobs(connection)}) == 8
        for _, _, command, _ in jobs(connection):
            connection.execute(command)
        for name in (long + "1", odd):
            connection.execute("SELECT chrono_unschedule(%s)", [name])
        assert len(jobs(connection)) == 4


def test_jobs_run(cron):
    """What pg_cron runs at full minutes is what the schedule says.

    The two jobs of a minute run at once, and neither waits for the other: what one finds taken it leaves
    for its next run. So it is what they come to that is expected, not what is left by the first of each.
    """
    with connect(cron) as connection:
        connection.execute(
            "SELECT chrono_schedule('memories', '* * * * *', '* * * * *', forget_below => 0.05)"
        )
        runs = "SELECT DISTINCT jobname::text, status FROM cron.job_run_details JOIN cron.job USING (jobid)"

        def is_done():
            seen = set(connection.execute(runs).fetchall())
            failed = [job for job, status in seen if status == "failed"]
            assert not failed, connection.execute("SELECT * FROM cron.job_run_details").fetchall()
            left = connection.execute("SELECT id, superseded_by FROM memories ORDER BY id").fetchall()
            return seen >= {(DECAY, "succeeded"), (CONSOLIDATE, "succeeded")} and left == [(1, None), (2, 1)]

        wait_until(is_done, seconds=250)


def test_mistakes_are_told_before_anything_is_scheduled(cron):
    with connect(cron) as connection:
        for arguments in (
            "forget_below => 2",
            "similarity_threshold => 0",
            "decay => 'every other day'",
            "consolidate => '61 * * * *'",
        ):
            with pytest.raises(Exception) as error:
                connection.execute(f"SELECT chrono_schedule('memories', {arguments})")
            assert error.value.sqlstate
            assert jobs(connection) == []
        connection.execute("DROP TABLE memories_merges")
        with pytest.raises(Exception, match="no log of merges"):
            connection.execute("SELECT chrono_schedule('memories')")
        connection.execute("SELECT chrono_schedule('memories', consolidate => NULL)")


def test_roles_have_jobs_of_their_own(cron):
    with connect(cron) as connection:
        connection.execute("CREATE ROLE agent; GRANT USAGE ON SCHEMA cron TO agent")
        connection.execute("SELECT chrono_schedule('memories')")
        connection.execute("GRANT SELECT ON memories TO agent")
        connection.execute("SET ROLE agent")
        connection.execute("SELECT chrono_schedule('memories', consolidate => NULL)")
        assert connection.execute("SELECT chrono_unschedule('memories')").fetchone() == (1,)
        connection.execute("RESET ROLE")
        assert len(jobs(connection)) == 2


def test_without_pg_cron_there_is_a_hint_and_the_commands(cluster):
    cluster.psql(MEMORIES.replace("CREATE EXTENSION chronomind CASCADE;", ""))
    with connect(cluster) as connection:
        with pytest.raises(Exception) as error:
            connection.execute("SELECT chrono_schedule('memories', forget_below => 0.05)")
        diagnostic = error.value.diag
        assert "CREATE EXTENSION pg_cron" in diagnostic.message_hint
        _, _, commands = diagnostic.message_detail.partition("scheduler: ")
        for command in commands.split("; "):
            connection.execute(command)
        left = connection.execute("SELECT id, superseded_by FROM memories ORDER BY id").fetchall()
        assert left == [(1, None), (2, 1)]
        with pytest.raises(Exception, match="pg_cron is not in database"):
            connection.execute("SELECT chrono_unschedule('memories')")


def test_in_another_database_the_hint_names_the_one_with_pg_cron(cron):
    cron.psql("CREATE DATABASE other")
    cron.psql(MEMORIES, "other")
    with connect(cron, "other") as connection, pytest.raises(Exception) as error:
        connection.execute("SELECT chrono_schedule('memories')")
    assert "schedule_in_database" in error.value.diag.message_hint
    assert '"postgres"' in error.value.diag.message_hint
