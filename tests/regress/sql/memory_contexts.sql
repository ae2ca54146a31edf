-- A summary of a context, and searches within one that are never short.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 3);
BEGIN;
INSERT INTO memories (content, context, embedding, created_at, importance, importance_at, decay_rate, valid_to)
SELECT 'memory ' || i, CASE WHEN i % 1000 = 7 THEN 'sparse' ELSE 'context ' || i % 3 END, CASE WHEN i % 50 > 0 THEN ARRAY[sin(i), cos(i), 1]::vector END,
    timestamptz '2024-01-01' + i * interval '1 hour', 0.5, now() - interval '10 hours', 0.01 * (i % 2), CASE WHEN i % 10 = 3 THEN now() END
FROM generate_series(1, 5000) i;
SELECT count, round(mean_importance::numeric, 6) AS mean, newest, oldest FROM chrono_context_summary('memories', 'sparse');
SELECT context, count = expected AS right, abs(mean_importance - mean) < 1e-9 AS mean, centroid <-> centre < 1e-5 AS centre, newest = last AS newest, oldest = first AS oldest
FROM (SELECT context, count(*) AS expected, avg(chrono_importance(importance, importance_at, decay_rate)) AS mean, avg(embedding) AS centre,
        max(created_at) AS last, min(created_at) AS first FROM memories WHERE valid_to IS NULL GROUP BY context) scan,
    chrono_context_summary('memories', context) ORDER BY context;
COMMIT;
SELECT * FROM chrono_context_summary('memories', 'nobody');

-- Five memories of a context of a thousandth of the table, near or far: all are found, and found first.
SELECT array_agg((memory).id ORDER BY (memory).id) FROM chrono_search(NULL::memories, '[1,1,1]', 10, 'sparse');
SELECT count(*) FROM generate_series(0, 6, 0.5) angle, chrono_search(NULL::memories, ARRAY[sin(angle), cos(angle), 1]::vector, 5, 'sparse', recency_weight => 0);

-- Other columns and types
CREATE TABLE notes (key uuid PRIMARY KEY, e halfvec(2), made timestamptz, weight real, topic uuid, tag text);
CREATE INDEX ON notes USING chrono (e halfvec_l2_ops, made, weight, topic, tag);
INSERT INTO notes SELECT md5(i::text)::uuid, ARRAY[i, 1]::real[]::vector::halfvec, '2024-01-01', i / 10.0, md5((i % 2)::text)::uuid, 'tag ' || i % 3 FROM generate_series(1, 6) i;
SELECT count, round(mean_importance::numeric, 6) AS mean, centroid, newest FROM chrono_context_summary('notes', md5('1'));
SELECT count, round(mean_importance::numeric, 6) AS mean, centroid, newest FROM chrono_context_summary('notes', 'tag 1', context_column => 'tag');

-- A column that the index does not have is told, not taken for one that nobody stated.
CREATE TABLE half_indexed (id int, embedding vector(2), made timestamptz, context text, importance real);
CREATE INDEX ON half_indexed USING chrono (embedding vector_cosine_ops, made, context);
INSERT INTO half_indexed VALUES (1, '[1,0]', '2024-01-01', 'c', 0.25);
SELECT state, message FROM mistake('SELECT chrono_context_summary(''half_indexed'', ''c'')');

\x
CREATE TABLE bare (id int, embedding vector(2), context text, created_at timestamptz, importance real);
SELECT arguments, mistake.* FROM unnest(ARRAY['''memories'', NULL', '''bare'', ''x''', '''notes'', ''x''', '''notes'', ''x'', context_column => ''made''', 'NULL, ''x'''])
    arguments, mistake(format('SELECT * FROM chrono_context_summary(%s)', arguments));
