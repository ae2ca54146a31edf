"""Whatever happens to the process that started a server, no server stays behind."""

import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest

from scripts.host import ROOT

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
