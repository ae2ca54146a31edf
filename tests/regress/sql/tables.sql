-- Every kind of table and index: partial, on expressions, unlogged, temporary, partitioned.
CREATE EXTENSION chronomind CASCADE;
CREATE FUNCTION at(i int) RETURNS vector IMMUTABLE RETURN ARRAY[sin(i), cos(i * 2), sin(i * 3)]::vector;

-- A partial index has some of the rows, and knows when one comes to it or leaves it.
CREATE TABLE partial (id int PRIMARY KEY, v vector(3), live boolean);
INSERT INTO partial SELECT i, at(i), i % 3 = 0 FROM generate_series(1, 300) i;
CREATE INDEX ON partial USING chrono (v vector_cosine_ops) WHERE live;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM partial WHERE live ORDER BY d');
SELECT plan FROM by_index('SELECT id, v <=> ''[1,2,3]'' AS d FROM partial ORDER BY d');
UPDATE partial SET live = NOT live WHERE id <= 100;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM partial WHERE live ORDER BY d');

-- An expression gives dimensions to a column that has none, and elements to one of another type.
CREATE TABLE expressions (id int PRIMARY KEY, v vector, numbers real[], at timestamptz, name text);
INSERT INTO expressions SELECT i, at(i), at(i)::real[], now() + i * interval '1 day', 'Name ' || i % 4
FROM generate_series(1, 200) i;
CREATE INDEX ON expressions USING chrono ((v::vector(3)) vector_l2_ops, lower(name));
CREATE INDEX ON expressions USING chrono ((numbers::halfvec(3)) halfvec_l1_ops);
SELECT * FROM check_query('SELECT id, v::vector(3) <-> ''[1,2,3]'' AS d FROM expressions ORDER BY d');
SELECT * FROM check_query('SELECT id, v::vector(3) <-> ''[1,2,3]'' AS d FROM expressions WHERE lower(name) = ''name 1'' ORDER BY d');
SELECT * FROM check_query('SELECT id, numbers::halfvec(3) <+> ''[1,2,3]'' AS d FROM expressions ORDER BY d');
INSERT INTO expressions (id, v) VALUES (1000, '[1,2]');
\echo :LAST_ERROR_SQLSTATE

-- Unlogged
CREATE UNLOGGED TABLE unlogged (id int PRIMARY KEY, v vector(3));
CREATE INDEX ON unlogged USING chrono (v vector_l2_ops);
INSERT INTO unlogged SELECT i, at(i) FROM generate_series(1, 200) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM unlogged ORDER BY d');
ALTER TABLE unlogged SET LOGGED;
INSERT INTO unlogged SELECT i, at(i) FROM generate_series(201, 250) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM unlogged ORDER BY d');
ALTER TABLE unlogged SET UNLOGGED;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM unlogged ORDER BY d');

-- Temporary, with rows that go at the end of each transaction, or with the whole table
CREATE TEMPORARY TABLE temporary (id int, v vector(3));
CREATE INDEX ON temporary USING chrono (v vector_l2_ops);
INSERT INTO temporary SELECT i, at(i) FROM generate_series(1, 200) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM temporary ORDER BY d');
CREATE TEMPORARY TABLE fleeting (id int, v vector(3)) ON COMMIT DELETE ROWS;
CREATE INDEX ON fleeting USING chrono (v vector_l2_ops);
BEGIN;
INSERT INTO fleeting SELECT i, at(i) FROM generate_series(1, 100) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM fleeting ORDER BY d');
COMMIT;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM fleeting ORDER BY d');
BEGIN;
INSERT INTO fleeting SELECT i, at(i) FROM generate_series(1, 50) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM fleeting ORDER BY d');
TRUNCATE fleeting;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM fleeting ORDER BY d');
INSERT INTO fleeting SELECT i, at(i) FROM generate_series(1, 20) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM fleeting ORDER BY d');
COMMIT;
CREATE TEMPORARY TABLE dropped (id int, v vector(3)) ON COMMIT DROP;

-- Partitions, each with its index, merged in the common order
CREATE TABLE parts (id int, v vector(3), at date) PARTITION BY RANGE (at);
CREATE TABLE parts_2023 PARTITION OF parts FOR VALUES FROM ('2023-01-01') TO ('2024-01-01');
CREATE TABLE parts_2024 PARTITION OF parts FOR VALUES FROM ('2024-01-01') TO ('2025-01-01');
INSERT INTO parts SELECT i, at(i), date '2023-01-01' + i FROM generate_series(1, 700) i;
CREATE INDEX parts_idx ON parts USING chrono (v vector_cosine_ops, at);
CREATE TABLE parts_2025 PARTITION OF parts FOR VALUES FROM ('2025-01-01') TO ('2026-01-01');
INSERT INTO parts SELECT i, at(i), date '2023-01-01' + i FROM generate_series(731, 900) i;
ANALYZE parts;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM parts ORDER BY d');
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM parts ORDER BY d', 10);
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM parts WHERE at > ''2024-12-20'' ORDER BY d', 50);
UPDATE parts SET at = at + 365 WHERE id <= 100;
ALTER TABLE parts DETACH PARTITION parts_2023;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM parts ORDER BY d');
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM parts_2023 ORDER BY d');

-- Materialised views
CREATE MATERIALIZED VIEW seen AS SELECT id, v FROM partial WHERE id < 100;
CREATE UNIQUE INDEX ON seen (id);
CREATE INDEX ON seen USING chrono (v vector_l2_ops);
UPDATE partial SET v = at(-id);
REFRESH MATERIALIZED VIEW seen;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM seen ORDER BY d');
DELETE FROM partial WHERE id % 2 = 0;
REFRESH MATERIALIZED VIEW CONCURRENTLY seen;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM seen ORDER BY d');

-- Many indexes on one table are kept alike.
CREATE TABLE several (id int, v vector(3), at timestamptz, n int);
CREATE INDEX ON several USING chrono (v vector_l2_ops);
CREATE INDEX ON several USING chrono (v vector_cosine_ops, at);
CREATE INDEX ON several USING chrono (v vector_l1_ops, n, at) WITH (m = 8, ef_construction = 16);
INSERT INTO several SELECT i, at(i), now(), i FROM generate_series(1, 150) i;
SELECT o, checked.* FROM unnest(ARRAY['<->', '<=>', '<+>']) o,
    check_query(format('SELECT id, v %s ''[1,2,3]'' AS d FROM several ORDER BY d', o)) checked;

-- A table has the rows of those that inherit from it; each of them has its own indexes, or none.
CREATE TABLE parents (id int, v vector(3), n int);
CREATE TABLE children (extra text) INHERITS (parents);
CREATE TABLE grandchildren (v vector(3), more int) INHERITS (children);
INSERT INTO parents SELECT i, at(i), i % 5 FROM generate_series(1, 200) i;
INSERT INTO children SELECT i, at(i), i % 5, 'x' FROM generate_series(201, 400) i;
INSERT INTO grandchildren SELECT i, at(i), i % 5, 'x' FROM generate_series(401, 600) i;
CREATE INDEX ON parents USING chrono (v vector_l2_ops, n);
CREATE INDEX ON children USING chrono (v vector_l2_ops, n);
SELECT plan FROM by_index('SELECT id, v <-> ''[1,2,3]'' AS d FROM parents ORDER BY d LIMIT 10');
CREATE INDEX ON grandchildren USING chrono (v vector_l2_ops, n);
ANALYZE parents, children, grandchildren;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parents ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parents WHERE n = 2 ORDER BY d', 10);
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM ONLY parents ORDER BY d');
SELECT * FROM check_query('SELECT id, (v <-> ''[1,2,3]'') + 0.1 * n AS d FROM parents ORDER BY d', 10);
ALTER TABLE children NO INHERIT parents;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parents ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM children ORDER BY d');

-- Generated columns, both as the vector and beside it, and as the identity
CREATE TABLE generated (
    id int GENERATED ALWAYS AS IDENTITY,
    numbers real[],
    v vector(3) GENERATED ALWAYS AS (numbers::vector(3)) STORED,
    weight real,
    importance real GENERATED ALWAYS AS (weight / 10) STORED
);
INSERT INTO generated (numbers, weight) SELECT at(i)::real[], i % 10 FROM generate_series(1, 200) i;
CREATE INDEX ON generated USING chrono (v vector_cosine_ops, importance);
INSERT INTO generated (numbers, weight) SELECT at(i)::real[], i % 10 FROM generate_series(201, 300) i;
UPDATE generated SET weight = weight + 1 WHERE id % 4 = 0;
UPDATE generated SET numbers = at(-id)::real[] WHERE id % 7 = 0;
UPDATE generated SET numbers = NULL WHERE id % 50 = 0;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM generated ORDER BY d');
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM generated WHERE importance > 0.5 ORDER BY d');
SELECT * FROM check_query('SELECT id, (v <=> ''[1,2,3]'') - importance AS d FROM generated WHERE v IS NOT NULL ORDER BY d', 20);

-- A tablespace of the index's own, named or by default
SET allow_in_place_tablespaces = on;
CREATE TABLESPACE chrono_tables LOCATION '';
CREATE TABLE placed (id int, v vector(3));
INSERT INTO placed SELECT i, at(i) FROM generate_series(1, 200) i;
CREATE INDEX placed_idx ON placed USING chrono (v vector_l2_ops) TABLESPACE chrono_tables;
INSERT INTO placed SELECT i, at(i) FROM generate_series(201, 250) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM placed ORDER BY d');
REINDEX (TABLESPACE pg_default) INDEX placed_idx;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM placed ORDER BY d');
REINDEX (TABLESPACE chrono_tables, CONCURRENTLY) INDEX placed_idx;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM placed ORDER BY d');
BEGIN;
ALTER INDEX placed_idx SET TABLESPACE pg_default;
INSERT INTO placed SELECT i, at(i) FROM generate_series(251, 300) i;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM placed ORDER BY d');
ROLLBACK;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM placed ORDER BY d');
SELECT spcname FROM pg_class c JOIN pg_tablespace s ON s.oid = reltablespace WHERE relname = 'placed_idx';
SET default_tablespace = chrono_tables;
CREATE INDEX ON placed USING chrono (v vector_l1_ops);
RESET default_tablespace;
SELECT count(*) FROM pg_class c JOIN pg_tablespace s ON s.oid = reltablespace WHERE spcname = 'chrono_tables';
SELECT * FROM check_query('SELECT id, v <+> ''[1,2,3]'' AS d FROM placed ORDER BY d');
DROP TABLE placed;
DROP TABLESPACE chrono_tables;
