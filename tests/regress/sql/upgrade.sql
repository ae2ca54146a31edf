-- An older version is upgraded in place: its indexes go on, and what is new works on them.
CREATE EXTENSION chronomind VERSION '0.1.0' CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, embedding vector(3), created_at timestamptz, importance real, context text);
INSERT INTO memories SELECT i, ARRAY[sin(i), cos(i), i / 100.0]::vector, timestamptz '2024-01-01' + i * interval '1 day', i % 10 / 10.0, 'c' || i % 3
FROM generate_series(1, 300) i;
CREATE INDEX ON memories USING chrono (embedding vector_cosine_ops, created_at, importance, context);
CREATE VIEW ordered AS SELECT id FROM memories ORDER BY chrono_score(embedding <=> '[1,0,2]', created_at, as_of => '2024-12-01');
SELECT array_agg((memory).id ORDER BY score) FROM chrono_search(NULL::memories, '[1,0,2]', 5, as_of => '2024-12-01');
ALTER EXTENSION chronomind UPDATE;
SELECT extversion = (SELECT default_version FROM pg_available_extensions WHERE name = 'chronomind') AS is_newest
FROM pg_extension WHERE extname = 'chronomind';
SELECT array_agg((memory).id ORDER BY score) FROM chrono_search(NULL::memories, '[1,0,2]', 5, as_of => '2024-12-01');
SELECT array_agg(id) FROM (SELECT id FROM ordered LIMIT 5) best;
SELECT chronomind_internal.chrono_columns('memories', ARRAY['id', 'embedding', 'created_at', 'importance', 'context']);
-- What is new, on the old table
SELECT count, newest FROM chrono_context_summary('memories', 'c1');
SELECT state, message FROM mistake($$ SELECT chrono_touch('memories', ARRAY[1]) $$);
ALTER TABLE memories ADD importance_at timestamptz DEFAULT now(), ADD last_accessed_at timestamptz, ADD access_count int;
SELECT chrono_touch('memories', ARRAY[1, 2, 3]);
SELECT array_agg(access_count) FROM memories WHERE access_count > 0;
SELECT (memory).id FROM chrono_search(NULL::memories, '[1,0,2]', 5, as_of => '2024-12-01', context => 'c1', importance_weight => 0.1) LIMIT 1;
SELECT chrono_create_memory('more', 3);
DROP EXTENSION chronomind CASCADE;
SELECT count(*) FROM pg_proc WHERE proname LIKE 'chrono%';
