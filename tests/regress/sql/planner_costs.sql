-- What a scan costs is a number, also without an order, so that other plans are compared with it as they should be;
-- and what takes an order for exact is not answered by the graph.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE users (id int PRIMARY KEY, name text UNIQUE);
INSERT INTO users SELECT i, 'user ' || i FROM generate_series(1, 500) i;
CREATE TABLE memories (id int PRIMARY KEY, e vector(3), context text, uses int, importance float8);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i * 0.7), sin(i * 1.3)]::vector, 'user ' || i % 250, i / 100, (i * 7 % 100) / 100.0
FROM generate_series(1, 10000) i;
CREATE INDEX memories_idx ON memories USING chrono (e vector_cosine_ops, context, uses, importance);
VACUUM ANALYZE users, memories;

-- Costs in a plan that are no numbers, and scans of the index in it
CREATE FUNCTION costs(query text, OUT odd int, OUT chrono int) LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    odd := 0;
    chrono := 0;
    FOR line IN EXECUTE 'EXPLAIN ' || query LOOP
        IF line ~ 'NaN|Infinity' THEN odd := odd + 1; END IF;
        IF line ~ 'memories_idx' THEN chrono := chrono + 1; END IF;
    END LOOP;
END $$;
-- Small tables are joined in parallel as large ones are.
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT query, costs.* FROM unnest(ARRAY[
    'SELECT count(*) FROM users u JOIN memories m ON m.context = u.name WHERE m.uses = 3',
    'SELECT count(*) FROM users u LEFT JOIN memories m ON m.context = u.name',
    'SELECT u.id, sum(m.importance) FROM users u LEFT JOIN memories m ON m.context = u.name AND m.uses > 5 GROUP BY u.id',
    'SELECT max(m.importance) FROM users u JOIN memories m ON m.uses < u.id',
    'SELECT m.id FROM users u JOIN memories m ON m.context = u.name WHERE m.uses = 3 ORDER BY u.id LIMIT 5'
]) AS query, costs(query);
-- A condition that few rows meet and no other index knows
SELECT query, costs.* FROM unnest(ARRAY[
    'SELECT count(*) FROM memories WHERE uses = 7 AND importance = 0.3', 'SELECT * FROM memories WHERE uses = -1',
    'SELECT * FROM memories WHERE uses >= 0', 'SELECT count(*) FROM memories', 'SELECT id FROM memories WHERE id = 7 AND context = ''user 7'''
]) AS query, costs(query);
SELECT count(*) FROM memories WHERE uses = 7 AND importance = 0.3;
SET enable_indexscan = off;
SELECT count(*) FROM memories WHERE uses = 7 AND importance = 0.3;
RESET ALL;

-- Joins of three tables, drawn at random: no cost of a plan is NaN or infinite.
CREATE FUNCTION drawn(seed int) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    text text := 'FROM users a';
    functions text[] := ARRAY['count(*)', 'sum(b.uses)', 'max(b.importance)', 'min(c.id)', 'count(DISTINCT b.context)'];
    draws int[] := ARRAY(SELECT abs(hashint4(seed * 16 + i)) FROM generate_series(1, 12) i);
BEGIN
    text := text || (ARRAY[' JOIN', ' LEFT JOIN', ' FULL JOIN'])[1 + draws[1] % 3] || ' memories b ON '
        || (ARRAY['b.context = a.name', 'b.uses = a.id', 'b.context = a.name AND b.uses = a.id', 'b.id = a.id'])[1 + draws[2] % 4];
    text := text || (ARRAY[' JOIN', ' LEFT JOIN'])[1 + draws[3] % 2] || ' memories c ON '
        || (ARRAY['c.context = b.context', 'c.uses = b.uses AND c.context = a.name', 'c.context = a.name', 'c.id = b.id', 'c.uses < b.uses', 'c.importance BETWEEN b.importance - 0.1 AND b.importance'])[1 + draws[4] % 6];
    text := text || ' WHERE ' || (ARRAY['true', 'b.uses = 7', 'c.uses > 90', 'b.importance > 0.9', 'b.context = ''user 3''', 'a.id < 10', 'b.uses IN (1, 2, 3)'])[1 + draws[5] % 7]
        || (ARRAY['', ' AND c.context = ''user 9''', ' AND c.importance < 0.01', ' AND EXISTS (SELECT FROM memories d WHERE d.context = a.name AND d.uses = 3)'])[1 + draws[6] % 4];
    RETURN CASE draws[7] % 4
        WHEN 0 THEN 'SELECT ' || functions[1 + draws[8] % 5] || ' ' || text
        WHEN 1 THEN 'SELECT a.id, ' || functions[1 + draws[8] % 5] || ' ' || text || ' GROUP BY a.id'
        WHEN 2 THEN 'SELECT a.id, b.id, c.id ' || text || ' ORDER BY b.importance, c.id LIMIT 10'
        ELSE 'SELECT a.id, b.id ' || text || ' ORDER BY b.e <=> ''[1,2,3]'' LIMIT 10' END;
END $$;
SET min_parallel_table_scan_size = 0;
SET parallel_setup_cost = 0;
SET parallel_tuple_cost = 0;
SELECT count(*), sum(odd) AS odd FROM generate_series(1, 500) seed, costs(drawn(seed));
SET enable_hashjoin = off;
SET enable_mergejoin = off;
SELECT count(*), sum(odd) AS odd FROM generate_series(1, 200) seed, costs(drawn(seed));
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*), sum(odd) AS odd FROM generate_series(200, 300) seed, costs(drawn(seed));
RESET ALL;

-- What takes an order for exact
\set D 'e <=> ''[1,2,3]'''
SELECT query, chrono FROM unnest(ARRAY[
    'SELECT id FROM memories ORDER BY D LIMIT 5', 'SELECT min(D) FROM memories', 'SELECT max(1 - (D)) FROM memories', 'SELECT min((D) * 2), max(id) FROM memories',
    'SELECT u.id, (SELECT min(D) FROM memories WHERE uses = u.id) FROM users u LIMIT 5',
    'SELECT id, rank() OVER (ORDER BY D) FROM memories LIMIT 5', 'SELECT id, row_number() OVER (ORDER BY D) FROM memories ORDER BY D LIMIT 5',
    'SELECT DISTINCT ON (D) id FROM memories ORDER BY D LIMIT 5', 'SELECT DISTINCT D AS d FROM memories ORDER BY d LIMIT 5', 'SELECT D, count(*) FROM memories GROUP BY D ORDER BY D LIMIT 5',
    'SELECT id FROM memories ORDER BY D FETCH FIRST 5 ROWS WITH TIES',
    'SELECT m.id FROM memories m JOIN memories n ON m.e <=> ''[1,2,3]'' = n.importance ORDER BY m.e <=> ''[1,2,3]'' LIMIT 5',
    'SELECT max(d) FROM (SELECT D AS d FROM memories ORDER BY d LIMIT 5) nearest'
]) AS query, costs(regexp_replace(query, '\mD\M', :'D', 'g'));
SET enable_seqscan = off;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT min(e <=> '[1,2,3]') FROM memories;
EXPLAIN (COSTS OFF) SELECT id, rank() OVER (ORDER BY e <=> '[1,2,3]') FROM memories LIMIT 5;
RESET ALL;
SELECT min(e <=> '[1,2,3]') = (SELECT e <=> '[1,2,3]' FROM memories ORDER BY (e <=> '[1,2,3]') + 0 * id LIMIT 1) AS same FROM memories;
