-- Where an index must not compute the order, the plan is what it would be without.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, e vector(3), f vector(3), at timestamptz, seen timestamp, day date, importance float8, kind text, secret boolean);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i * 0.7), sin(i * 1.3)]::vector, ARRAY[cos(i), 1, 2]::vector, '2026-01-01 00:00+00'::timestamptz - i * interval '1 hour',
    '2026-01-01'::timestamp - i * interval '1 hour', '2026-01-01'::date - i / 24, (i * 7 % 100) / 100.0, 'k' || i % 4, i % 2 = 0 FROM generate_series(1, 3000) i;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, at, seen, day, importance, kind, secret);
ANALYZE memories;

-- Whether a query orders by an index.
CREATE FUNCTION uses_index(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('enable_hashagg', 'off', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'chrono_query' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;

\set S '1 - (e <=> ''[1,2,3]'') + importance'
SELECT query, uses_index(regexp_replace(query, '\mS\M', :'S', 'g')) FROM unnest(ARRAY[
    'SELECT id FROM memories ORDER BY S DESC LIMIT 5',
    -- All rows, for which an order must be exact
    'SELECT id FROM memories ORDER BY S DESC',
    'SELECT id FROM memories ORDER BY S DESC LIMIT ALL',
    'CREATE TABLE t AS SELECT id FROM memories ORDER BY S DESC',
    -- Groups and the like, which take the order for exact
    'SELECT S FROM memories GROUP BY S ORDER BY S DESC LIMIT 5',
    'SELECT DISTINCT S AS score FROM memories ORDER BY score DESC LIMIT 5',
    'SELECT DISTINCT ON (S) id FROM memories ORDER BY S DESC LIMIT 5',
    'SELECT count(*) FROM memories ORDER BY count(*) LIMIT 5',
    'SELECT id, rank() OVER (ORDER BY S DESC) FROM memories ORDER BY S DESC LIMIT 5',
    'SELECT rank() OVER (ORDER BY S) FROM memories LIMIT 5',
    'SELECT S AS score FROM memories UNION SELECT S FROM memories ORDER BY score LIMIT 5',
    'SELECT array_agg(id ORDER BY S) FROM memories LIMIT 5',
    'SELECT id FROM memories ORDER BY S DESC FETCH FIRST 5 ROWS WITH TIES',
    -- Merge joins on the score
    'SELECT m.id FROM memories m JOIN memories n ON 1 - (m.e <=> ''[1,2,3]'') + m.importance = n.importance ORDER BY 1 - (m.e <=> ''[1,2,3]'') + m.importance DESC LIMIT 5',
    -- Other vectors, other distances, two queries, no distance
    'SELECT id FROM memories ORDER BY (e <=> f) + importance LIMIT 5',
    'SELECT id FROM memories ORDER BY (f <=> ''[1,2,3]'') + importance LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <-> ''[1,2,3]'') + importance LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + (e <=> ''[3,2,1]'') LIMIT 5',
    'SELECT id FROM memories ORDER BY importance LIMIT 5',
    'SELECT id FROM memories ORDER BY importance, S LIMIT 5',
    'SELECT m.id FROM memories m, memories n WHERE n.id = m.id + 1 ORDER BY (m.e <=> n.e) + m.importance LIMIT 5',
    'SELECT m.id FROM memories m LEFT JOIN memories n ON n.id = m.id + 1 ORDER BY (n.e <=> ''[1,2,3]'') + n.importance LIMIT 5',
    -- Volatile
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + importance * random() LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ARRAY[random(), 1, 2]::vector) + importance LIMIT 5',
    -- What depends on the time zone, and what the index does not have as it is written
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + extract(epoch from now() - seen)::float8 LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + extract(epoch from now() - day)::float8 LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + CASE WHEN day < now() THEN 0 ELSE 1 END LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + extract(hour from at) LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + extract(month from now() - at) LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + CASE WHEN at + interval ''1 day'' > now() THEN 0 ELSE 1 END LIMIT 5',
    'SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + length(kind) LIMIT 5',
    'SELECT id FROM memories TABLESAMPLE BERNOULLI (50) ORDER BY S DESC LIMIT 5',
    'UPDATE memories SET importance = 0 WHERE id = (SELECT id FROM memories ORDER BY S DESC LIMIT 1)'
]) AS query;
SET chronomind.enable_order_pushdown = off;
SELECT uses_index('SELECT id FROM memories ORDER BY 1 - (e <=> ''[1,2,3]'') + importance DESC LIMIT 5');
RESET chronomind.enable_order_pushdown;

-- A few rows are sorted faster than an index begins, and so is a whole table.
RESET ALL;
CREATE TABLE few AS SELECT * FROM memories LIMIT 30;
CREATE INDEX ON few USING chrono (e vector_cosine_ops, importance);
ANALYZE few;
EXPLAIN (COSTS OFF) SELECT id FROM few ORDER BY (e <=> '[1,2,3]') - importance LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') - importance LIMIT 3000;

-- Functions and operators are known by what they are, not by their names.
CREATE SCHEMA mine;
CREATE FUNCTION mine.exp(float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -$1; END';
CREATE FUNCTION mine.plus(float8, float8) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN $1 - $2; END';
CREATE OPERATOR mine.+ (LEFTARG = float8, RIGHTARG = float8, FUNCTION = mine.plus);
CREATE FUNCTION mine.chrono_score(float8, timestamptz) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RETURN -$1; END';
CREATE FUNCTION mine.chrono_query(text, vector, float8[]) RETURNS chronomind_internal.chrono_query LANGUAGE plpgsql AS 'BEGIN RAISE ''mine''; END';
CREATE FUNCTION mine.chrono_key(anyelement) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RAISE ''mine''; END';
SET search_path = mine, public, pg_catalog;
SELECT score, uses_index(format('SELECT id FROM memories ORDER BY %s LIMIT 5', score)), plan, same
FROM unnest(ARRAY[
    'exp(e <=> ''[1,2,3]'')', '(e <=> ''[1,2,3]'') + importance', 'chrono_score(e <=> ''[1,2,3]'', at)',
    '(e <=> ''[1,2,3]'') * pg_catalog.exp(importance)', 'public.chrono_score(e <=> ''[1,2,3]'', at)'
]) AS score, check_query(format('SELECT id, (%s)::float8 AS d FROM memories ORDER BY %1$s', score), 5);
SET search_path = mine, pg_catalog;
SELECT id FROM public.memories ORDER BY (e OPERATOR(public.<=>) '[1,2,3]'::public.vector) * extract(epoch from '2026-01-02' - at)::float8 LIMIT 3;
EXPLAIN (COSTS OFF)
SELECT id FROM public.memories ORDER BY (e OPERATOR(public.<=>) '[1,2,3]'::public.vector) * extract(epoch from '2026-01-02' - at)::float8 LIMIT 3;
SET search_path = public;

-- Policies are checked before conditions that could tell what they hide; the order may come from the index.
CREATE FUNCTION tell(float8) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$ BEGIN RAISE NOTICE 'seen: %', $1; RETURN true; END $$;
CREATE ROLE reader;
GRANT SELECT ON memories TO reader;
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
CREATE POLICY open ON memories TO reader USING (NOT secret);
SET ROLE reader;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE tell(importance) AND kind = 'k1' AND importance > 0.5 AND e <=> '[1,2,3]' < 0.5
ORDER BY (e <=> '[1,2,3]') - importance LIMIT 3;
SELECT id FROM memories WHERE tell(importance) AND kind = 'k1' AND importance > 0.5 AND e <=> '[1,2,3]' < 0.5
ORDER BY (e <=> '[1,2,3]') - importance LIMIT 3;
RESET ROLE;
DROP POLICY open ON memories;
DROP OWNED BY reader;
DROP ROLE reader;
ALTER TABLE memories DISABLE ROW LEVEL SECURITY;

-- What Postgres may never evaluate must not fail; what only a row could make fail is like any other value.
SET plan_cache_mode = force_generic_plan;
PREPARE guarded(float8) AS SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') + CASE WHEN kind = 'none' THEN 1 / $1 ELSE 0 END LIMIT 2;
EXPLAIN (COSTS OFF) EXECUTE guarded(0);
EXECUTE guarded(0);
PREPARE unguarded(float8) AS SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') + 1 / $1 LIMIT 2;
EXECUTE unguarded(0);
SELECT count(*) FROM (SELECT id FROM memories ORDER BY 1 / (importance - 0.07) + (e <=> '[1,2,3]') LIMIT 5) found;

-- More than a person would write, or could
SELECT terms, uses_index(format('SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + %s LIMIT 5', repeat('importance + ', terms) || '0'))
FROM unnest(ARRAY[100, 450, 3000]) AS terms;
SELECT calls, uses_index(format('SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + %s LIMIT 5', repeat('abs(', calls) || 'importance' || repeat(')', calls)))
FROM unnest(ARRAY[50, 150, 400]) AS calls;
SELECT count(*) FROM (SELECT id FROM memories ORDER BY (e <=> '[1,2,3]') + -(-(-(-(-(-(-(-(-(-importance)))))))))  LIMIT 5) found;
SELECT elements, uses_index(format('SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + CASE WHEN kind IN (%s) THEN 0 ELSE 1 END LIMIT 5', list))
FROM unnest(ARRAY[50, 10000]) AS elements, LATERAL (SELECT string_agg(quote_literal(i), ', ') AS list FROM generate_series(1, elements) i) l;
SELECT uses_index(format('SELECT id FROM memories ORDER BY (e <=> ''[1,2,3]'') + CASE WHEN false OR kind = ''k1'' THEN 0 WHEN importance > %s THEN 0 ELSE 1 END LIMIT 5',
    repeat('abs(', 2000) || '(now() - now())::text::float8' || repeat(')', 2000)));

-- The operator and its operand are no business of a person, whatever the text (rights_texts has more).
SELECT mistake.* FROM unnest(ARRAY['distance - importance', 'distance + nothing', 'distance WHERE', repeat('(', 1000000)]) text,
    mistake(format('SELECT id FROM memories ORDER BY e <~> chronomind_internal.chrono_query(%L, ''[1,2,3]''::vector, NULL) LIMIT 2', text));
SET enable_seqscan = off;
SELECT chronomind_internal.chrono_key(1.5::numeric), chronomind_internal.chrono_key(7), chronomind_internal.chrono_key(true), chronomind_internal.chrono_key('2000-01-02'::date), chronomind_internal.chrono_key('infinity'::timestamptz), chronomind_internal.chrono_key(interval '1 mon'), chronomind_internal.chrono_key(NULL::int);
SELECT mistake.* FROM mistake('SELECT chronomind_internal.chrono_key(''{}''::jsonb)');
