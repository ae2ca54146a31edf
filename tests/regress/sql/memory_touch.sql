-- chrono_touch counts a use and raises what is left of an importance, for many memories at once.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 2);
BEGIN;
INSERT INTO memories (content, embedding, importance, importance_at, decay_rate)
SELECT 'memory ' || i, '[1,1]', 0.8, now() - interval '10 hours', CASE WHEN i < 4 THEN 0.05 END FROM generate_series(1, 6) i;
SELECT chrono_touch('memories', ARRAY[1, 2, 2, 5]);
SELECT chrono_touch('memories', ARRAY[2, 3], reinforcement => 1);
SELECT chrono_touch('memories', ARRAY[6], reinforcement => 0);
SELECT id, access_count, last_accessed_at = now() AS now, importance_at = now() AS stated_now,
    round(importance::numeric, 6) AS importance,
    round((CASE id WHEN 2 THEN 1 WHEN 3 THEN 1 WHEN 4 THEN 0.8 WHEN 6 THEN 0.8 * exp(-1.0) ELSE e + 0.1 * (1 - e) END)::numeric, 6) AS expected
FROM memories, LATERAL (VALUES (0.8 * exp(-10 * coalesce(decay_rate, 0.1)))) left_over (e) ORDER BY id;
COMMIT;
-- Those that are not there are told, and the others are touched.
SELECT chrono_touch('memories', ARRAY[4, 77, NULL, 78]);
SELECT chrono_touch('memories', '{}'::bigint[]), chrono_touch('memories', NULL::bigint[]);
SELECT array_agg(access_count ORDER BY id) FROM memories;
-- A recall is a read.
SET default_transaction_read_only = on;
SELECT count(*) FROM chrono_search(NULL::memories, '[1,1]');
SELECT state, message FROM mistake($$ SELECT chrono_touch('memories', ARRAY[1]) $$);
RESET default_transaction_read_only;

-- A memory that was stated or used later than this transaction began keeps its times.
UPDATE memories SET importance = 0.5, importance_at = '2100-01-01', last_accessed_at = '2100-01-01' WHERE id = 1;
SELECT chrono_touch('memories', ARRAY[1]);
SELECT importance, importance_at, last_accessed_at FROM memories WHERE id = 1;

-- Columns of other names and types; the id by its primary key, the importance by its place in the index
CREATE TABLE notes (key uuid PRIMARY KEY, e vector(2), at timestamptz, weight real, weighed timestamptz, used timestamptz, uses integer);
CREATE INDEX ON notes USING chrono (e vector_l2_ops, at, weight);
INSERT INTO notes (key, weight) SELECT md5(i::text)::uuid, 0.5 FROM generate_series(1, 3) i;
SELECT chrono_touch('notes', ARRAY[md5('1'), md5('2')], 0.5, importance_at_column => 'weighed',
    last_accessed_at_column => 'used', access_count_column => 'uses');
SELECT weight, weighed = used AS same, uses FROM notes ORDER BY weight, used;

\x
SELECT arguments, mistake.* FROM unnest(ARRAY[
    '''memories'', ARRAY[1], -0.1', '''memories'', ARRAY[1], 1.1', '''memories'', ARRAY[1], NULL', '''memories'', ARRAY[1], ''NaN''',
    '''memories'', ARRAY[''x'']', '''notes'', ARRAY[md5(''1'')]::uuid[]', '''memories'', ARRAY[1], id_column => ''nowhere''', 'NULL, ARRAY[1]'
]) arguments, mistake(format('SELECT chrono_touch(%s)', arguments));
