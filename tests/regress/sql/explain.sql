-- chrono_explain tells what the scans of a query did, and proves that they missed nothing.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE memories (id int PRIMARY KEY, v vector(2), at timestamptz, secret boolean);
INSERT INTO memories SELECT i, ARRAY[cos(i), sin(i)]::vector, '2026-01-01'::timestamptz + i * interval '1 hour', i % 2 = 0
FROM generate_series(1, 5000) i;
CREATE INDEX memories_idx ON memories USING chrono (v vector_l2_ops, at);
ANALYZE memories;
SET enable_seqscan = off;

-- What is not looked at cannot be nearer than the last row that is given.
SELECT index, rows_near > 0 AS near, rows_in_zones, zones, rows_given, last_score <= bound AS proof
FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 5');

-- A narrow filter is answered by its zones.
SELECT rows_near, rows_in_zones BETWEEN 5 AND 23 AS in_zones, zones_visited < 5 AS few, rows_given
FROM chrono_explain($$SELECT id FROM memories WHERE at < '2026-01-02' ORDER BY v <-> '[1,0]' LIMIT 5$$);

-- A threshold ends the scan, also one that a row without a distance would pass, if there were any.
SELECT condition, rows_near + rows_in_zones < 500 AS few, rows_given
FROM unnest(ARRAY['D < 0.01', '1 - D > 0.99', '-D >= -0.01', 'NOT D >= 0.01']) AS condition,
    chrono_explain('SELECT id FROM memories WHERE ' || replace(condition, 'D', '(v <-> ''[1,0]'')') || ' ORDER BY v <-> ''[1,0]'' LIMIT 1000');

-- When all rows are given out, nothing is unseen.
SELECT rows_near + rows_in_zones AS looked_at, rows_given, bound
FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]''');

-- A row for each time that an index is scanned; none where it is not.
SELECT index, rows_given FROM chrono_explain($$
    SELECT n, best.id FROM generate_series(1, 3) n,
        LATERAL (SELECT id FROM memories ORDER BY v <-> ARRAY[n, 0]::vector LIMIT n) best $$);
SELECT count(*) FROM chrono_explain('SELECT 1');
SELECT count(*) FROM chrono_explain(NULL);
SELECT rows_given FROM chrono_explain('TABLE memories ORDER BY v <-> ''[1,0]'' LIMIT 2;');
SELECT rows_given FROM chrono_explain('SELECT (memory).id FROM chrono_search(NULL::memories, ''[1,0]'', 3)');

-- It explains itself: the inner one keeps its scans to itself.
SELECT rows_given FROM chrono_explain($$
    SELECT rows_given FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 2') $$);
SELECT rows_given FROM chrono_explain($$
    SELECT id, (SELECT sum(rows_given) FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 2'))
    FROM memories ORDER BY v <-> '[1,0]' LIMIT 4 $$);

-- Nothing but one SELECT, which may change nothing.
SELECT * FROM mistake($$SELECT chrono_explain('DELETE FROM memories RETURNING id')$$);
SELECT * FROM mistake($$SELECT chrono_explain('SELECT 1; SELECT 2')$$);
SELECT * FROM mistake($$SELECT chrono_explain('')$$);
SELECT * FROM mistake($$SELECT chrono_explain('EXPLAIN SELECT 1')$$);
SELECT * FROM mistake($$SELECT chrono_explain('SELECT 1 INTO new')$$);
SELECT * FROM mistake($$SELECT chrono_explain('SELECT id FROM memories WHERE id = $1')$$);
SELECT * FROM mistake($$SELECT chrono_explain('WITH gone AS (DELETE FROM memories RETURNING id) SELECT * FROM gone')$$);
SELECT * FROM mistake($$SELECT chrono_explain('SELECT * FROM memories FOR UPDATE')$$);
SELECT chrono_explain('SELECT 1 FORM memories');
SELECT chrono_explain('SELECT 1 / 0');
SELECT count(*) FROM memories;

-- After an error nothing is recorded any more, and the next is told of its own scans alone.
SELECT chrono_explain('SELECT 1 / (id - id) FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 5');
SELECT rows_given FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 1');

-- With the rights of who calls.
CREATE ROLE stranger;
SET ROLE stranger;
SELECT chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 5');
RESET ROLE;
GRANT SELECT ON memories TO stranger;
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
CREATE POLICY public_only ON memories USING (NOT secret);
SET ROLE stranger;
-- A score of a row that one may not see would give its vector away, and so would a count of those that are nearer
-- than the first that one may.
SELECT * FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 1');
RESET ROLE;
ALTER TABLE memories DISABLE ROW LEVEL SECURITY;
REVOKE SELECT ON memories FROM stranger;
GRANT SELECT (id, v) ON memories TO stranger;
SET ROLE stranger;
SELECT * FROM chrono_explain('SELECT id FROM memories ORDER BY v <-> ''[1,0]'' LIMIT 1');
RESET ROLE;
REVOKE ALL ON memories FROM stranger;
DROP TABLE memories;
DROP ROLE stranger;
