"""The figures of the index beside pgvector's, as Markdown: `python3 -m scripts.bench sql`."""

import itertools
import statistics
import sys

import psycopg
from pgvector.psycopg import register_vector

from benches.db import machine
from benches.db.contender import (
    BOTH,
    CHRONO,
    EF_CONSTRUCTION,
    HNSW,
    SETTINGS,
    Blend,
    M,
    create_tables,
)
from benches.db.corpus import load
from benches.db.exact import Exact, K
from benches.db.measure import METHOD, RECALL, Client, share_text
from scripts import postgres
from scripts.cluster import Cluster
from scripts.host import main, say

BLENDS = [Blend(0.1, 30), Blend(0.3, 30), Blend(0.5, 30), Blend(0.3, 180)]
POOLS = (40, 100, 500)
ROUNDS = 3  # of the latencies, the contenders taking turns
SCANS = 30  # questions; a scan of all rows takes its time
INSERTS = 500
FIRST_NEW_ID = 1_000_000_000


def bench(folder):
    """Measures everything on the corpus in `folder` and prints it."""
    corpus = load(folder)
    exact = Exact(corpus)
    with Cluster(postgres.default(), SETTINGS) as cluster:
        with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
            count, dimensions = corpus.vectors.shape
            say(f"loading {count:,} memories of {dimensions} dimensions")
            create_tables(connection, corpus)
            print(f"# {corpus.name}: {count:,} x {dimensions}, cosine, top {K}\n")
            print(*machine.describe(connection), sep="\n")
            settings = ", ".join(f"{name} = {value}" for name, value in SETTINGS.items())
            print(f"- {METHOD}; {settings}")
            print("- `python3 -m scripts.bench sql`")
            client = Client(connection, corpus, exact)
            beam = _nearest(client)
            _blends(client, beam)
            _inserts(client)
        _memory(cluster, corpus)


def _nearest(client):
    """Build, and latency at equal recall; returns our beam for that recall."""
    builds, beams, founds = {}, {}, {}
    for contender in BOTH:
        say(f"{contender.name}: build, then the beam for recall {RECALL}")
        builds[contender] = client.build(contender)
        beams[contender], answers = client.reach_recall(contender)
        founds[contender] = answers.found()
    rounds = {contender: [] for contender in BOTH}
    for turn in range(ROUNDS):
        say(f"latency, round {turn + 1} of {ROUNDS}")
        for contender in BOTH:
            rounds[contender].append(client.nearest(contender, beams[contender]).p50())
    latencies = {contender: statistics.median(rounds[contender]) for contender in BOTH}

    print(f"\n| | {CHRONO.name} | {HNSW.name} | ratio |\n|---|---|---|---|")
    _row(f"build, m = {M}, ef_construction = {EF_CONSTRUCTION}", "{:.2f} s", builds)
    _row(f"{K} nearest at recall >= {RECALL}, p50", "{:.3f} ms", latencies)
    cells = [f"{share_text(founds[each])}, ef_search {beams[each]}" for each in BOTH]
    print(f"| their recall | {' | '.join(cells)} | |")
    floor = client.floor()
    print(f"| for comparison: a row by its primary key | {floor} | {floor} | |", flush=True)
    return beams[CHRONO]


def _row(title, form, values):
    ours, theirs = values[CHRONO], values[HNSW]
    cells = (title, form.format(ours), form.format(theirs), f"{ours / theirs:.2f}")
    print(f"| {' | '.join(cells)} |", flush=True)


def _blends(client, beam):
    print("\nEach cell: p50, and the share of the true blended top ten that is found; ", end="")
    print(f"chrono_search at ef_search {beam}.\n")
    pools = [f"{HNSW.name}, nearest {pool} reranked" for pool in POOLS]
    print(f"| order | chrono_search | all rows scanned | {' | '.join(pools)} |")
    print("|---|---|---|" + "---|" * len(POOLS))
    client.set(CHRONO.ef_search, beam)
    for blend in BLENDS:
        say(f"blend: {blend}")
        answers = [client.search(blend), client.scan(blend, questions=SCANS)]
        answers += [client.rerank(blend, pool) for pool in POOLS]
        cells = [f"{each.p50():.3f} ms, {share_text(each.found())}" for each in answers]
        print(f"| {blend} | {' | '.join(cells)} |", flush=True)


def _inserts(client):
    times, warm, cold, later = {}, {}, {}, {}
    new_ids = itertools.count(FIRST_NEW_ID, INSERTS)
    say("inserts")
    for contender in BOTH:
        seconds, warm[contender] = client.insert(contender, next(new_ids), INSERTS)
        times[contender] = 1e3 * seconds
    # After a checkpoint the first change of a page logs all of it.
    client.connection.execute("CHECKPOINT")
    for wal in (cold, later):
        for contender in BOTH:
            _, wal[contender] = client.insert(contender, next(new_ids), INSERTS)
    print(f"\nMeans of {INSERTS} inserts, each its own transaction; WAL counts the table's part.\n")
    print(f"| an insert | {CHRONO.name} | {HNSW.name} | ratio |\n|---|---|---|---|")
    _row("time", "{:.2f} ms", times)
    _row("WAL, all pages logged before", "{:,.0f} B", warm)
    _row(f"WAL, the first {INSERTS} after a checkpoint", "{:,.0f} B", cold)
    _row(f"WAL, the next {INSERTS}", "{:,.0f} B", later)


def _memory(cluster, corpus):
    """Shared memory of the index: what the first question after a restart touches to load it."""
    cluster.settings["shared_buffers"] = "1MB"  # so that the pages read hardly count
    cluster.restart()
    with psycopg.connect(cluster.dsn(), autocommit=True) as connection:
        register_vector(connection)
        pid = connection.info.backend_pid
        before = machine.resident_shared(pid)
        connection.execute(CHRONO.nearest_statement(), {"query": corpus.question_vectors[0]})
        megabytes = (machine.resident_shared(pid) - before) / 2**20
    print(f"\nShared memory of the {CHRONO.name} index: {megabytes:.0f} MiB.")


if __name__ == "__main__":
    main(lambda: bench(sys.argv[1]))
