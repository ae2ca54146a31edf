-- Vectors so short that they have no direction, and so long that products with them overflow.
CREATE EXTENSION chronomind CASCADE;

-- Under cosine the square of such a length is zero in single precision.
CREATE TABLE short (v vector(3), h halfvec(3));
INSERT INTO short VALUES ('[1e-25,0,0]', '[6e-8,0,0]'), ('[1,0,0]', '[1,0,0]'), ('[0,0,0]', '[0,0,0]'), ('[0,-1e-30,0]', NULL),
    (NULL, NULL);
CREATE INDEX short_v ON short USING chrono (v vector_cosine_ops);
CREATE INDEX short_h ON short USING chrono (h halfvec_cosine_ops);
INSERT INTO short VALUES ('[0,0,3e-26]', '[0,0,0]');
SELECT * FROM chrono_check('short_v');
SELECT * FROM chrono_check('short_h');

-- One long vector sends searches through all rows, as long as it is there.
CREATE TABLE long (id int, v vector(16)) WITH (autovacuum_enabled = off);
INSERT INTO long SELECT i, (SELECT array_agg(sin(i * j * 1.37)) FROM generate_series(1, 16) j)::vector FROM generate_series(1, 2000) i;
CREATE INDEX long_v ON long USING chrono (v vector_cosine_ops);
SET enable_seqscan = off;
CREATE FUNCTION looks_at_all() RETURNS boolean LANGUAGE sql RETURN (
    SELECT rows_near + rows_in_zones >= 2000
    FROM chrono_explain($$SELECT id FROM long ORDER BY v <=> '[1,1,1,1,1,1,1,1,1,1,1,1,1,1,1,1]' LIMIT 5$$));
SELECT looks_at_all();
INSERT INTO long VALUES (0, array_fill(5e37::real, ARRAY[16])::vector), (-1, array_fill(6e37::real, ARRAY[16])::vector);
SELECT looks_at_all();
DELETE FROM long WHERE id = 0;
VACUUM long;
SELECT looks_at_all();
DELETE FROM long WHERE id = -1;
SELECT looks_at_all();
VACUUM long;
SELECT looks_at_all();
SELECT index_rows FROM chrono_check('long_v');
