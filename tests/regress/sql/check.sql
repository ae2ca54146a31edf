-- An administrator asks whether an index is whole: does it hold what the table and its pages say?
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int, v vector(3), at timestamptz, label text) WITH (autovacuum_enabled = off);
INSERT INTO items SELECT i, ARRAY[sin(i), cos(i), i % 7]::vector, '2026-01-01'::timestamptz + i * interval '1 hour', 'l' || i % 5
    FROM generate_series(1, 500) i;
INSERT INTO items VALUES (501, NULL, NULL, NULL), (502, '[0,0,0]', now(), 'zero');
CREATE INDEX items_idx ON items USING chrono (v vector_cosine_ops, at, label);
SELECT * FROM chrono_check('items_idx');
UPDATE items SET v = '[1,2,3]' WHERE id % 10 = 0;
UPDATE items SET label = label || '!' WHERE id % 10 = 1;
DELETE FROM items WHERE id % 10 = 2;
INSERT INTO items SELECT * FROM items WHERE id % 10 = 3;
SELECT * FROM chrono_check('items_idx');
VACUUM items;
INSERT INTO items SELECT i, ARRAY[cos(i), sin(i), i % 5]::vector, now(), 'new' FROM generate_series(601, 700) i;
SELECT * FROM chrono_check('items_idx');
-- With little memory the table is read in parts.
SET maintenance_work_mem = '1MB';
INSERT INTO items SELECT i, ARRAY[cos(i), sin(i), i % 5]::vector, now(), 'new' FROM generate_series(1001, 21000) i;
SELECT * FROM chrono_check('items_idx');
RESET maintenance_work_mem;

-- A statement sees what it may see.
BEGIN;
DELETE FROM items WHERE id > 600;
SELECT table_rows FROM chrono_check('items_idx');
ROLLBACK;
SELECT table_rows FROM chrono_check('items_idx');

-- Functions that lie about being immutable damage an index as well as anything.
CREATE TABLE lies (what text PRIMARY KEY, factor real);
INSERT INTO lies VALUES ('vector', 1), ('attribute', 1), ('predicate', 1);
CREATE FUNCTION lie(kind text, id int) RETURNS real IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN RETURN (SELECT factor FROM public.lies WHERE what = kind); END $$;
CREATE INDEX lies_idx ON items USING chrono (((v * ARRAY[lie('vector', id), 1, 1]::vector)::vector(3)) vector_l2_ops, (lie('attribute', id)))
    WHERE id * lie('predicate', id) > 250;
SELECT * FROM chrono_check('lies_idx');
UPDATE lies SET factor = 2 WHERE what = 'vector';
SELECT * FROM chrono_check('lies_idx');
UPDATE lies SET factor = CASE what WHEN 'attribute' THEN 2 ELSE 1 END;
SELECT * FROM chrono_check('lies_idx');
UPDATE lies SET factor = CASE what WHEN 'predicate' THEN 2 ELSE 1 END;
SELECT * FROM chrono_check('lies_idx');
UPDATE lies SET factor = 1;
SELECT * FROM chrono_check('lies_idx');

-- Not for everybody, and not of everything
SELECT * FROM chrono_check('items');
SELECT * FROM chrono_check('lies_pkey');
SELECT * FROM chrono_check(NULL);
SELECT * FROM chrono_check(1::oid);
CREATE ROLE check_nobody;
SET ROLE check_nobody;
SELECT * FROM chrono_check('items_idx');
RESET ROLE;
DROP ROLE check_nobody;
