-- What users do not call is in a schema of its own, and everything goes on when the extension's is renamed.
CREATE SCHEMA "The Vectors";
CREATE SCHEMA "The Extension";
CREATE EXTENSION vector SCHEMA "The Vectors";
CREATE EXTENSION chronomind SCHEMA "The Extension";
-- What there is for users; all of it has a comment.
SELECT p.proname, count(*), bool_and(obj_description(p.oid, 'pg_proc') IS NOT NULL) AS described
FROM pg_proc p WHERE pronamespace = '"The Extension"'::regnamespace GROUP BY 1 ORDER BY 1;
SELECT count(*) > 40 AS moved, bool_and(has_schema_privilege('pg_monitor', pronamespace, 'USAGE')) AS usable
FROM pg_proc WHERE pronamespace = 'chronomind_internal'::regnamespace;
-- No body and no SQL in one names the schema.
SELECT proname FROM pg_proc WHERE pronamespace IN ('"The Extension"'::regnamespace, 'chronomind_internal'::regnamespace) AND prosrc ~ 'The (Extension|Vectors)';
-- No body casts to a text that the caller's search path finds.
SELECT proname FROM pg_proc WHERE pronamespace IN ('"The Extension"'::regnamespace, 'chronomind_internal'::regnamespace) AND prosrc ~ '::text\M' AND proconfig IS NULL;
-- The extension has no relation, which tools would take for the user's.
SELECT count(*) FROM pg_depend WHERE refclassid = 'pg_extension'::regclass AND classid = 'pg_class'::regclass AND deptype = 'e'
    AND refobjid = (SELECT oid FROM pg_extension WHERE extname = 'chronomind');

-- Everything once, with nothing on the search path
CREATE FUNCTION tour(own text, rel regclass) RETURNS TABLE (what text, result text) LANGUAGE plpgsql AS $$
DECLARE
    call text;
BEGIN
    FOREACH call IN ARRAY ARRAY[
        'chrono_touch(%2$L, ARRAY[1, 2])', 'chrono_link(%2$L, 2, 3)', 'chrono_related(%2$L, 2)', 'chrono_unlink(%2$L, 2, 3)',
        'chrono_decay(%2$L, forget_below => 0.01)', 'chrono_consolidate(%2$L, dry_run => true)', 'chrono_consolidate(%2$L)',
        'chrono_unconsolidate(%2$L, ARRAY[2])', 'chrono_context_summary(%2$L, ''c'')',
        'chrono_check(''public.my_index'')', 'chrono_schedule(%2$L)',
        'chrono_explain($q$ SELECT id FROM public.memories ORDER BY %1$s.chrono_score(embedding OPERATOR("The Vectors".<=>) ''[1,0]'', created_at) LIMIT 1 $q$)'
    ] LOOP
        what := substring(call, '^\w+');
        BEGIN
            EXECUTE format('SELECT left(string_agg(r::text, '' ''), 8) FROM %1$s.' || call || ' AS r', own, rel) INTO result;
        EXCEPTION WHEN OTHERS THEN
            result := SQLSTATE || ' ' || SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
CREATE FUNCTION begin_tour(own text) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    made text;
BEGIN
    EXECUTE format('SELECT %s.chrono_create_memory(''public.memories'', 2)', own) INTO made;
    INSERT INTO public.memories (id, content, context, embedding, created_at, importance_at)
    VALUES (1, 'a', 'c', '[1,0]', '2026-01-01', '2026-01-01'), (2, 'b', 'c', '[1,0.01]', '2026-01-01', '2026-01-01'),
        (3, 'c', 'd', '[0,1]', '2026-01-01', '2026-01-01');
    EXECUTE format('ALTER INDEX %s RENAME TO my_index', (SELECT indexrelid::regclass FROM pg_index
        WHERE indrelid = 'public.memories'::regclass AND indnatts = 8));
    RETURN made;
END $$;
SET chronomind.base_decay_rate = 1e-6;
SET enable_seqscan = off;
SET search_path = '';
SELECT public.begin_tour('"The Extension"');
SELECT * FROM public.tour('"The Extension"', 'public.memories');
SELECT (memory).id FROM "The Extension".chrono_search(NULL::public.memories, '[1,0]', 2, diversity => 0.1);
EXPLAIN (COSTS OFF) SELECT id FROM public.memories ORDER BY "The Extension".chrono_score(embedding OPERATOR("The Vectors".<=>) '[1,0]', created_at) LIMIT 1;
SELECT index, indexed_table, state FROM "The Extension".chrono_indexes();
DROP TABLE public.memories_links, public.memories_merges, public.memories;

-- The same when both schemas have other names
ALTER SCHEMA "The Extension" RENAME TO renamed;
ALTER SCHEMA "The Vectors" RENAME TO "Vectors %s";
SELECT pg_catalog.replace(pg_catalog.pg_get_functiondef('public.tour'::regproc), 'The Vectors', 'Vectors %%s') AS definition \gset
:definition;
SELECT public.begin_tour('renamed');
SELECT * FROM public.tour('renamed', 'public.memories');
SELECT (memory).id FROM renamed.chrono_search(NULL::public.memories, '[1,0]', 2, diversity => 0.1);
SELECT state, hint FROM public.mistake($$ SELECT renamed.chrono_link('pg_catalog.pg_class', 1::oid, 2::oid) $$);
CREATE TABLE public.bare (id int PRIMARY KEY);
SELECT hint FROM public.mistake($$ SELECT renamed.chrono_link('public.bare', 1, 2) $$);
DROP TABLE public.bare;
SELECT command FROM chronomind_internal.chrono_jobs('public.memories', 'd', 'c', 0.1, 0.9);
SELECT index, indexed_table, state FROM renamed.chrono_indexes();
RESET search_path;

-- What an update makes anew may be in use: it says so, and does nothing.
SET client_min_messages = warning;
DROP EXTENSION vector CASCADE;
DROP TABLE memories_links, memories_merges, memories;
CREATE SCHEMA "Old one";
CREATE EXTENSION vector;
CREATE EXTENSION chronomind SCHEMA "Old one" VERSION '0.2.0';
RESET client_min_messages;
CREATE VIEW dashboard AS SELECT index, state FROM "Old one".chrono_indexes;
\x
SELECT * FROM mistake('ALTER EXTENSION chronomind UPDATE');
\x
SELECT extversion FROM pg_extension WHERE extname = 'chronomind';
DROP VIEW dashboard;
-- The old version with the new library, then the new one in place; the schema was renamed before, which it did not survive.
SET search_path = public, "Old one";
SELECT chrono_create_memory('memories', 2);
INSERT INTO memories (id, content, context, embedding) VALUES (1, 'a', 'c', '[1,0]'), (2, 'b', 'c', '[1,0.01]'), (3, 'c', 'd', '[0,1]');
EXPLAIN (COSTS OFF) SELECT id FROM memories ORDER BY chrono_score(embedding <=> '[1,0]', created_at) LIMIT 1;
SELECT (memory).id, num_nonnulls(score, distance, recency, importance) FROM chrono_search(NULL::memories, '[1,0]', 2);
SELECT survivor, absorbed FROM chrono_consolidate('memories', dry_run => true);
CREATE VIEW ordered AS SELECT id FROM memories ORDER BY chrono_score(embedding <=> '[1,0]', created_at) LIMIT 2;
ALTER SCHEMA "Old one" RENAME TO "New %1";
SET search_path = public, "New %1";
SELECT state FROM mistake($$ SELECT chrono_touch('memories', ARRAY[1]) $$);
ALTER EXTENSION chronomind UPDATE;
SELECT chrono_touch('memories', ARRAY[1, 2]), chrono_link('memories', 1, 3);
SELECT * FROM ordered;
SELECT survivor, absorbed FROM chrono_consolidate('memories');
SELECT chrono_create_memory('others', 2);
DROP EXTENSION chronomind CASCADE;
SELECT count(*) FROM pg_namespace WHERE nspname = 'chronomind_internal';
