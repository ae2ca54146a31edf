"""Servers for the tests: each starts its own, on the PostgreSQL that `PG_CONFIG` names."""

import pytest

from checks import server
from scripts import postgres
from scripts.cluster import Cluster


@pytest.fixture(scope="session")
def pg():
    """The PostgreSQL under test, with the extension of this checkout installed."""
    return postgres.default()


@pytest.fixture
def cluster(pg):
    """A fresh running server with the extension created in its database `postgres`."""
    with server(pg) as running:
        running.psql("CREATE EXTENSION chronomind CASCADE")
        yield running


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item):
    """Adds the end of the server's log to the report of a test that failed."""
    report = yield
    values = getattr(item, "funcargs", {}).values()
    for server in {value for value in values if isinstance(value, Cluster)}:
        if report.failed and server.log.exists():
            report.sections.append(("server log", server.log_tail(60)))
    return report
