-- chrono_search where policies decide which rows the caller sees: one statement, planned with the policies in it.
CREATE EXTENSION chronomind CASCADE;
CREATE ROLE search_ann;
CREATE TABLE notes (id int, owner text, context text, chat uuid, e vector(384), created_at timestamptz, importance float8, "Rate" real, importance_at timestamptz,
    valid_from timestamptz, valid_to timestamptz, m int, dropped int);
INSERT INTO notes SELECT i, CASE WHEN i % 10 = 3 THEN 'search_ann' ELSE 'search_bob' END, 'c' || i / 10 % 3, md5((i % 2)::text)::uuid,
    CASE WHEN i <> 53 THEN (SELECT array_agg(sin(i * 7.3 * j) + cos(i / 20) ORDER BY j)::vector FROM generate_series(1, 384) j) END,
    '2026-01-01 00:00+00'::timestamptz - i * interval '7 hours', CASE WHEN i % 7 <> 0 THEN i * 7 % 100 / 100.0 END, nullif(i % 5, 0) * 0.001 - 0.001, '2026-01-01 00:00+00'::timestamptz - i * interval '3 hours',
    CASE WHEN i % 4 = 0 THEN '2026-01-03 00:00+00'::timestamptz END, CASE WHEN i % 3 = 0 THEN '2026-01-05 00:00+00'::timestamptz END, i
FROM generate_series(1, 200) i;
ALTER TABLE notes DROP COLUMN dropped;
CREATE TABLE mine AS SELECT * FROM notes WHERE owner = 'search_ann';
GRANT SELECT ON notes, mine TO search_ann;
ALTER TABLE notes ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON notes USING (owner = current_user);

-- What the policed table gives is what one gives that has the visible rows alone, by the direct way.
CREATE FUNCTION differ(arguments text) RETURNS TABLE (rows bigint, differ bigint) LANGUAGE plpgsql AS $$
BEGIN
    RETURN QUERY EXECUTE format('SELECT count(*), count(*) FILTER (WHERE (p.memory).id IS DISTINCT FROM (d.memory).id OR to_jsonb(p.memory) IS DISTINCT FROM to_jsonb(d.memory)
            OR NOT same_distance(p.score, d.score) OR NOT same_distance(p.distance, d.distance) OR p.recency IS DISTINCT FROM d.recency OR p.importance IS DISTINCT FROM d.importance)
        FROM (SELECT row_number() OVER () AS place, * FROM chrono_search(NULL::notes, %1$s)) p
            FULL JOIN (SELECT row_number() OVER () AS place, * FROM chrono_search(NULL::mine, %1$s)) d USING (place)', arguments);
END $$;
SELECT e::text AS q FROM notes WHERE id = 77 \gset
\set searches '$$%1$L$$, $$%1$L, 5$$, $$%1$L, 40$$, $$%1$L, context => \'c1\'$$, $$%1$L, context => \'\'$$, $$%1$L, since => \'2025-12-10\', until => \'2025-12-20\'$$, $$%1$L, as_of => \'2025-12-01\'$$, $$%1$L, as_of => \'2026-01-04\'$$, $$%1$L, recency_weight => 0, importance_weight => 0$$, $$%1$L, recency_weight => 0.6, importance_weight => 0.4$$, $$%1$L, importance_at_column => \'importance_at\', decay_rate_column => \'Rate\', as_of => \'2026-01-06\'$$, $$%1$L, 7, diversity => 0.5$$, $$%1$L, 20, diversity => 1$$, $$%1$L, 3, diversity => 0, context => \'c2\'$$'
CREATE VIEW searches AS SELECT format(search, :'q') AS search, row_number() OVER () AS n FROM unnest(ARRAY[:searches]) AS search;
GRANT SELECT ON searches TO search_ann;
CREATE PROCEDURE index_both(class text, element text DEFAULT 'e') LANGUAGE plpgsql AS $$
BEGIN
    DROP INDEX IF EXISTS notes_idx, mine_idx;
    EXECUTE format('CREATE INDEX notes_idx ON notes USING chrono (%s %s, created_at, importance, "Rate", importance_at, valid_from, context, chat, owner)', element, class);
    EXECUTE format('CREATE INDEX mine_idx ON mine USING chrono (%s %s, created_at, importance, "Rate", importance_at, valid_from, context, chat, owner)', element, class);
    ANALYZE notes, mine;
END $$;
CALL index_both('vector_cosine_ops');
SET ROLE search_ann;
SELECT count(*) FROM notes;
SELECT n, d.* FROM searches, differ(search) d ORDER BY n;
SET enable_seqscan = off;
SELECT n, d.* FROM searches, differ(search) d ORDER BY n;
-- By the index: one scan, whatever is asked for. What it counts is not the caller's business.
SELECT n, c.* FROM searches, chrono_explain(format('SELECT FROM chrono_search(NULL::notes, %s)', search)) c ORDER BY n;
SELECT d.* FROM differ(format('%L, context_column => ''chat'', context => %L', (SELECT e FROM notes WHERE id = 13), md5('1')::uuid)) d;
SELECT * FROM mistake($$SELECT chrono_search(NULL::notes, '[1,2,3]')$$);
SELECT count(*), count(score) FROM chrono_search(NULL::notes, NULL, 100);
SELECT n.count, n.centroid = m.centroid AS centroid, n = m AS same FROM chrono_context_summary('notes', 'c1') n, chrono_context_summary('mine', 'c1') m;
RESET ROLE;
CALL index_both('vector_l2_ops');
SET ROLE search_ann;
SELECT n, d.* FROM searches, differ(search) d WHERE n IN (1, 3, 12) ORDER BY n;
RESET ROLE;
CALL index_both('vector_ip_ops');
SET ROLE search_ann;
SELECT n, d.* FROM searches, differ(search) d WHERE n IN (1, 3, 12) ORDER BY n;
RESET ROLE;
CALL index_both('halfvec_cosine_ops', '(e::halfvec(384))');
SET ROLE search_ann;
SELECT n, d.* FROM searches, differ(search) d WHERE n IN (1, 3, 4) ORDER BY n;
SELECT count(*) FROM chrono_explain(format('SELECT FROM chrono_search(NULL::notes, %s)', (SELECT search FROM searches WHERE n = 1)));
RESET ROLE;
CALL index_both('vector_cosine_ops');

-- A search path of the caller's own changes nothing: no operator, function or type is looked up by it.
CREATE SCHEMA evil AUTHORIZATION search_ann;
GRANT USAGE ON SCHEMA public TO search_ann;
SET ROLE search_ann;
SET search_path = evil, public;
CREATE FUNCTION evil.yes(tid, tid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = tid, RIGHTARG = tid, FUNCTION = evil.yes);
CREATE FUNCTION evil.yes(text, text) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = text, RIGHTARG = text, FUNCTION = evil.yes);
CREATE FUNCTION evil.yes(uuid, uuid) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.= (LEFTARG = uuid, RIGHTARG = uuid, FUNCTION = evil.yes);
CREATE FUNCTION evil.yes(timestamptz, timestamptz) RETURNS boolean LANGUAGE sql IMMUTABLE AS 'SELECT true';
CREATE OPERATOR evil.<= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.yes);
CREATE OPERATOR evil.>= (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.yes);
CREATE OPERATOR evil.< (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.yes);
CREATE OPERATOR evil.> (LEFTARG = timestamptz, RIGHTARG = timestamptz, FUNCTION = evil.yes);
CREATE FUNCTION evil.far(vector, vector) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE ''the distance is mine''; END';
CREATE OPERATOR evil.<=> (LEFTARG = vector, RIGHTARG = vector, FUNCTION = evil.far);
CREATE FUNCTION evil.chrono_score(float8, timestamptz, float8, float8, float8, float8, timestamptz) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE ''the score is mine''; END';
CREATE FUNCTION evil.chrono_importance(float8, timestamptz, float8, timestamptz) RETURNS float8 LANGUAGE plpgsql IMMUTABLE AS 'BEGIN RAISE ''the importance is mine''; END';
CREATE FUNCTION evil.chrono_query(text, vector, float8[]) RETURNS int LANGUAGE plpgsql AS 'BEGIN RAISE ''the query is mine''; END';
CREATE FUNCTION evil.chrono_key(anyelement) RETURNS float8 LANGUAGE plpgsql AS 'BEGIN RAISE ''the key is mine''; END';
CREATE DOMAIN evil.vector AS text CHECK (false);
CREATE DOMAIN evil.float8 AS text CHECK (false);
CREATE DOMAIN evil.timestamptz AS text CHECK (false);
CREATE DOMAIN evil.notes AS text CHECK (false);
SET search_path = evil, public, pg_catalog;
SELECT count(*), count(*) FILTER (WHERE (memory).owner OPERATOR(pg_catalog.=) 'search_bob') AS of_bob
FROM public.chrono_search(NULL::public.notes, (SELECT e FROM public.notes WHERE id = 3), 200);
SELECT count FROM public.chrono_context_summary('public.notes', 'c1');
SET search_path = public;
SELECT count(*) FROM notes WHERE context = 'c1';
RESET ROLE;
DROP OWNED BY search_ann;
DROP TABLE notes, mine CASCADE;

-- The column of a policy is in the index, and so the index leaves out what the policy hides.
CREATE TABLE many (id int, tenant int, e vector(32), created_at timestamptz);
INSERT INTO many SELECT i, i % 100, (SELECT array_agg(sin(i * 7.3 * j) ORDER BY j)::vector FROM generate_series(1, 32) j), '2026-01-01 00:00+00'::timestamptz - i * interval '1 hour' FROM generate_series(1, 5000) i;
CREATE INDEX many_idx ON many USING chrono (e vector_cosine_ops, created_at, tenant);
ANALYZE many;
ALTER TABLE many ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON many USING (tenant = current_setting('test.tenant')::int);
GRANT SELECT ON many TO search_ann;
SET ROLE search_ann;
SET test.tenant = 7;
RESET enable_seqscan;
BEGIN;
SELECT count(*), count(*) FILTER (WHERE (memory).tenant = 7) AS own FROM chrono_search(NULL::many, (SELECT e FROM many LIMIT 1), 20);
SELECT pg_stat_get_xact_tuples_returned('many_idx'::regclass) AS from_index;
COMMIT;
SELECT index FROM chrono_explain('SELECT FROM chrono_search(NULL::many, (SELECT e FROM many LIMIT 1), 20)');
RESET ROLE;
DROP TABLE many;

-- An expression of the index may name the table by its name.
CREATE TABLE "whole Row" (id int, doc text, at timestamptz DEFAULT now());
INSERT INTO "whole Row" SELECT i, i::text FROM generate_series(1, 20) i;
CREATE FUNCTION of_row("whole Row") RETURNS vector IMMUTABLE LANGUAGE sql AS $$ SELECT ARRAY[sin($1.id), cos($1.id), 1]::public.vector $$;
CREATE INDEX whole_idx ON "whole Row" USING chrono ((of_row("whole Row".*)::vector(3)) vector_cosine_ops, at);
ALTER TABLE "whole Row" ENABLE ROW LEVEL SECURITY;
CREATE POLICY own ON "whole Row" USING (id > 10);
GRANT SELECT ON "whole Row" TO search_ann;
SET ROLE search_ann;
SELECT count(*), min((memory).id) FROM chrono_search(NULL::"whole Row", '[1,0,0]', 20, recency_weight => 0);
RESET ROLE;
DROP TABLE "whole Row" CASCADE;

-- A validity column that was renamed is still the index's, and two that changed names are not mixed up.
SELECT chrono_create_memory('m', 3);
INSERT INTO m (content, embedding, valid_from, valid_to) VALUES ('a', '[1,0,0]', now() - interval '1 day', now() + interval '1 day'), ('over', '[1,0,0]', NULL, now() - interval '1 day');
SELECT (memory).content FROM chrono_search(NULL::m, '[1,0,0]');
ALTER TABLE m RENAME COLUMN valid_to TO expires_at;
SELECT (memory).content FROM chrono_search(NULL::m, '[1,0,0]', valid_to_column => 'expires_at');
SELECT (memory).content FROM chrono_search(NULL::m, '[1,0,0]') ORDER BY 1;
ALTER TABLE m RENAME COLUMN expires_at TO valid_to;
ALTER TABLE m DROP CONSTRAINT m_check;
ALTER TABLE m RENAME COLUMN valid_from TO x;
ALTER TABLE m RENAME COLUMN valid_to TO valid_from;
ALTER TABLE m RENAME COLUMN x TO valid_to;
UPDATE m SET valid_from = now() - interval '1 day', valid_to = now() + interval '1 day' WHERE content = 'a';
SELECT (memory).content FROM chrono_search(NULL::m, '[1,0,0]') ORDER BY 1;
DROP ROLE search_ann;
