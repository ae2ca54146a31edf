\echo Use "ALTER EXTENSION chronomind UPDATE" to load this file. \quit

-- A name without a schema means the server's own, whatever there is in the extension's schema.
SET LOCAL search_path = pg_catalog, pg_temp;

-- A schema for what users do not call ---------------------------------------------------------------

CREATE SCHEMA chronomind_internal;
-- The functions that users call run with the rights of their callers, and call those in here.
GRANT USAGE ON SCHEMA chronomind_internal TO PUBLIC;
COMMENT ON SCHEMA chronomind_internal IS
    'what chronomind calls itself: not to be called by others, and changed by any new version';

-- All that is not named here moves. Operator classes and the like know functions by their identifiers. The
-- operators <~> and <~~> stay, so that plans with them can be read.
DO $$
DECLARE
    moved regprocedure;
BEGIN
    FOR moved IN SELECT p.oid FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'chronomind'
            AND p.proname <> ALL ('{chrono_score,chrono_importance,chrono_search,chrono_explain,chrono_check,chrono_stats,
                chrono_create_memory,chrono_create_links,chrono_create_merges,chrono_touch,chrono_decay,chrono_link,chrono_unlink,
                chrono_related,chrono_context_summary,chrono_consolidate,chrono_unconsolidate,chrono_schedule,chrono_unschedule}')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET SCHEMA chronomind_internal', moved);
    END LOOP;
END $$;
ALTER TYPE @extschema@.chrono_query SET SCHEMA chronomind_internal;

-- The bodies name what they call with its schema: of that, what has moved. A schema that was renamed since has
-- another name in them than it has now, so that any will do. And they cast to text: to that of pg_catalog, whatever
-- the caller's search path has before it.
DO $$
DECLARE
    moved text := (SELECT string_agg(DISTINCT proname, '|') FROM pg_proc WHERE pronamespace = 'chronomind_internal'::regnamespace);
    definition text;
BEGIN
    FOR definition IN SELECT pg_get_functiondef(p.oid) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
            JOIN pg_language l ON l.oid = p.prolang
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'chronomind' AND l.lanname = 'plpgsql'
    LOOP
        definition := regexp_replace(definition, '("([^"]|"")+"|[a-z_][a-z_0-9]*)\.(' || moved || ')\(', 'chronomind_internal.\3(', 'g');
        EXECUTE regexp_replace(definition, '::text\M', '::pg_catalog.text', 'g');
    END LOOP;
END $$;

-- A schema that may be renamed ------------------------------------------------------------------------

-- Of what users call, the schema is looked up when it is called by its name: ALTER SCHEMA may rename it.
CREATE FUNCTION chronomind_internal.chrono_schema(extension name DEFAULT 'chronomind') RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (SELECT quote_ident(n.nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE e.extname = extension);

COMMENT ON FUNCTION chronomind_internal.chrono_schema IS 'internal: the schema that an extension is in, quoted';

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_effective_sql(rel regclass, columns jsonb, moment text DEFAULT '$1') RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN format('%s.chrono_importance(m.%I, m.%I, %s, %s)::%s', chronomind_internal.chrono_schema(), columns ->> 'importance',
        columns ->> 'importance_at', coalesce('m.' || quote_ident(columns ->> 'decay_rate'), 'NULL'), moment,
        chronomind_internal.chrono_type(rel, columns ->> 'importance'));

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_create_table(name text[], schema text, dimensions integer) RETURNS regclass
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    own text := chronomind_internal.chrono_schema();
    qualified text;
BEGIN
    IF name IS NULL OR cardinality(name) NOT BETWEEN 1 AND 2 OR array_position(name, NULL) IS NOT NULL OR '' = ANY (name) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_name', MESSAGE = format('%s is not the name of a table', coalesce((SELECT string_agg(coalesce(quote_ident(n), 'NULL'), '.') FROM unnest(name) n), 'NULL')),
            HINT = 'Write it as in SQL: memories, or schema.memories.';
    ELSIF dimensions IS NULL OR dimensions NOT BETWEEN 1 AND 16000 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'dimensions must be between 1 and 16000',
            DETAIL = format('They are %s.', coalesce(dimensions::text, 'NULL')),
            HINT = 'They are those of the vectors that your model makes.';
    ELSIF cardinality(name) = 1 AND schema IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_schema_name', MESSAGE = 'no schema has been selected to create in',
            HINT = 'Name the schema, as in schema.memories, or set search_path.';
    END IF;
    IF cardinality(name) = 2 THEN
        schema := name[1];
    END IF;
    qualified := format('%I.%I', schema, name[cardinality(name)]);
    EXECUTE format('CREATE TABLE %1$s (
            id bigint GENERATED BY DEFAULT AS IDENTITY PRIMARY KEY,
            content text NOT NULL,
            context text,
            embedding %2$s.vector(%3$s),
            metadata jsonb NOT NULL DEFAULT ''{}'',
            created_at timestamptz NOT NULL DEFAULT now(),
            importance double precision NOT NULL DEFAULT 0.5 CHECK (importance BETWEEN 0 AND 1),
            importance_at timestamptz NOT NULL DEFAULT now(),
            last_accessed_at timestamptz,
            access_count bigint NOT NULL DEFAULT 0 CHECK (access_count >= 0),
            decay_rate double precision CHECK (decay_rate >= 0 AND decay_rate < ''infinity''),
            valid_from timestamptz,
            valid_to timestamptz,
            superseded_by bigint REFERENCES %1$s ON DELETE SET NULL,
            pinned boolean NOT NULL DEFAULT false,
            CHECK (valid_from <= valid_to),
            CHECK (superseded_by <> id)
        )', qualified, chronomind_internal.chrono_schema('vector'), dimensions);
    EXECUTE format('CREATE INDEX ON %s USING chrono (embedding %s.vector_cosine_ops, created_at, importance, decay_rate,
        context, importance_at, valid_from, valid_to)', qualified, own);
    -- For the memories that were merged into one that is deleted.
    EXECUTE format('CREATE INDEX ON %s (superseded_by) WHERE superseded_by IS NOT NULL', qualified);
    EXECUTE format('SELECT %1$s.chrono_create_links($1), %1$s.chrono_create_merges($1)', own) USING qualified::regclass;
    RETURN qualified::regclass;
END $$;

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_links(rel regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    links regclass := chronomind_internal.chrono_beside(rel, chronomind_internal.chrono_links_name(rel));
BEGIN
    IF links IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('table %s has no table of links', rel),
            HINT = format('SELECT %s.chrono_create_links(%L) makes it.', chronomind_internal.chrono_schema(), chronomind_internal.chrono_name(rel));
    END IF;
    RETURN links;
END $$;

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_merges(rel regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    merges regclass := chronomind_internal.chrono_beside(rel, chronomind_internal.chrono_merges_name(rel));
BEGIN
    IF merges IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('table %s has no log of merges', rel),
            DETAIL = 'Merges are logged, so that they can be undone.',
            HINT = format('SELECT %s.chrono_create_merges(%L) makes it.', chronomind_internal.chrono_schema(), chronomind_internal.chrono_name(rel));
    END IF;
    RETURN merges;
END $$;

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_context_summary_sql(rel regclass, context text, named jsonb) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := chronomind_internal.chrono_columns(rel, '{embedding,context,created_at,importance}', named => named);
BEGIN
    IF context IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'context must not be NULL',
            HINT = 'Name the context to summarise.';
    END IF;
    -- A search for nothing in particular: all that the context holds, by the index.
    RETURN format('SELECT pg_catalog.count(*), pg_catalog.avg(s.importance), %1$s.avg((s.memory).%3$I::%1$s.vector),
            pg_catalog.max((s.memory).%4$I), pg_catalog.min((s.memory).%4$I)
        FROM %10$s.chrono_search(NULL::%2$s, NULL, 2147483647, context => $1, recency_weight => 0, importance_weight => 0,
            created_at_column => %5$L, importance_column => %6$L, context_column => %7$L, decay_rate_column => %8$L, importance_at_column => %9$L) AS s',
        chronomind_internal.chrono_schema('vector'), chronomind_internal.chrono_name(rel), columns ->> 'embedding', columns ->> 'created_at',
        columns ->> 'created_at', columns ->> 'importance', columns ->> 'context', named ->> 'decay_rate', named ->> 'importance_at',
        chronomind_internal.chrono_schema());
END $$;

CREATE OR REPLACE FUNCTION chronomind_internal.chrono_jobs(rel regclass, decay text, consolidate text, forget_below double precision, similarity_threshold double precision)
RETURNS TABLE (job text, schedule text, command text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 2
BEGIN ATOMIC
    -- The name of a job has 63 bytes.
    WITH named AS (
        SELECT name, CASE WHEN octet_length(name) <= 44 THEN name ELSE md5(name) END AS short, chronomind_internal.chrono_schema() AS own
        FROM chronomind_internal.chrono_name($1) AS name
    )
    SELECT 'chrono_decay ' || short, $2, format('SELECT * FROM %s.chrono_decay(%L%s)', own, name, ', forget_below => ' || $4)
    FROM named
    UNION ALL
    SELECT 'chrono_consolidate ' || short, $3,
        format('SELECT pg_catalog.count(*) FROM %s.chrono_consolidate(%L, similarity_threshold => %s)', own, name, $5)
    FROM named;
END;

-- What is made anew -----------------------------------------------------------------------------------

-- A view, or another function, may be made of what has to go; then it stays, and the update does not happen.
DO $$
DECLARE
    others text;
BEGIN
    DROP VIEW @extschema@.chrono_indexes;
    DROP FUNCTION @extschema@.chrono_search;
    DROP FUNCTION @extschema@.chrono_stats;
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS others = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = 'other objects use what version 0.3.0 of chronomind makes anew',
        DETAIL = others, HINT = 'Drop them, update, and make them again: chrono_indexes is a function now, as in SELECT * FROM chrono_indexes().';
END $$;

CREATE FUNCTION @extschema@.chrono_stats(index regclass)
RETURNS TABLE (
    state text,
    rows bigint,
    dead_rows bigint,
    vectors bigint,
    free_vectors bigint,
    layers integer,
    memory_bytes bigint,
    disk_bytes bigint,
    scans bigint,
    planner_asks boolean
)
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'chrono_stats_wrapper';

COMMENT ON FUNCTION @extschema@.chrono_stats IS
    'whether an index is loaded, does not fit, is loading, not loaded, not built or in shards; what it holds in memory; its bytes in memory and on disk; how often it was scanned; false in planner_asks once this session has noticed that another library keeps the planner from asking for orders by a score';

-- Tools that compare a database with their own idea of it take views for the user's.
CREATE FUNCTION @extschema@.chrono_indexes()
RETURNS TABLE (
    index regclass,
    indexed_table regclass,
    is_valid boolean,
    state text,
    rows bigint,
    dead_rows bigint,
    vectors bigint,
    free_vectors bigint,
    layers integer,
    memory_bytes bigint,
    disk_bytes bigint,
    scans bigint,
    planner_asks boolean
)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT i.indexrelid, i.indrelid, i.indisvalid, s.*
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam CROSS JOIN LATERAL @extschema@.chrono_stats(i.indexrelid) s
    -- Of a partitioned index there are only the parts; pages of temporary ones are their sessions' own.
    WHERE m.amname = 'chrono' AND c.relkind = 'i' AND NOT pg_is_other_temp_schema(c.relnamespace);
END;

COMMENT ON FUNCTION @extschema@.chrono_indexes IS 'every chrono index of this database, with its chrono_stats';

-- The same with the similarity: a score is lower for what is better, against most habits.
SELECT set_config('search_path', 'pg_catalog, ' || chronomind_internal.chrono_schema('vector') || ', pg_temp', true);
CREATE FUNCTION @extschema@.chrono_search(
    relation anyelement,
    query vector,
    k integer DEFAULT 10,
    context text DEFAULT NULL,
    since timestamptz DEFAULT NULL,
    until timestamptz DEFAULT NULL,
    as_of timestamptz DEFAULT NULL,
    recency_weight double precision DEFAULT NULL,
    importance_weight double precision DEFAULT NULL,
    index regclass DEFAULT NULL,
    created_at_column text DEFAULT NULL,
    importance_column text DEFAULT NULL,
    decay_rate_column text DEFAULT NULL,
    context_column text DEFAULT NULL,
    importance_at_column text DEFAULT NULL,
    valid_from_column text DEFAULT NULL,
    valid_to_column text DEFAULT NULL,
    diversity double precision DEFAULT NULL
) RETURNS TABLE (
    memory anyelement,
    score double precision,
    distance double precision,
    recency double precision,
    importance double precision,
    similarity double precision
)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'chrono_search_wrapper';
SET LOCAL search_path = pg_catalog, pg_temp;

COMMENT ON FUNCTION @extschema@.chrono_search IS
    'the k rows of a table with the best chrono_score, best first, with every term of it. score: lower is better. similarity: higher is better; by the index''s metric the cosine of the angle to the query (1 - distance), the inner product (-distance), or 1 / (1 + distance) for L2 and L1';
COMMENT ON FUNCTION @extschema@.chrono_score IS
    'blend of distance, age and importance, to order by: lower is better, so ORDER BY without DESC. Weights and base rate default to the settings chronomind.recency_weight, importance_weight and base_decay_rate';

-- An engine that distributes a table leaves an empty one where it was.
CREATE FUNCTION chronomind_internal.chrono_has_shards(rel regclass) RETURNS boolean
    LANGUAGE c STABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_has_shards_wrapper';

COMMENT ON FUNCTION chronomind_internal.chrono_has_shards IS 'internal: whether the rows of a table are in shards of another engine';

-- Which columns play which parts: no column plays two that are written.
CREATE OR REPLACE FUNCTION chronomind_internal.chrono_columns(
    rel regclass,
    required text[],
    optional text[] DEFAULT '{}',
    named jsonb DEFAULT '{}'
) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- What statements write to: each of them to a column of its own.
    written CONSTANT text[] := '{id,importance,importance_at,last_accessed_at,access_count,valid_to,superseded_by,pinned}';
    kind "char" := (SELECT relkind FROM pg_class WHERE oid = rel);
    columns jsonb := '{}';
    wanted record;
    found record;
BEGIN
    IF rel IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = CASE WHEN rel IS NULL THEN 'the table must not be NULL' ELSE format('there is no relation %s', rel::oid) END,
            HINT = 'Name the table of the memories.';
    ELSIF kind = 'p' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('table %s is partitioned', rel),
            DETAIL = 'Each partition has an index of its own.', HINT = 'Call the function for each partition.';
    ELSIF kind = 'f' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('%s is a foreign table', rel),
            DETAIL = 'Its rows are on another server, and so are their indexes.', HINT = 'Call the function on that server.';
    ELSIF chronomind_internal.chrono_has_shards(rel) THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('table %s is distributed', rel),
            DETAIL = 'Its rows are in shards, each with an index of its own.',
            HINT = 'Call the function for each shard, on the server that has it, or write the statement out.';
    ELSIF kind <> 'r' THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('%s is not a table', rel),
            HINT = 'Name the table of the memories.';
    END IF;
    FOR wanted IN
        WITH part (name, types) AS (VALUES
            ('id', NULL::text[]), ('superseded_by', NULL),
            ('content', '{text,varchar}'), ('context', '{text,varchar,uuid}'), ('embedding', '{vector,halfvec}'),
            ('created_at', '{timestamptz}'), ('importance', '{float8,float4}'), ('importance_at', '{timestamptz}'),
            ('last_accessed_at', '{timestamptz}'), ('access_count', '{int8,int4}'), ('decay_rate', '{float8,float4}'),
            ('valid_from', '{timestamptz}'), ('valid_to', '{timestamptz}'), ('pinned', '{bool}')
        ), indexed AS (
            SELECT t.typname, a.attname, k.ordinal, row_number() OVER (PARTITION BY t.typname IN ('float8', 'float4'),
                t.typname IN ('text', 'varchar', 'uuid'), t.typname = 'timestamptz', k.ordinal = 1 ORDER BY k.ordinal) AS nth
            FROM (SELECT i.indkey FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam
                    WHERE i.indrelid = rel AND m.amname = 'chrono' AND i.indisvalid AND i.indpred IS NULL
                    ORDER BY i.indexrelid LIMIT 1) oldest,
                unnest(oldest.indkey::int2[]) WITH ORDINALITY k (attnum, ordinal),
                pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = rel AND a.attnum = k.attnum AND k.attnum > 0
        )
        SELECT p.name, p.types, p.name = ANY (required) AS is_required,
            (SELECT string_agg(coalesce(to_regtype(t)::text, t), ' or ') FROM unnest(p.types) t) AS type_names, named ->> p.name AS given,
            coalesce(named ->> p.name,
                CASE WHEN p.name = 'embedding' THEN (SELECT attname FROM indexed WHERE ordinal = 1)
                    WHEN p.name IN ('created_at', 'importance', 'context') THEN
                        (SELECT attname FROM indexed WHERE typname = ANY (p.types) AND nth = 1)
                    WHEN p.name = 'decay_rate' THEN (SELECT attname FROM indexed WHERE typname = ANY (p.types) AND nth = 2
                        AND attname IS DISTINCT FROM named ->> 'importance')
                    WHEN p.name = 'id' THEN (SELECT a.attname FROM pg_index i JOIN pg_attribute a
                        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = rel AND i.indisprimary AND i.indnkeyatts = 1) END,
                p.name) AS column_name
        FROM part p WHERE p.name = ANY (required || optional)
    LOOP
        SELECT t.typname, format_type(a.atttypid, a.atttypmod) AS type, wanted.types IS NULL OR t.typname = ANY (wanted.types) AS fits
        INTO found
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = rel AND a.attname = wanted.column_name AND a.attnum > 0 AND NOT a.attisdropped;
        IF found.fits THEN
            columns := columns || jsonb_build_object(wanted.name, wanted.column_name);
        ELSIF wanted.given IS NOT NULL AND found.fits IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('column "%s" of table %s does not exist', wanted.given, rel),
                HINT = format('%s_column names the column that holds it.', wanted.name);
        ELSIF wanted.given IS NOT NULL OR found.fits IS NOT NULL
                AND (wanted.is_required OR wanted.name IN ('context', 'decay_rate', 'pinned')) THEN
            RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
                MESSAGE = format('column "%s" of table %s cannot be the %s', wanted.column_name, rel, wanted.name),
                DETAIL = format('It is of type %s, and %s is of type %s.', found.type, wanted.name, wanted.type_names),
                HINT = format('Name another column with %s_column.', wanted.name);
        ELSIF wanted.is_required THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('table %s has no column for %s', rel, wanted.name),
                HINT = format('Name it with %s_column, or add a column %s%s.', wanted.name, wanted.name,
                    coalesce(' of type ' || wanted.type_names, ''));
        END IF;
    END LOOP;
    SELECT c.value AS name, array_agg(c.key ORDER BY c.key) AS parts INTO found
    FROM jsonb_each_text(columns) c WHERE c.key = ANY (written) GROUP BY c.value HAVING count(*) > 1 LIMIT 1;
    IF found.name IS NOT NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value',
            MESSAGE = format('column "%s" of table %s cannot be the %s at once', found.name, rel, array_to_string(found.parts, ' and the ')),
            HINT = 'Name another column for one of them.';
    END IF;
    RETURN columns;
END $$;

-- Merging: into what each is like ---------------------------------------------------------------------

-- In a chain of duplicates the ends may be opposites. So a memory is merged only into one that it is itself a
-- duplicate of, and the similarity that is shown and logged is the one between these two.
CREATE FUNCTION chronomind_internal.chrono_stars(count integer, lefts integer[], rights integer[])
RETURNS TABLE (member integer, survivor integer)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_stars_wrapper';

COMMENT ON FUNCTION chronomind_internal.chrono_stars IS
    'internal: who is merged into whom, of pairs of duplicates that are numbered by rank, 1 the best';

DROP FUNCTION chronomind_internal.chrono_components;
DROP FUNCTION chronomind_internal.chrono_consolidate_sql;

-- The statements of chrono_consolidate; identifiers are passed as texts. Those that only look run under
-- a search_path without surprises, those that write under the caller's.
CREATE FUNCTION chronomind_internal.chrono_consolidate_sql(rel regclass, similarity_threshold double precision, max_merges integer,
        across_contexts boolean, named jsonb,
        OUT scan text, OUT nearby text, OUT lock text, OUT busy text, OUT touching text, OUT plan text,
        OUT log text, OUT pin text, OUT supersede text, OUT linked text, OUT move text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := chronomind_internal.chrono_columns(rel, '{id,embedding,valid_to,superseded_by}',
        array_remove('{context,created_at,importance,importance_at,decay_rate,valid_from,pinned}'::text[],
            CASE WHEN across_contexts THEN 'context' END), named);
    id text := quote_ident(columns ->> 'id');
    embedding text := quote_ident(columns ->> 'embedding');
    context text := quote_ident(columns ->> 'context');
    pinned text := quote_ident(columns ->> 'pinned');
    id_type text := chronomind_internal.chrono_type(rel, columns ->> 'id');
    operator text := format('OPERATOR(%s.<=>)', chronomind_internal.chrono_schema('vector'));
    nearest text := 'SELECT m.%2$s::text AS l, n.%2$s::text AS r
        FROM ONLY %1$s AS m CROSS JOIN LATERAL (SELECT n.%2$s FROM ONLY %1$s AS n
            WHERE n.%3$s %4$s m.%3$s <= $2 AND %5$s AND %7$s ORDER BY n.%3$s %4$s m.%3$s LIMIT 64) AS n
        WHERE m.%2$s = ANY ($1::%6$s[]) AND m.%2$s <> n.%2$s AND %8$s';
    rank text := concat_ws(', ',
        CASE WHEN columns ?& '{importance,importance_at}' THEN chronomind_internal.chrono_effective_sql(rel, columns, 'now()')
            ELSE 'm.' || quote_ident(columns ->> 'importance') END || ' DESC NULLS LAST',
        'm.' || quote_ident(columns ->> 'created_at') || ' DESC NULLS LAST', 'm.' || id);
    qualified text := chronomind_internal.chrono_name(rel);
    links regclass := chronomind_internal.chrono_beside(rel, chronomind_internal.chrono_links_name(rel));
    merges text := chronomind_internal.chrono_merges_name(rel);
    stars text;
BEGIN
    IF (similarity_threshold > 0 AND similarity_threshold <= 1) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'similarity_threshold must be above 0 and at most 1',
            DETAIL = format('It is %s.', coalesce(similarity_threshold::text, 'NULL')),
            HINT = 'It is the cosine of the angle between two vectors; duplicates have 0.95 and more.';
    ELSIF max_merges IS NULL OR max_merges < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'max_merges must be at least 1',
            DETAIL = format('It is %s.', coalesce(max_merges::text, 'NULL')), HINT = 'It is the number of memories that one call absorbs at most.';
    ELSIF NOT EXISTS (SELECT FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am a ON a.oid = c.relam
            JOIN pg_opclass o ON o.oid = i.indclass[0] JOIN pg_attribute t ON t.attrelid = rel AND t.attnum = i.indkey[0]
            WHERE i.indrelid = rel AND a.amname = 'chrono' AND i.indisvalid AND i.indpred IS NULL
                AND o.opcname IN ('vector_cosine_ops', 'halfvec_cosine_ops') AND t.attname = columns ->> 'embedding') THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('table %s has no chrono index for cosine distances of %s', rel, embedding),
            HINT = format('CREATE INDEX ON %s USING chrono (%s vector_cosine_ops, ...) makes one.', rel, embedding);
    END IF;
    -- $1: the last identifier of the batch before, or NULL.
    scan := format('SELECT array_agg(b.id::text) FROM (SELECT m.%2$s AS id FROM ONLY %1$s AS m
        WHERE m.%2$s IS NOT NULL AND ($1 IS NULL OR m.%2$s > $1::%3$s) AND %4$s ORDER BY m.%2$s LIMIT 1000) AS b',
        qualified, id, id_type, chronomind_internal.chrono_alive_sql('m', columns));
    -- $1: whose neighbours, $2: how far. Of contexts that are NULL none equals another.
    nearby := 'SELECT array_agg(p.l), array_agg(p.r), count(DISTINCT p.l) FROM ('
        || format(nearest, qualified, id, embedding, operator, chronomind_internal.chrono_alive_sql('n', columns), id_type,
            coalesce('n.' || context || ' = m.' || context, 'true'), 'true')
        || CASE WHEN context IS NULL THEN '' ELSE ' UNION ALL ' || format(nearest, qualified, id, embedding, operator,
            chronomind_internal.chrono_alive_sql('n', columns), id_type, 'n.' || context || ' IS NULL', 'm.' || context || ' IS NULL') END
        || ') AS p';
    -- $1: identifiers. Nobody is waited for.
    lock := format('SELECT array_agg(l.id) FROM (SELECT m.%2$s::text AS id FROM ONLY %1$s AS m WHERE m.%2$s = ANY (ARRAY(SELECT DISTINCT unnest($1))::%3$s[]) AND %4$s
        ORDER BY m.%2$s FOR UPDATE SKIP LOCKED) AS l', qualified, id, id_type, chronomind_internal.chrono_alive_sql('m', columns));
    -- $1, $2: pairs, $3: identifiers to choose from, or NULL for all, $4: how far, $5: how many.
    stars := format('WITH node AS MATERIALIZED (
            SELECT m.%2$s::text AS id, m.%3$s AS embedding, %4$s AS context, (row_number() OVER (ORDER BY %5$s))::integer AS rank
            FROM ONLY %1$s AS m WHERE m.%2$s = ANY (ARRAY(SELECT DISTINCT unnest(coalesce($3, $1 || $2)))::%6$s[]) AND %7$s
        ), pair AS MATERIALIZED (
            SELECT l.rank AS l, r.rank AS r FROM unnest($1, $2) AS p (l, r) JOIN node l ON l.id = p.l JOIN node r ON r.id = p.r
            WHERE l.embedding %8$s r.embedding <= $4 AND l.context IS NOT DISTINCT FROM r.context
        ), merge AS MATERIALIZED (
            SELECT c.* FROM (SELECT coalesce(array_agg(l), ''{}'') AS lefts, coalesce(array_agg(r), ''{}'') AS rights FROM pair) AS p
                CROSS JOIN LATERAL chronomind_internal.chrono_stars((SELECT count(*)::integer FROM node), p.lefts, p.rights)
                WITH ORDINALITY AS c (member, survivor, place)
        ) ', qualified, id, embedding, coalesce('m.' || context, 'NULL::text'), rank, id_type, chronomind_internal.chrono_alive_sql('m', columns), operator);
    -- The survivors of stars that touch, and are duplicates of each other all the same.
    touching := stars || format('SELECT array_agg(s.id), array_agg(t.id) FROM (
            SELECT DISTINCT least(l.survivor, r.survivor) AS s, greatest(l.survivor, r.survivor) AS t FROM pair AS p
                JOIN (SELECT n.rank, coalesce(g.survivor, n.rank) AS survivor FROM node n LEFT JOIN merge g ON g.member = n.rank) AS l ON l.rank = p.l
                JOIN (SELECT n.rank, coalesce(g.survivor, n.rank) AS survivor FROM node n LEFT JOIN merge g ON g.member = n.rank) AS r ON r.rank = p.r
            WHERE l.survivor <> r.survivor
        ) AS c JOIN node s ON s.rank = c.s JOIN node t ON t.rank = c.t WHERE s.embedding %1$s t.embedding <= $4', operator);
    plan := stars || format('SELECT s.id AS survivor, a.id AS absorbed, 1 - (a.embedding %1$s s.embedding) AS similarity
        FROM merge g JOIN node s ON s.rank = g.survivor JOIN node a ON a.rank = g.member ORDER BY g.place LIMIT $5', operator);
    -- $1: survivors, $2: absorbed, $3: similarities, in the order of merging.
    log := format('INSERT INTO %1$s (survivor, absorbed, similarity, valid_to, pins)
        SELECT s.%3$s, a.%3$s, g.similarity, a.%4$s, %5$s
        FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2), pg_catalog.unnest($3)) WITH ORDINALITY AS g (survivor, absorbed, similarity, place)
            JOIN ONLY %2$s AS s ON s.%3$s OPERATOR(pg_catalog.=) g.survivor::%6$s
            JOIN ONLY %2$s AS a ON a.%3$s OPERATOR(pg_catalog.=) g.absorbed::%6$s
        ORDER BY g.place', merges, qualified, id, quote_ident(columns ->> 'valid_to'),
        CASE WHEN pinned IS NULL THEN 'false' ELSE format('a.%1$s IS TRUE AND s.%1$s IS NOT TRUE AND pg_catalog.row_number() OVER (
            PARTITION BY g.survivor, a.%1$s IS TRUE ORDER BY g.place) OPERATOR(pg_catalog.=) 1', pinned) END, id_type);
    supersede := format('UPDATE ONLY %1$s AS m SET %3$s = g.survivor::%5$s, %4$s = pg_catalog.now()
        FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS g (survivor, absorbed) WHERE m.%2$s OPERATOR(pg_catalog.=) g.absorbed::%5$s',
        qualified, id, quote_ident(columns ->> 'superseded_by'), quote_ident(columns ->> 'valid_to'), id_type);
    IF pinned IS NOT NULL THEN
        pin := format('UPDATE ONLY %1$s AS m SET %3$s = true WHERE m.%3$s IS NOT TRUE AND m.%2$s OPERATOR(pg_catalog.=) ANY (
            SELECT g.survivor::%4$s FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) AS g (survivor, absorbed)
                JOIN ONLY %1$s AS a ON a.%2$s OPERATOR(pg_catalog.=) g.absorbed::%4$s WHERE a.%3$s)', qualified, id, pinned, id_type);
    END IF;
    IF links IS NOT NULL THEN
        -- $1: locked identifiers. Of those the ones whose links, or the other ends of these, are in somebody's hands.
        busy := format('WITH link AS MATERIALIZED (SELECT l.source, l.target, l.relation FROM %3$s AS l
                WHERE l.source = ANY ($1::%4$s[]) OR l.target = ANY ($1::%4$s[])
            ), locked AS (SELECT l.source, l.target, l.relation FROM %3$s AS l
                WHERE l.source = ANY ($1::%4$s[]) OR l.target = ANY ($1::%4$s[]) FOR UPDATE SKIP LOCKED
            ), held AS (SELECT m.%2$s AS id FROM ONLY %1$s AS m
                WHERE m.%2$s IN (SELECT source FROM link UNION SELECT target FROM link) FOR KEY SHARE SKIP LOCKED
            ), free AS (SELECT l.source, l.target, l.relation FROM locked AS l JOIN held s ON s.id = l.source JOIN held t ON t.id = l.target
            ), taken AS (SELECT * FROM link EXCEPT SELECT * FROM free)
            SELECT array_agg(source::text) || array_agg(target::text) FROM taken', qualified, id, chronomind_internal.chrono_name(links), id_type);
        -- $1: survivors, $2: absorbed. The merges with links to move, in order.
        linked := format('SELECT g.survivor, g.absorbed FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS g (survivor, absorbed, place)
            WHERE EXISTS (SELECT FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) g.absorbed::%2$s)
                OR EXISTS (SELECT FROM %1$s AS l WHERE l.target OPERATOR(pg_catalog.=) g.absorbed::%2$s) ORDER BY g.place', chronomind_internal.chrono_name(links), id_type);
        -- $1: the survivor, $2: the absorbed.
        move := format('WITH removed AS (
                DELETE FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) $2::%3$s OR l.target OPERATOR(pg_catalog.=) $2::%3$s RETURNING l.*
            ), moved AS (
                SELECT DISTINCT ON (n.source, n.target, n.relation) n.* FROM removed AS r CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(
                    NULL::%1$s, chronomind_internal.chrono_moved(pg_catalog.to_jsonb(r), $1, $2)) AS n
                WHERE n.source OPERATOR(pg_catalog.<>) n.target ORDER BY n.source, n.target, n.relation
            ), added AS (
                %4$s FROM moved AS r ON CONFLICT DO NOTHING RETURNING *
            )
            UPDATE %2$s AS e SET links_removed = (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)) FROM removed AS r),
                links_added = coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)) FROM added AS a), ''[]'')
            WHERE e.absorbed OPERATOR(pg_catalog.=) $2::%3$s AND e.merged_at OPERATOR(pg_catalog.=) pg_catalog.now()',
            chronomind_internal.chrono_name(links), merges, id_type, chronomind_internal.chrono_insert_sql(links));
    END IF;
END $$;

COMMENT ON FUNCTION chronomind_internal.chrono_consolidate_sql IS 'internal: the statements of chrono_consolidate';

-- Who is merged into whom, in order; of the rows that are given, or of all where that is NULL. Of many equal
-- rows not every pair was found: survivors whose rows are pairs are compared, until no two are duplicates. Each
-- turn finds a pair more, so there is an end. The planner takes the arrays for small ones.
CREATE OR REPLACE FUNCTION chronomind_internal.chrono_plan_merges(statements record, pairs record, ids text[],
        similarity_threshold double precision, max_merges integer)
RETURNS TABLE (survivor text, absorbed text, similarity double precision)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    reach double precision := greatest(1 - similarity_threshold, 1e-6);
    lefts text[] := pairs.lefts;
    rights text[] := pairs.rights;
    more_lefts text[];
    more_rights text[];
BEGIN
    LOOP
        EXECUTE statements.touching INTO more_lefts, more_rights USING lefts, rights, ids, reach;
        EXIT WHEN more_lefts IS NULL;
        lefts := lefts || more_lefts;
        rights := rights || more_rights;
    END LOOP;
    RETURN QUERY EXECUTE statements.plan USING lefts, rights, ids, reach, max_merges;
END $$;

COMMENT ON FUNCTION @extschema@.chrono_consolidate IS
    'merges near-duplicates, each into the most important memory that it is a duplicate of, which survives with the links of all and supersedes them; returns who was merged into whom, and how alike the two are';
