-- Scores in plans of every shape, and the plans that an index must stay out of.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, e vector(4), at timestamptz, importance float8, kind text);
CREATE FUNCTION made(i int) RETURNS vector LANGUAGE sql IMMUTABLE AS
    $$ SELECT ARRAY(SELECT hashint4(i * 4 + j) / 2e9 FROM generate_series(1, 4) j)::vector(4) $$;
INSERT INTO memories SELECT i, made(i), '2026-01-01 00:00+00'::timestamptz - i * interval '1 minute', i * 7 % 100 / 100.0, 'k' || i % 4
FROM generate_series(1, 5000) i;
CREATE INDEX memories_idx ON memories USING chrono (e vector_cosine_ops, at, importance, kind);
ANALYZE memories;
SET chronomind.ef_search = 400;
SET max_parallel_workers_per_gather = 0;
\set score '(1 - (e <=> ''[1,2,3,4]'')) * 0.7 + importance * 0.3'

-- What EXPLAIN tells
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY :score DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE kind IN ('k1', 'k2') AND 1 - (e <=> '[1,2,3,4]') >= 0.7 AND id > 10
ORDER BY 0.7 * (1 - (e <=> '[1,2,3,4]')) + 0.3 * exp(-extract(epoch from now() - at) / 86400) DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY chrono_score(e <=> '[1,2,3,4]', at, importance) LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE e <=> '[1,2,3,4]' < 0.2 ORDER BY e <=> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY e <=> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY e <=> '[1,2,3,4]' DESC LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY (1 - (e <=> '[1,2,3,4]'))::numeric + importance::numeric DESC NULLS LAST LIMIT 5;

-- The same rows as without the index, for plans of all shapes
CREATE TABLE questions (n int PRIMARY KEY, q vector(4), half_life float8, wanted int);
INSERT INTO questions SELECT n, made(n * 1000003), n * 3600.0, n FROM generate_series(1, 8) n;
ANALYZE questions;
CREATE VIEW fresh AS SELECT *, exp(-extract(epoch from '2026-01-02' - at)::float8 / 86400) AS freshness FROM memories;
CREATE FUNCTION best(q vector, weight float8, wanted int) RETURNS SETOF int LANGUAGE sql STABLE AS
    $$ SELECT id FROM memories ORDER BY weight * (1 - (e <=> q)) + (1 - weight) * importance DESC, id LIMIT wanted $$;
CREATE FUNCTION best_of_kind(q vector, k text, wanted int) RETURNS SETOF int LANGUAGE plpgsql STABLE AS $$
BEGIN
    RETURN QUERY SELECT id FROM memories WHERE kind = k ORDER BY (1 - (e <=> q)) + importance DESC, id LIMIT wanted;
END $$;

CREATE FUNCTION check_plan(query text, OUT plan text, OUT rows int, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    indexed text[];
    scanned text[];
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
    plan := 'other';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Order By: ' THEN plan := 'index'; END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(r::text) FROM (%s) r', query) INTO indexed;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true),
        set_config('enable_indexscan', 'off', true), set_config('chronomind.enable_order_pushdown', 'off', true);
    EXECUTE format('SELECT array_agg(r::text) FROM (%s) r', query) INTO scanned;
    PERFORM set_config('enable_indexscan', 'on', true), set_config('chronomind.enable_order_pushdown', 'on', true);
    rows := coalesce(cardinality(indexed), 0);
    same := indexed IS NOT DISTINCT FROM scanned;
END $$;

\set S '1 - (e <=> ''[1,2,3,4]'') + importance'
SELECT query, checked.* FROM unnest(ARRAY[
    'SELECT id FROM memories ORDER BY S DESC LIMIT 10',
    'SELECT id FROM memories ORDER BY S LIMIT 10 OFFSET 7',
    'SELECT id, S AS score FROM memories ORDER BY score DESC FETCH FIRST 3 ROWS ONLY',
    'SELECT id FROM memories ORDER BY S DESC, id LIMIT 10',
    'SELECT id FROM memories ORDER BY round((S)::numeric, 1) DESC, id LIMIT 10',
    'SELECT id FROM memories ORDER BY (SELECT q FROM questions WHERE n = 3) <=> e, id LIMIT 10',
    'SELECT id FROM memories ORDER BY 1 - (e <=> (SELECT q FROM questions WHERE n = 3)) + importance DESC LIMIT 10',
    'SELECT n, m.id FROM questions, LATERAL (SELECT id FROM memories ORDER BY (1 - (e <=> q)) + importance DESC LIMIT 3) m ORDER BY n, id',
    'SELECT n, m.id FROM questions, LATERAL (SELECT id FROM memories ORDER BY (e <=> q) + extract(epoch from ''2026-01-02'' - at)::float8 / half_life LIMIT wanted) m ORDER BY n, id',
    'SELECT n, (SELECT array_agg(id) FROM (SELECT id FROM memories ORDER BY (1 - (e <=> q)) + importance DESC LIMIT 3) m) FROM questions ORDER BY n',
    'WITH question AS MATERIALIZED (SELECT q FROM questions WHERE n = 2) SELECT id FROM memories ORDER BY (e <=> (SELECT q FROM question)) - importance LIMIT 10',
    'WITH found AS (SELECT id, S AS score FROM memories ORDER BY score DESC LIMIT 10) SELECT id, score FROM found WHERE id % 2 = 0',
    'SELECT id FROM (SELECT id FROM memories ORDER BY S DESC) m LIMIT 10',
    'SELECT id FROM fresh ORDER BY (1 - (e <=> ''[1,2,3,4]'')) * freshness DESC LIMIT 10',
    'SELECT id FROM fresh WHERE freshness > 0.1 ORDER BY (1 - (e <=> ''[1,2,3,4]'')) * freshness DESC LIMIT 10',
    'SELECT n, id FROM questions, best(q, 0.5, 3) id ORDER BY n, id', 'SELECT best(q, 0.5, 3) AS id FROM questions ORDER BY n, id', 'SELECT best_of_kind(q, ''k1'', 3) AS id FROM questions ORDER BY n, id',
    'SELECT m.id, n FROM memories m JOIN questions ON n = m.id % 8 + 1 ORDER BY S DESC LIMIT 10',
    'SELECT m.id, n FROM memories m LEFT JOIN questions ON n = m.id ORDER BY S DESC LIMIT 10',
    'SELECT m.id FROM memories m WHERE EXISTS (SELECT FROM questions WHERE n = m.id % 20) ORDER BY S DESC LIMIT 10',
    'SELECT id FROM memories WHERE id IN (SELECT n * 10 FROM questions) ORDER BY S DESC LIMIT 10'
]) AS query, check_plan(regexp_replace(query, '\mS\M', :'S', 'g')) AS checked;

-- Functions that no EXPLAIN looks into use it too.
SELECT statement, count(*) AS scans FROM unnest(ARRAY['SELECT best(q, 0.5, 3) FROM questions', 'SELECT best_of_kind(q, ''k1'', 3) FROM questions']) AS statement,
    chrono_explain(statement) GROUP BY statement;

-- Prepared, planned for these parameters and for any
PREPARE found(vector, float8, text, int) AS
    SELECT id FROM memories WHERE kind = $3 ORDER BY $2 * (1 - (e <=> $1)) + (1 - $2) * importance DESC LIMIT $4;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE found('[1,2,3,4]', 0.5, 'k1', 5);
EXECUTE found('[1,2,3,4]', 0.5, 'k1', 5);
EXECUTE found('[4,3,2,1]', 0.1, 'k2', 3);
EXECUTE found('[4,3,2,1]', NULL, 'k2', 2);
EXECUTE found(NULL, 0.5, 'k2', 0);
SET chronomind.enable_order_pushdown = off;
DEALLOCATE found;
PREPARE found(vector, float8, text, int) AS
    SELECT id FROM memories WHERE kind = $3 ORDER BY $2 * (1 - (e <=> $1)) + (1 - $2) * importance DESC LIMIT $4;
EXECUTE found('[1,2,3,4]', 0.5, 'k1', 5);
EXECUTE found('[4,3,2,1]', 0.1, 'k2', 3);
RESET chronomind.enable_order_pushdown;
RESET plan_cache_mode;
PREPARE scored(timestamptz, float8) AS
    SELECT id FROM memories ORDER BY chrono_score(e <=> '[1,2,3,4]', at, importance, recency_weight => $2, as_of => $1) LIMIT 3;
EXPLAIN (COSTS OFF) EXECUTE scored('2026-01-01', 0.5);
EXECUTE scored('2026-01-01', 0.5);
EXECUTE scored('2025-12-31', 0.9);
EXECUTE scored('2025-12-31', 1.9);
\echo :LAST_ERROR_SQLSTATE

-- Cursors, also with a hold, and rows that are locked
BEGIN;
DECLARE found CURSOR FOR SELECT id FROM memories ORDER BY 1 - (e <=> '[1,2,3,4]') + importance DESC;
FETCH 3 FROM found;
SAVEPOINT here;
FETCH 2 FROM found;
ROLLBACK TO here;
FETCH 2 FROM found;
CLOSE found;
EXPLAIN (COSTS OFF) DECLARE found CURSOR FOR SELECT id FROM memories ORDER BY 1 - (e <=> '[1,2,3,4]') + importance DESC;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY 1 - (e <=> '[1,2,3,4]') + importance DESC LIMIT 3 FOR UPDATE;
SELECT id FROM memories ORDER BY 1 - (e <=> '[1,2,3,4]') + importance DESC LIMIT 3 FOR UPDATE;
COMMIT;

-- Partitions are merged, whatever the layout of each
CREATE TABLE parted (id int, e vector(4), importance float8, part int) PARTITION BY LIST (part);
CREATE TABLE parted_0 (part int, importance float8, id int, e vector(4));
ALTER TABLE parted ATTACH PARTITION parted_0 FOR VALUES IN (0);
CREATE TABLE parted_1 PARTITION OF parted FOR VALUES IN (1);
CREATE TABLE parted_2 PARTITION OF parted FOR VALUES IN (2) PARTITION BY RANGE (id);
CREATE TABLE parted_2_low PARTITION OF parted_2 FOR VALUES FROM (0) TO (2500);
CREATE TABLE parted_2_high PARTITION OF parted_2 FOR VALUES FROM (2500) TO (10000);
CREATE INDEX ON parted USING chrono (e vector_cosine_ops, importance);
INSERT INTO parted SELECT id, e, importance, id % 3 FROM memories;
ANALYZE parted;
EXPLAIN (COSTS OFF) SELECT id FROM parted ORDER BY 1 - (e <=> '[1,2,3,4]') + importance DESC LIMIT 5;
SELECT checked.* FROM check_plan('SELECT id FROM parted ORDER BY 1 - (e <=> ''[1,2,3,4]'') + importance DESC LIMIT 20') checked;
SELECT checked.* FROM check_plan('SELECT id FROM parted WHERE part = 2 AND importance < 0.4 ORDER BY 1 - (e <=> ''[1,2,3,4]'') + importance DESC LIMIT 20') checked;
SELECT checked.* FROM check_plan('SELECT id FROM (SELECT id, e, importance FROM memories UNION ALL SELECT id + 10000, e, importance FROM parted) both_tables
    ORDER BY 1 - (e <=> ''[1,2,3,4]'') + importance DESC, id LIMIT 20') checked;

-- An index on part of the table serves what it is known to hold; expressions are columns too.
DROP INDEX memories_idx;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, importance) WHERE kind = 'k1';
SELECT query, checked.plan, same FROM unnest(ARRAY['true', 'kind = ''k1''', 'kind = ''k2''']) AS condition,
    format('SELECT id FROM memories WHERE %s ORDER BY 1 - (e <=> ''[1,2,3,4]'') + importance DESC LIMIT 10', condition) query, check_plan(query) checked;
CREATE INDEX ON memories USING chrono ((e::halfvec(4)) halfvec_l2_ops, (importance * 2), (lower(kind)), at);
SELECT query, checked.plan, same FROM unnest(ARRAY[
    '(e::halfvec(4) <-> ''[1,2,3,4]'') + (importance * 2)', '(e::halfvec(4) <-> ''[1,2,3,4]'') + CASE WHEN lower(kind) = ''k1'' THEN 0 ELSE 1 END',
    '(e::halfvec(4) <-> ''[1,2,3,4]'') + importance', '(e <-> ''[1,2,3,4]'') + importance * 2', 'l2_distance(e::halfvec(4), ''[1,2,3,4]'') - importance * 2'
]) AS score, format('SELECT id FROM memories ORDER BY %s LIMIT 10', score) query, check_plan(query) checked;
