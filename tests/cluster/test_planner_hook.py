"""Another library in the planner's hook: one that calls ours, and one that does not."""

import subprocess

from scripts.cluster import Cluster

# Loaded later than chronomind it takes the hook away, as a library does that does not call the one before.
RUDE = """
#include "postgres.h"
#include "fmgr.h"
#include "optimizer/paths.h"
PG_MODULE_MAGIC;
void _PG_init(void);
void _PG_init(void) { set_rel_pathlist_hook = NULL; }
"""
# This one leaves everything as it was, behind a hook of its own.
POLITE = """
#include "postgres.h"
#include "fmgr.h"
#include "optimizer/paths.h"
PG_MODULE_MAGIC;
static set_rel_pathlist_hook_type before;
static void hook(PlannerInfo *root, RelOptInfo *rel, Index rti, RangeTblEntry *rte)
{ if (before) before(root, rel, rti, rte); }
void _PG_init(void);
void _PG_init(void) { before = set_rel_pathlist_hook; set_rel_pathlist_hook = hook; }
"""
TOLD = "another library keeps chronomind from the planner"
TABLE = """
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE t (id int PRIMARY KEY, v vector(2), n int);
INSERT INTO t SELECT i, ARRAY[cos(i), sin(i)]::vector, i FROM generate_series(1, 2000) i;
CREATE INDEX ON t USING chrono (v vector_l2_ops, n);
ANALYZE t;
"""
# The library is asked for the cost of the conditions each time; an error in between is no sign of anything.
STATEMENTS = """
SELECT id FROM t WHERE n > 0 ORDER BY (v <-> '[1,0]') + n LIMIT 1;
SELECT 1 / (SELECT 0) FROM t WHERE n > 0 ORDER BY (v <-> '[1,0]') + n LIMIT 1;
SELECT id FROM t WHERE n > 0 ORDER BY (v <-> '[1,0]') + n LIMIT 1;
SELECT a.id FROM t a, t b WHERE a.id = b.n AND b.id = 7 AND a.n > 0 ORDER BY (a.v <-> '[1,0]') + a.n LIMIT 1;
EXPLAIN (COSTS OFF) SELECT id FROM t WHERE n > 0 ORDER BY (v <-> '[1,0]') + n LIMIT 1;
SELECT 'asks: ' || planner_asks FROM chrono_stats('t_v_n_idx');
"""


def compiled(cluster, name, source):
    """The path of a library that the server can read."""
    code, library = (cluster.directory / f"{name}.{kind}" for kind in ("c", "so"))
    code.write_text(source)
    headers = f"-I{cluster.pg.value('includedir-server')}"
    subprocess.run(["cc", "-shared", "-fPIC", headers, "-o", str(library), str(code)], check=True)
    library.chmod(0o755)
    return library


def test_a_hook_that_was_replaced_is_told_once(pg):
    with Cluster(pg) as cluster:
        cluster.psql(TABLE)
        rude = compiled(cluster, "rude", RUDE)
        polite = compiled(cluster, "polite", POLITE)
        for libraries, told, pushed in (
            (f"chronomind,{rude}", 1, False),
            (f"{rude},chronomind", 0, True),
            (f"chronomind,{polite}", 0, True),
        ):
            cluster.settings["shared_preload_libraries"] = libraries
            cluster.restart()
            said = cluster.session(STATEMENTS)
            assert said.count(TOLD) == told, said
            assert ("chrono_query" in said) == pushed, said
            assert f"asks: {str(pushed).lower()}" in said, said
