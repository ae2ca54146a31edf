\echo Use "ALTER EXTENSION chronomind UPDATE" to load this file. \quit

-- The memory layer: what an agent does with its memories, in SQL over any table that has a chrono
-- index. All functions run with the rights of their caller. Those that write to a user's table leave
-- search_path as they find it, for the table's triggers, and qualify every name instead.

-- Columns by their parts ---------------------------------------------------------------------------

-- The columns of a table that play the parts asked for, as an object of part and column name. A part
-- is played by the column that is named; else by the one that chrono_search would take from the oldest
-- chrono index; else, for the id, by the primary key; else by the column with the part's name. Fails
-- where a required part has no column, or a column does not fit its part.
CREATE FUNCTION chrono_columns(
    relation regclass,
    required text[],
    optional text[] DEFAULT '{}',
    named jsonb DEFAULT '{}'
) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    kind "char" := (SELECT relkind FROM pg_class WHERE oid = relation);
    columns jsonb := '{}';
    wanted record;
    found record;
BEGIN
    IF relation IS NULL OR kind IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table',
            MESSAGE = CASE WHEN relation IS NULL THEN 'relation must not be NULL' ELSE format('relation %s does not exist', relation) END,
            HINT = 'Name the table of the memories.';
    ELSIF kind = 'p' THEN
        RAISE EXCEPTION USING ERRCODE = 'feature_not_supported', MESSAGE = format('"%s" is partitioned', relation),
            DETAIL = 'Each partition has an index of its own.', HINT = 'Call the function for each partition.';
    ELSIF kind <> 'r' THEN
        RAISE EXCEPTION USING ERRCODE = 'wrong_object_type', MESSAGE = format('"%s" is not a table', relation),
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
                    WHERE i.indrelid = relation AND m.amname = 'chrono' AND i.indisvalid AND i.indpred IS NULL
                    ORDER BY i.indexrelid LIMIT 1) oldest,
                unnest(oldest.indkey::int2[]) WITH ORDINALITY k (attnum, ordinal),
                pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
            WHERE a.attrelid = relation AND a.attnum = k.attnum AND k.attnum > 0
        )
        SELECT p.name, p.types, p.name = ANY (required) AS is_required, named ->> p.name AS given,
            coalesce(named ->> p.name,
                CASE WHEN p.name = 'embedding' THEN (SELECT attname FROM indexed WHERE ordinal = 1)
                    WHEN p.name IN ('created_at', 'importance', 'context') THEN
                        (SELECT attname FROM indexed WHERE typname = ANY (p.types) AND nth = 1)
                    WHEN p.name = 'decay_rate' THEN (SELECT attname FROM indexed WHERE typname = ANY (p.types) AND nth = 2)
                    WHEN p.name = 'id' THEN (SELECT a.attname FROM pg_index i JOIN pg_attribute a
                        ON a.attrelid = i.indrelid AND a.attnum = i.indkey[0]
                        WHERE i.indrelid = relation AND i.indisprimary AND i.indnkeyatts = 1) END,
                p.name) AS column_name
        FROM part p WHERE p.name = ANY (required || optional)
    LOOP
        SELECT t.typname, format_type(a.atttypid, a.atttypmod) AS type, wanted.types IS NULL OR t.typname = ANY (wanted.types) AS fits
        INTO found
        FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
        WHERE a.attrelid = relation AND a.attname = wanted.column_name AND a.attnum > 0 AND NOT a.attisdropped;
        IF found.fits THEN
            columns := columns || jsonb_build_object(wanted.name, wanted.column_name);
        ELSIF wanted.given IS NOT NULL AND found.fits IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('column "%s" of table %s does not exist', wanted.given, relation),
                HINT = format('%s_column names the column that holds it.', wanted.name);
        ELSIF wanted.given IS NOT NULL OR wanted.is_required AND found.fits IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'datatype_mismatch',
                MESSAGE = format('column "%s" of table %s cannot be the %s', wanted.column_name, relation, wanted.name),
                DETAIL = format('It is of type %s, and %s is of type %s.', found.type, wanted.name, array_to_string(wanted.types, ' or ')),
                HINT = format('Name another column with %s_column.', wanted.name);
        ELSIF wanted.is_required THEN
            RAISE EXCEPTION USING ERRCODE = 'undefined_column',
                MESSAGE = format('table %s has no column for %s', relation, wanted.name),
                HINT = format('Name it with %s_column, or add a column %s%s.', wanted.name, wanted.name,
                    coalesce(' of type ' || wanted.types[1], ''));
        END IF;
    END LOOP;
    RETURN columns;
END $$;

COMMENT ON FUNCTION chrono_columns IS 'internal: which columns of a table play which parts';
