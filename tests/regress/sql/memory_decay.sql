-- chrono_decay writes the importance that is left, whatever the cadence, and forgets below a floor.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory(name, 2) FROM unnest('{often,seldom,never}'::text[]) name;
INSERT INTO never (content, embedding, created_at, importance, importance_at, decay_rate, pinned)
SELECT 'memory', ARRAY[sin(i), cos(i)]::vector, now() - interval '90 days', (i % 100) / 100.0, now() - interval '80 days',
    CASE i % 4 WHEN 0 THEN NULL WHEN 1 THEN 0 WHEN 2 THEN 1e-6 ELSE (i % 50) / 10000.0 END, i % 10 = 0
FROM generate_series(1, 3000) i;
INSERT INTO often SELECT * FROM never;
INSERT INTO seldom SELECT * FROM never;
SET chronomind.base_decay_rate = 0.001;

-- Ten sweeps, the clock moved between them by moving the rows, leave what one leaves and the formula says.
BEGIN;
SET LOCAL client_min_messages = warning;
UPDATE often SET importance_at = importance_at + interval '50 days';
DO $$ BEGIN
    FOR sweep IN 1 .. 10 LOOP
        PERFORM chrono_decay('often', batch => 100 * sweep);
        UPDATE often SET importance_at = importance_at - interval '5 days';
    END LOOP;
END $$;
SELECT decayed FROM chrono_decay('often');
SELECT decayed FROM chrono_decay('seldom');
SELECT count(*), count(*) FILTER (WHERE abs(o.importance - s.importance) < 1e-12) AS same,
    count(*) FILTER (WHERE abs(s.importance - chrono_importance(n.importance, n.importance_at, n.decay_rate)) < 1e-12) AS right
FROM often o JOIN seldom s USING (id) JOIN never n USING (id);
-- At the same moment there is nothing left to do.
SELECT * FROM chrono_decay('seldom');
COMMIT;
-- What has faded to nothing is not written again.
UPDATE seldom SET importance_at = importance_at - interval '100 years' WHERE decay_rate IS NULL;
SELECT decayed > 0 AS some FROM chrono_decay('seldom');
SELECT count(*) FROM seldom WHERE decay_rate IS NULL AND importance = 0;
BEGIN;
SELECT decayed > 0 AS some FROM chrono_decay('seldom');
SELECT count(*) FROM seldom WHERE importance = 0 AND importance_at = now();
COMMIT;

-- Below the floor memories go, and their links with them, but not the pinned ones. Each batch is told.
SELECT chrono_link('never', 1, 10), chrono_link('never', 20, 10);
CREATE TABLE expected AS SELECT id FROM never WHERE pinned OR chrono_importance(importance, importance_at, decay_rate) >= 0.2;
SELECT decayed > 0 AS some, forgotten = 3000 - (SELECT count(*) FROM expected) AS right FROM chrono_decay('never', 1500, forget_below => 0.2);
SELECT (SELECT array_agg(id ORDER BY id) FROM never) = (SELECT array_agg(id ORDER BY id) FROM expected) AS right;
SELECT count(*) FROM never WHERE pinned AND importance < 0.2;
SELECT source, target FROM never_links;
SELECT forgotten FROM chrono_decay('never', forget_below => 0.2);
VACUUM never;
SELECT table_rows = index_rows AS whole FROM pg_index, chrono_check(indexrelid) WHERE indrelid = 'never'::regclass AND indnatts = 8;

-- Rows that nobody stated an importance of, or no time, are left alone. Columns have other names and types.
CREATE TABLE notes (id uuid, weight real, weighed timestamptz, fading real, keep boolean);
INSERT INTO notes VALUES
    ('00000000-0000-0000-0000-000000000001', 1, now() - interval '10 hours', 0.1, false), ('00000000-0000-0000-0000-000000000002', NULL, now() - interval '10 hours', 0.1, false),
    ('00000000-0000-0000-0000-000000000003', 0.1, NULL, 0.1, false), ('00000000-0000-0000-0000-000000000004', 1, now() + interval '1 hour', 0.1, false),
    ('00000000-0000-0000-0000-000000000005', 1, '-infinity', 0.1, true), ('00000000-0000-0000-0000-000000000006', 1, now() - interval '880 hours', 0.1, NULL);
SELECT decayed, forgotten FROM chrono_decay('notes', importance_column => 'weight', importance_at_column => 'weighed', decay_rate_column => 'fading');
SELECT right(id::text, 1) AS id, round(weight::numeric, 4) AS weight FROM notes ORDER BY id;
SELECT forgotten FROM chrono_decay('notes', forget_below => 0.2, importance_column => 'weight', importance_at_column => 'weighed',
    decay_rate_column => 'fading', pinned_column => 'keep');
SELECT right(id::text, 1) AS id FROM notes ORDER BY id;

-- The second number of an index is the rate, unless it is the importance.
CREATE TABLE boosted (id int, e vector(2), boost real, importance float8, importance_at timestamptz);
CREATE INDEX ON boosted USING chrono (e vector_l2_ops, boost, importance);
INSERT INTO boosted VALUES (1, '[1,1]', 7, 0.5, now() - interval '10 hours');
SELECT * FROM chrono_decay('boosted', importance_column => 'importance');
SELECT boost, importance BETWEEN 0.49 AND 0.5 AS faded FROM boosted;

-- A rate that is not a number leaves the importance as it is.
INSERT INTO notes VALUES ('00000000-0000-0000-0000-000000000008', 0.5, now() - interval '10 hours', 'NaN', false), ('00000000-0000-0000-0000-000000000009', 0.5, now() - interval '10 hours', 'infinity', true);
SELECT * FROM chrono_decay('notes', forget_below => 0.2, importance_column => 'weight', importance_at_column => 'weighed', decay_rate_column => 'fading', pinned_column => 'keep');
SELECT weight FROM notes WHERE right(id::text, 1) IN ('8', '9') ORDER BY id;

-- Mistakes
CREATE VIEW a_view AS SELECT * FROM often;
CREATE TABLE parts (importance real, importance_at timestamptz) PARTITION BY RANGE (importance);
INSERT INTO notes VALUES ('00000000-0000-0000-0000-000000000007', 1, now() - interval '10 hours', -1, true);
\x
SELECT arguments, mistake.* FROM unnest(ARRAY[
    '''often'', 0', '''often'', NULL', '''often'', forget_below => 0', '''often'', forget_below => 1.5', '''often'', forget_below => ''NaN''',
    '''notes''', '''notes'', importance_column => ''weight''', '''often'', importance_column => ''nowhere''', '''often'', importance_column => ''content''',
    '''often'', decay_rate_column => ''metadata''', '''nowhere''', 'NULL', '''a_view''', '''parts''', '''often_pkey''', '0',
    '''notes'', importance_column => ''weight'', importance_at_column => ''weighed'', decay_rate_column => ''fading'''
]) arguments, mistake(format('SELECT * FROM chrono_decay(%s)', arguments));
