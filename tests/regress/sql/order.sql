-- The order of every metric and type is that of a sequential scan, for rows and queries of every
-- kind: NULL, without a distance (zero under cosine), equal to others, in any number.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int PRIMARY KEY, v vector(3), h halfvec(3));
INSERT INTO items SELECT i, v, v::halfvec FROM generate_series(1, 500) i, LATERAL (SELECT CASE
    WHEN i % 29 = 0 THEN NULL
    WHEN i % 41 = 0 THEN '[0,0,0]'
    WHEN i % 10 = 0 THEN '[0.5,0.25,-1]'
    WHEN i % 97 = 0 THEN '[-0,0,0]'
    ELSE ARRAY[sin(i * 1.1), cos(i * 2.3) * 3, sin(i * 0.7 + 1)]::vector END AS v) AS made;

CREATE FUNCTION check_metric(kind text, metric text, operator text)
RETURNS TABLE (query text, wanted int, plan text, rows int, same boolean) LANGUAGE plpgsql AS $$
DECLARE
    col text := CASE kind WHEN 'vector' THEN 'v' ELSE 'h' END;
BEGIN
    EXECUTE format('CREATE INDEX items_idx ON items USING chrono (%s %s_%s_ops)', col, kind, metric);
    FOR query, wanted IN
        SELECT q, w FROM unnest(ARRAY['[1,2,-1]', '[0.5,0.25,-1]', '[0,0,0]', '[-3e4,6e4,1e-5]', NULL]) q,
            unnest(ARRAY[NULL, 0, 1, 10, 498]) w
    LOOP
        RETURN QUERY SELECT query, wanted, checked.* FROM check_query(format(
            'SELECT id, %s %s (SELECT %L::%s) AS d FROM items ORDER BY d', col, operator, query, kind), wanted) checked;
    END LOOP;
    DROP INDEX items_idx;
END $$;

SELECT kind, metric, count(*) AS queries, sum(rows) AS rows, bool_and(same) AS same, min(plan), max(plan)
FROM unnest(ARRAY['vector', 'halfvec']) kind,
    (VALUES ('l2', '<->'), ('ip', '<#>'), ('cosine', '<=>'), ('l1', '<+>')) metrics (metric, operator),
    check_metric(kind, metric, operator)
GROUP BY kind, metric ORDER BY kind, metric;

-- Rows that come after the build are the same.
CREATE INDEX ON items USING chrono (v vector_cosine_ops);
INSERT INTO items SELECT id + 1000, v, h FROM items;
INSERT INTO items SELECT i, CASE WHEN i % 7 = 0 THEN NULL WHEN i % 5 = 0 THEN '[0,0,0]'
    ELSE ARRAY[cos(i), sin(i * 2), i / 3000.0]::vector END FROM generate_series(2001, 2200) i;
SELECT query, wanted, checked.* FROM unnest(ARRAY['[1,2,-1]', '[0,0,0]', NULL]) query,
    unnest(ARRAY[NULL, 30]) wanted,
    check_query(format('SELECT id, v <=> (SELECT %L::vector) AS d FROM items ORDER BY d', query), wanted) checked;

-- Other directions are no business of the index.
SELECT plan FROM by_index('SELECT id, v <=> ''[1,2,3]'' AS d FROM items ORDER BY d DESC');
SELECT plan FROM by_index('SELECT id, v <=> ''[1,2,3]'' AS d FROM items ORDER BY d NULLS FIRST');
SELECT plan FROM by_index('SELECT id, v <-> ''[1,2,3]'' AS d FROM items ORDER BY d');

-- A vector of another length is no query, and no row either.
SET enable_seqscan = off;
SELECT id FROM items ORDER BY v <=> '[1,2]' LIMIT 1;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO items VALUES (9999, '[1,2,3,4]');
\echo :LAST_ERROR_SQLSTATE
RESET enable_seqscan;

-- An empty index answers, before and after its first rows.
CREATE TABLE nothing (id int, v vector(3));
CREATE INDEX ON nothing USING chrono (v vector_l2_ops);
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM nothing ORDER BY d');
INSERT INTO nothing VALUES (1, NULL);
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM nothing ORDER BY d');
INSERT INTO nothing VALUES (2, '[1,1,1]'), (3, '[1,1,1]');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM nothing ORDER BY d');
DELETE FROM nothing;
VACUUM nothing;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM nothing ORDER BY d');
INSERT INTO nothing VALUES (4, '[2,1,1]');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM nothing ORDER BY d');

-- A thousand equal rows are one node; a different one is found behind them.
CREATE TABLE twins (id int, v vector(2));
INSERT INTO twins SELECT i, '[1,0]' FROM generate_series(1, 1000) i;
CREATE INDEX ON twins USING chrono (v vector_l2_ops);
INSERT INTO twins SELECT i, '[1,0]' FROM generate_series(1001, 1100) i;
INSERT INTO twins VALUES (2000, '[0,1]');
SELECT w, checked.* FROM unnest(ARRAY[NULL, 10, 1100, 1101]) w,
    check_query('SELECT id, v <-> ''[0.9,0]'' AS d FROM twins ORDER BY d', w) checked;
SELECT * FROM check_query('SELECT id, v <-> ''[0,0.9]'' AS d FROM twins ORDER BY d', 1);
