"""Whatever happens to the process that started a server, no server stays behind; a server with
assertions has the checks of memory that the tests on it count on; and a build of another project knows
nothing of the `make` that it was started under."""

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


def test_what_a_make_starts_is_a_make_of_its_own(tmp_path):
    """PostgreSQL leaves out its generated headers where it finds itself below another `make`."""
    inner = tmp_path / "inner.mk"
    inner.write_text("all: ; @echo level=$(MAKELEVEL) flags=$(MAKEFLAGS)\n")
    start = f"from scripts.host import run; run('make', '-s', '-f', '{inner}')"
    outer = tmp_path / "outer.mk"
    outer.write_text(f'all: ; @{sys.executable} -c "{start}"\n')
    assert output_of("make", "-s", "-k", "-j2", "-f", outer, cwd=ROOT) == "level=0 flags=s"
