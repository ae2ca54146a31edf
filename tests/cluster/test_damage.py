"""Files that were damaged at random: every statement ends in an error that names a block, or in the
right answer, or `chrono_check` finds what is wrong. No server goes down, no statement runs for ever."""

import contextlib
import random
import re

import psycopg
import pytest

from checks import connect, server

BLOCK = 8192
HEADER = 24
SPECIAL = 16
DIMENSIONS = 8
INDEXES = 60
# How the server says that an index breaks its own rules, or that a page cannot be read.
DAMAGE = ("XX002", "XX001")
# What it says, with another code, where a damaged posting names a row far behind the end of its table.
BEHIND_THE_END = r"\(target block [0-9]+\)"
BLOCK_NUMBER = "block [0-9]+"
# Above any statement here by two orders of magnitude.
TIMEOUT = "120s"

HELPERS = f"""
CREATE FUNCTION vec(seed int) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(cos(seed * 7919 + i * 104729.0))::vector FROM generate_series(1, {DIMENSIONS}) i
$$;
"""
# A run of the build, pages that were appended, dead postings, some of which were used again.
MAKE = """
CREATE TABLE {t} (id int, v vector, n int) WITH (autovacuum_enabled = off);
ALTER TABLE {t} ALTER v TYPE vector({dimensions});
INSERT INTO {t} SELECT id, vec(id), id % 7 FROM generate_series(1, 500) id;
CREATE INDEX {t}_i ON {t} USING chrono (v vector_l2_ops, n) WITH (m = 4);
INSERT INTO {t} SELECT id, vec(id), id % 7 FROM generate_series(501, 900) id;
INSERT INTO {t} VALUES (901, NULL, 1), (902, vec(902), NULL);
DELETE FROM {t} WHERE id % 3 = 0;
VACUUM {t};
INSERT INTO {t} SELECT id, vec(id), id % 7 FROM generate_series(1001, 1100) id;
"""


def damage(file, seed):
    """The bytes of a file after an accident, which `seed` chooses."""
    chance = random.Random(seed)
    pages = [bytearray(file[at : at + BLOCK]) for at in range(0, len(file), BLOCK)]
    page = chance.choice(pages)
    lower = max(int.from_bytes(page[12:14], "little"), HEADER + 1)
    # All that is read of a page, the few bytes of the header and the special space above all.
    where = chance.choice([(0, HEADER), (HEADER, lower), (HEADER, lower), (BLOCK - SPECIAL, BLOCK)])
    at = chance.randrange(*where)
    length = min(chance.choice([1, 1, 4, 8, 64, 2048]), BLOCK - at)
    kind = chance.randrange(9)
    if kind < 3:
        page[at] ^= 1 << chance.randrange(8)
    elif kind < 5:
        page[at : at + length] = chance.randbytes(length)
    elif kind == 5:
        page[at : at + length] = bytes([chance.choice([0, 0xFF])] * length)
    elif kind == 6:
        page[:] = chance.choice(pages)
    elif kind == 7:
        del pages[chance.randrange(len(pages)) :]
    else:
        other = chance.choice(pages)
        page[:], other[:] = bytes(other), bytes(page)
    return b"".join(pages)


def attempt(connection, statement, named):
    """The rows of a statement; None where it fails because of the damage, in words like `named`."""
    try:
        cursor = connection.execute(statement)
        return cursor.fetchall() if cursor.description else []
    except psycopg.Error as error:
        text = str(error)
        is_told = error.sqlstate in DAMAGE and re.search(named, text)
        assert is_told or re.search(BEHIND_THE_END, text), f"{statement}: {error.sqlstate} {text}"
        return None


@pytest.mark.parametrize("memory", ["256MB", "1MB"], ids=["memory", "pages"])
def test_random_damage(pg, memory):
    ample = {"chronomind.shared_memory_size": "256MB", "autovacuum": "off"}
    with server(pg, **ample) as cluster:
        if cluster.value("SHOW data_checksums") == "on":
            pytest.skip("the server itself notices")
        cluster.psql("CREATE EXTENSION chronomind CASCADE")
        cluster.psql(HELPERS)
        tables = [f"t{number}" for number in range(INDEXES)]
        for table in tables:
            cluster.psql(MAKE.format(t=table, dimensions=DIMENSIONS))
        path = "SELECT pg_relation_filepath('{}_i')"
        paths = [cluster.data / cluster.value(path.format(table)) for table in tables]
        cluster.stop()
        for seed, path in enumerate(paths):
            path.write_bytes(damage(path.read_bytes(), seed))
        cluster.settings["chronomind.shared_memory_size"] = memory
        cluster.start()
        with sessions(cluster) as (by_index, by_scan):
            outcomes = [read(table, by_index, by_scan) for table in tables]
            for table in tables:
                write(table, by_index)
        cluster.stop()
        cluster.settings.update(ample)
        cluster.start()
        with sessions(cluster) as (by_index, by_scan):
            for table in tables:
                by_index.execute(f"REINDEX INDEX {table}_i")
                assert read(table, by_index, by_scan) == "harmless"
        assert not re.search("terminated by signal|panicked", cluster.log.read_text())
    # The accidents are such that each of these happens.
    assert set(outcomes) == {"told", "found", "harmless"}


@contextlib.contextmanager
def sessions(cluster):
    """Two connections: one that takes the index where it can, and one that takes none."""
    with connect(cluster) as by_index, connect(cluster) as by_scan:
        by_index.execute(f"SET statement_timeout = '{TIMEOUT}'; SET enable_seqscan = off")
        by_index.execute("SET enable_sort = off; SET enable_bitmapscan = off")
        by_scan.execute("SET enable_indexscan = off; SET enable_bitmapscan = off")
        yield by_index, by_scan


def read(table, by_index, by_scan):
    """What came of the damage: it was told, chrono_check found it, or nothing."""
    is_right = True
    is_told = False
    for condition in ("true", "n = 3", "v <-> vec(7) < 1.5"):
        select = f"SELECT id FROM {table} WHERE {condition}"
        found = attempt(by_index, f"{select} ORDER BY v <-> vec(7)", BLOCK_NUMBER)
        if found is None:
            is_told = True
        else:
            is_right &= sorted(found) == sorted(by_scan.execute(select).fetchall())
    is_found = attempt(by_index, f"SELECT chrono_check('{table}_i')", "is damaged|block") is None
    assert is_right or is_found, f"{table}: wrong answers, and chrono_check is content"
    return "told" if is_told else "found" if is_found else "harmless"


def write(table, by_index):
    """Changes to a table whose index may be damaged."""
    for statement in (
        f"INSERT INTO {table} SELECT id, vec(id), id % 7 FROM generate_series(2001, 2040) id",
        f"DELETE FROM {table} WHERE id % 5 = 0",
        f"UPDATE {table} SET n = n + 1 WHERE id % 5 = 1",
        f"VACUUM {table}",
        f"INSERT INTO {table} SELECT id, vec(id), id % 7 FROM generate_series(3001, 3040) id",
    ):
        attempt(by_index, statement, BLOCK_NUMBER)
