-- What is evaluated when a scan begins cannot fail where Postgres would not have come to it, and takes no
-- memory to speak of.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, e vector(3), kind text, importance float8, pinned boolean, tags text[]);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i), 1]::vector, 'fact', i / 3000.0, i % 2 = 0, '{a}' FROM generate_series(1, 3000) i;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, kind, importance, pinned);
ANALYZE memories;
-- As exact as the walk over the graph can be.
SET chronomind.ef_search = 400;
SET enable_seqscan = off;
SET enable_sort = off;

-- Parameters of any type that may be NULL
PREPARE by_vector(vector, float8) AS SELECT id FROM memories WHERE (e <=> $1 < $2 OR $1 IS NULL) ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 3;
PREPARE by_tags(vector, text[]) AS SELECT id FROM memories WHERE (importance > 0.5 OR $2 IS NULL) ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 3;
PREPARE by_json(vector, jsonb) AS SELECT id FROM memories WHERE (importance > 0.5 OR $2 IS NOT NULL) ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 3;
PREPARE by_some_tags(vector, text[]) AS SELECT id FROM memories WHERE ($2 IS NULL OR tags && $2) ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 3;
PREPARE by_kind(vector, text) AS SELECT id FROM memories WHERE (kind = $2 OR $2 IS NULL) ORDER BY (1 - (e <=> $1)) + importance DESC LIMIT 3;
PREPARE by_moment(vector, time) AS SELECT id FROM memories ORDER BY (e <=> $1) + CASE WHEN importance > 0.5 AND $2 IS NULL THEN 0 ELSE 1 END LIMIT 3;
SET plan_cache_mode = force_generic_plan;
EXPLAIN (COSTS OFF) EXECUTE by_vector('[1,2,3]', 0.5);
EXECUTE by_vector('[1,2,3]', 0.5);
EXECUTE by_vector(NULL, 0.5);
EXECUTE by_tags('[1,2,3]', '{a}');
EXECUTE by_tags('[1,2,3]', NULL);
EXECUTE by_json('[1,2,3]', '{}');
EXECUTE by_some_tags('[1,2,3]', '{b}');
EXECUTE by_some_tags('[1,2,3]', NULL);
EXECUTE by_kind('[1,2,3]', 'none');
EXECUTE by_kind('[1,2,3]', NULL);
EXECUTE by_moment('[1,2,3]', NULL);
EXECUTE by_moment('[1,2,3]', '12:00');
RESET plan_cache_mode;
SELECT q.v IS NULL AS is_null, count(*) FROM (VALUES (NULL::vector), ('[1,2,3]'::vector)) q(v),
    LATERAL (SELECT id FROM memories WHERE (e <=> q.v < 0.5 OR q.v IS NULL) ORDER BY (1 - (e <=> q.v)) + importance DESC LIMIT 2) n GROUP BY 1 ORDER BY 1;

-- Subqueries that no row needs
CREATE TABLE empty (x int);
CREATE TABLE defaults (w float8);
INSERT INTO defaults VALUES (1), (2);
CREATE FUNCTION plan_of(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Order By' THEN RETURN 'index'; END IF;
    END LOOP;
    RETURN 'sort';
END $$;
SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') + CASE WHEN kind = 'none' THEN (SELECT 1 / (count(*) - count(*)) FROM empty)::float8 ELSE 0 END LIMIT 2;
SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') + coalesce(importance, (SELECT w FROM defaults)) LIMIT 2;
SELECT id FROM memories WHERE importance > 0.5 OR (kind = 'none' AND importance < (SELECT w FROM defaults)) ORDER BY (e <=> '[1,2,3]') + importance LIMIT 2;
SELECT query, plan_of(query) FROM unnest(ARRAY[
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + coalesce(importance, (SELECT w FROM defaults)) LIMIT 2',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') * (SELECT max(w) FROM defaults) + importance LIMIT 2',
    'SELECT w, id FROM defaults, LATERAL (SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + coalesce(importance, w) LIMIT 2) m'
]) AS query;

-- Long lists are not looked into, of whatever type the columns are.
SELECT elements, plan_of(format('SELECT id FROM memories WHERE id IN (%s) OR pinned ORDER BY (e <=> ''[1,2,3]'') + importance LIMIT 5', list)),
    plan_of(format('SELECT id FROM memories WHERE importance IN (%s) ORDER BY (e <=> ''[1,2,3]'') + importance LIMIT 5', list))
FROM unnest(ARRAY[3, 20000]) AS elements, LATERAL (SELECT string_agg(i::text, ', ') AS list FROM generate_series(1, elements) i) l;
