-- The memory layer takes tables, columns and identifiers of any name and type, and what users added to them.
CREATE EXTENSION chronomind CASCADE;

-- Names with everything that means something to format(), to quotes and to EXECUTE
CREATE SCHEMA "Odd %s ""$1"" \ 'é'";
CREATE TABLE "Odd %s ""$1"" \ 'é'"."%I $2 ""t""" ("%L ""id"" $1" text PRIMARY KEY, "rank" vector(2), "a%1$s" timestamptz DEFAULT now(), "w$1" float8 DEFAULT 0.5,
    "wa\$1" timestamptz DEFAULT now() - interval '1 hour', "r'$3" float8, "c%%" text, "used$1" timestamptz, "uses%" int, "from%" timestamptz, "to$1" timestamptz,
    "heir%s" text, "pin""$1" bool);
SELECT format('%I.%I', 'Odd %s "$1" \ ''é''', '%I $2 "t"') AS odd \gset
CREATE INDEX ON :odd USING chrono ("rank" vector_cosine_ops, "a%1$s", "w$1", "r'$3", "c%%", "wa\$1", "from%", "to$1");
INSERT INTO :odd ("%L ""id"" $1", "rank", "c%%", "w$1") VALUES ('a%s', '[1,0]', 'c%', 0.5), ('b''"$1', '[1,0.01]', 'c%', 0.9), ('c\', '[0,1]', NULL, 0.3), ('d', '[0,1.001]', NULL, 0.2);
SELECT chrono_touch(:'odd', ARRAY['a%s', 'b''"$1'], importance_at_column => 'wa\$1', last_accessed_at_column => 'used$1', access_count_column => 'uses%');
SELECT * FROM chrono_decay(:'odd', forget_below => 0.01, importance_at_column => 'wa\$1', pinned_column => 'pin"$1');
SELECT chrono_create_links(:'odd') IS NOT NULL, chrono_create_merges(:'odd') IS NOT NULL;
SELECT chrono_link(:'odd', 'a%s', 'c\', 'is%'), chrono_link(:'odd', 'd', 'b''"$1', '''"$1'), chrono_link(:'odd', 'd', 'a%s'), chrono_unlink(:'odd', 'd', 'a%s');
SELECT * FROM chrono_related(:'odd', 'a%s', superseded_by_column => 'heir%s');
SELECT survivor, absorbed FROM chrono_consolidate(:'odd', importance_at_column => 'wa\$1', valid_from_column => 'from%', valid_to_column => 'to$1',
    superseded_by_column => 'heir%s', pinned_column => 'pin"$1');
SELECT * FROM chrono_related(:'odd', 'a%s', superseded_by_column => 'heir%s');
SELECT chrono_unconsolidate(:'odd', ARRAY['a%s'], valid_to_column => 'to$1', superseded_by_column => 'heir%s', pinned_column => 'pin"$1');
SELECT count, mean_importance > 0.5 AS touched, centroid FROM chrono_context_summary(:'odd', 'c%', importance_at_column => 'wa\$1');

-- Names that leave no room for what comes after them
SELECT repeat('m', 59) || 'é' AS long \gset
SELECT chrono_create_memory(:'long' || number, 2) IS NOT NULL AS made FROM unnest('{"",1,12}'::text[]) number;
INSERT INTO :long (id, content, embedding) VALUES (1, '', '[1,0]'), (2, '', '[1,0]');
SELECT count(DISTINCT chronomind_internal.chrono_links(t)), count(DISTINCT chronomind_internal.chrono_merges(t)) FROM unnest('{"",1,12}'::text[]) number, to_regclass(:'long' || number) t;
SELECT chrono_link(:'long', 1, 2);
SELECT survivor, absorbed FROM chrono_consolidate(:'long');
SELECT count(*) FROM :long WHERE superseded_by = 1;

-- Identifiers of a type with a length, and one that is NULL
CREATE TABLE ulids (id char(26) UNIQUE, embedding vector(2), valid_to timestamptz, superseded_by char(26), importance float8 DEFAULT 0.5,
    importance_at timestamptz, last_accessed_at timestamptz, access_count int);
CREATE INDEX ON ulids USING chrono (embedding vector_cosine_ops);
INSERT INTO ulids (id, embedding) VALUES (repeat('A', 26), '[1,0]'), (repeat('A', 25) || 'B', '[0,1]'), (NULL, '[1,1]');
SET statement_timeout = '20s';
SELECT chrono_touch('ulids', ARRAY[repeat('A', 26)]);
SELECT chrono_create_links('ulids', 'id'), chrono_create_merges('ulids', 'id');
SELECT chrono_link('ulids', repeat('A', 26), repeat('A', 25) || 'B');
SELECT * FROM chrono_related('ulids', repeat('A', 26));
SELECT * FROM chrono_consolidate('ulids');
INSERT INTO ulids (id, embedding) VALUES (repeat('B', 26), '[1,0]');
SELECT * FROM chrono_consolidate('ulids');
SELECT source, target FROM ulids_links;
SELECT chrono_unconsolidate('ulids', ARRAY[repeat('B', 26)]);
RESET statement_timeout;

-- Columns that were added to the links, with values that nobody may give
SELECT chrono_create_memory('memories', 2);
ALTER TABLE memories_links ADD COLUMN number bigint GENERATED ALWAYS AS IDENTITY UNIQUE, ADD COLUMN weight numeric DEFAULT 1,
    ADD COLUMN half numeric GENERATED ALWAYS AS (weight / 2) STORED;
INSERT INTO memories (content, embedding) VALUES ('', '[1,0]'), ('', '[1,0]'), ('', '[0,1]');
SELECT chrono_link('memories', 1, 3), chrono_link('memories', 3, 1), chrono_link('memories', 2, 3);
UPDATE memories_links SET weight = number;
SELECT survivor, absorbed FROM chrono_consolidate('memories');
SELECT source, target, number, weight, half FROM memories_links ORDER BY number;
SELECT chrono_unconsolidate('memories', ARRAY[2]);
SELECT source, target, number, weight, half FROM memories_links ORDER BY number;

-- A column of a part's name but not of its type is told where passing it over would do harm.
CREATE DOMAIN tenant AS text;
CREATE TABLE notes (id int PRIMARY KEY, embedding vector(2), importance real, importance_at timestamptz, valid_to timestamptz, superseded_by int,
    last_accessed_at timestamptz, access_count int, context tenant, decay_rate numeric, pinned int, created_at timestamp);
CREATE INDEX ON notes USING chrono (embedding vector_cosine_ops);
SELECT chrono_create_merges('notes');
\x
SELECT call, mistake.* FROM unnest(ARRAY['chrono_touch(''notes'', ARRAY[1])', 'chrono_decay(''notes'')', 'chrono_consolidate(''notes'')']) call, mistake('SELECT ' || call);
\x
ALTER TABLE notes DROP decay_rate, DROP pinned;
SELECT state, message FROM mistake('SELECT chrono_consolidate(''notes'')');
SELECT * FROM chrono_consolidate('notes', across_contexts => true);

-- A table beside the memories whose owner could have anything done in its triggers and rules is not used.
CREATE ROLE regress_chrono_stranger;
CREATE ROLE regress_chrono_owner;
GRANT CREATE ON SCHEMA public TO regress_chrono_stranger, regress_chrono_owner;
CREATE TABLE own (id int PRIMARY KEY, embedding vector(2), valid_to timestamptz, superseded_by int);
CREATE INDEX ON own USING chrono (embedding vector_cosine_ops);
ALTER TABLE own OWNER TO regress_chrono_owner;
SET ROLE regress_chrono_stranger;
CREATE TABLE own_merges (absorbed int);
CREATE VIEW own_links AS SELECT 1 AS source, 2 AS target, set_config('trap.sprung', 'yes', false) AS relation;
GRANT ALL ON own_merges, own_links TO public;
RESET ROLE;
CREATE FUNCTION attempts() RETURNS TABLE (call text, state text, message text) LANGUAGE sql AS $$
    SELECT call, state, message FROM unnest(ARRAY['chrono_link(''own'', 1, 2)', 'chrono_unlink(''own'', 1, 2)', 'chrono_related(''own'', 1)', 'chrono_consolidate(''own'')',
        'chrono_consolidate(''own'', dry_run => true)', 'chrono_unconsolidate(''own'', ARRAY[1])']) call, mistake('SELECT ' || call)
$$;
SELECT * FROM attempts();
SET ROLE regress_chrono_owner;
SELECT * FROM attempts();
RESET ROLE;
DROP VIEW own_links;
\x
SELECT * FROM mistake('SELECT chrono_consolidate(''own'')');
\x
SELECT current_setting('trap.sprung', true) AS sprung;
-- The caller's own, or a superuser's, is.
DROP TABLE own_merges;
SELECT chrono_create_merges('own');
SELECT count(*) FROM chrono_consolidate('own');
DROP OWNED BY regress_chrono_stranger, regress_chrono_owner CASCADE;
DROP ROLE regress_chrono_stranger, regress_chrono_owner;

-- What is no table is refused; nothing is no table.
CREATE VIEW seen AS TABLE memories;
CREATE MATERIALIZED VIEW copied AS TABLE memories;
SELECT call, state, message FROM unnest(ARRAY['chrono_touch(''seen'', ARRAY[1])', 'chrono_decay(''copied'')', 'chrono_consolidate(''seen'')', 'chrono_link(''seen'', 1, 2)',
    'chrono_unlink(''seen'', 1, 2)', 'chrono_unlink(NULL, 1, 2)', 'chrono_context_summary(''seen'', ''c'')', 'chrono_consolidate(NULL)', 'chrono_unconsolidate(NULL, ARRAY[1])',
    'chrono_schedule(NULL)', 'chrono_search(NULL::seen, ''[1,0]'')', 'chrono_search(NULL::record, ''[1,0]'')', 'chrono_search(1, ''[1,0]'')',
    'chrono_search(NULL::memories, ''[1,0,0]'')', 'chrono_search(NULL::memories, ''[1,0]'', 0)', 'chrono_search(NULL::memories, ''[1,0]'', diversity => ''NaN'')'
]) call, mistake('SELECT ' || call);

-- A trigger that keeps rows as they are keeps all of a merge from being done, and from being undone.
CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RETURN NULL; END $$;
CREATE TRIGGER keep BEFORE UPDATE ON memories FOR EACH ROW WHEN (OLD.id = 2) EXECUTE FUNCTION keep();
\x
SELECT * FROM mistake('SELECT chrono_consolidate(''memories'')');
ALTER TABLE memories DISABLE TRIGGER keep;
SELECT survivor, absorbed FROM chrono_consolidate('memories');
ALTER TABLE memories ENABLE TRIGGER keep;
SELECT * FROM mistake('SELECT chrono_unconsolidate(''memories'', ARRAY[2])');
\x
SELECT count(*) FROM memories_merges;

-- What anybody may call takes no more time than what it is given.
SELECT * FROM chronomind_internal.chrono_stars(2147483647, ARRAY[2147483647], ARRAY[2]);

-- The extensions in schemas of their own, on no path; vectors of half precision
SET client_min_messages = warning;
DROP EXTENSION vector CASCADE;
RESET client_min_messages;
CREATE SCHEMA "The Extension";
CREATE SCHEMA "The Vectors";
CREATE EXTENSION vector SCHEMA "The Vectors";
CREATE EXTENSION chronomind SCHEMA "The Extension";
CREATE SCHEMA app;
SET search_path = app;
SELECT "The Extension".chrono_create_memory('full', 2);
CREATE TABLE halves (LIKE "full" INCLUDING DEFAULTS);
ALTER TABLE halves ADD PRIMARY KEY (id), ALTER embedding TYPE "The Vectors".halfvec(2);
CREATE INDEX ON halves USING chrono (embedding "The Extension".halfvec_cosine_ops, created_at, importance, decay_rate, context);
SELECT "The Extension".chrono_create_links('halves'), "The Extension".chrono_create_merges('halves');
INSERT INTO halves (id, content, context, embedding) VALUES (1, 'a', 'c', '[1,0]'), (2, 'b', 'c', '[1,0.01]'), (3, 'c', 'd', '[0,1]');
INSERT INTO "full" TABLE halves;
SELECT rel, "The Extension".chrono_touch(rel, ARRAY[1, 2]), "The Extension".chrono_link(rel, 2, 3) FROM unnest('{full,halves}'::regclass[]) rel;
SELECT forgotten FROM unnest('{full,halves}'::regclass[]) rel, "The Extension".chrono_decay(rel, forget_below => 0.01);
SELECT rel, survivor, absorbed FROM unnest('{full,halves}'::regclass[]) rel, "The Extension".chrono_consolidate(rel);
SELECT rel, id, path FROM unnest('{full,halves}'::regclass[]) rel, "The Extension".chrono_related(rel, 2);
SELECT "The Extension".chrono_unconsolidate(rel, ARRAY[2]) FROM unnest('{full,halves}'::regclass[]) rel;
SELECT rel, count, centroid FROM unnest('{full,halves}'::regclass[]) rel, "The Extension".chrono_context_summary(rel, 'c');
SELECT (memory).id FROM "The Extension".chrono_search(NULL::halves, '[0,1]', 2, diversity => 0.1);
