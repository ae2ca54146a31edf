-- Conditions on attributes together with the order: what passes, in the right order, and never
-- fewer rows than there are, however narrow the condition and wherever its rows lie.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (
    id int PRIMARY KEY, embedding vector(4), created_at timestamptz, importance real, context text, kind int
);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i * 1.7), sin(i * 0.3), cos(i * 0.11)]::vector,
    CASE WHEN i % 31 <> 0 THEN timestamptz '2024-01-01' + i * interval '1 hour' END,
    CASE WHEN i % 17 <> 0 THEN (i * 7919 % 1000) / 1000.0 END,
    CASE WHEN i % 13 <> 0 THEN 'context ' || i % 40 END,
    i % 5
FROM generate_series(1, 3000) i;
UPDATE memories SET embedding = NULL WHERE id % 101 = 0;
UPDATE memories SET embedding = '[0,0,0,0]' WHERE id % 103 = 0;
CREATE INDEX memories_idx ON memories
    USING chrono (embedding vector_cosine_ops, created_at, importance, context, kind);
INSERT INTO memories SELECT id + 10000, embedding, created_at - interval '1 year', importance, context, kind + 5
FROM memories WHERE id % 3 = 0;
ANALYZE memories;

CREATE TABLE conditions (condition text);
INSERT INTO conditions VALUES
    ('created_at > ''2024-05-03'''), ('created_at >= ''2024-05-04 23:00'''), ('created_at < ''2023-01-02'''),
    ('created_at BETWEEN ''2024-02-01'' AND ''2024-02-02'''), ('created_at IS NULL'),
    ('importance > 0.99'), ('importance < 0.001'), ('importance BETWEEN 0.5 AND 0.5'), ('importance IS NULL'),
    ('context = ''context 7'''), ('context = ''nobody'''), ('context IS NULL'),
    ('context IN (''context 1'', ''context 2'')'), ('kind = 3'), ('kind = 3::bigint'), ('kind IN (1, 9)'),
    ('kind <> 3'), ('kind = 3 AND context = ''context 3'' AND importance > 0.5'),
    ('context = ''context 7'' AND created_at IS NOT NULL AND importance < 0.9'),
    ('context = ''context 7'' OR kind = 1'), ('kind > 4 AND kind < 4'), ('id % 500 = 1'),
    ('kind = 2 AND id % 500 = 2'), ('embedding IS NULL'), ('embedding IS NOT NULL AND kind = 1'),
    ('importance > 0.9 AND embedding <=> ''[1,2,3,4]'' < 0.2'), ('NOT (kind = 3)'),
    ('created_at > ''2024-01-01''::date + 100'), ('(importance, kind) > (0.5, 3)');

-- (whether the index or a filter above it takes a list, depends on the version)
SELECT condition, wanted, CASE WHEN condition !~ ' IN ' THEN plan END AS plan, rows, same FROM conditions,
    (VALUES ('[1,2,3,4]', 10), ('[1,2,3,4]', NULL), ('[0,0,0,0]', 10), (NULL, 10)) queries (query, wanted),
    check_query(format('SELECT id, embedding <=> (SELECT %L::vector) AS d FROM memories WHERE %s ORDER BY d',
        query, condition), wanted) checked
WHERE NOT same OR query = '[1,2,3,4]' AND wanted = 10;

-- Rows that were deleted or changed do not come back.
DELETE FROM memories WHERE kind = 3;
UPDATE memories SET context = 'moved' WHERE context = 'context 7';
UPDATE memories SET importance = 1 WHERE importance IS NULL;
SELECT condition, checked.* FROM conditions,
    check_query(format('SELECT id, embedding <=> ''[1,2,3,4]'' AS d FROM memories WHERE %s ORDER BY d', condition)) checked
WHERE NOT same OR condition ~ 'context 7|kind = 3' OR condition = 'importance IS NULL';
VACUUM memories;
SELECT count(*) FILTER (WHERE same) AS same, count(*) FROM conditions,
    check_query(format('SELECT id, embedding <=> ''[1,2,3,4]'' AS d FROM memories WHERE %s ORDER BY d', condition)) checked;
SELECT * FROM check_query('SELECT id, embedding <=> ''[1,2,3,4]'' AS d FROM memories WHERE context = ''moved'' ORDER BY d');

-- Conditions are met without an order too; the index is no use for what asks for neither.
CREATE FUNCTION uses_chrono(query text) RETURNS boolean LANGUAGE plpgsql
SET enable_seqscan = off AS $$
DECLARE
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'memories_idx' THEN RETURN true; END IF;
    END LOOP;
    RETURN false;
END $$;
SELECT uses_chrono('SELECT * FROM memories WHERE kind = 3'),
    uses_chrono('SELECT * FROM memories WHERE importance > 0.5 ORDER BY created_at'),
    uses_chrono('SELECT count(*) FROM memories'),
    uses_chrono('SELECT created_at FROM memories'),
    uses_chrono('SELECT * FROM memories WHERE kind = 3 ORDER BY embedding <=> ''[1,2,3,4]'' LIMIT 5');
-- Left to itself the planner orders by the index, and sorts where all rows are wanted anyway.
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY embedding <=> '[1,2,3,4]' LIMIT 5;
EXPLAIN (COSTS OFF) SELECT id FROM memories WHERE context = 'context 1' AND importance > 0.5::real
    ORDER BY embedding <=> '[1,2,3,4]' LIMIT 5;
