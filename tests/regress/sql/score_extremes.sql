-- Expressions and plans at which a planner that takes everything for a score would go wrong.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, e vector(3), uses int, importance float8, kind text);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i * 0.7), sin(i * 1.3)]::vector, i % 1000, i * 7 % 100 / 100.0, (i % 1000)::text
FROM generate_series(1, 2000) i;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, uses, importance, kind);
CREATE TABLE marks (mark float8 PRIMARY KEY);
INSERT INTO marks SELECT i / 1000.0 FROM generate_series(1, 2000) i;
ANALYZE memories, marks;

-- Whether a query orders by an index, and whether its rows are those without one.
CREATE FUNCTION compare(query text, OUT by_index boolean, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    line text;
    indexed text[];
    scanned text[];
BEGIN
    by_index := false;
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true);
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        by_index := by_index OR line ~ 'chrono_query';
    END LOOP;
    EXECUTE format('SELECT array_agg(r::text) FROM (%s) r', query) INTO indexed;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true), set_config('chronomind.enable_order_pushdown', 'off', true);
    EXECUTE format('SELECT array_agg(r::text) FROM (%s) r', query) INTO scanned;
    PERFORM set_config('chronomind.enable_order_pushdown', 'on', true);
    same := indexed IS NOT DISTINCT FROM scanned;
END $$;

\set D '(e <=> ''[1,2,3]'')'
-- As large and as deep as programs write them
CREATE FUNCTION times(part text, count int, separator text DEFAULT '') RETURNS text
    RETURN (SELECT string_agg(regexp_replace(part, '\mN\M', i::text), separator) FROM generate_series(1, count) i);
SELECT what, count, compared.* FROM (VALUES
    ('sum', 100, times('+ importance * N', 100)), ('sum', 3000, times('+ importance * N', 3000)),
    ('list', 100, '+ (uses IN (' || times('N', 100, ',') || '))::int'), ('list', 100000, '+ (uses IN (' || times('N', 100000, ',') || '))::int'),
    ('labels', 100, '+ (kind IN (' || times('''N''', 100, ',') || '))::int'), ('labels', 20000, '+ (kind IN (' || times('''N''', 20000, ',') || '))::int'),
    ('or', 100, '+ (' || times('uses = N', 100, ' OR ') || ')::int'), ('or', 20000, '+ (' || times('uses = N', 20000, ' OR ') || ')::int'),
    ('nested', 50, times('- (importance', 50) || times(')', 50)), ('nested', 200, times('- (importance', 200) || times(')', 200)),
    ('case', 20, '+ ' || times('CASE uses WHEN N THEN 1 ELSE ', 20) || '0' || times(' END', 20)), ('case', 200, '+ ' || times('CASE uses WHEN N THEN 1 ELSE ', 200) || '0' || times(' END', 200))
) AS scores (what, count, score), compare('SELECT id FROM memories ORDER BY ' || :'D' || score || ', id LIMIT 3') AS compared;

-- A condition that is too large costs no more than its help.
SELECT compared.* FROM unnest(ARRAY['id', 'uses']) AS "column",
    compare('SELECT id FROM memories WHERE ' || :'D' || ' < 0.01 OR ' || "column" || ' IN (' || times('N', 100000, ',') || ') ORDER BY ' || :'D' || ' * 2 LIMIT 3') AS compared;
SELECT compared.* FROM compare('SELECT id FROM memories WHERE ' || times(:'D' || ' < N', 3000, ' AND ') || ' ORDER BY ' || :'D' || ' * 2 LIMIT 3') AS compared;
SELECT compared.* FROM compare('SELECT id FROM memories WHERE ' || times('uses <> N', 20000, ' AND ') || ' ORDER BY ' || :'D' || ' * 2 LIMIT 3') AS compared;

-- Conditions that hold for one distance, and for none near to it
SELECT condition, compared.* FROM unnest(ARRAY['D = (SELECT D FROM memories WHERE id = 777)', 'abs(D - (SELECT D FROM memories WHERE id = 777)) < 1e-12',
    'D BETWEEN (SELECT D FROM memories WHERE id = 777) - 1e-12 AND (SELECT D FROM memories WHERE id = 777) + 1e-12 OR uses < 0'
]) AS condition, compare(regexp_replace('SELECT id FROM memories WHERE ' || condition || ' ORDER BY D * 2 LIMIT 3', '\mD\M', :'D', 'g')) AS compared;

-- As many rows as there can be
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM (SELECT FROM memories ORDER BY :D * 2 LIMIT 9223372036854775807) AS m;
RESET enable_seqscan;
RESET enable_sort;

-- Sets, which no index can evaluate ahead of time
SELECT query, compared.* FROM unnest(ARRAY['SELECT id, generate_series(1, 2) AS n FROM memories ORDER BY D * 2 LIMIT 3', 'SELECT id FROM memories ORDER BY D + generate_series(1, 3) LIMIT 3'
]) AS query, compare(regexp_replace(query, '\mD\M', :'D', 'g')) AS compared;

-- Outer joins on the score, which a merge join would take for sorted
SET enable_hashjoin = off;
SET enable_nestloop = off;
SELECT query, compared.* FROM unnest(ARRAY[
    'SELECT id, mark FROM memories LEFT JOIN marks ON round(D + importance) = mark ORDER BY round(D + importance), id LIMIT 3',
    'SELECT id FROM memories WHERE NOT EXISTS (SELECT FROM marks WHERE D + importance = mark) ORDER BY D + importance LIMIT 3',
    'SELECT id, mark FROM memories LEFT JOIN marks ON id = mark ORDER BY D + importance LIMIT 3'
]) AS query, compare(regexp_replace(query, '\mD\M', :'D', 'g')) AS compared;
RESET enable_hashjoin;
RESET enable_nestloop;

-- Another order of the same type
CREATE FUNCTION from_zero(a float8, b float8) RETURNS int LANGUAGE sql IMMUTABLE RETURN btfloat8cmp(abs(a), abs(b));
CREATE FUNCTION nearer(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN abs(a) < abs(b);
CREATE FUNCTION farther(a float8, b float8) RETURNS boolean LANGUAGE sql IMMUTABLE RETURN abs(a) > abs(b);
CREATE OPERATOR <| (LEFTARG = float8, RIGHTARG = float8, FUNCTION = nearer, COMMUTATOR = |>);
CREATE OPERATOR |> (LEFTARG = float8, RIGHTARG = float8, FUNCTION = farther, COMMUTATOR = <|);
CREATE OPERATOR CLASS from_zero_ops FOR TYPE float8 USING btree AS OPERATOR 1 <|, OPERATOR 3 =, OPERATOR 5 |>, FUNCTION 1 from_zero(float8, float8);
SELECT * FROM compare('SELECT id FROM memories ORDER BY ' || :'D' || ' - 1 USING <|, id LIMIT 3');

-- A query vector made of a text is no score, whatever the text says.
CREATE FUNCTION embed(text) RETURNS vector LANGUAGE plpgsql STABLE AS $$ BEGIN RETURN '[1,2,3]'; END $$;
CREATE FUNCTION cost(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    EXECUTE 'EXPLAIN ' || query INTO line;
    RETURN substring(line FROM 'cost=\S+');
END $$;
SELECT cost($$SELECT id FROM memories ORDER BY e <=> embed('distance DESC') LIMIT 3$$) = cost($$SELECT id FROM memories ORDER BY e <=> embed('two words') LIMIT 3$$) AS same_cost;
