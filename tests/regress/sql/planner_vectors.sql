-- One vector, however it is written, and thresholds of every metric: the search ends where no row can pass.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, e vector(8), h halfvec(8), importance float8, name varchar(20), label text);
INSERT INTO memories SELECT i, v, v::halfvec, i % 100 / 100.0, 'n' || i % 5, 'n' || i % 5
FROM generate_series(1, 5000) i, LATERAL (SELECT array_agg(hashint4(i * 8 + j) / 2e9)::vector(8) AS v FROM generate_series(1, 8) j WHERE i > 0) m;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, importance, name, label);
CREATE INDEX ON memories USING chrono (e vector_ip_ops, importance);
CREATE INDEX ON memories USING chrono (h halfvec_ip_ops, importance);
VACUUM ANALYZE memories;
-- As exact as the walk over the graph can be.
SET chronomind.ef_search = 400;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;
CREATE FUNCTION plan_of(query text, OUT plan text, OUT removed int) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    removed := 0;
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Sort Key' THEN plan := 'sort'; END IF;
        IF line ~ 'Order By' THEN plan := coalesce(plan, 'index') || coalesce(': ' || substring(line FROM 'WHERE (.*) LIMIT'), ''); END IF;
        IF line ~ 'Rows Removed' THEN removed := substring(line FROM '\d+'); END IF;
    END LOOP;
END $$;

-- Inner products
\set q '''[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]'''
SELECT condition, score, plan.* FROM unnest(ARRAY['D < -100', '-(D) > 16', 'D * -1 >= 16', 'D > 100', 'D < -1.6 AND D > -1.7 AND importance > 0.2', 'D = -1']) AS condition, unnest(ARRAY['D', '-(D) + importance DESC']) AS score,
    plan_of(regexp_replace(format('SELECT id FROM memories WHERE %s ORDER BY %s LIMIT 5', condition, score), '\mD\M', '(e <#> ' || quote_literal('[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]') || ')', 'g')) AS plan;
SELECT plan.* FROM plan_of('SELECT id FROM memories WHERE h <#> ''[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]'' < -100 ORDER BY h <#> ''[0.1,0.2,0.3,0.4,0.5,0.6,0.7,0.8]'' LIMIT 5') AS plan;
-- Every row that is just on the threshold comes out.
SELECT count(*) FROM memories m, LATERAL (SELECT id FROM memories n WHERE n.e <#> m.e <= m.e <#> m.e ORDER BY n.e <#> m.e, (n.id = m.id) DESC LIMIT 5000) o WHERE o.id = m.id AND m.id <= 300;
-- A long vector makes the threshold generous, one that overflows leaves it to the filter.
INSERT INTO memories VALUES (10001, '[1e15,0,0,0,0,0,0,0]'), (10002, '[1e15,1,0,0,0,0,0,0]'), (10003, '[-1e15,0,0,0,0,0,0,1]');
SELECT id FROM memories WHERE e <#> :q < -1.7 ORDER BY e <#> :q LIMIT 5;
INSERT INTO memories VALUES (10004, '[1e38,1e38,0,0,0,0,0,0]');
SELECT id FROM memories WHERE e <#> '[3e5,2,0,0,0,0,0,0]' < -1e20 ORDER BY e <#> '[3e5,2,0,0,0,0,0,0]' LIMIT 5;
DELETE FROM memories WHERE id > 10000;

-- Two parameters for one vector, in a plan for any
SET plan_cache_mode = force_generic_plan;
PREPARE two(vector, vector) AS SELECT id FROM memories WHERE 1 - (e <=> $2) > 0.999 ORDER BY e <=> $1 LIMIT 5;
PREPARE blended(vector, vector) AS SELECT id FROM memories WHERE (e <=> $2) < 0.1 ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 5;
EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) EXECUTE two('[1,2,3,4,5,6,7,8]', '[1,2,3,4,5,6,7,8]');
SELECT removed FROM plan_of('EXECUTE two(''[1,2,3,4,5,6,7,8]'', ''[1,2,3,4,5,6,7,9]'')');
SELECT plan.* FROM plan_of('EXECUTE blended(''[1,2,3,4,5,6,7,8]'', ''[1,2,3,4,5,6,7,8]'')') plan;
SELECT e AS a, (SELECT e FROM memories WHERE id = 8) AS b FROM memories WHERE id = 7 \gset
EXECUTE two(:'a', :'a');
EXECUTE two(:'a', :'b');
EXECUTE two(NULL, :'b');
EXECUTE two(:'a', NULL);
EXECUTE two(:'a', '[1,2]');
RESET plan_cache_mode;

-- Casts with a length and without, also behind an alias
SELECT query, plan.* FROM unnest(ARRAY[
    'SELECT id FROM memories ORDER BY (1 - (e <=> Q::vector)) * 0.8 + (1 - (e <=> Q::vector(8))) * 0.2 DESC LIMIT 5',
    'SELECT id FROM memories WHERE e <=> Q::vector(8) < 0.01 ORDER BY e <=> Q LIMIT 5',
    'SELECT id FROM memories WHERE e <=> Q < 0.01 ORDER BY (e <=> Q::vector(8)) + importance LIMIT 5',
    'SELECT id FROM (SELECT id, e <=> Q::vector(8) AS d FROM memories) m WHERE d < 0.01 ORDER BY d LIMIT 5',
    'SELECT m.id FROM (SELECT Q::vector(8) AS v) q, memories m WHERE m.e <=> q.v < 0.01 ORDER BY m.e <=> Q LIMIT 5',
    'SELECT id FROM memories WHERE e <=> ''[1,2,3,4,5,6,7,9]'' < 0.01 ORDER BY (e <=> Q) + importance LIMIT 5'
]) AS query, plan_of(replace(query, 'Q', quote_literal('[1,2,3,4,5,6,7,8]'))) AS plan;
PREPARE lengths(vector) AS SELECT id FROM memories WHERE e <=> $1::vector(8) < 0.01 ORDER BY (e <=> $1) + importance LIMIT 5;
SET plan_cache_mode = force_generic_plan;
SELECT plan.* FROM plan_of('EXECUTE lengths(''[1,2,3,4,5,6,7,8]'')') AS plan;
RESET plan_cache_mode;

-- A varchar before CASE
SELECT score, plan.* FROM unnest(ARRAY['CASE name WHEN ''n1'' THEN 1.2 ELSE 1 END', 'CASE label WHEN ''n1'' THEN 1.2 ELSE 1 END', 'CASE WHEN name = ''n1'' THEN 1.2 ELSE 1 END']) AS score,
    plan_of(format('SELECT id FROM memories ORDER BY (1 - (e <=> ''[1,2,3,4,5,6,7,8]'')) * %s DESC LIMIT 10', score)) AS plan;
