"""Whatever happens to the process that started a server, no server stays behind; and a server with
assertions has the checks of memory that the tests on it count on."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.host import ROOT, output_of

START_AND_WAIT = """
import time
from scripts import host, postgres
from scripts.cluster import Cluster

def wait():
    with Cluster(postgres.default(), preload=False) as cluster:
        print(cluster.directory, flush=True)
        time.sleep(600)

host.main(wait)
"""


@pytest.mark.parametrize("end", ["terminate", "kill"])
def test_server_ends_with_the_process_that_started_it(end):
    starter = subprocess.Popen(
        [sys.executable, "-c", START_AND_WAIT], cwd=ROOT, stdout=subprocess.PIPE, text=True
    )
    directory = Path(starter.stdout.readline().strip())
    pid = (directory / "data/postmaster.pid").read_text().splitlines()[0]
    server = Path("/proc", pid)
    assert server.exists()
    getattr(starter, end)()
    starter.wait()
    for _ in range(600):
        if not server.exists():
            # Killed, the starter could not clear up.
            shutil.rmtree(directory, ignore_errors=True)
            return
        time.sleep(0.1)
    pytest.fail("the server is still running")


def test_assertions_come_with_checks_of_memory(pg, cluster):
    if cluster.value("SHOW debug_assertions") == "off":
        pytest.skip("a server without assertions")
    headers = pg.value("includedir-server")
    macros = output_of("gcc", "-dM", "-E", f"-I{headers}", "-include", "c.h", "-xc", "/dev/null")
    for check in ("CLOBBER_FREED_MEMORY", "MEMORY_CONTEXT_CHECKING", "DISCARD_CACHES_ENABLED"):
        assert f"#define {check}" in macros
