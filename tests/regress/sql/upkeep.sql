-- VACUUM, REINDEX and their like change where rows lie, never what a scan finds; and Postgres is
-- told the truth about how many there are.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int PRIMARY KEY, v vector(3), n int, at timestamptz) WITH (autovacuum_enabled = off);
INSERT INTO items SELECT i, CASE WHEN i % 50 <> 0 THEN ARRAY[sin(i), cos(i * 2), sin(i * 3)]::vector END, i % 4,
    timestamptz '2024-01-01' + (i * 7919 % 1000) * interval '1 minute' FROM generate_series(1, 1000) i;
CREATE FUNCTION check_items() RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE sql AS $$
    SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM items ORDER BY d')
$$;
CREATE INDEX items_idx ON items USING chrono (v vector_cosine_ops, n, at);
-- From PostgreSQL 18 on CREATE INDEX leaves the number of a table alone that autovacuum does not tend.
SELECT relname, reltuples = 1000 OR relname = 'items' AND reltuples = -1 AS true_count
FROM pg_class WHERE oid IN ('items'::regclass, 'items_idx'::regclass) ORDER BY 1;

-- A row that changes elsewhere only is found once, by its new version; one that moves, where it is.
UPDATE items SET n = n + 10 WHERE id % 3 = 0;
UPDATE items SET v = '[1,-2,1]' WHERE id % 20 = 0;
UPDATE items SET v = NULL WHERE id % 99 = 0;
DELETE FROM items WHERE id % 7 = 0;
SELECT * FROM check_items();
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM items WHERE n > 9 ORDER BY d');
VACUUM items;
SELECT * FROM check_items();
SELECT relname, reltuples = (SELECT count(*) FROM items) AS true_count
FROM pg_class WHERE oid IN ('items'::regclass, 'items_idx'::regclass) ORDER BY 1;
-- Nothing to do, and nothing done
VACUUM items;
SELECT relname, reltuples = (SELECT count(*) FROM items) AS true_count
FROM pg_class WHERE oid IN ('items'::regclass, 'items_idx'::regclass) ORDER BY 1;
SELECT * FROM check_items();

-- Places in the table that vacuum freed belong to other rows now.
INSERT INTO items SELECT i, ARRAY[cos(i * 5), sin(i * 7), cos(i * 11)]::vector, i % 4, now() FROM generate_series(2001, 2600) i;
SELECT * FROM check_items();
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM items WHERE at > ''2025-01-01'' ORDER BY d');
DELETE FROM items WHERE id < 2001;
VACUUM (INDEX_CLEANUP off) items;
SELECT * FROM check_items();
VACUUM (INDEX_CLEANUP on, FREEZE) items;
INSERT INTO items SELECT i, ARRAY[cos(i * 3), sin(i * 5), cos(i * 9)]::vector, i % 4, now() FROM generate_series(3001, 3600) i;
SELECT * FROM check_items();

-- Rewritten
VACUUM FULL items;
SELECT * FROM check_items();
CLUSTER items USING items_pkey;
SELECT * FROM check_items();
ALTER TABLE items ALTER COLUMN n TYPE bigint;
SELECT * FROM check_items();
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM items WHERE n = 2 ORDER BY d');
ALTER TABLE items ADD COLUMN extra float8 DEFAULT random();
SELECT * FROM check_items();
ALTER TABLE items ALTER COLUMN v TYPE halfvec(3);
DROP INDEX items_idx;

CREATE INDEX CONCURRENTLY items_idx ON items USING chrono (v vector_cosine_ops, n, at);
SELECT * FROM check_items();
INSERT INTO items SELECT i, ARRAY[cos(i * 4), sin(i * 6), cos(i * 10)]::vector, i % 4, now() FROM generate_series(4001, 4100) i;
DELETE FROM items WHERE id % 5 = 0;
REINDEX INDEX items_idx;
SELECT * FROM check_items();
REINDEX INDEX CONCURRENTLY items_idx;
SELECT * FROM check_items();
REINDEX TABLE CONCURRENTLY items;
INSERT INTO items SELECT i, ARRAY[cos(i * 5), sin(i * 7), cos(i * 11)]::vector, i % 4, now() FROM generate_series(5001, 5100) i;
SELECT * FROM check_items();
CLUSTER items USING items_idx;
\echo :LAST_ERROR_SQLSTATE

-- Storage parameters take effect at the next build, and are checked at once.
ALTER INDEX items_idx SET (m = 8, ef_construction = 40);
SELECT * FROM check_items();
REINDEX INDEX items_idx;
SELECT * FROM check_items();
ALTER INDEX items_idx SET (m = 1000);
ALTER INDEX items_idx RESET (m);
ALTER INDEX items_idx RENAME TO renamed_idx;
ALTER TABLE items RENAME COLUMN n TO kind;
SELECT * FROM check_items();
ALTER TABLE items DROP COLUMN kind;
SELECT count(*) FROM pg_class WHERE relname = 'renamed_idx';

-- A table that was rebuilt elsewhere
CREATE INDEX items_idx ON items USING chrono (v vector_cosine_ops);
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE chrono_elsewhere LOCATION '';
ALTER INDEX items_idx SET TABLESPACE chrono_elsewhere;
SELECT * FROM check_items();
INSERT INTO items SELECT i, ARRAY[cos(i * 6), sin(i * 8), cos(i * 12)]::vector, now() FROM generate_series(6001, 6100) i;
SELECT * FROM check_items();
ALTER TABLE items SET TABLESPACE chrono_elsewhere;
SELECT * FROM check_items();
ALTER INDEX items_idx SET TABLESPACE pg_default;
SELECT * FROM check_items();
ALTER TABLE items SET TABLESPACE pg_default;
DROP TABLESPACE chrono_elsewhere;

-- The counters see each scan and each row.
CREATE TABLE counted (id int, v vector(2));
INSERT INTO counted SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 100) i;
CREATE INDEX counted_idx ON counted USING chrono (v vector_l2_ops);
SET enable_seqscan = off;
SELECT id FROM counted ORDER BY v <-> '[3.1,1]' LIMIT 5;
SELECT id FROM counted ORDER BY v <-> '[3.1,1]' LIMIT 1;
SELECT pg_stat_force_next_flush();
SELECT idx_scan, idx_tup_read, idx_tup_fetch FROM pg_stat_user_indexes WHERE indexrelname = 'counted_idx';
SELECT pg_relation_size('counted_idx') > 0 AS has_size;
