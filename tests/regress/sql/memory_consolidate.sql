-- Near-duplicates become one memory, of a chain each that is near its best, within its context; links and pins move along, and
-- all of it can be taken back.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 3);
\d memories_merges
-- By angles in degrees: neighbours within acos(0.95) = 18.2 are duplicates.
CREATE FUNCTION at(degrees float8, height float8 DEFAULT 0) RETURNS vector
RETURN ARRAY[cosd(degrees), sind(degrees), height]::vector;
INSERT INTO memories (id, content, context, embedding, created_at, importance, importance_at, decay_rate, pinned) VALUES
    (1, 'alone',                  'a', at(0),     '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (2, 'near the best',          'a', at(80),    '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (3, 'near the best, pinned',  'a', at(75),    '2024-01-01', 0.6, '2024-01-01', 1e-9, true),
    (4, 'best',                   'a', at(90),    '2024-01-01', 0.9, '2024-01-01', 1e-9, false),
    (5, 'on its other side',      'a', at(105),   '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (6, 'equal, older',           'b', at(90),    '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (7, 'equal, newer',           'b', at(90),    '2024-01-02', 0.5, '2024-01-01', 1e-9, false),
    (8, 'equal, newer, later id', 'b', at(90),    '2024-01-02', 0.5, '2024-01-01', 1e-9, false),
    (9, 'no context',             NULL, at(180),  '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (10, 'no context',            NULL, at(181),  '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (11, 'faded',                 'c', at(270),   '2024-01-01', 1.0, '2024-01-01', 1, false),
    (12, 'fresh',                 'c', at(271),   '2024-01-01', 0.1, '2024-01-01', 1e-9, false),
    (13, 'ended',                 'c', at(270),   '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (14, 'still to come',         'c', at(270),   '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (15, 'without a direction',   'c', '[0,0,0]', '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (16, 'without a vector',      'c', NULL,      '2024-01-01', 0.5, '2024-01-01', 1e-9, false),
    (17, 'will end',              'c', at(270),   '2024-01-01', 0.5, '2024-01-01', 1e-9, false);
UPDATE memories SET valid_to = '2024-02-01' WHERE id = 13;
UPDATE memories SET valid_to = now() + interval '1 day' WHERE id = 17;
UPDATE memories SET valid_to = 'infinity' WHERE id = 3;
UPDATE memories SET valid_from = now() + interval '1 hour' WHERE id = 14;
ALTER TABLE memories ALTER id RESTART WITH 101;
SELECT count(chrono_link('memories', source, target, relation)) FROM (VALUES
    (1, 2, 'related'), (2, 1, 'related'), (5, 1, 'related'), (5, 4, 'part of'), (3, 4, 'related'), (4, 9, 'related'),
    (2, 9, 'related'), (3, 9, 'cause'), (6, 2, 'related'), (10, 5, 'related')
) link (source, target, relation);
CREATE TABLE memories_before AS TABLE memories;
CREATE TABLE links_before AS TABLE memories_links;
-- What differs from before, in both directions
CREATE FUNCTION changes() RETURNS TABLE (what text, which text) LANGUAGE sql AS $$
    (SELECT 'memory', m::text FROM (TABLE memories EXCEPT TABLE memories_before) m)
    UNION ALL (SELECT 'memory lost', m::text FROM (TABLE memories_before EXCEPT TABLE memories) m)
    UNION ALL (SELECT 'link', l::text FROM (TABLE memories_links EXCEPT TABLE links_before) l)
    UNION ALL (SELECT 'link lost', l::text FROM (TABLE links_before EXCEPT TABLE memories_links) l)
$$;

-- A dry run changes nothing, and tells what the run then does.
SELECT survivor, absorbed, round(similarity::numeric, 4) AS similarity FROM chrono_consolidate('memories', dry_run => true);
SELECT * FROM changes();
SELECT survivor, absorbed, round(similarity::numeric, 4) AS similarity FROM chrono_consolidate('memories');
SELECT id, superseded_by, valid_to = now() AS ended_now, valid_to > now() - interval '1 minute' AS ended, importance, pinned
FROM memories WHERE id NOT IN (1, 13, 14, 15, 16, 17) ORDER BY id;
SELECT source, target, relation FROM memories_links ORDER BY 1, 2, 3;
SELECT survivor, absorbed, pins, jsonb_array_length(links_removed) AS removed, jsonb_array_length(links_added) AS added FROM memories_merges ORDER BY id;
SELECT * FROM chrono_consolidate('memories');
-- What was absorbed is not recalled any more, but was known before.
SELECT array_agg((memory).id ORDER BY (memory).id) FROM chrono_search(NULL::memories, at(90), 20);
SELECT count(*) FROM chrono_search(NULL::memories, at(90), 20, as_of => '2024-01-20');

-- Taken back, out of order where links hang together
\x
SELECT * FROM mistake($$ SELECT chrono_unconsolidate('memories', ARRAY[2]) $$);
\x
SELECT chrono_unconsolidate('memories', ARRAY[9, 10]) AS unknown;
SELECT chrono_unconsolidate('memories', (SELECT array_agg(absorbed ORDER BY absorbed) FROM memories_merges)) AS restored;
SELECT * FROM changes();
SELECT count(*) FROM memories_merges;

-- The survivor stays pinned for another's sake.
UPDATE memories SET pinned = true WHERE id = 2;
SELECT count(*) FROM chrono_consolidate('memories');
SELECT pinned FROM memories WHERE id = 4;
DELETE FROM memories_links;
UPDATE memories_merges SET links_removed = '[]', links_added = '[]';
SELECT chrono_unconsolidate('memories', ARRAY[3]), (SELECT pinned FROM memories WHERE id = 4);
SELECT pinned FROM memories WHERE id = 4;
SELECT chrono_unconsolidate('memories', ARRAY[2]);
SELECT pinned FROM memories WHERE id = 4;
SELECT chrono_unconsolidate('memories', (SELECT array_agg(absorbed) FROM memories_merges));

-- A run of few merges leaves what the next one finds: the end is the same.
TRUNCATE memories_links, memories_merges;
INSERT INTO memories_links TABLE links_before;
UPDATE memories m SET pinned = b.pinned FROM memories_before b WHERE m.id = b.id;
SELECT * FROM changes();
SELECT survivor, absorbed FROM chrono_consolidate('memories', max_merges => 1);
SELECT survivor, absorbed FROM chrono_consolidate('memories', max_merges => 2);
SELECT survivor, absorbed FROM chrono_consolidate('memories', max_merges => 10);
SELECT source, target, relation FROM memories_links ORDER BY 1, 2, 3;
SELECT chrono_unconsolidate('memories', (SELECT array_agg(absorbed) FROM memories_merges));
SELECT * FROM changes();

-- Across contexts
SELECT survivor, absorbed FROM chrono_consolidate('memories', across_contexts => true, dry_run => true);
SELECT survivor, absorbed FROM chrono_consolidate('memories', 1, dry_run => true);

-- What was changed since cannot be taken back, and says so; the rest of the call is not done either.
SELECT survivor, absorbed FROM chrono_consolidate('memories');
UPDATE memories SET valid_to = NULL WHERE id = 7;
DELETE FROM memories WHERE id = 11;
UPDATE memories SET superseded_by = NULL WHERE id = 8;
\x
SELECT ids, mistake.* FROM unnest(ARRAY['6, 7', '8', '11', 'NULL', '12', '77']) ids,
    mistake(format('SELECT chrono_unconsolidate(''memories'', ARRAY[%s]::bigint[])', ids));
\x
-- A link whose stand-in was deleted stays away; so does one to a memory that was deleted.
SELECT chrono_unlink('memories', 4, 9);
DELETE FROM memories WHERE id = 1;
SELECT chrono_unconsolidate('memories', ARRAY[2, 3, 5, 6, 10]);
SELECT source, target, relation FROM memories_links ORDER BY 1, 2, 3;

-- Many equal rows, more than are looked at around one
INSERT INTO memories (content, context, embedding) SELECT 'again', 'many', at(10) FROM generate_series(1, 300);
INSERT INTO memories (content, context, embedding) SELECT 'chain', 'long', at(i) FROM generate_series(0, 350, 10) i;
SELECT count(*), count(DISTINCT survivor) FROM chrono_consolidate('memories');
SELECT context, count(*) FROM memories WHERE superseded_by IS NULL AND context IN ('many', 'long') GROUP BY 1 ORDER BY 1;
-- In a chain that comes to the opposite of its beginning each is like the one that it went into, and that is what is told.
SELECT count(*) AS merges, count(*) FILTER (WHERE e.similarity < 0.95) AS unlike,
    count(*) FILTER (WHERE abs(e.similarity - (1 - (a.embedding <=> s.embedding))) > 1e-9) AS wrong
FROM memories_merges e JOIN memories a ON a.id = e.absorbed JOIN memories s ON s.id = e.survivor WHERE a.context = 'long';
SELECT count(*) FROM chrono_consolidate('memories');

-- One's own table: its columns by name, and what it lacks
CREATE TABLE "My notes" ("The key" uuid PRIMARY KEY, "100%" vector(3), topic text, known_until timestamptz, instead uuid);
INSERT INTO "My notes" SELECT lpad(i::text, 32, '0')::uuid, at(i % 4 * 40), 't' FROM generate_series(1, 12) i;
CREATE FUNCTION merge_notes(more text DEFAULT '') RETURNS TABLE (survivor text, absorbed text) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT survivor, absorbed FROM chrono_consolidate(''"My notes"'', superseded_by_column => ''instead'',
        valid_to_column => ''known_until''%s)', more);
END $$;
\x
SELECT * FROM mistake('SELECT merge_notes()');
CREATE INDEX ON "My notes" USING chrono ("100%" vector_l2_ops, topic);
SELECT * FROM mistake('SELECT merge_notes()');
CREATE INDEX ON "My notes" USING chrono ("100%" vector_cosine_ops, topic);
SELECT * FROM mistake('SELECT merge_notes()');
\x
SELECT chrono_create_merges('"My notes"');
SELECT count(*) FROM merge_notes(', dry_run => true');
SELECT count(*), count(DISTINCT survivor) FROM merge_notes();
SELECT chrono_unconsolidate('"My notes"', ARRAY['00000000-0000-0000-0000-000000000005'::uuid], superseded_by_column => 'instead', valid_to_column => 'known_until');
SELECT count(*) FROM "My notes" WHERE instead IS NULL AND known_until IS NULL;

-- Nonsense is refused before anything happens.
\x
SELECT arguments, mistake.* FROM unnest(ARRAY['0', '-1', '1.01', '''NaN''', 'NULL', '0.9, 0', '0.9, NULL', '0.9, id_column => ''nowhere''',
        '0.9, importance_column => ''content''']) arguments,
    mistake(format('SELECT chrono_consolidate(''memories'', %s)', arguments));
SELECT statement, mistake.* FROM unnest(ARRAY['SELECT chrono_consolidate(NULL)', 'SELECT chrono_consolidate(''nowhere'')',
        'SELECT chrono_consolidate(''pg_views'')', 'SELECT chrono_consolidate(''links_before'')', 'SELECT chrono_unconsolidate(''links_before'', ARRAY[1])']) statement,
    mistake(statement);
\x

-- With the rights of the caller, who sees and merges what the policies let him
CREATE ROLE regress_chrono_agent;
GRANT SELECT ON memories TO regress_chrono_agent;
INSERT INTO memories (content, context, embedding) SELECT context, context, at(200) FROM unnest(ARRAY['mine', 'mine', 'theirs', 'theirs']) context;
SET ROLE regress_chrono_agent;
SELECT count(*) FROM chrono_consolidate('memories', dry_run => true);
SELECT state, message FROM mistake($$ SELECT chrono_consolidate('memories') $$);
RESET ROLE;
GRANT UPDATE ON memories TO regress_chrono_agent;
GRANT SELECT, INSERT, UPDATE, DELETE ON memories_links TO regress_chrono_agent;
SET ROLE regress_chrono_agent;
SELECT state, message FROM mistake($$ SELECT chrono_consolidate('memories') $$);
RESET ROLE;
SELECT count(*) FROM memories WHERE context IN ('mine', 'theirs') AND superseded_by IS NULL;
GRANT SELECT, INSERT, UPDATE, DELETE ON memories_merges TO regress_chrono_agent;
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
CREATE POLICY mine ON memories USING (context = 'mine');
SET ROLE regress_chrono_agent;
SELECT count(*) FROM chrono_consolidate('memories');
RESET ROLE;
SELECT context, count(*) FROM memories WHERE context IN ('mine', 'theirs') AND superseded_by IS NULL GROUP BY 1 ORDER BY 1;

-- Nothing is looked up by the caller's search_path, and the triggers of the table find what they expect.
CREATE SCHEMA trap;
CREATE FUNCTION trap.equal(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE OPERATOR trap.= (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal);
CREATE OPERATOR trap.> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal);
CREATE OPERATOR trap.<> (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = trap.equal);
CREATE FUNCTION trap.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE FUNCTION trap.unnest(text[]) RETURNS SETOF text LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'trapped'; END $$;
CREATE TABLE trap.noticed (id bigint);
CREATE FUNCTION trap.notice() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO noticed VALUES (NEW.id); RETURN NEW; END $$;
CREATE TRIGGER notice BEFORE UPDATE ON memories FOR EACH ROW EXECUTE FUNCTION trap.notice();
SET search_path = trap, pg_catalog, public;
SELECT pg_catalog.count(*) FROM public.chrono_consolidate('public.memories');
SELECT public.chrono_unconsolidate('public.memories', (SELECT pg_catalog.array_agg(absorbed) FROM public.memories_merges WHERE merged_at OPERATOR(pg_catalog.=) (SELECT pg_catalog.max(merged_at) FROM public.memories_merges)));
SELECT pg_catalog.count(*) FROM noticed;
RESET search_path;
DROP TABLE memories_links, memories_merges, memories;
DROP ROLE regress_chrono_agent;
