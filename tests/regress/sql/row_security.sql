-- Policies decide which rows a user sees, whatever finds them; conditions of the user's own that might tell of
-- other rows are looked at after the policies.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE notes (id int PRIMARY KEY, owner name, v vector(3), at timestamptz, n int);
INSERT INTO notes SELECT i, CASE i % 3 WHEN 0 THEN 'security_ann' ELSE 'security_bob' END, ARRAY[sin(i), cos(i * 2), sin(i * 3)]::vector,
    timestamptz '2026-01-01' + i * interval '1 minute', i % 10 FROM generate_series(1, 600) i;
CREATE INDEX notes_idx ON notes USING chrono (v vector_cosine_ops, at, n);
ANALYZE notes;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = current_user);
CREATE ROLE security_ann;
CREATE ROLE security_bob;
GRANT SELECT, INSERT, UPDATE, DELETE ON notes TO security_ann, security_bob;

SET ROLE security_ann;
SELECT count(*) FROM notes;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes ORDER BY d');
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes ORDER BY d', 10);
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes WHERE n = 4 AND at > ''2026-01-01 03:00+00'' ORDER BY d', 10);
SELECT * FROM check_query('SELECT id, 0.7 * (v <=> ''[1,2,3]'') + 0.03 * n AS d FROM notes ORDER BY d', 10);
SELECT count(*) FROM (SELECT id FROM notes ORDER BY v <=> '[1,2,3]' LIMIT 20) nearest WHERE id % 3 <> 0;
-- What a leaky function is shown are rows of the caller's.
CREATE FUNCTION pg_temp.tell(n int) RETURNS boolean LANGUAGE plpgsql COST 0.0001 AS $$
BEGIN
    IF n % 3 <> 0 THEN RAISE NOTICE 'seen: %', n; END IF;
    RETURN true;
END $$;
SELECT count(*) FROM (SELECT id FROM notes WHERE pg_temp.tell(id) ORDER BY v <=> '[1,2,3]' LIMIT 20) nearest;
DROP FUNCTION pg_temp.tell;
-- Rows that come, change and go
INSERT INTO notes VALUES (1001, 'security_ann', '[1,2,3]', now(), 1);
INSERT INTO notes VALUES (1002, 'security_bob', '[1,2,3]', now(), 1);
UPDATE notes SET v = '[3,2,1]' WHERE id <= 6;
DELETE FROM notes WHERE id BETWEEN 7 AND 12;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes ORDER BY d', 10);
RESET ROLE;
SELECT count(*), count(*) FILTER (WHERE v = '[3,2,1]') AS changed FROM notes;
SET ROLE security_bob;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes ORDER BY d', 10);
RESET ROLE;
SELECT * FROM check_query('SELECT id, v <=> ''[1,2,3]'' AS d FROM notes ORDER BY d');
DROP TABLE notes;
DROP ROLE security_ann, security_bob;
