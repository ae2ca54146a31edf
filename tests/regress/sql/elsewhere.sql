-- No function takes the shell of a table whose rows are elsewhere for an empty one.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 2), chrono_create_memory('own', 2);
INSERT INTO own (content, context, embedding) VALUES ('a', 'c', '[1,0]');
ALTER INDEX own_embedding_created_at_importance_decay_rate_context_impo_idx RENAME TO own_idx;
CREATE INDEX memories_idx ON memories USING chrono (embedding vector_cosine_ops, created_at, context);
-- What Citus has its distributed tables in
SET allow_system_table_mods = on;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid regclass NOT NULL, partmethod "char" NOT NULL);
RESET allow_system_table_mods;
INSERT INTO pg_catalog.pg_dist_partition VALUES ('memories', 'h');
CREATE FUNCTION attempts(rel text) RETURNS TABLE (call text, state text, message text, detail text, hint text) LANGUAGE sql AS $$
    SELECT call, mistake.* FROM unnest(ARRAY['chrono_search(NULL::%s, ''[1,0]'')', 'chrono_context_summary(%L, ''c'')', 'chrono_check(''%s_idx'')',
        'chrono_explain(''SELECT id FROM %s ORDER BY embedding <=> ''''[1,0]'''' LIMIT 1'')', 'chrono_explain(''SELECT (SELECT count(*) FROM (TABLE %s) AS q)'')',
        'chrono_touch(%L, ARRAY[1])', 'chrono_decay(%L)', 'chrono_consolidate(%L)', 'chrono_related(%L, 1)']) call, mistake(format('SELECT ' || call, rel))
$$;
\x
SELECT * FROM attempts('memories');
\x
SELECT index, state, rows, memory_bytes FROM chrono_indexes() ORDER BY index::text LIMIT 1;
-- Not so for those that it does not have, whatever it is.
SELECT call, state FROM attempts('own') WHERE state IS NOT NULL;
SELECT (memory).id FROM chrono_search(NULL::own, '[1,0]');
SET allow_system_table_mods = on;
DROP TABLE pg_catalog.pg_dist_partition;
CREATE TABLE pg_catalog.pg_dist_partition (logicalrelid text);
RESET allow_system_table_mods;
SELECT count(*) FROM chrono_search(NULL::memories, '[1,0]');
SET allow_system_table_mods = on;
DROP TABLE pg_catalog.pg_dist_partition;
RESET allow_system_table_mods;

-- A foreign table, and a partitioned one
CREATE FOREIGN DATA WRAPPER nowhere;
CREATE SERVER far FOREIGN DATA WRAPPER nowhere;
CREATE FOREIGN TABLE away (id int, embedding vector(2), created_at timestamptz) SERVER far;
CREATE TABLE parts (id int, embedding vector(2), created_at timestamptz, importance float8) PARTITION BY RANGE (id);
CREATE INDEX parts_idx ON parts USING chrono (embedding vector_cosine_ops, created_at, importance);
\x
SELECT * FROM mistake('SELECT chrono_check(''parts_idx'')');
CREATE TABLE part_1 PARTITION OF parts FOR VALUES FROM (0) TO (10);
CREATE TABLE part_2 PARTITION OF parts FOR VALUES FROM (10) TO (20);
SELECT call, mistake.* FROM unnest(ARRAY['chrono_search(NULL::away, ''[1,0]'')', 'chrono_touch(''away'', ARRAY[1])', 'chrono_search(NULL::parts, ''[1,0]'')',
    'chrono_check(''parts_idx'')', 'chrono_stats(''parts_idx'')', 'chrono_check(''own'')']) call, mistake('SELECT ' || call);
SELECT format('CREATE TABLE part_%s PARTITION OF parts FOR VALUES FROM (%s) TO (%s)', i, i * 10 - 10, i * 10) FROM generate_series(3, 7) i \gexec
SELECT hint FROM mistake('SELECT chrono_stats(''parts_idx'')');
\x
-- What is told to write is answered.
INSERT INTO parts SELECT i, ARRAY[i, 1]::vector, now(), 0.5 FROM generate_series(1, 60) i;
SELECT id FROM parts ORDER BY chrono_score(embedding <=> '[7,1]', created_at, importance) LIMIT 2;
SELECT index, state FROM chrono_indexes() WHERE index::text LIKE 'part%' ORDER BY 1 LIMIT 2;

-- A table with children has their rows as well.
CREATE TABLE parents (id int, embedding vector(2), created_at timestamptz, importance float8);
CREATE INDEX ON parents USING chrono (embedding vector_cosine_ops, created_at, importance);
CREATE TABLE children () INHERITS (parents);
INSERT INTO children VALUES (1, '[1,0]', now(), 0.5);
\x
SELECT * FROM mistake('SELECT chrono_search(NULL::parents, ''[1,0]'')');
\x
SELECT id FROM parents ORDER BY chrono_score(embedding <=> '[1,0]', created_at, importance) LIMIT 1;
DROP TABLE children;
SELECT count(*) FROM chrono_search(NULL::parents, '[1,0]');

-- An index that is not one of its table's, or not yet
CREATE TABLE items (id int PRIMARY KEY, v vector(2), n int UNIQUE);
INSERT INTO items SELECT i, ARRAY[i, 1]::vector, i FROM generate_series(1, 10) i;
CREATE INDEX items_partial ON items USING chrono (v vector_l2_ops) WHERE id > 5;
\x
SELECT * FROM mistake('SELECT chrono_search(NULL::items, ''[1,0]'', recency_weight => 0)');
SELECT * FROM mistake('SELECT chrono_search(NULL::items, ''[1,0]'', recency_weight => 0, index => ''items_partial'')');
-- A build that fails leaves an index that is not valid; one that is stopped before, one that was never built.
CREATE FUNCTION fail(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RAISE 'no'; END $$;
CREATE INDEX CONCURRENTLY items_failed ON items USING chrono (v vector_l2_ops, (fail(n)));
SELECT state, indisvalid, indisready FROM chrono_stats('items_failed'), pg_index WHERE indexrelid = 'items_failed'::regclass;
SELECT call, mistake.* FROM unnest(ARRAY['chrono_check(''items_failed'')', 'chrono_search(NULL::items, ''[1,0]'', recency_weight => 0)',
    'chrono_search(NULL::items, ''[1,0]'', recency_weight => 0, index => ''items_failed'')', 'chrono_search(NULL::items, ''[1,0]'', recency_weight => 0, index => ''items_pkey'')']) call, mistake('SELECT ' || call);
DROP INDEX items_failed;
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops);
SET allow_system_table_mods = on;
UPDATE pg_index SET indisvalid = false WHERE indexrelid = 'items_idx'::regclass;
SELECT call, mistake.* FROM unnest(ARRAY['chrono_check(''items_idx'')', 'chrono_search(NULL::items, ''[1,0]'', recency_weight => 0)']) call, mistake('SELECT ' || call);
UPDATE pg_index SET indisvalid = true WHERE indexrelid = 'items_idx'::regclass;
RESET allow_system_table_mods;
\x
SELECT (memory).id FROM chrono_search(NULL::items, '[3,1]', 1, recency_weight => 0);
