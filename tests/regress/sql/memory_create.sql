-- A table of memories in one call: what it has, where it goes, and what it refuses.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 3);
\d memories
\d memories_links
INSERT INTO memories (content, embedding) VALUES ('a', '[1,0,0]');
SELECT importance, access_count, pinned, metadata, importance_at = created_at AS stated_now FROM memories;
SELECT (memory).content FROM chrono_search(NULL::memories, '[1,0,0]');

-- In another schema, under a name that must be quoted, by its owner
CREATE ROLE regress_chrono_owner;
CREATE SCHEMA "An App" AUTHORIZATION regress_chrono_owner;
SET ROLE regress_chrono_owner;
SELECT chrono_create_memory('"An App"."my memories"', 8);
SET search_path = "An App";
SELECT public.chrono_create_memory('More', 8);
RESET search_path;
RESET ROLE;
SELECT c.relname, relowner::regrole FROM pg_class c WHERE relnamespace = '"An App"'::regnamespace AND relkind = 'r' ORDER BY 1;
DROP SCHEMA "An App" CASCADE;

-- Whoever may not create a table there gets none.
SET ROLE regress_chrono_owner;
SELECT state, message FROM mistake($$ SELECT chrono_create_memory('pg_catalog.memories', 3) $$);
RESET ROLE;
DROP ROLE regress_chrono_owner;
\x
SELECT arguments, mistake.* FROM unnest(ARRAY[
    '''memories'', 3', '''m'', 0', '''m'', 16001', '''m'', NULL', 'NULL, 3', '''a.b.c'', 3', '''nowhere.m'', 3', '''a b'', 3', ''''', 3'
]) arguments, mistake(format('SELECT chrono_create_memory(%s)', arguments));
\x
SET search_path = '';
SELECT state, message, hint FROM public.mistake($$ SELECT public.chrono_create_memory('m', 3) $$);
