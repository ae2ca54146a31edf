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
-- another name in them than it has now, so that any will do.
DO $$
DECLARE
    moved text := (SELECT string_agg(DISTINCT proname, '|') FROM pg_proc WHERE pronamespace = 'chronomind_internal'::regnamespace);
    definition text;
BEGIN
    FOR definition IN SELECT pg_get_functiondef(p.oid) FROM pg_depend d JOIN pg_proc p ON p.oid = d.objid JOIN pg_extension e ON e.oid = d.refobjid
            JOIN pg_language l ON l.oid = p.prolang
        WHERE d.classid = 'pg_proc'::regclass AND d.refclassid = 'pg_extension'::regclass AND e.extname = 'chronomind' AND l.lanname = 'plpgsql'
    LOOP
        EXECUTE regexp_replace(definition, '("([^"]|"")+"|[a-z_][a-z_0-9]*)\.(' || moved || ')\(', 'chronomind_internal.\3(', 'g');
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
EXCEPTION WHEN dependent_objects_still_exist THEN
    GET STACKED DIAGNOSTICS others = PG_EXCEPTION_DETAIL;
    RAISE EXCEPTION USING ERRCODE = 'dependent_objects_still_exist', MESSAGE = 'other objects use what version 0.3.0 of chronomind makes anew',
        DETAIL = others, HINT = 'Drop them, update, and make them again: chrono_indexes is a function now, as in SELECT * FROM chrono_indexes().';
END $$;

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
    scans bigint
)
    LANGUAGE sql VOLATILE PARALLEL RESTRICTED
BEGIN ATOMIC
    SELECT i.indexrelid, i.indrelid, i.indisvalid, s.*
    FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_am m ON m.oid = c.relam CROSS JOIN LATERAL @extschema@.chrono_stats(i.indexrelid) s
    -- Of a partitioned index there are only the parts; pages of temporary ones are their sessions' own.
    WHERE m.amname = 'chrono' AND c.relkind = 'i' AND NOT pg_is_other_temp_schema(c.relnamespace);
END;

COMMENT ON FUNCTION @extschema@.chrono_indexes IS 'every chrono index of this database, with its chrono_stats';
