-- Texts are compared by hashes, so what has to be equal is bytes. Collations under which other strings are
-- equal, too, are left to the table; they need no ICU here, as only the catalog tells them apart.
CREATE EXTENSION chronomind CASCADE;
CREATE COLLATION loose FROM "POSIX";
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'loose';
CREATE COLLATION strict FROM "POSIX";
CREATE TABLE items (id int PRIMARY KEY, v vector(3), plain text, named text COLLATE "C", loose text COLLATE loose, short varchar(5));
INSERT INTO items SELECT i, ARRAY[sin(i), cos(i * 2), sin(i * 3)]::vector, l, l, l, l FROM generate_series(1, 400) i, LATERAL (SELECT 'k' || i % 8) AS l (l);
CREATE INDEX ON items USING chrono (v vector_l2_ops, plain, named, short);
CREATE FUNCTION check_where(condition text) RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE sql AS $$
    SELECT * FROM check_query(format('SELECT id, v <-> ''[1,2,3]'' AS d FROM items WHERE %s ORDER BY d', condition))
$$;
SELECT * FROM check_where($$ plain = 'k1' $$);
SELECT * FROM check_where($$ named = 'k1' $$);
SELECT * FROM check_where($$ short = 'k1' $$);
SELECT * FROM check_where($$ plain IN ('k1', 'k2') AND named <> 'k2' $$);
-- Another collation that knows equal bytes only, on either side
SELECT * FROM check_where($$ plain COLLATE strict = 'k1' $$);
SELECT * FROM check_where($$ named = 'k1' COLLATE strict $$);
-- One under which other strings may be equal
SELECT * FROM check_where($$ plain COLLATE loose = 'k1' $$);
SELECT * FROM check_where($$ named = 'k1' COLLATE loose $$);
SELECT * FROM check_where($$ loose = 'k1' $$);
SELECT * FROM check_where($$ plain COLLATE loose IN ('k1', 'k2') AND short = 'k1' $$);
-- In an order
SELECT * FROM check_query($$ SELECT id, (v <-> '[1,2,3]') + CASE WHEN plain = 'k1' THEN 0 ELSE 1 END AS d FROM items ORDER BY d $$, 20);
SELECT * FROM check_query($$ SELECT id, (v <-> '[1,2,3]') + CASE WHEN plain COLLATE loose = 'k1' THEN 0 ELSE 1 END AS d FROM items ORDER BY d $$, 20);
-- It cannot be indexed; the same column under a collation of its own in the index can.
CREATE INDEX ON items USING chrono (v vector_l2_ops, loose);
CREATE INDEX ON items USING chrono (v vector_l1_ops, loose COLLATE "C");
SELECT * FROM check_query($$ SELECT id, v <+> '[1,2,3]' AS d FROM items WHERE loose = 'k1' ORDER BY d $$);
SELECT * FROM check_query($$ SELECT id, v <+> '[1,2,3]' AS d FROM items WHERE loose = 'k1' COLLATE "C" ORDER BY d $$);
-- A domain has the collation of its own.
CREATE DOMAIN label AS text COLLATE loose;
ALTER TABLE items ADD domained label;
CREATE INDEX ON items USING chrono (v vector_cosine_ops, domained);
