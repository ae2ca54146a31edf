-- A database copied from another has its indexes under the same file numbers and with the same
-- identity on their pages; from then on each must go its own way.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int, v vector(2));
INSERT INTO items SELECT i, ARRAY[i, 1]::vector FROM generate_series(1, 100) i;
CREATE INDEX ON items USING chrono (v vector_l2_ops);
\c template1
CREATE DATABASE regress_copied TEMPLATE regress_databases STRATEGY wal_log;
CREATE DATABASE regress_copied_files TEMPLATE regress_databases STRATEGY file_copy;
\c regress_copied
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
INSERT INTO items SELECT i, ARRAY[i, 2]::vector FROM generate_series(101, 150) i;
DELETE FROM items WHERE id < 50;
VACUUM items;
\c regress_databases
INSERT INTO items SELECT i, ARRAY[i, 3]::vector FROM generate_series(201, 210) i;
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
\c regress_copied
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
\c regress_copied_files
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
INSERT INTO items VALUES (300, '[1,1]');
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
\c regress_databases
DROP DATABASE regress_copied;
DROP DATABASE regress_copied_files;
SELECT * FROM check_query('SELECT id, v <-> ''[5.1,1]'' AS d FROM items ORDER BY d');
