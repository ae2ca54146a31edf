-- However rows come, change and go, the index has them: every statement that writes, on tables that have chrono
-- indexes beside others.
CREATE EXTENSION chronomind CASCADE;
CREATE FUNCTION at(i int) RETURNS vector IMMUTABLE RETURN ARRAY[sin(i), cos(i * 2), sin(i * 3)]::vector;
CREATE TABLE items (id int PRIMARY KEY, v vector(3), n int DEFAULT 0);
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops, n);
CREATE FUNCTION check_items() RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE sql AS $$
    SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM items ORDER BY d')
$$;

COPY items FROM stdin;
1	[1,2,3]	0
2	[1,0,3]	1
3	\N	2
\.
COPY items FROM stdin;
4	[1,2,3]	0
5	[1,2]	0
\.
SELECT * FROM check_items();
BEGIN;
CREATE TABLE frozen (LIKE items INCLUDING ALL);
COPY frozen FROM stdin WITH (FREEZE);
1	[1,2,3]	0
2	[1,0,3]	1
\.
COMMIT;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM frozen ORDER BY d');
SELECT indexdef FROM pg_indexes WHERE tablename = 'frozen' AND indexdef ~ 'chrono';

-- Speculative insertions, of which some are taken back
INSERT INTO items SELECT i, at(i), i % 3 FROM generate_series(2, 100) i ON CONFLICT DO NOTHING;
SELECT * FROM check_items();
INSERT INTO items SELECT i, at(-i), i % 3 FROM generate_series(90, 120) i
    ON CONFLICT (id) DO UPDATE SET v = excluded.v, n = items.n + 10 WHERE items.id % 2 = 0;
SELECT * FROM check_items();
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM items WHERE n >= 10 ORDER BY d');
INSERT INTO items VALUES (1, at(1), 1) ON CONFLICT ON CONSTRAINT items_pkey DO UPDATE SET n = 5 RETURNING id, n;
MERGE INTO items USING (SELECT i, at(i * 2) AS v FROM generate_series(80, 130) i) s ON id = i
    WHEN MATCHED AND i % 5 = 0 THEN DELETE
    WHEN MATCHED THEN UPDATE SET v = s.v
    WHEN NOT MATCHED THEN INSERT (id, v) VALUES (i, s.v);
SELECT * FROM check_items();
WITH gone AS (DELETE FROM items WHERE id % 7 = 0 RETURNING *)
    INSERT INTO items SELECT id + 1000, v, n FROM gone;
SELECT * FROM check_items();
UPDATE items SET v = o.v FROM items o WHERE o.id = items.id + 1 AND items.id % 10 = 0;
UPDATE items SET v = v, n = n;
SELECT * FROM check_items();

-- At the place of a cursor that walks the index
SET enable_seqscan = off;
SET enable_sort = off;
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM items ORDER BY v <-> '[1,2,3]' FOR UPDATE;
FETCH 1 FROM near;
UPDATE items SET v = '[9,9,9]' WHERE CURRENT OF near;
MOVE 5 FROM near;
DELETE FROM items WHERE CURRENT OF near;
COMMIT;
RESET enable_seqscan;
RESET enable_sort;
SELECT count(*) FROM items WHERE v = '[9,9,9]';
SELECT * FROM check_items();

-- Triggers that change rows on their way, and keep some out
CREATE FUNCTION change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    IF NEW.id % 10 = 1 THEN RETURN NULL; END IF;
    NEW.v := at(NEW.id + 7);
    RETURN NEW;
END $$;
CREATE TRIGGER change BEFORE INSERT OR UPDATE ON items FOR EACH ROW EXECUTE FUNCTION change();
INSERT INTO items SELECT i, at(i) FROM generate_series(2001, 2040) i;
UPDATE items SET n = 99 WHERE id > 2000;
SELECT * FROM check_items();
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM items WHERE n = 99 ORDER BY d');
DROP TRIGGER change ON items;

-- Through a view, and by a key of another table
CREATE VIEW first_items AS SELECT * FROM items WHERE id < 50 WITH CHECK OPTION;
INSERT INTO first_items VALUES (0, at(0));
UPDATE first_items SET v = at(id + 3);
DELETE FROM first_items WHERE id % 3 = 0;
CREATE TABLE owners (id int PRIMARY KEY);
INSERT INTO owners SELECT generate_series(1, 5);
CREATE TABLE owned (id int, owner int REFERENCES owners ON DELETE CASCADE ON UPDATE CASCADE, v vector(3));
CREATE INDEX ON owned USING chrono (v vector_l2_ops, owner);
INSERT INTO owned SELECT i, 1 + i % 5, at(i) FROM generate_series(1, 100) i;
DELETE FROM owners WHERE id = 2;
UPDATE owners SET id = 30 WHERE id = 3;
SELECT rows, same FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM owned WHERE owner IN (2, 30) ORDER BY d');
SELECT * FROM check_items();

-- Rows that move between partitions, and partitions that come with an index, or get one
CREATE TABLE parts (id int, v vector(3), kind text) PARTITION BY LIST (kind);
CREATE TABLE parts_a PARTITION OF parts FOR VALUES IN ('a');
CREATE TABLE parts_b (id int, v vector(3), kind text);
INSERT INTO parts_b SELECT i, at(i), 'b' FROM generate_series(1, 50) i;
CREATE INDEX parts_b_own ON parts_b USING chrono (v vector_l2_ops);
CREATE INDEX parts_idx ON ONLY parts USING chrono (v vector_l2_ops);
CREATE INDEX parts_a_own ON parts_a USING chrono (v vector_l2_ops);
SELECT indisvalid FROM pg_index WHERE indexrelid = 'parts_idx'::regclass;
ALTER INDEX parts_idx ATTACH PARTITION parts_a_own;
SELECT indisvalid FROM pg_index WHERE indexrelid = 'parts_idx'::regclass;
ALTER TABLE parts ATTACH PARTITION parts_b FOR VALUES IN ('b');
SELECT inhrelid::regclass FROM pg_inherits WHERE inhparent = 'parts_idx'::regclass ORDER BY 1;
CREATE TABLE parts_rest PARTITION OF parts DEFAULT;
INSERT INTO parts SELECT i, at(i), substr('abc', 1 + i % 3, 1) FROM generate_series(51, 200) i;
UPDATE parts SET kind = 'a' WHERE id % 4 = 0;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parts ORDER BY d');
DROP TABLE parts_rest;
REINDEX TABLE parts;
REINDEX TABLE CONCURRENTLY parts;
ALTER TABLE parts DETACH PARTITION parts_b CONCURRENTLY;
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parts ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[1,2,3]'' AS d FROM parts_b ORDER BY d');

-- What no index like this can do
SELECT state, detail FROM mistake('ALTER TABLE items ADD EXCLUDE USING chrono (v vector_l2_ops WITH <->)');
ALTER TABLE items ADD EXCLUDE USING chrono (n WITH =);
ALTER TABLE items CLUSTER ON items_idx;
ALTER TABLE items REPLICA IDENTITY USING INDEX items_idx;
SELECT * FROM check_items();
