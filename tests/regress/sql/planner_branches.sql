-- What Postgres might never evaluate is not evaluated when a scan begins, and a quotient that became a float is not
-- taken for the one that Postgres has.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE t (id int PRIMARY KEY, v vector(3), importance float8, created_at timestamptz, ts timestamp);
INSERT INTO t SELECT i, ARRAY[sin(i), cos(i), 1]::vector, i % 7 / 10.0, '2026-01-01'::timestamptz - i * interval '1 hour',
    '2020-01-03 21:11:09.9943'::timestamp + i % 5 * interval '1 day' FROM generate_series(1, 500) i;
CREATE INDEX ON t USING chrono (v vector_cosine_ops, importance, created_at, ts);
ANALYZE t;
SET enable_seqscan = off;
CREATE FUNCTION boom() RETURNS float8 LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE 'evaluated'; END $$;
CREATE FUNCTION boom_vector() RETURNS vector LANGUAGE plpgsql STABLE AS $$ BEGIN RAISE 'evaluated'; END $$;
SELECT id FROM t ORDER BY coalesce(importance, v <=> (SELECT boom_vector())), id LIMIT 3;
SELECT id FROM t ORDER BY CASE WHEN importance > 5 THEN v <=> boom_vector() ELSE importance END, id LIMIT 3;
SELECT id FROM t ORDER BY CASE WHEN importance > 5 THEN chrono_score(v <=> '[1,2,3]', created_at, importance, recency_weight => -1)
    ELSE (v <=> '[1,2,3]') + importance END, id LIMIT 3;
SELECT id FROM t ORDER BY CASE WHEN importance > 5 THEN chrono_score(v <=> '[1,2,3]', created_at, importance, recency_weight => boom())
    ELSE (v <=> '[1,2,3]') + importance END, id LIMIT 3;
-- Weights that pass the check are taken.
EXPLAIN (COSTS OFF) SELECT id FROM t ORDER BY CASE WHEN importance > 0.3 THEN chrono_score(v <=> '[1,2,3]', created_at, importance, recency_weight => 0.5, importance_weight => 0.1)
    ELSE (v <=> '[1,2,3]') + importance END LIMIT 3;

CREATE TABLE w (id int, v vector(2), u int);
INSERT INTO w VALUES (1, '[1,2]', 16), (2, '[5,6]', 17), (3, '[9,9]', 18), (4, '[9,8]', 19);
CREATE INDEX ON w USING chrono (v vector_l2_ops, u);
SET enable_sort = off;
SELECT id FROM w ORDER BY CASE WHEN (u / 9.0)::float8 >= 1.777777777777778::float8 THEN v <-> '[1,2]' ELSE 100 + (v <-> '[1,2]') END LIMIT 1;
SELECT id FROM w WHERE (u / 9.0)::float8 >= 1.777777777777778::float8 ORDER BY (v <-> '[1,2]') * 2 LIMIT 4;
SELECT id FROM w ORDER BY nullif((u / 9.0)::float8, 1.777777777777778::float8) + (v <-> '[1,2]') LIMIT 4;
-- Whole numbers are told apart from quotients.
EXPLAIN (COSTS OFF) SELECT id FROM w WHERE (u / 9.0)::float8 >= 2 ORDER BY (v <-> '[1,2]') * 2 LIMIT 4;
SELECT count(*) FROM (SELECT id FROM t WHERE date_part('epoch', ts - timestamp '2020-01-01') >= date_part('epoch', timestamp '2020-01-03 21:11:09.9943' - timestamp '2020-01-01')
    ORDER BY (v <=> '[1,2,3]') * 2 LIMIT 1000) s;

-- All that equal the last one are found, below a subquery, too.
CREATE TABLE ties (id int, v vector(8));
INSERT INTO ties SELECT i, (SELECT array_agg(sin(i * j * 1.37)) FROM generate_series(1, 8) j)::vector FROM generate_series(1, 3000) i;
CREATE INDEX ON ties USING chrono (v vector_l2_ops) WITH (m = 4, ef_construction = 8);
ANALYZE ties;
SET chronomind.ef_search = 1;
CREATE FUNCTION wrong() RETURNS bigint LANGUAGE plpgsql AS $$
DECLARE
    query text := 'SELECT array_agg(id ORDER BY id) FROM (SELECT id FROM (SELECT id, v <-> %L AS d FROM ties ORDER BY d OFFSET 0) s ORDER BY d FETCH FIRST 10 ROWS WITH TIES) f';
    one int[];
    other int[];
    found bigint := 0;
BEGIN
    FOR i IN 1 .. 40 LOOP
        SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off; SET LOCAL enable_indexscan = on;
        EXECUTE format(query, (SELECT v FROM ties WHERE id = i * 70)) INTO one;
        SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on; SET LOCAL enable_indexscan = off;
        EXECUTE format(query, (SELECT v FROM ties WHERE id = i * 70)) INTO other;
        found := found + (one <> other)::int;
    END LOOP;
    RETURN found;
END $$;
SELECT wrong();

-- A role that may not compare vectors has another plan, no error.
CREATE ROLE branches_reader;
GRANT SELECT ON t TO branches_reader;
REVOKE EXECUTE ON FUNCTION vector_eq FROM PUBLIC;
SET ROLE branches_reader;
SET plan_cache_mode = force_generic_plan;
PREPARE two(vector, vector) AS SELECT id FROM t WHERE 1 - (v <=> $1) > 0.9 ORDER BY v <=> $2 LIMIT 3;
SELECT count(*) FROM t WHERE 1 - (v <=> '[1,2,3]') > 0.9;
EXPLAIN (COSTS OFF) EXECUTE two('[1,2,3]', '[1,2,3]');
RESET ROLE;
DROP OWNED BY branches_reader;
DROP ROLE branches_reader;
-- Costs are numbers whatever the settings.
SET cpu_operator_cost = 1e308;
SELECT count(*) FROM (SELECT id FROM t ORDER BY v <=> '[1,2,3]' LIMIT 3) s;
