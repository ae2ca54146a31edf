-- Scans that pause, begin anew and are planned once for many: cursors, joins, prepared statements.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int PRIMARY KEY, v vector(2), label text);
INSERT INTO items SELECT i, ARRAY[i, i % 7]::vector, 'label ' || i % 3 FROM generate_series(1, 400) i;
CREATE INDEX items_idx ON items USING chrono (v vector_l2_ops, label);
ANALYZE items;
SET enable_seqscan = off;

-- A cursor sees what there was when it was opened, however much changes between its fetches.
BEGIN;
DECLARE near CURSOR FOR SELECT id FROM items ORDER BY v <-> '[100.1,0]';
FETCH 3 FROM near;
DELETE FROM items WHERE id BETWEEN 90 AND 110;
INSERT INTO items SELECT i, '[100,0]', 'new' FROM generate_series(1001, 1010) i;
FETCH 3 FROM near;
MOVE 100 IN near;
FETCH 2 FROM near;
MOVE ALL IN near;
FETCH 1 FROM near;
CLOSE near;
SELECT id FROM items ORDER BY v <-> '[100.1,0]', id LIMIT 12;
ROLLBACK;

-- Cursors in each other's midst, one of them outliving the transaction, one going back
BEGIN;
DECLARE one CURSOR FOR SELECT id FROM items ORDER BY v <-> '[10.1,3]';
DECLARE two CURSOR FOR SELECT id FROM items WHERE label = 'label 1' ORDER BY v <-> '[300.1,3]';
DECLARE held CURSOR WITH HOLD FOR SELECT id FROM items ORDER BY v <-> '[200.1,0]' LIMIT 5;
DECLARE back SCROLL CURSOR FOR SELECT id FROM items ORDER BY v <-> '[10.1,3]';
FETCH one;
FETCH two;
FETCH one;
FETCH two;
FETCH 3 FROM back;
FETCH BACKWARD 2 FROM back;
FETCH FIRST FROM back;
FETCH LAST FROM back;
COMMIT;
FETCH 5 FROM held;
CLOSE held;

-- The inner side of a join begins anew for each outer row.
CREATE TABLE queries (id int, q vector(2));
INSERT INTO queries VALUES (1, '[1.1,1]'), (2, '[399.1,1]'), (3, NULL), (4, '[200.1,0]'), (5, '[1.1,1]');
SET enable_seqscan = on;
SET enable_sort = off;
EXPLAIN (COSTS OFF) SELECT * FROM queries, LATERAL (SELECT items.id FROM items ORDER BY v <-> q LIMIT 3) n;
RESET enable_sort;
SET enable_seqscan = off;
SELECT queries.id, array_agg(n.id), array_agg(round(d::numeric, 3)) FROM queries,
    LATERAL (SELECT items.id, v <-> q AS d FROM items WHERE queries.id <> 3 ORDER BY v <-> q LIMIT 3) n
GROUP BY queries.id ORDER BY queries.id;
SELECT count(*), count(n.d) FROM queries, LATERAL (SELECT v <-> q AS d FROM items ORDER BY v <-> q) n;
-- with an attribute of the outer row as condition
SELECT o.id, (SELECT i.id FROM items i WHERE i.label = o.label AND i.id <> o.id ORDER BY i.v <-> o.v, i.id LIMIT 1)
FROM items o WHERE o.id IN (5, 50, 399) ORDER BY o.id;

-- One plan for all parameters
SET plan_cache_mode = force_generic_plan;
PREPARE nearest(vector, int) AS SELECT id FROM items ORDER BY v <-> $1 LIMIT $2;
EXPLAIN (COSTS OFF) EXECUTE nearest('[7.1,0]', 3);
EXECUTE nearest('[7.1,0]', 3);
EXECUTE nearest('[350.2,0]', 2);
EXECUTE nearest('[350.2,0]', 0);
SELECT count(*) FROM (SELECT 1) one, LATERAL (SELECT id FROM items ORDER BY v <-> NULL::vector LIMIT 4) n;
CREATE TABLE all_of_them AS EXECUTE nearest(NULL, NULL);
SELECT count(DISTINCT id) FROM all_of_them;
EXECUTE nearest('[1,2,3]', 1);
EXECUTE nearest('[7.1,0]', 1);
RESET plan_cache_mode;

-- LIMIT and OFFSET
SELECT id FROM items ORDER BY v <-> '[20.1,0]' LIMIT 3 OFFSET 2;
SELECT id FROM items ORDER BY v <-> '[20.1,0]' LIMIT 3 OFFSET 399;
SELECT id FROM items ORDER BY v <-> '[20.1,0]' LIMIT 3 OFFSET 500;
-- A second key decides between equals.
INSERT INTO items VALUES (503, '[20,0]'), (501, '[20,0]'), (502, '[20,0]');
SELECT id FROM items ORDER BY v <-> '[20.1,0]', id DESC LIMIT 3;
DELETE FROM items WHERE id > 500;
-- Locking and writing through the order
BEGIN;
SELECT id FROM items ORDER BY v <-> '[20.1,0]' LIMIT 2 FOR UPDATE;
UPDATE items SET label = 'seen' WHERE id IN (SELECT id FROM items ORDER BY v <-> '[20.1,0]' LIMIT 2) RETURNING id;
SELECT id, label FROM items ORDER BY v <-> '[20.1,0]' LIMIT 3;
ROLLBACK;
-- A function sees the same.
CREATE FUNCTION nearest_to(q vector) RETURNS SETOF int LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY SELECT id FROM items ORDER BY v <-> q LIMIT 2;
END $$;
SELECT i, nearest_to(ARRAY[i + 0.1, i % 7]::vector) FROM generate_series(1, 400, 50) i;
