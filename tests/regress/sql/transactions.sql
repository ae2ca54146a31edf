-- What a transaction takes back is gone from the index, and what it keeps is there: rows, indexes,
-- and the two together.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int, v vector(2));
CREATE FUNCTION check_items() RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE sql AS $$
    SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM items ORDER BY d')
$$;
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops);

BEGIN;
INSERT INTO items SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 50) i;
SELECT * FROM check_items();
ROLLBACK;
SELECT * FROM check_items();

BEGIN;
INSERT INTO items SELECT i, ARRAY[i, 2]::vector FROM generate_series(1, 50) i;
SAVEPOINT a;
INSERT INTO items SELECT i, ARRAY[i, 3]::vector FROM generate_series(51, 100) i;
SAVEPOINT b;
UPDATE items SET v = '[7,7]' WHERE id < 10;
SELECT * FROM check_items();
ROLLBACK TO b;
SELECT * FROM check_items();
ROLLBACK TO a;
SELECT * FROM check_items();
INSERT INTO items SELECT i, ARRAY[i, 4]::vector FROM generate_series(101, 120) i;
COMMIT;
SELECT * FROM check_items();

-- A statement that fails half way leaves nothing.
INSERT INTO items SELECT i, CASE WHEN i < 40 THEN ARRAY[i, 5] ELSE ARRAY[i] END::vector FROM generate_series(1, 50) i;
SELECT * FROM check_items();
DO $$
BEGIN
    FOR i IN 1..30 LOOP
        BEGIN
            INSERT INTO items VALUES (1000 + i, ARRAY[i, 6]::vector);
            IF i % 2 = 0 THEN RAISE EXCEPTION 'no'; END IF;
        EXCEPTION WHEN raise_exception THEN NULL;
        END;
    END LOOP;
END $$;
SELECT * FROM check_items();

-- An index that is taken back
BEGIN;
DROP INDEX items_idx;
CREATE INDEX other_idx ON items USING chrono (v vector_l2_ops);
INSERT INTO items VALUES (2000, '[3,3]');
SELECT * FROM check_items();
ROLLBACK;
SELECT * FROM check_items();
BEGIN;
SAVEPOINT a;
CREATE INDEX other_idx ON items USING chrono (v vector_l2_ops);
INSERT INTO items VALUES (2001, '[3,3]');
ROLLBACK TO a;
INSERT INTO items VALUES (2002, '[3,4]');
SELECT * FROM check_items();
COMMIT;
SELECT * FROM check_items();

-- TRUNCATE, kept and taken back, and of a table from the same transaction
BEGIN;
TRUNCATE items;
SELECT * FROM check_items();
INSERT INTO items VALUES (1, '[1,1]');
SELECT * FROM check_items();
ROLLBACK;
SELECT * FROM check_items();
BEGIN;
TRUNCATE items;
INSERT INTO items SELECT i, ARRAY[i, 8]::vector FROM generate_series(1, 20) i;
COMMIT;
SELECT * FROM check_items();
BEGIN;
CREATE TABLE fresh (id int, v vector(2));
INSERT INTO fresh VALUES (1, '[1,1]');
CREATE INDEX ON fresh USING chrono (v vector_l2_ops);
TRUNCATE fresh;
INSERT INTO fresh VALUES (2, '[1,1]'), (3, '[2,1]');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM fresh ORDER BY d');
COMMIT;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM fresh ORDER BY d');

-- An index made after rows that others may still see: HOT chains with several versions
CREATE TABLE versions (id int, v vector(2), n int) WITH (autovacuum_enabled = off);
INSERT INTO versions SELECT i, ARRAY[i, 1]::vector, 0 FROM generate_series(1, 50) i;
BEGIN;
UPDATE versions SET n = n + 1;
UPDATE versions SET n = n + 1 WHERE id % 2 = 0;
DELETE FROM versions WHERE id % 5 = 0;
CREATE INDEX ON versions USING chrono (v vector_l2_ops, n);
COMMIT;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM versions ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM versions WHERE n = 2 ORDER BY d');
UPDATE versions SET n = 7 WHERE id < 10;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM versions WHERE n = 7 ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM versions WHERE n = 1 ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2]'' AS d FROM versions ORDER BY d');
