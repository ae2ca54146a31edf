-- Whatever a function is given, it is no internal error (XX000).
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 2);
INSERT INTO memories (content, context, embedding) VALUES ('a', 'c', '[1,0]'), ('b', 'c', '[0,1]');
-- Each function of the extension with a value for each of its arguments, and what became of it.
CREATE FUNCTION call_all(kind text) RETURNS TABLE (called regprocedure, state text, message text) LANGUAGE plpgsql AS $$
DECLARE
    arguments text;
BEGIN
    FOR called, arguments IN
        SELECT p.oid, string_agg(CASE
                -- Only the row type tells the table.
                WHEN p.proname = 'chrono_search' AND place = 1 THEN 'NULL::memories'
                WHEN p.proname = 'chrono_check' OR p.proname = 'chrono_stats' THEN 'NULL::regclass'
                WHEN kind = 'null' THEN format('NULL::%s', CASE WHEN t.typname = 'anyarray' THEN 'int[]' WHEN t.typtype = 'p' AND t.typname NOT IN ('record', 'cstring') THEN 'int' ELSE t.oid::regtype::text END)
                WHEN t.typname = 'regclass' THEN '''memories''::regclass'
                WHEN t.typname IN ('int4', 'int8', 'anycompatible', 'anyelement') THEN '-1'
                WHEN t.typname = 'float8' THEN '''NaN''::float8'
                WHEN t.typname = 'bool' THEN 'true'
                WHEN t.typname = 'timestamptz' THEN '''-infinity''::timestamptz'
                WHEN t.typname IN ('text', 'name', 'cstring') THEN format('''''::%s', t.typname)
                WHEN t.typname = 'jsonb' THEN '''[]''::jsonb'
                WHEN t.typname = 'uuid' THEN '''00000000-0000-0000-0000-000000000000''::uuid'
                WHEN t.typname = 'record' THEN 'ROW(1, NULL)'
                WHEN t.typname IN ('vector', 'halfvec') THEN format('''[0,0]''::%s', t.typname)
                WHEN t.typname = 'anyarray' OR t.typname = '_int4' THEN CASE kind WHEN 'empty' THEN '''{}''::int[]' ELSE '''{NULL}''::int[]' END
                WHEN t.typname = '_text' THEN CASE kind WHEN 'empty' THEN '''{}''::text[]' ELSE '''{NULL}''::text[]' END
                WHEN t.typname = '_float8' THEN CASE kind WHEN 'empty' THEN '''{}''::float8[]' ELSE '''{NULL,NaN}''::float8[]' END
                ELSE format('NULL::%s', t.oid::regtype) END, ', ' ORDER BY place)
        FROM pg_depend d JOIN pg_extension e ON e.oid = d.refobjid AND e.extname = 'chronomind'
            JOIN pg_proc p ON p.oid = d.objid CROSS JOIN LATERAL unnest(p.proargtypes::oid[]) WITH ORDINALITY a (type, place) JOIN pg_type t ON t.oid = a.type
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND p.prokind = 'f'
        GROUP BY p.oid ORDER BY p.proname, p.oid
    LOOP
        BEGIN
            EXECUTE format('SELECT count(*) FROM (SELECT * FROM %s(%s)) called', called::regproc, arguments);
            state := '00000';
            message := '';
            RAISE EXCEPTION USING ERRCODE = 'ZZZZZ';
        EXCEPTION WHEN SQLSTATE 'ZZZZZ' THEN
            NULL;
        WHEN OTHERS THEN
            state := SQLSTATE;
            message := SQLERRM;
        END;
        RETURN NEXT;
    END LOOP;
END $$;
SELECT kind, count(*) > 50 AS all_called, count(*) FILTER (WHERE state = '00000') > 10 AS some_answer, count(*) FILTER (WHERE state LIKE 'XX%') AS internal_errors
FROM unnest(ARRAY['null', 'empty', 'odd']) kind, call_all(kind) GROUP BY kind ORDER BY kind;
SELECT DISTINCT called::regproc, state, message FROM unnest(ARRAY['null', 'empty', 'odd']) kind, call_all(kind) WHERE state LIKE 'XX%';
-- What was one
SELECT call, state, message, hint FROM unnest(ARRAY[
    'chronomind_internal.chrono_blend(NULL, 0.1, 0.1)', 'chronomind_internal.chrono_blend('''', 0.1, 0.1)',
    'chronomind_internal.chrono_stars(3, ARRAY[1,NULL], ARRAY[2,3])', 'chronomind_internal.chrono_stars(3, ARRAY[1,2], ARRAY[3])',
    'chronomind_internal.chrono_stars(-1, ''{}'', ''{}'')', 'chronomind_internal.chrono_stars(0, ARRAY[1], ARRAY[1])',
    'chronomind_internal.chrono_create_table(ARRAY[''''], ''public'', 3)', 'chronomind_internal.chrono_create_table(''{}'', ''public'', 3)',
    'chronomind_internal.chrono_create_table(ARRAY[NULL, ''a''], ''public'', 3)', 'chrono_create_memory('''', 3)', 'chrono_create_memory(NULL, 3)',
    'chrono_touch(''memories'', ARRAY[1], last_accessed_at_column => ''importance_at'')',
    'chrono_touch(''memories'', ARRAY[1], id_column => ''access_count'')',
    'chrono_consolidate(''memories'', superseded_by_column => ''valid_to'')',
    'chrono_unconsolidate(''memories'', ARRAY[1], superseded_by_column => ''valid_to'')'
]) call, mistake('SELECT ' || call);
-- Nothing is touched, and nobody complains.
SELECT chrono_touch('memories', NULL::bigint[]), chrono_touch('memories', '{}'::bigint[]), chrono_unconsolidate('memories', '{}'::bigint[]);
