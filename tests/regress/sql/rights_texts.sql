-- What a plan asks an index by, the planner alone can make: a text of one's own would tell of columns and rows
-- that one may not read. It is refused wherever it is written, to whoever writes it, and before it is read.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE pay (id int, e vector(3), salary float8);
INSERT INTO pay SELECT i, ARRAY[sin(i), cos(i), 1]::vector, i * 1000 FROM generate_series(1, 500) i;
CREATE INDEX ON pay USING chrono (e vector_cosine_ops, salary);
ANALYZE pay;
SET enable_seqscan = off;
SET enable_sort = off;
-- Wherever the functions are.
SELECT DISTINCT pronamespace::regnamespace AS home FROM pg_proc WHERE proname = 'chrono_query' \gset
SELECT DISTINCT oprnamespace::regnamespace AS operators FROM pg_operator WHERE oprname = '<~>' \gset
SET search_path = public, :home, :operators;
\set text 'chrono_query(\'distance WHERE salary > 4000\', \'[1,2,3]\'::vector, NULL)'
CREATE VIEW of_view AS SELECT id FROM pay ORDER BY e <~> :text;
CREATE FUNCTION of_function() RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT id FROM pay ORDER BY e <~> chrono_query(''distance WHERE salary > 4000'', ''[1,2,3]''::vector, NULL)';
CREATE FUNCTION made(text) RETURNS chrono_query IMMUTABLE LANGUAGE sql AS 'SELECT chrono_query($1, ''[1,2,3]''::vector, NULL)';
CREATE FUNCTION defaulted(q chrono_query DEFAULT chrono_query('distance', '[1,2,3]'::vector, NULL)) RETURNS SETOF int STABLE LANGUAGE sql AS 'SELECT id FROM pay ORDER BY e <~> q';
CREATE FUNCTION forged(text) RETURNS chrono_query LANGUAGE plpgsql AS 'BEGIN RETURN $1; END';
CREATE FUNCTION two(text, vector) RETURNS chrono_query IMMUTABLE LANGUAGE sql AS 'SELECT chrono_query($1, $2, NULL)';
CREATE OPERATOR ~~~ (LEFTARG = text, RIGHTARG = vector, FUNCTION = two);
CREATE FUNCTION step(chrono_query, text) RETURNS chrono_query IMMUTABLE LANGUAGE sql AS 'SELECT chrono_query($2, ''[1,2,3]''::vector, NULL)';
CREATE AGGREGATE gathered(text) (SFUNC = step, STYPE = chrono_query);
CREATE DOMAIN of_domain AS chrono_query;
CREATE TYPE of_type AS (q chrono_query);
PREPARE prepared(text) AS SELECT id FROM pay ORDER BY e <~> chrono_query($1, '[1,2,3]'::vector, NULL);
SELECT replace(statement, 'TEXT', :'text') AS statement, state, message FROM unnest(ARRAY[
    'SELECT id FROM pay ORDER BY e <~> TEXT LIMIT 2',
    'SELECT id FROM pay ORDER BY e <~> TEXT',
    'SELECT id FROM pay WHERE id < 0 ORDER BY e <~> TEXT',
    'SELECT id FROM pay ORDER BY e <~~> TEXT LIMIT 2',
    'EXPLAIN SELECT id FROM pay ORDER BY e <~> TEXT',
    'SELECT e <~> TEXT FROM pay',
    'SELECT TEXT',
    'SELECT count(TEXT)',
    'SELECT chrono_query(NULL, ''[1,2,3]''::vector, NULL)',
    'SELECT chrono_query(''distance WHERE'', ''[1,2,3]''::halfvec, NULL)',
    'CREATE TABLE kept AS SELECT TEXT AS q',
    'SELECT * FROM of_view',
    'SELECT of_function()',
    'SELECT made(''distance'')',
    'SELECT id FROM pay ORDER BY e <~> made(''distance'')',
    'SELECT defaulted()',
    'SELECT forged(''distance'')',
    'SELECT id FROM pay ORDER BY e <~> (''distance'' ~~~ ''[1,2,3]''::vector)',
    'SELECT gathered(''distance'')',
    'SELECT TEXT::of_domain',
    'SELECT ROW(TEXT)::of_type',
    'SELECT ARRAY[TEXT]',
    'SELECT jsonb_populate_record(NULL::of_type, ''{"q": "distance"}'')',
    'SELECT ''distance''::chrono_query',
    'EXECUTE prepared(''distance'')',
    'SELECT chrono_explain(''SELECT id FROM pay WHERE id < 0 ORDER BY e <~> made(''''distance'''')'')',
    'SELECT id FROM pay, LATERAL (SELECT chrono_query(''distance'' || id, ''[1,2,3]''::vector, NULL) AS q) l ORDER BY e <~> q LIMIT 1'
]) AS statement, mistake(replace(statement, 'TEXT', :'text'));
-- NULL, which anybody can have, has no order.
SELECT count(*) FROM (SELECT id FROM pay ORDER BY e <~> NULL::chrono_query) q;

-- The planner's own: shown as the calls that they are, in generic, parallel and partitioned plans too.
SET search_path = public;
EXPLAIN (COSTS OFF) SELECT id FROM pay ORDER BY (e <=> '[1,2,3]') + salary LIMIT 2;
SET plan_cache_mode = force_generic_plan;
PREPARE generic(vector, float8) AS SELECT id FROM pay WHERE salary > $2 ORDER BY (e <=> $1) + salary LIMIT 2;
CREATE FUNCTION order_by(query text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE plan json;
BEGIN
    EXECUTE 'EXPLAIN (COSTS OFF, VERBOSE, FORMAT json) ' || query INTO plan;
    RETURN plan #>> '{0,Plan,Plans,0,Order By}';
END $$;
SELECT order_by('EXECUTE generic(''[1,2,3]'', 4000)');
EXECUTE generic('[1,2,3]', 4000);
EXECUTE generic('[1,2,3]', 6000);
RESET plan_cache_mode;
CREATE TABLE parts (LIKE pay) PARTITION BY RANGE (id);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (250);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (250) TO (1000);
INSERT INTO parts SELECT * FROM pay;
CREATE INDEX ON parts USING chrono (e vector_cosine_ops, salary);
ANALYZE parts;
SELECT id FROM parts ORDER BY (e <=> '[1,2,3]') + salary LIMIT 3;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SET min_parallel_table_scan_size = 0;
SELECT set_config(name, 'on', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');
SELECT id FROM pay ORDER BY (e <=> '[1,2,3]') + salary LIMIT 3;
SELECT id FROM parts ORDER BY (e <=> '[1,2,3]') + salary LIMIT 3;
SELECT set_config(name, 'off', false) FROM pg_settings WHERE name IN ('force_parallel_mode', 'debug_parallel_query');

-- What chrono_explain counts can tell how far hidden rows are: it counts for those only who may read all.
CREATE ROLE texts_carol;
CREATE POLICY own ON pay USING (id = 5);
ALTER TABLE pay ENABLE ROW LEVEL SECURITY;
GRANT SELECT ON pay TO texts_carol;
SET ROLE texts_carol;
SELECT * FROM chrono_explain('SELECT id FROM pay ORDER BY e <=> ''[1,2,3]'' LIMIT 1');
RESET ROLE;
SELECT rows_given FROM chrono_explain('SELECT id FROM pay ORDER BY e <=> ''[1,2,3]'' LIMIT 1');
DROP OWNED BY texts_carol;
DROP ROLE texts_carol;
