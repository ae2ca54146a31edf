"""The container image is built from what docker/build.sh stages, and shows docker/init."""

import os
import subprocess

from scripts.cluster import Cluster
from scripts.host import ROOT


def test_build_script_stages_all_files_of_the_extension(pg, tmp_path):
    environment = {**os.environ, "PG_CONFIG": str(pg.path), "DESTDIR": str(tmp_path)}
    subprocess.run([ROOT / "docker/build.sh"], env=environment, check=True)
    staged = {path.relative_to(tmp_path) for path in tmp_path.rglob("*") if path.is_file()}
    library = pg.library_dir.relative_to("/")
    extension = pg.extension_dir.relative_to("/")
    scripts = {extension / path.name for path in (ROOT / "sql").glob("chronomind--*.sql")}
    assert scripts
    assert staged == {library / "chronomind.so", extension / "chronomind.control", *scripts}


def test_init_script_runs(pg):
    with Cluster(pg) as cluster:
        cluster.psql((ROOT / "docker/init/10-chronomind.sql").read_text())
        assert cluster.value("SELECT count(*) FROM memories") == "3"
