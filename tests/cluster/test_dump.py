"""A dump makes the same indexes again, however it is taken and restored."""

import subprocess

import pytest
from kinds import TABLES, assert_sound, definitions


def program(cluster, name, *arguments):
    command = [cluster.pg.bin / name, "-h", cluster.directory, "-U", "postgres", *arguments]
    return subprocess.run([str(word) for word in command], check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("form", ["plain", "custom"])
def test_a_dump_is_restored_with_its_indexes(cluster, tmp_path, form):
    cluster.psql(TABLES)
    expected = assert_sound(cluster)
    assert len(definitions(cluster)) == 10
    cluster.psql("CREATE DATABASE restored")
    file = tmp_path / "dump"
    program(cluster, "pg_dump", "-F", form, "-f", file, "postgres")
    if form == "plain":
        program(cluster, "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", "restored", "-f", file)
    else:
        program(cluster, "pg_restore", "-e", "-j", "2", "-d", "restored", file)
    assert assert_sound(cluster, "restored") == expected
    assert definitions(cluster, "restored") == definitions(cluster)
