-- Parameters that do not go together are refused where they are set, not when the index is built the next time.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int, v vector(2));
INSERT INTO items SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 100) i;
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops);
\x
SELECT statement, mistake.* FROM unnest(ARRAY['ef_construction = 20', 'm = 33', 'm = 100, ef_construction = 199', 'ef_construction = 3']) statement,
    mistake(format('ALTER INDEX items_idx SET (%s)', statement));
\x
ALTER INDEX items_idx SET (m = 8, ef_construction = 16);
SELECT * FROM mistake('ALTER INDEX items_idx RESET (m)');
ALTER INDEX items_idx RESET (m, ef_construction);
SELECT reloptions FROM pg_class WHERE relname = 'items_idx';
-- An older version let them be set; such an index can be built all the same, and mended.
SET allow_system_table_mods = on;
UPDATE pg_class SET reloptions = '{ef_construction=20}' WHERE relname = 'items_idx';
RESET allow_system_table_mods;
SELECT id FROM items ORDER BY v <-> '[7,1]' LIMIT 1;
REINDEX INDEX items_idx;
REINDEX INDEX CONCURRENTLY items_idx;
VACUUM FULL items;
INSERT INTO items VALUES (101, '[101,1]');
SELECT * FROM chrono_check('items_idx');
TRUNCATE items;
INSERT INTO items VALUES (1, '[1,1]');
SELECT * FROM chrono_check('items_idx');
SELECT state FROM mistake('ALTER INDEX items_idx SET (storage = ''full'')');
ALTER INDEX items_idx RESET (ef_construction);
REINDEX INDEX items_idx;
