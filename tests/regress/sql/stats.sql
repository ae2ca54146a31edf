-- What an administrator sees of indexes: where they are searched, of what they are made, how much they are used.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int, v vector(3), n int) WITH (autovacuum_enabled = off);
INSERT INTO items SELECT i, CASE WHEN i % 100 <> 0 THEN ARRAY[i % 150, 1, 2]::vector END, i FROM generate_series(1, 300) i;
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops, n);
-- Sizes depend on the machine, layers on chance.
CREATE FUNCTION stats(index regclass) RETURNS TABLE (
    state text, rows bigint, dead_rows bigint, vectors bigint, free_vectors bigint, has_layers boolean, has_memory boolean, has_pages boolean, scans bigint
) LANGUAGE sql AS $$
    SELECT state, rows, dead_rows, vectors, free_vectors, layers > 0, memory_bytes > 0, disk_bytes = pg_relation_size(index), scans FROM chrono_stats(index)
$$;
SELECT * FROM stats('items_idx');
SET enable_seqscan = off;
SELECT v FROM items ORDER BY v <-> '[7,1,2]' LIMIT 1;
SELECT v FROM items ORDER BY v <-> '[8,1,2]' LIMIT 1;
RESET enable_seqscan;
SELECT pg_stat_force_next_flush();
UPDATE items SET n = n + 1 WHERE id <= 50;
DELETE FROM items WHERE id % 150 < 50 AND id % 100 <> 0;
SELECT * FROM stats('items_idx');
VACUUM items;
SELECT * FROM stats('items_idx');
INSERT INTO items SELECT 1000 + i, ARRAY[i, 3, 4]::vector, i FROM generate_series(1, 20) i;
SELECT * FROM stats('items_idx');
CREATE TABLE nothing (v vector(3));
CREATE INDEX nothing_idx ON nothing USING chrono (v vector_l2_ops);
SELECT * FROM stats('nothing_idx');

-- One that CREATE INDEX CONCURRENTLY could not build
CREATE FUNCTION fail(n int) RETURNS int IMMUTABLE LANGUAGE plpgsql AS $$ BEGIN RETURN 1 / (n - 1005); END $$;
CREATE INDEX CONCURRENTLY failed_idx ON items USING chrono (v vector_l2_ops, (fail(id)));
-- All of them, also a temporary one, and the parts of a partitioned one
CREATE TEMPORARY TABLE temporary (v vector(2));
CREATE INDEX temporary_idx ON temporary USING chrono (v vector_cosine_ops);
CREATE TABLE parts (id int, v vector(3)) PARTITION BY RANGE (id);
CREATE INDEX parts_idx ON parts USING chrono (v vector_cosine_ops);
CREATE TABLE part PARTITION OF parts FOR VALUES FROM (0) TO (10);
INSERT INTO parts VALUES (1, '[1,2,3]');
SELECT index, indexed_table, is_valid, state, rows, vectors, disk_bytes > 0 AS has_pages FROM chrono_indexes() ORDER BY 1;
CREATE ROLE stats_nobody;
SET ROLE stats_nobody;
SELECT count(*) FROM chrono_indexes();
RESET ROLE;
DROP ROLE stats_nobody;

SELECT * FROM chrono_stats('items');
SELECT * FROM chrono_stats('parts_idx');
SELECT * FROM chrono_stats(NULL);
SELECT * FROM chrono_stats(1::oid);
