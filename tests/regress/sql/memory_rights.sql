-- The functions of the memory layer run with the rights of their caller, under policies as any statement,
-- and mean the same under any search_path; triggers of the table run under the caller's.
CREATE EXTENSION chronomind CASCADE;
CREATE SCHEMA app;
SELECT chrono_create_memory('app.memories', 2);
INSERT INTO app.memories (content, context, embedding, importance_at)
SELECT 'memory ' || i, 'user ' || i % 2, '[1,1]', now() - interval '1 hour' FROM generate_series(1, 10) i;

-- Without rights, with the right to read, with all but that to delete
CREATE ROLE regress_chrono_agent;
GRANT USAGE ON SCHEMA app TO regress_chrono_agent;
CREATE FUNCTION attempts() RETURNS TABLE (call text, state text, message text) LANGUAGE sql AS $$
    SELECT call, state, message FROM unnest(ARRAY[
        'chrono_touch(''app.memories'', ARRAY[1])', 'chrono_decay(''app.memories'')', 'chrono_decay(''app.memories'', forget_below => 0.001)', 'chrono_link(''app.memories'', 1, 2)',
        'chrono_unlink(''app.memories'', 1, 2)', 'chrono_related(''app.memories'', 1)', 'chrono_context_summary(''app.memories'', ''user 1'')',
        'chrono_create_links(''app.memories'')', 'chrono_create_memory(''app.more'', 2)'
    ]) WITH ORDINALITY calls (call, place), mistake('SELECT ' || call) ORDER BY place
$$;
SET ROLE regress_chrono_agent;
SELECT * FROM attempts();
RESET ROLE;
GRANT SELECT ON app.memories, app.memories_links TO regress_chrono_agent;
SET ROLE regress_chrono_agent;
SELECT * FROM attempts();
RESET ROLE;
GRANT INSERT, UPDATE ON app.memories, app.memories_links TO regress_chrono_agent;
SET ROLE regress_chrono_agent;
SELECT * FROM attempts();
RESET ROLE;
SELECT count(*) FROM app.memories_links;
DELETE FROM app.memories_links;

-- What policies hide is not there.
GRANT DELETE ON app.memories, app.memories_links TO regress_chrono_agent;
CREATE POLICY own ON app.memories TO regress_chrono_agent USING (context = 'user 1');
ALTER TABLE app.memories ENABLE ROW LEVEL SECURITY;
SELECT chrono_link('app.memories', 1, 2), chrono_link('app.memories', 1, 3);
UPDATE app.memories SET importance = 0.5, importance_at = now() - interval '1 hour', access_count = 0;
SET ROLE regress_chrono_agent;
SELECT chrono_touch('app.memories', ARRAY[1, 2, 3, 4]);
SELECT decayed FROM chrono_decay('app.memories');
SELECT state, message FROM mistake($$ SELECT chrono_link('app.memories', 3, 4) $$);
SELECT id FROM chrono_related('app.memories', 1);
SELECT u, (chrono_context_summary('app.memories', u)).count FROM unnest('{user 0,user 1}'::text[]) u;
UPDATE app.memories SET importance = 0.001;
SELECT forgotten FROM chrono_decay('app.memories', forget_below => 0.1);
RESET ROLE;
SELECT count(*), sum(access_count), min(context) FROM app.memories;
ALTER TABLE app.memories DISABLE ROW LEVEL SECURITY;

-- Operators and functions of others under the same names are not taken.
CREATE SCHEMA evil;
CREATE FUNCTION evil.trap(bigint, bigint) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.trap(bigint, integer) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.trap(float8, float8) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.trap(text, text) RETURNS boolean LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.plus(bigint, integer) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.plus(bigint, bigint) RETURNS bigint LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.now() RETURNS timestamptz LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.format(text, VARIADIC text[]) RETURNS text LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
CREATE FUNCTION evil.chrono_importance(float8, timestamptz, float8, timestamptz) RETURNS float8 LANGUAGE plpgsql AS $$ BEGIN RAISE 'trapped'; END $$;
DO $$ BEGIN
    FOR i IN 1 .. 5 LOOP
        EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.trap)', ('{=,<>,<,>,>=}'::text[])[i]);
        EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = evil.trap)', ('{=,<>,<,>,>=}'::text[])[i]);
        EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = float8, RIGHTARG = float8, FUNCTION = evil.trap)', ('{=,<>,<,>,>=}'::text[])[i]);
        EXECUTE format('CREATE OPERATOR evil.%s (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.trap)', ('{=,<>,<,>,>=}'::text[])[i]);
    END LOOP;
    CREATE OPERATOR evil.+ (LEFTARG = bigint, RIGHTARG = integer, FUNCTION = evil.plus);
    CREATE OPERATOR evil.+ (LEFTARG = bigint, RIGHTARG = bigint, FUNCTION = evil.plus);
END $$;
-- A trigger that counts on the path of whoever writes
CREATE TABLE app.log (id bigint);
CREATE FUNCTION app.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO log VALUES (NEW.id); RETURN NULL; END $$;
CREATE TRIGGER note AFTER UPDATE ON app.memories FOR EACH ROW EXECUTE FUNCTION app.note();
SET search_path = evil, app, pg_catalog;
SELECT public.chrono_touch('memories', ARRAY[2, 4]::bigint[]);
SELECT decayed FROM public.chrono_decay('memories', 2);
SELECT public.chrono_link('memories', 2, 4), public.chrono_link('memories', 4, 6);
SELECT * FROM public.chrono_related('memories', 2, 3);
SELECT public.chrono_unlink('memories', 2, 4, 'related');
SELECT count FROM public.chrono_context_summary('memories', 'user 0');
SELECT public.chrono_create_memory('more', 2);
RESET search_path;
SELECT count(*) > 4 AS logged FROM app.log;
-- A table is the one that is named, also where another of that name comes first.
SET client_min_messages = warning;
CREATE TEMP TABLE memories (id bigint PRIMARY KEY, importance float8, importance_at timestamptz, last_accessed_at timestamptz, access_count int);
INSERT INTO memories SELECT i, 0.5, now() FROM generate_series(1, 3) i;
SET search_path = app, pg_temp;
SELECT public.chrono_touch('pg_temp.memories', ARRAY[1, 2, 3]), public.chrono_touch('app.memories', ARRAY[2]);
SELECT public.chrono_create_links('pg_temp.memories') IS NOT NULL AS made, public.chrono_link('pg_temp.memories', 1, 3);
RESET search_path;
SELECT chrono_touch('memories', ARRAY[1]);
SELECT array_agg(access_count ORDER BY id) FROM pg_temp.memories;
DROP TABLE pg_temp.memories CASCADE;
DROP SCHEMA evil CASCADE;
DROP OWNED BY regress_chrono_agent;
DROP ROLE regress_chrono_agent;
