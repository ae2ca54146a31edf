"""Fuzzing of what is read from an index's pages, guided by coverage (libFuzzer).

    python3 -m scripts.fuzz [--runs N] [--seed N] [TARGET...]     # record, page, index; all by default
    python3 -m scripts.fuzz --corpus                              # makes the seed corpus anew

The targets are in `fuzz/`, in the layout of cargo-fuzz, which works on them too; this needs stable
Rust and a C++ compiler only. They begin with the records and pages of real indexes in `fuzz/corpus`.
An input that breaks a target is left in `fuzz/artifacts`: give its path to the target's program to
see the failure again.
"""

import argparse
import os
import tempfile

from scripts import extension, postgres
from scripts.cluster import Cluster
from scripts.host import ROOT, main, need_tools, output_of, run, say

FUZZ = ROOT / "fuzz"
CORPUS = FUZZ / "corpus"
TARGETS = ("record", "page", "index")
RUNS = 100_000
BLOCK, HEADER, SPECIAL = 8192, 24, 16

# What cargo-fuzz passes: counters for libFuzzer, and AddressSanitizer.
_COVERAGE = {
    "sanitizer-coverage-level": 4,
    "sanitizer-coverage-inline-8bit-counters": "",
    "sanitizer-coverage-pc-table": "",
    "sanitizer-coverage-trace-compares": "",
}
FLAGS = [
    *("-Cpasses=sancov-module", "-Ccodegen-units=1", "--cfg=fuzzing"),
    *(f"-Cllvm-args=-{name}{f'={value}' if value else ''}" for name, value in _COVERAGE.items()),
    *("-Zsanitizer=address", "-Cunsafe-allow-abi-mismatch=sanitizer"),
]
# Nothing that is read from a page takes this long or this much memory.
LIMITS = ["-timeout=10", "-malloc_limit_mb=64", "-rss_limit_mb=1024"]

# Indexes that are small and differ: runs of the build, appended pages, dead postings, a vector over
# several pages, one without rows.
INDEXES = {
    "built": ("vector(8)", 40, "SELECT"),
    "grown": (
        "halfvec(300)",
        10,
        "INSERT INTO {t} SELECT g, vec(300, g), g FROM generate_series(1, 30) g",
    ),
    "swept": ("vector(8)", 40, "DELETE FROM {t} WHERE id % 3 = 0; VACUUM {t}"),
    "wide": ("vector(3000)", 3, "INSERT INTO {t} VALUES (4, NULL, 4), (5, vec(3000, 5), NULL)"),
    "empty": ("vector(8)", 0, "SELECT"),
}


def run_all(targets=TARGETS, runs=RUNS, seed=1):
    """Fuzzes each target; raises `CalledProcessError` at the first that fails."""
    need_tools({"c++": "g++"})
    triple = output_of("rustc", "--print", "host-tuple")
    environment = {**os.environ, "RUSTC_BOOTSTRAP": "1", "RUSTFLAGS": " ".join(FLAGS)}
    directory = extension.target_dir() / "fuzz"
    build = ["cargo", "build", "--release", "--target", triple]
    run(*build, "--target-dir", directory, cwd=FUZZ, env=environment)
    for target in targets:
        say(f"fuzzing: {target}")
        artifacts = FUZZ / "artifacts" / target
        artifacts.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory() as found:
            program = directory / triple / "release" / target
            options = [f"-runs={runs}", f"-seed={seed}", f"-artifact_prefix={artifacts}/", *LIMITS]
            run(program, *options, "-verbosity=0", found, CORPUS / target)


def make_corpus():
    """Writes the pages of real indexes, and the records on them, as inputs for the targets."""
    pg = postgres.default()
    extension.install(pg)
    with Cluster(pg) as server:
        server.psql("CREATE EXTENSION chronomind CASCADE")
        server.psql(
            "CREATE FUNCTION vec(n int, seed int) RETURNS vector LANGUAGE sql AS $$"
            " SELECT array_agg(cos(seed * 7919 + i * 104729.0))::vector FROM generate_series(1, n) i $$"
        )
        for name, (type, rows, change) in INDEXES.items():
            dimensions = int(type.partition("(")[2].rstrip(")"))
            opclass = f"{type.partition('(')[0]}_l2_ops"
            server.psql(
                f"""
                CREATE TABLE {name} (id int, v {type}, n int) WITH (autovacuum_enabled = off);
                INSERT INTO {name} SELECT g, vec({dimensions}, g), g FROM generate_series(1, {rows}) g;
                CREATE INDEX {name}_i ON {name} USING chrono (v {opclass}, n) WITH (m = 4);
                """
            )
            server.psql(change.format(t=name))
        paths = {name: server.value(f"SELECT pg_relation_filepath('{name}_i')") for name in INDEXES}
        server.stop()
        for name, path in paths.items():
            _cut_up(name, (server.data / path).read_bytes())


def _cut_up(name, file):
    """Writes the inputs that come from one index."""
    inputs = {("index", name): b""}
    for block in range(len(file) // BLOCK):
        page = file[block * BLOCK : (block + 1) * BLOCK]
        lower = int.from_bytes(page[12:14], "little")
        payload, special = page[HEADER:lower], page[-SPECIAL:]
        inputs["index", name] += page[12:14] + special + payload
        if block < 6:
            inputs["page", f"{name}-{block}"] = page
            # A meta record as it is; of the others, what begins with a posting or a list.
            inputs["record", f"{name}-{block}"] = payload if block == 0 else payload[:24]
    for (target, file_name), input in inputs.items():
        (CORPUS / target).mkdir(parents=True, exist_ok=True)
        (CORPUS / target / file_name).write_bytes(input)


def _command():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("targets", nargs="*", metavar="TARGET", default=TARGETS)
    parser.add_argument("--runs", type=int, default=RUNS, help=f"inputs for each target ({RUNS})")
    parser.add_argument("--seed", type=int, default=1, help="of the random changes (1)")
    parser.add_argument("--corpus", action="store_true", help="make the seed corpus anew")
    arguments = parser.parse_args()
    if arguments.corpus:
        return make_corpus()
    return run_all(arguments.targets, arguments.runs, arguments.seed)


if __name__ == "__main__":
    main(_command)
