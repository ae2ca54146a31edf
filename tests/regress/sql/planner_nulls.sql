-- Rows without a vector, and those whose vector has no direction: where Postgres's order and its conditions have them,
-- and never fetched in vain.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, at timestamptz, e vector(3), importance float8);
INSERT INTO memories SELECT i, '2026-01-01 00:00+00'::timestamptz - i * interval '5 min',
    CASE WHEN i % 10 = 0 THEN NULL WHEN i % 500 = 1 THEN '[0,0,0]' ELSE ARRAY[sin(i), cos(i * 0.7), sin(i * 1.3)]::vector END, CASE WHEN i % 7 > 0 THEN i % 7 / 7.0 END
FROM generate_series(1, 5000) i;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, at, importance);
VACUUM ANALYZE memories;
-- As exact as the walk over the graph can be.
SET chronomind.ef_search = 400;
SET max_parallel_workers_per_gather = 0;
SET enable_seqscan = off;
SET enable_sort = off;
SET enable_bitmapscan = off;

CREATE FUNCTION removed(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found text := 'none';
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (ANALYZE, COSTS OFF, TIMING OFF, SUMMARY OFF) ' || query LOOP
        IF line ~ 'Rows Removed' THEN found := substring(line FROM '\d+') || ' rows'; END IF;
        IF line ~ '-> +Sort' THEN RETURN 'sort'; END IF;
    END LOOP;
    RETURN found;
END $$;
CREATE FUNCTION ids(query text) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE found int[];
BEGIN
    EXECUTE format('SELECT array_agg(id) FROM (%s) q', query) INTO found;
    RETURN found;
END $$;
CREATE FUNCTION check_nulls(condition text, score text, OUT removed text, OUT rows int, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT id FROM memories WHERE %s ORDER BY %s, id LIMIT 40', condition, score);
    indexed int[];
    scanned int[];
BEGIN
    removed := removed(query);
    indexed := ids(query);
    PERFORM set_config('enable_indexscan', 'off', true), set_config('enable_sort', 'on', true);
    scanned := ids(query);
    PERFORM set_config('enable_indexscan', 'on', true), set_config('enable_sort', 'off', true);
    rows := cardinality(scanned);
    same := indexed IS NOT DISTINCT FROM scanned;
END $$;

\set D '(e <=> ''[1,2,3]'')'
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE e IS NOT NULL ORDER BY (1 - :D) * 0.7 + importance * 0.3 DESC LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE e IS NOT NULL ORDER BY (1 - :D) * 0.7 + importance * 0.3 DESC NULLS LAST LIMIT 10;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE e IS NOT NULL ORDER BY :D LIMIT 10;
-- For rows without a vector alone, versions of the server choose between two scans of the index, of which one looks at others, too.
SELECT condition, score, CASE WHEN condition <> 'e IS NULL' THEN checked.removed END AS removed, checked.rows, checked.same FROM unnest(ARRAY['e IS NOT NULL', 'D IS NOT NULL', 'e IS NULL', 'D IS NULL', 'true', 'e IS NOT NULL AND importance > 0.5', 'e IS NOT NULL OR importance > 0.9',
        '1 - D > 0.7', 'D < 0.1', 'D > 1.9', 'NOT D < 1.9', 'D = ''NaN''', 'D <> 0.5']) AS condition,
    unnest(ARRAY['(1 - D) * 0.7 + importance * 0.3 DESC', '(1 - D) + coalesce(importance, 0) DESC', '(1 - D) * importance DESC NULLS LAST', 'D', 'D DESC', 'D + importance NULLS FIRST', 'coalesce(1 - D, 0.5) + importance DESC']) AS score,
    check_nulls(regexp_replace(condition, '\mD\M', :'D', 'g'), regexp_replace(score, '\mD\M', :'D', 'g')) AS checked;

-- A query that is not known yet, and may be NULL itself
SET plan_cache_mode = force_generic_plan;
PREPARE found(vector) AS SELECT id FROM memories WHERE e IS NOT NULL ORDER BY (1 - (e <=> $1)) + coalesce(importance, 0) DESC, id LIMIT 5;
EXPLAIN (COSTS OFF) EXECUTE found('[1,2,3]');
EXECUTE found('[1,2,3]');
EXECUTE found('[0,0,0]');
EXECUTE found(NULL);
PREPARE scored(vector) AS SELECT id FROM memories WHERE e IS NOT NULL ORDER BY coalesce(1 - (e <=> $1), importance) DESC NULLS FIRST, id LIMIT 5;
EXECUTE scored('[1,2,3]');
EXECUTE scored(NULL);
SET enable_indexscan = off;
SET enable_sort = on;
EXECUTE found('[1,2,3]');
EXECUTE found('[0,0,0]');
EXECUTE found(NULL);
EXECUTE scored('[1,2,3]');
EXECUTE scored(NULL);
RESET ALL;
