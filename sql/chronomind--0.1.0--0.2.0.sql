\echo Use "ALTER EXTENSION chronomind UPDATE" to load this file. \quit

-- The memory layer: what an agent does with its memories, in SQL over any table that has a chrono
-- index. All functions run with the rights of their caller. Those that write to a user's table leave
-- search_path as they find it, for the table's triggers, and qualify every name instead.

-- Columns by their parts ---------------------------------------------------------------------------

-- The columns of a table that play the parts asked for, as an object of part and column name. A part
-- is played by the column that is named; else by the one that chrono_search would take from the oldest
-- chrono index; else, for the id, by the primary key; else by the column with the part's name. Fails
-- where a required part has no column, or a column does not fit its part: also where it is optional, if
-- without it memories were lost that should not be, or contexts mixed.
CREATE FUNCTION chrono_columns(
    rel regclass,
    required text[],
    optional text[] DEFAULT '{}',
    named jsonb DEFAULT '{}'
) RETURNS jsonb
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
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
    RETURN columns;
END $$;

COMMENT ON FUNCTION chrono_columns IS 'internal: which columns of a table play which parts';

-- The type of a column, for casts: identifiers may come as texts, or as integers of another width.
CREATE FUNCTION chrono_type(rel regclass, column_name text) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    -- Without a modifier character means character(1), and bpchar what is meant.
    RETURN (SELECT format_type(atttypid, -1) FROM pg_attribute WHERE attrelid = rel AND attname = column_name);

COMMENT ON FUNCTION chrono_type IS 'internal: the type of a column';

-- Making a table of memories -----------------------------------------------------------------------

-- The name of a table under any search_path, or of one beside it; and that of the links between its rows.
-- A name has 63 bytes: of longer ones the end is lost, and so what tells them apart.
CREATE FUNCTION chrono_name(rel regclass, suffix text DEFAULT '') RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (SELECT format('%I.%I', n.nspname, CASE WHEN octet_length(c.relname || suffix) <= 63 THEN c.relname ELSE md5(c.relname) END || suffix)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel);

COMMENT ON FUNCTION chrono_name IS 'internal: the qualified name of a table, or of one beside it';

CREATE FUNCTION chrono_links_name(rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN chrono_name(rel, '_links');

COMMENT ON FUNCTION chrono_links_name IS 'internal: the qualified name of the table of a table''s links';

-- The table of a name, beside another, if there is one. Whoever owns a table has its triggers run with the
-- rights of those who write to it, so it has to be somebody who could have that done already.
CREATE FUNCTION chrono_beside(rel regclass, name text) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    beside regclass := to_regclass(name);
BEGIN
    IF EXISTS (SELECT FROM pg_class b JOIN pg_roles r ON r.oid = b.relowner, pg_class c WHERE b.oid = beside AND c.oid = rel
            AND b.relowner <> c.relowner AND NOT r.rolsuper AND r.rolname <> CURRENT_USER) THEN
        RAISE EXCEPTION USING ERRCODE = 'insufficient_privilege', MESSAGE = format('table %s belongs to somebody else than table %s', beside, rel),
            DETAIL = 'What its owner had it do would be done with your rights.',
            HINT = format('Have it belong to %s if it is what it should be, or drop it.', (SELECT relowner::regrole FROM pg_class WHERE oid = rel));
    END IF;
    RETURN beside;
END $$;

COMMENT ON FUNCTION chrono_beside IS 'internal: the table of a name beside that of the memories, if there is one';

CREATE FUNCTION chrono_create_links(rel regclass, id_column text DEFAULT NULL) RETURNS regclass
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text := @extschema@.chrono_columns(rel, ARRAY['id'], named => jsonb_build_object('id', id_column)) ->> 'id';
    links text := @extschema@.chrono_links_name(rel);
    id_type text := @extschema@.chrono_type(rel, id);
BEGIN
    EXECUTE format('CREATE TABLE %1$s (
            source %2$s NOT NULL REFERENCES %3$s (%4$I) ON DELETE CASCADE,
            target %2$s NOT NULL REFERENCES %3$s (%4$I) ON DELETE CASCADE,
            relation text NOT NULL DEFAULT ''related'',
            created_at timestamptz NOT NULL DEFAULT now(),
            PRIMARY KEY (source, target, relation),
            CHECK (source <> target)
        )', links, id_type, @extschema@.chrono_name(rel), id);
    EXECUTE format('CREATE INDEX ON %s (target)', links);
    RETURN links::regclass;
END $$;

COMMENT ON FUNCTION chrono_create_links IS 'makes the table of the links between the memories of a table';

CREATE FUNCTION chrono_create_table(name text[], schema text, dimensions integer) RETURNS regclass
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    vectors text := (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector');
    qualified text;
BEGIN
    IF name IS NULL OR cardinality(name) > 2 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_name', MESSAGE = format('%s is not the name of a table', coalesce(array_to_string(name, '.'), 'NULL')),
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
        )', qualified, vectors, dimensions);
    EXECUTE format('CREATE INDEX ON %s USING chrono (embedding @extschema@.vector_cosine_ops, created_at, importance, decay_rate,
        context, importance_at, valid_from, valid_to)', qualified);
    -- For the memories that were merged into one that is deleted.
    EXECUTE format('CREATE INDEX ON %s (superseded_by) WHERE superseded_by IS NOT NULL', qualified);
    PERFORM @extschema@.chrono_create_links(qualified::regclass);
    PERFORM @extschema@.chrono_create_merges(qualified::regclass);
    RETURN qualified::regclass;
END $$;

COMMENT ON FUNCTION chrono_create_table IS 'internal: makes the table of chrono_create_memory';

CREATE FUNCTION chrono_create_memory(name text, dimensions integer) RETURNS regclass
    LANGUAGE sql VOLATILE
    RETURN chrono_create_table(parse_ident(name), current_schema(), dimensions);

COMMENT ON FUNCTION chrono_create_memory IS
    'makes a table of memories with all columns that the memory layer knows, its table of links and its chrono index';

-- Decay --------------------------------------------------------------------------------------------

CREATE FUNCTION chrono_importance(
    importance double precision,
    importance_at timestamptz,
    decay_rate double precision DEFAULT NULL,
    as_of timestamptz DEFAULT now()
) RETURNS double precision
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_importance_wrapper';

COMMENT ON FUNCTION chrono_importance IS
    'what is left at a moment of an importance that was stated at another: importance * exp(-decay_rate * hours)';

-- The functions that write are in two halves. One checks the arguments and makes SQL of them, under a
-- search_path of its own; the other runs that SQL, under the caller's.

-- The effective importance of a row m of a table at a moment, as SQL of the type of its column.
CREATE FUNCTION chrono_effective_sql(rel regclass, columns jsonb, moment text DEFAULT '$1') RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN format('@extschema@.chrono_importance(m.%I, m.%I, %s, %s)::%s', columns ->> 'importance', columns ->> 'importance_at',
        coalesce('m.' || quote_ident(columns ->> 'decay_rate'), 'NULL'), moment, chrono_type(rel, columns ->> 'importance'));

COMMENT ON FUNCTION chrono_effective_sql IS 'internal: the SQL of a row''s effective importance';

-- Of chrono_decay: $1 is the moment, $2 the floor, $3 the rows of a batch.
CREATE FUNCTION chrono_decay_sql(rel regclass, batch integer, forget_below double precision, named jsonb,
        OUT find text, OUT forget text, OUT fade text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{importance,importance_at}', '{decay_rate,pinned}', named);
    qualified text := @extschema@.chrono_name(rel);
    effective text := @extschema@.chrono_effective_sql(rel, columns);
    -- A rate that is not a number must not make the importance none.
    is_faded text := format('(%1$s OPERATOR(pg_catalog.<>) m.%2$I AND %1$s OPERATOR(pg_catalog.<>) ''NaN'')', effective, columns ->> 'importance');
    is_forgotten text := format('(%s OPERATOR(pg_catalog.<) $2%s)', effective,
        ' AND m.' || quote_ident(columns ->> 'pinned') || ' IS NOT TRUE');
BEGIN
    IF batch IS NULL OR batch < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'batch must be at least 1',
            DETAIL = format('It is %s.', coalesce(batch::text, 'NULL')), HINT = 'It is the number of rows that are written at once.';
    ELSIF NOT (forget_below > 0 AND forget_below <= 1) THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'forget_below must be above 0 and at most 1',
            DETAIL = format('It is %s.', forget_below), HINT = 'Memories whose importance has fallen below it are deleted. Without it, none is.';
    END IF;
    find := format('SELECT m.ctid FROM ONLY %s AS m WHERE %s OR %s FOR %s SKIP LOCKED', qualified, is_faded, is_forgotten,
        CASE WHEN forget_below IS NULL THEN 'NO KEY UPDATE' ELSE 'UPDATE' END);
    forget := format('DELETE FROM ONLY %s AS m WHERE m.ctid OPERATOR(pg_catalog.=) ANY ($3) AND %s', qualified, is_forgotten);
    fade := format('UPDATE ONLY %s AS m SET %I = %s, %I = $1 WHERE m.ctid OPERATOR(pg_catalog.=) ANY ($3) AND %s',
        qualified, columns ->> 'importance', effective, columns ->> 'importance_at', is_faded);
END $$;

COMMENT ON FUNCTION chrono_decay_sql IS 'internal: the statements of chrono_decay';

-- One pass over the table as it is when the sweep begins, in one transaction. Readers go on; rows that
-- others are changing are left to the next sweep.
CREATE FUNCTION chrono_decay(
    rel regclass,
    batch integer DEFAULT 10000,
    forget_below double precision DEFAULT NULL,
    importance_column text DEFAULT NULL,
    importance_at_column text DEFAULT NULL,
    decay_rate_column text DEFAULT NULL,
    pinned_column text DEFAULT NULL
) RETURNS TABLE (decayed bigint, forgotten bigint)
    LANGUAGE plpgsql VOLATILE ROWS 1 AS $$
DECLARE
    statements record := @extschema@.chrono_decay_sql(rel, batch, forget_below, pg_catalog.jsonb_build_object('importance', importance_column,
        'importance_at', importance_at_column, 'decay_rate', decay_rate_column, 'pinned', pinned_column));
    clock timestamptz := pg_catalog.now();
    cursor refcursor;
    one tid;
    rows tid[];
    changed bigint;
BEGIN
    decayed := 0;
    forgotten := 0;
    OPEN cursor FOR EXECUTE statements.find USING clock, forget_below;
    LOOP
        rows := '{}';
        LOOP
            FETCH cursor INTO one;
            EXIT WHEN one IS NULL;
            rows := pg_catalog.array_append(rows, one);
            EXIT WHEN pg_catalog.cardinality(rows) OPERATOR(pg_catalog.=) batch;
        END LOOP;
        -- Who does not forget need not be allowed to.
        IF forget_below IS NOT NULL THEN
            EXECUTE statements.forget USING clock, forget_below, rows;
            GET DIAGNOSTICS changed = ROW_COUNT;
            forgotten := forgotten OPERATOR(pg_catalog.+) changed;
        END IF;
        EXECUTE statements.fade USING clock, forget_below, rows;
        GET DIAGNOSTICS changed = ROW_COUNT;
        decayed := decayed OPERATOR(pg_catalog.+) changed;
        EXIT WHEN one IS NULL;
        RAISE NOTICE USING MESSAGE = pg_catalog.format('%s: %s decayed, %s forgotten so far', rel, decayed, forgotten);
    END LOOP;
    CLOSE cursor;
    RETURN NEXT;
END $$;

COMMENT ON FUNCTION chrono_decay IS
    'writes the importance that is left into a table, and deletes the memories with less than forget_below that are not pinned; how often is of no matter';

-- Recall -------------------------------------------------------------------------------------------

-- Of chrono_touch: $1 is the moment, $2 the identifiers, $3 the reinforcement.
CREATE FUNCTION chrono_touch_sql(rel regclass, reinforcement double precision, named jsonb) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{id,importance,importance_at,last_accessed_at,access_count}', '{decay_rate}', named);
BEGIN
    IF (reinforcement >= 0 AND reinforcement <= 1) IS NOT TRUE THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'reinforcement must be between 0 and 1',
            DETAIL = format('It is %s.', coalesce(reinforcement::text, 'NULL')),
            HINT = 'It is the share of what an importance lacks to 1 that a recall gives it.';
    END IF;
    -- Rows are locked in one order, so that sessions that touch the same ones do not wait in a circle.
    RETURN format('UPDATE ONLY %1$s AS m SET %3$I = @extschema@.chrono_reinforced(%7$s, $3), %4$I = GREATEST(m.%4$I, $1),
            %5$I = GREATEST(m.%5$I, $1), %6$I = coalesce(m.%6$I, 0) OPERATOR(pg_catalog.+) 1
        FROM (SELECT l.%2$I AS id FROM ONLY %1$s AS l WHERE l.%2$I OPERATOR(pg_catalog.=) ANY ($2::%8$s[]) ORDER BY l.%2$I FOR NO KEY UPDATE) AS locked
        WHERE m.%2$I OPERATOR(pg_catalog.=) locked.id',
        @extschema@.chrono_name(rel), columns ->> 'id', columns ->> 'importance', columns ->> 'importance_at', columns ->> 'last_accessed_at',
        columns ->> 'access_count', @extschema@.chrono_effective_sql(rel, columns), @extschema@.chrono_type(rel, columns ->> 'id'));
END $$;

COMMENT ON FUNCTION chrono_touch_sql IS 'internal: the statement of chrono_touch';

CREATE FUNCTION chrono_reinforced(importance double precision, reinforcement double precision) RETURNS double precision
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN importance + reinforcement * (1 - importance);

COMMENT ON FUNCTION chrono_reinforced IS 'internal: an importance after a recall';

CREATE FUNCTION chrono_touch(
    rel regclass,
    ids anyarray,
    reinforcement double precision DEFAULT 0.1,
    id_column text DEFAULT NULL,
    importance_column text DEFAULT NULL,
    importance_at_column text DEFAULT NULL,
    decay_rate_column text DEFAULT NULL,
    last_accessed_at_column text DEFAULT NULL,
    access_count_column text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    statement text := @extschema@.chrono_touch_sql(rel, reinforcement, pg_catalog.jsonb_build_object('id', id_column,
        'importance', importance_column, 'importance_at', importance_at_column, 'decay_rate', decay_rate_column,
        'last_accessed_at', last_accessed_at_column, 'access_count', access_count_column));
    touched bigint;
    missing bigint;
BEGIN
    EXECUTE statement USING pg_catalog.now(), ids, reinforcement;
    GET DIAGNOSTICS touched = ROW_COUNT;
    missing := (SELECT pg_catalog.count(DISTINCT id) FROM pg_catalog.unnest(ids) AS id) OPERATOR(pg_catalog.-) touched;
    IF missing OPERATOR(pg_catalog.<>) 0 THEN
        RAISE NOTICE USING MESSAGE = pg_catalog.format('%s of the memories are not in %s', missing, rel);
    END IF;
    RETURN touched;
END $$;

COMMENT ON FUNCTION chrono_touch IS
    'tells that memories were of use: counts it, and raises what is left of their importance by a share of what it lacks to 1; returns how many there were';

-- Links --------------------------------------------------------------------------------------------

CREATE FUNCTION chrono_links(rel regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    links regclass := @extschema@.chrono_beside(rel, @extschema@.chrono_links_name(rel));
BEGIN
    IF links IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('table %s has no table of links', rel),
            HINT = format('SELECT @extschema@.chrono_create_links(%L) makes it.', @extschema@.chrono_name(rel));
    END IF;
    RETURN links;
END $$;

COMMENT ON FUNCTION chrono_links IS 'internal: the table of the links between the memories of a table';

-- Of chrono_link: $1 is the source, $2 the target, $3 the relation.
CREATE FUNCTION chrono_link_sql(rel regclass, source text, target text, relation text, max_links integer, named jsonb,
        OUT ends text, OUT lock text, OUT share text, OUT known text, OUT number text, OUT make text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text := @extschema@.chrono_columns(rel, '{id}', named => named) ->> 'id';
    id_type text := @extschema@.chrono_type(rel, id);
    links text := @extschema@.chrono_name(@extschema@.chrono_links(rel));
BEGIN
    IF source IS NULL OR target IS NULL OR relation IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'a link needs a source, a target and a relation';
    ELSIF source = target THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'a memory cannot be linked to itself',
            DETAIL = format('Source and target are both %s.', source), HINT = 'Name two memories.';
    ELSIF max_links IS NULL OR max_links < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'max_links must be at least 1',
            DETAIL = format('It is %s.', coalesce(max_links::text, 'NULL')), HINT = 'It is the number of links that a memory may have.';
    END IF;
    ends := format('SELECT e.is_source FROM (VALUES ($1::%1$s, true), ($2::%1$s, false)) AS e (id, is_source) ORDER BY e.id', id_type);
    lock := format('SELECT true FROM ONLY %s AS m WHERE m.%I OPERATOR(pg_catalog.=) $1::%s', @extschema@.chrono_name(rel), id, id_type);
    share := lock || ' FOR KEY SHARE';
    lock := lock || ' FOR NO KEY UPDATE';
    known := format('SELECT EXISTS (SELECT FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) $1::%2$s
        AND l.target OPERATOR(pg_catalog.=) $2::%2$s AND l.relation OPERATOR(pg_catalog.=) $3)', links, id_type);
    number := format('SELECT pg_catalog.count(*) FROM %s AS l WHERE l.source OPERATOR(pg_catalog.=) $1::%s', links, id_type);
    make := format('INSERT INTO %1$s (source, target, relation) VALUES ($1::%2$s, $2::%2$s, $3)', links, id_type);
END $$;

COMMENT ON FUNCTION chrono_link_sql IS 'internal: the statements of chrono_link';

CREATE FUNCTION chrono_link(
    rel regclass,
    source anycompatible,
    target anycompatible,
    relation text DEFAULT 'related',
    max_links integer DEFAULT 50,
    id_column text DEFAULT NULL
) RETURNS boolean
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    statements record := @extschema@.chrono_link_sql(rel, source::text, target::text, relation, max_links,
        pg_catalog.jsonb_build_object('id', id_column));
    of_source boolean;
    has_source boolean;
    has_target boolean;
    is_there boolean;
    has_links bigint;
BEGIN
    -- The lock of the source makes others wait who count its links. That of the target is the one which the
    -- foreign key takes; taken here, both are locked in the order in which chrono_touch locks.
    FOR of_source IN EXECUTE statements.ends USING source, target LOOP
        IF of_source THEN
            EXECUTE statements.lock INTO has_source USING source;
        ELSE
            EXECUTE statements.share INTO has_target USING target;
        END IF;
    END LOOP;
    IF has_source IS NULL OR has_target IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found',
            MESSAGE = pg_catalog.format('there is no memory %s in %s', CASE WHEN has_source IS NULL THEN source ELSE target END, rel);
    END IF;
    EXECUTE statements.known INTO is_there USING source, target, relation;
    IF is_there THEN
        RETURN false;
    END IF;
    EXECUTE statements.number INTO has_links USING source;
    IF has_links OPERATOR(pg_catalog.>=) max_links THEN
        RAISE EXCEPTION USING ERRCODE = 'program_limit_exceeded', MESSAGE = pg_catalog.format('memory %s has too many links', source),
            DETAIL = pg_catalog.format('It has %s, and max_links is %s.', has_links, max_links),
            HINT = 'Remove some with chrono_unlink, or call with a greater max_links.';
    END IF;
    EXECUTE statements.make USING source, target, relation;
    RETURN true;
END $$;

COMMENT ON FUNCTION chrono_link IS 'links one memory to another; false where the link is there already';

CREATE FUNCTION chrono_unlink(
    rel regclass,
    source anycompatible,
    target anycompatible,
    relation text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    links regclass := @extschema@.chrono_links(rel);
    removed bigint;
BEGIN
    EXECUTE pg_catalog.format('DELETE FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) $1::%2$s AND l.target OPERATOR(pg_catalog.=) $2::%2$s
        AND ($3 IS NULL OR l.relation OPERATOR(pg_catalog.=) $3)', links, @extschema@.chrono_type(links, 'source'))
        USING source, target, relation;
    GET DIAGNOSTICS removed = ROW_COUNT;
    RETURN removed;
END $$;

COMMENT ON FUNCTION chrono_unlink IS 'removes the links from one memory to another, of one relation or of all; returns how many there were';

-- Of chrono_related. The first gives the memory that stands for $1 today: itself, or what it was merged
-- into. The second goes one step from the memories $1 to those that are not among $2: who was met, from
-- which of $1, and by what relation.
CREATE FUNCTION chrono_related_sql(rel regclass, depth integer, named jsonb, OUT start text, OUT step text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{id}', '{superseded_by}', named);
    id_type text := @extschema@.chrono_type(rel, columns ->> 'id');
    qualified text := @extschema@.chrono_name(rel);
    heir text := coalesce('m.' || quote_ident(columns ->> 'superseded_by'), 'NULL::' || id_type);
    -- A chain that leads nowhere or in a circle has no end.
    survivor text := 'WITH RECURSIVE chain (id, heir) AS (
            SELECT m.%2$I, %3$s FROM ONLY %1$s AS m WHERE m.%2$I OPERATOR(pg_catalog.=) %4$s
            UNION SELECT m.%2$I, %3$s FROM chain AS c JOIN ONLY %1$s AS m ON m.%2$I OPERATOR(pg_catalog.=) c.heir
        ) SELECT chain.id FROM chain WHERE chain.heir IS NULL';
BEGIN
    IF depth IS NULL OR depth < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'depth must be at least 1',
            DETAIL = format('It is %s.', coalesce(depth::text, 'NULL')), HINT = 'It is the number of links to follow.';
    END IF;
    start := format('SELECT s.id::text FROM (%s) AS s', format(survivor, qualified, columns ->> 'id', heir, '$1::' || id_type));
    step := format('SELECT DISTINCT ON (n.id) n.id::text, f.place::integer, l.relation
        FROM pg_catalog.unnest($1) WITH ORDINALITY AS f (id, place)
            JOIN %s AS l ON l.source OPERATOR(pg_catalog.=) f.id::%s CROSS JOIN LATERAL (%s) AS n
        WHERE NOT EXISTS (SELECT FROM pg_catalog.unnest($2) AS seen (id) WHERE seen.id OPERATOR(pg_catalog.=) n.id::text)
        ORDER BY n.id, f.place, l.relation', @extschema@.chrono_name(@extschema@.chrono_links(rel)), id_type,
        format(survivor, qualified, columns ->> 'id', heir, 'l.target'));
END $$;

COMMENT ON FUNCTION chrono_related_sql IS 'internal: the statements of chrono_related';

-- Breadth first: a memory is met once, by a shortest way. Identifiers are texts.
CREATE FUNCTION chrono_walk(rel regclass, source text, max_depth integer, named jsonb,
        OUT ids text[], OUT parents integer[], OUT depths integer[], OUT relations text[])
    LANGUAGE plpgsql STABLE AS $$
DECLARE
    statements record := @extschema@.chrono_related_sql(rel, max_depth, named);
    place integer := 1;
    last integer := 1;
    met record;
    start text;
BEGIN
    EXECUTE statements.start INTO start USING source;
    IF start IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('there is no memory %s in %s', coalesce(source, 'NULL'), rel),
            DETAIL = 'It is not there, or what it was merged into is not, or that leads in a circle.';
    END IF;
    ids := ARRAY[start];
    parents := ARRAY[NULL::integer];
    depths := '{0}';
    relations := ARRAY[NULL::text];
    FOR level IN 1 .. max_depth LOOP
        FOR met IN EXECUTE statements.step USING ids[place:last], ids LOOP
            ids := pg_catalog.array_append(ids, met.id);
            parents := pg_catalog.array_append(parents, met.place OPERATOR(pg_catalog.+) place OPERATOR(pg_catalog.-) 1);
            depths := pg_catalog.array_append(depths, level);
            relations := pg_catalog.array_append(relations, met.relation);
        END LOOP;
        place := last OPERATOR(pg_catalog.+) 1;
        last := pg_catalog.cardinality(ids);
        EXIT WHEN place OPERATOR(pg_catalog.>) last;
    END LOOP;
END $$;

COMMENT ON FUNCTION chrono_walk IS 'internal: the memories that a walk over links meets, with the place among them that each was met from';

CREATE FUNCTION chrono_paths(ids text[], parents integer[], depths integer[], relations text[])
RETURNS TABLE (id text, depth integer, path text[], relation text)
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
BEGIN ATOMIC
    WITH RECURSIVE node AS (
        SELECT * FROM unnest(ids, parents, depths, relations) WITH ORDINALITY AS n (id, parent, depth, relation, place)
    ), tree AS (
        SELECT n.place, n.id, n.depth, ARRAY[n.id] AS path, n.relation FROM node n WHERE n.parent IS NULL
        UNION ALL
        SELECT n.place, n.id, n.depth, t.path || n.id, n.relation FROM tree t JOIN node n ON n.parent = t.place
    )
    SELECT t.id, t.depth, t.path, t.relation FROM tree t WHERE t.depth > 0 ORDER BY t.place;
END;

COMMENT ON FUNCTION chrono_paths IS 'internal: the paths of a walk';

-- One for each type that identifiers have.
CREATE FUNCTION chrono_related(rel regclass, id bigint, depth integer DEFAULT 1, id_column text DEFAULT NULL, superseded_by_column text DEFAULT NULL)
RETURNS TABLE (id bigint, depth integer, path bigint[], relation text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.id::bigint, p.depth, p.path::bigint[], p.relation
    FROM chrono_walk($1, $2::text, $3, jsonb_build_object('id', $4, 'superseded_by', $5)) w,
        chrono_paths(w.ids, w.parents, w.depths, w.relations) p;
END;
CREATE FUNCTION chrono_related(rel regclass, id uuid, depth integer DEFAULT 1, id_column text DEFAULT NULL, superseded_by_column text DEFAULT NULL)
RETURNS TABLE (id uuid, depth integer, path uuid[], relation text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.id::uuid, p.depth, p.path::uuid[], p.relation
    FROM chrono_walk($1, $2::text, $3, jsonb_build_object('id', $4, 'superseded_by', $5)) w,
        chrono_paths(w.ids, w.parents, w.depths, w.relations) p;
END;
CREATE FUNCTION chrono_related(rel regclass, id text, depth integer DEFAULT 1, id_column text DEFAULT NULL, superseded_by_column text DEFAULT NULL)
RETURNS TABLE (id text, depth integer, path text[], relation text)
    LANGUAGE sql STABLE
BEGIN ATOMIC
    SELECT p.id, p.depth, p.path, p.relation
    FROM chrono_walk($1, $2, $3, jsonb_build_object('id', $4, 'superseded_by', $5)) w,
        chrono_paths(w.ids, w.parents, w.depths, w.relations) p;
END;

COMMENT ON FUNCTION chrono_related(regclass, bigint, integer, text, text) IS
    'the memories that links lead to from one, breadth first, each with its distance and way; those that were merged are followed to what they are now';
COMMENT ON FUNCTION chrono_related(regclass, uuid, integer, text, text) IS 'the same for identifiers of type uuid';
COMMENT ON FUNCTION chrono_related(regclass, text, integer, text, text) IS 'the same for identifiers of any other type';

-- Search -------------------------------------------------------------------------------------------

DROP FUNCTION chrono_search;
CREATE FUNCTION chrono_search(
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
    importance double precision
)
    LANGUAGE c STABLE PARALLEL RESTRICTED ROWS 10 AS 'MODULE_PATHNAME', 'chrono_search_wrapper';

COMMENT ON FUNCTION chrono_search IS
    'the k rows of a table with the best chrono_score, best first, with every term of it';

-- Summaries ----------------------------------------------------------------------------------------

CREATE FUNCTION chrono_context_summary_sql(rel regclass, context text, named jsonb) RETURNS text
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{embedding,context,created_at,importance}', named => named);
    vectors text := (SELECT quote_ident(nspname) FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector');
BEGIN
    IF context IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'null_value_not_allowed', MESSAGE = 'context must not be NULL',
            HINT = 'Name the context to summarise.';
    END IF;
    -- A search for nothing in particular: all that the context holds, by the index.
    RETURN format('SELECT pg_catalog.count(*), pg_catalog.avg(s.importance), %1$s.avg((s.memory).%3$I::%1$s.vector),
            pg_catalog.max((s.memory).%4$I), pg_catalog.min((s.memory).%4$I)
        FROM @extschema@.chrono_search(NULL::%2$s, NULL, 2147483647, context => $1, recency_weight => 0, importance_weight => 0,
            created_at_column => %5$L, importance_column => %6$L, context_column => %7$L, decay_rate_column => %8$L, importance_at_column => %9$L) AS s',
        vectors, @extschema@.chrono_name(rel), columns ->> 'embedding', columns ->> 'created_at', columns ->> 'created_at', columns ->> 'importance',
        columns ->> 'context', named ->> 'decay_rate', named ->> 'importance_at');
END $$;

COMMENT ON FUNCTION chrono_context_summary_sql IS 'internal: the statement of chrono_context_summary';

CREATE FUNCTION chrono_context_summary(
    rel regclass,
    context text,
    created_at_column text DEFAULT NULL,
    importance_column text DEFAULT NULL,
    decay_rate_column text DEFAULT NULL,
    context_column text DEFAULT NULL,
    importance_at_column text DEFAULT NULL
) RETURNS TABLE (count bigint, mean_importance double precision, centroid vector, newest timestamptz, oldest timestamptz)
    LANGUAGE plpgsql STABLE ROWS 1 AS $$
BEGIN
    RETURN QUERY EXECUTE @extschema@.chrono_context_summary_sql(rel, context, pg_catalog.jsonb_build_object('created_at', created_at_column,
        'importance', importance_column, 'decay_rate', decay_rate_column, 'context', context_column, 'importance_at', importance_at_column))
        USING context;
END $$;

COMMENT ON FUNCTION chrono_context_summary IS
    'how many memories a context holds, how much they matter now, their mean vector, and the times of the newest and the oldest';

-- Consolidation ------------------------------------------------------------------------------------

-- What was merged is logged in a table beside the memories, named after theirs.
CREATE FUNCTION chrono_merges_name(rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN chrono_name(rel, '_merges');

COMMENT ON FUNCTION chrono_merges_name IS 'internal: the qualified name of the log of a table''s merges';

-- links_removed are the links that a merge took from the absorbed memory, links_added those that the
-- survivor did not have; pins says that the survivor was not pinned before.
CREATE FUNCTION chrono_create_merges(rel regclass, id_column text DEFAULT NULL) RETURNS regclass
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    id text := @extschema@.chrono_columns(rel, ARRAY['id'], named => jsonb_build_object('id', id_column)) ->> 'id';
    merges text := @extschema@.chrono_merges_name(rel);
    id_type text := @extschema@.chrono_type(rel, id);
BEGIN
    EXECUTE format('CREATE TABLE %1$s (
            id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
            merged_at timestamptz NOT NULL DEFAULT now(),
            survivor %2$s NOT NULL,
            absorbed %2$s NOT NULL,
            similarity double precision NOT NULL,
            valid_to timestamptz,
            pins boolean NOT NULL DEFAULT false,
            links_removed jsonb NOT NULL DEFAULT ''[]'',
            links_added jsonb NOT NULL DEFAULT ''[]''
        )', merges, id_type);
    EXECUTE format('CREATE INDEX ON %s (absorbed)', merges);
    EXECUTE format('CREATE INDEX ON %s (survivor)', merges);
    RETURN merges::regclass;
END $$;

COMMENT ON FUNCTION chrono_create_merges IS 'makes the log of the merges of a table of memories';

CREATE FUNCTION chrono_merges(rel regclass) RETURNS regclass
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    merges regclass := @extschema@.chrono_beside(rel, @extschema@.chrono_merges_name(rel));
BEGIN
    IF merges IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'undefined_table', MESSAGE = format('table %s has no log of merges', rel),
            DETAIL = 'Merges are logged, so that they can be undone.',
            HINT = format('SELECT @extschema@.chrono_create_merges(%L) makes it.', @extschema@.chrono_name(rel));
    END IF;
    RETURN merges;
END $$;

COMMENT ON FUNCTION chrono_merges IS 'internal: the log of the merges of a table';

-- Pairs of rows numbered by rank, 1 the best, become who goes into whom, in the order of going.
CREATE FUNCTION chrono_components(count integer, lefts integer[], rights integer[])
RETURNS TABLE (member integer, survivor integer, parent integer)
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_components_wrapper';

COMMENT ON FUNCTION chrono_components IS 'internal: the connected components of pairs of duplicates';

-- Whether a row of a table holds today with no end in sight, and stands for itself, as SQL. What will end is
-- not the same as what will not.
CREATE FUNCTION chrono_alive_sql(alias text, columns jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN concat_ws(' AND ', format('%1$s.%2$I IS NULL AND (%1$s.%3$I IS NULL OR %1$s.%3$I = ''infinity'')',
            alias, columns ->> 'superseded_by', columns ->> 'valid_to'),
        '(' || alias || '.' || quote_ident(columns ->> 'valid_from') || ' <= now()) IS NOT FALSE');

COMMENT ON FUNCTION chrono_alive_sql IS 'internal: the SQL of whether a memory can be merged';

-- The statements of chrono_consolidate; identifiers are passed as texts. Those that only look run under
-- a search_path without surprises, those that write under the caller's.
CREATE FUNCTION chrono_consolidate_sql(rel regclass, similarity_threshold double precision, max_merges integer,
        across_contexts boolean, named jsonb,
        OUT scan text, OUT nearby text, OUT lock text, OUT busy text, OUT plan text,
        OUT log text, OUT pin text, OUT supersede text, OUT linked text, OUT move text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{id,embedding,valid_to,superseded_by}',
        array_remove('{context,created_at,importance,importance_at,decay_rate,valid_from,pinned}'::text[],
            CASE WHEN across_contexts THEN 'context' END), named);
    id text := quote_ident(columns ->> 'id');
    embedding text := quote_ident(columns ->> 'embedding');
    context text := quote_ident(columns ->> 'context');
    pinned text := quote_ident(columns ->> 'pinned');
    id_type text := @extschema@.chrono_type(rel, columns ->> 'id');
    operator text := (SELECT format('OPERATOR(%I.<=>)', nspname)
        FROM pg_extension e JOIN pg_namespace n ON n.oid = e.extnamespace WHERE extname = 'vector');
    nearest text := 'SELECT m.%2$s::text AS l, n.%2$s::text AS r
        FROM ONLY %1$s AS m CROSS JOIN LATERAL (SELECT n.%2$s FROM ONLY %1$s AS n
            WHERE n.%3$s %4$s m.%3$s <= $2 AND %5$s AND %7$s ORDER BY n.%3$s %4$s m.%3$s LIMIT 64) AS n
        WHERE m.%2$s = ANY ($1::%6$s[]) AND m.%2$s <> n.%2$s AND %8$s';
    rank text := concat_ws(', ',
        CASE WHEN columns ?& '{importance,importance_at}' THEN @extschema@.chrono_effective_sql(rel, columns, 'now()')
            ELSE 'm.' || quote_ident(columns ->> 'importance') END || ' DESC NULLS LAST',
        'm.' || quote_ident(columns ->> 'created_at') || ' DESC NULLS LAST', 'm.' || id);
    qualified text := @extschema@.chrono_name(rel);
    links regclass := @extschema@.chrono_beside(rel, @extschema@.chrono_links_name(rel));
    merges text := @extschema@.chrono_merges_name(rel);
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
        qualified, id, id_type, @extschema@.chrono_alive_sql('m', columns));
    -- $1: whose neighbours, $2: how far. Of contexts that are NULL none equals another.
    nearby := 'SELECT array_agg(p.l), array_agg(p.r), count(DISTINCT p.l) FROM ('
        || format(nearest, qualified, id, embedding, operator, @extschema@.chrono_alive_sql('n', columns), id_type,
            coalesce('n.' || context || ' = m.' || context, 'true'), 'true')
        || CASE WHEN context IS NULL THEN '' ELSE ' UNION ALL ' || format(nearest, qualified, id, embedding, operator,
            @extschema@.chrono_alive_sql('n', columns), id_type, 'n.' || context || ' IS NULL', 'm.' || context || ' IS NULL') END
        || ') AS p';
    -- $1: identifiers. Nobody is waited for.
    lock := format('SELECT array_agg(l.id) FROM (SELECT m.%2$s::text AS id FROM ONLY %1$s AS m WHERE m.%2$s = ANY (ARRAY(SELECT DISTINCT unnest($1))::%3$s[]) AND %4$s
        ORDER BY m.%2$s FOR UPDATE SKIP LOCKED) AS l', qualified, id, id_type, @extschema@.chrono_alive_sql('m', columns));
    -- $1, $2: pairs, $3: identifiers to choose from, or NULL for all, $4: how far, $5: how many.
    plan := format('WITH node AS MATERIALIZED (
            SELECT m.%2$s::text AS id, m.%3$s AS embedding, %4$s AS context, (row_number() OVER (ORDER BY %5$s))::integer AS rank
            FROM ONLY %1$s AS m WHERE m.%2$s = ANY (ARRAY(SELECT DISTINCT unnest(coalesce($3, $1 || $2)))::%6$s[]) AND %7$s
        ), pair AS (
            SELECT l.rank AS l, r.rank AS r FROM unnest($1, $2) AS p (l, r) JOIN node l ON l.id = p.l JOIN node r ON r.id = p.r
            WHERE l.embedding %8$s r.embedding <= $4 AND l.context IS NOT DISTINCT FROM r.context
        ), merge AS (
            SELECT c.* FROM (SELECT coalesce(array_agg(l), ''{}'') AS lefts, coalesce(array_agg(r), ''{}'') AS rights FROM pair) AS p
                CROSS JOIN LATERAL @extschema@.chrono_components((SELECT count(*)::integer FROM node), p.lefts, p.rights)
                WITH ORDINALITY AS c (member, survivor, parent, place)
        )
        SELECT s.id AS survivor, a.id AS absorbed, 1 - (a.embedding %8$s p.embedding) AS similarity FROM merge g JOIN node s ON s.rank = g.survivor
            JOIN node a ON a.rank = g.member JOIN node p ON p.rank = g.parent ORDER BY g.place LIMIT $5',
        qualified, id, embedding, coalesce('m.' || context, 'NULL::text'), rank, id_type, @extschema@.chrono_alive_sql('m', columns), operator);
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
            SELECT array_agg(source::text) || array_agg(target::text) FROM taken', qualified, id, @extschema@.chrono_name(links), id_type);
        -- $1: survivors, $2: absorbed. The merges with links to move, in order.
        linked := format('SELECT g.survivor, g.absorbed FROM ROWS FROM (pg_catalog.unnest($1), pg_catalog.unnest($2)) WITH ORDINALITY AS g (survivor, absorbed, place)
            WHERE EXISTS (SELECT FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) g.absorbed::%2$s)
                OR EXISTS (SELECT FROM %1$s AS l WHERE l.target OPERATOR(pg_catalog.=) g.absorbed::%2$s) ORDER BY g.place', @extschema@.chrono_name(links), id_type);
        -- $1: the survivor, $2: the absorbed.
        move := format('WITH removed AS (
                DELETE FROM %1$s AS l WHERE l.source OPERATOR(pg_catalog.=) $2::%3$s OR l.target OPERATOR(pg_catalog.=) $2::%3$s RETURNING l.*
            ), moved AS (
                SELECT DISTINCT ON (n.source, n.target, n.relation) n.* FROM removed AS r CROSS JOIN LATERAL pg_catalog.jsonb_populate_record(
                    NULL::%1$s, @extschema@.chrono_moved(pg_catalog.to_jsonb(r), $1, $2)) AS n
                WHERE n.source OPERATOR(pg_catalog.<>) n.target ORDER BY n.source, n.target, n.relation
            ), added AS (
                %4$s FROM moved AS r ON CONFLICT DO NOTHING RETURNING *
            )
            UPDATE %2$s AS e SET links_removed = (SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(r)) FROM removed AS r),
                links_added = coalesce((SELECT pg_catalog.jsonb_agg(pg_catalog.to_jsonb(a)) FROM added AS a), ''[]'')
            WHERE e.absorbed OPERATOR(pg_catalog.=) $2::%3$s AND e.merged_at OPERATOR(pg_catalog.=) pg_catalog.now()',
            @extschema@.chrono_name(links), merges, id_type, @extschema@.chrono_insert_sql(links));
    END IF;
END $$;

COMMENT ON FUNCTION chrono_consolidate_sql IS 'internal: the statements of chrono_consolidate';

-- Generated columns follow from the others, and identities move with their links.
CREATE FUNCTION chrono_insert_sql(rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (SELECT format('INSERT INTO %s (%s) OVERRIDING SYSTEM VALUE SELECT %s', chrono_name(rel),
            string_agg(quote_ident(attname), ', ' ORDER BY attnum), string_agg('r.' || quote_ident(attname), ', ' ORDER BY attnum))
        FROM pg_attribute WHERE attrelid = rel AND attnum > 0 AND NOT attisdropped AND attgenerated = '');

COMMENT ON FUNCTION chrono_insert_sql IS 'internal: the SQL that inserts whole rows r of a table';

CREATE FUNCTION chrono_moved(link jsonb, survivor text, absorbed text) RETURNS jsonb
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN link || jsonb_build_object('source', CASE link ->> 'source' WHEN absorbed THEN survivor ELSE link ->> 'source' END,
        'target', CASE link ->> 'target' WHEN absorbed THEN survivor ELSE link ->> 'target' END);

COMMENT ON FUNCTION chrono_moved IS 'internal: a link of an absorbed memory as one of the survivor';

-- Pairs of duplicates, by the index: each row's neighbours within the threshold. A row with more than 64
-- is found by the others. It ends with enough pairs for max_merges, as every component of n rows makes
-- n - 1 of n / 2 or more; and then completes the components that it has begun.
CREATE FUNCTION chrono_duplicates(statements record, similarity_threshold double precision, max_merges integer,
        OUT lefts text[], OUT rights text[])
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp
    SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off AS $$
DECLARE
    -- Equal vectors are not quite at distance 0 in single precision.
    reach double precision := greatest(1 - similarity_threshold, 1e-6);
    rows text[];
    seen text[];
    l text[];
    r text[];
    number bigint;
    rows_with bigint := 0;
BEGIN
    lefts := '{}';
    rights := '{}';
    LOOP
        EXECUTE statements.scan INTO rows USING rows[cardinality(rows)];
        EXIT WHEN rows IS NULL;
        EXECUTE statements.nearby INTO l, r, number USING rows, reach;
        lefts := lefts || l;
        rights := rights || r;
        rows_with := rows_with + number;
        EXIT WHEN rows_with >= 2::bigint * max_merges;
    END LOOP;
    WHILE rows IS NOT NULL LOOP
        rows := (SELECT array_agg(id) FROM (SELECT unnest(rights) EXCEPT SELECT unnest(lefts) EXCEPT SELECT unnest(seen)) AS other (id));
        seen := seen || rows;
        EXECUTE statements.nearby INTO l, r, number USING rows, reach;
        lefts := lefts || l;
        rights := rights || r;
    END LOOP;
END $$;

COMMENT ON FUNCTION chrono_duplicates IS 'internal: pairs of duplicates';

-- Who is merged into whom, in order; of the rows that are given, or of all where that is NULL. The planner
-- takes the arrays for small ones.
CREATE FUNCTION chrono_plan_merges(statements record, pairs record, ids text[], similarity_threshold double precision, max_merges integer)
RETURNS TABLE (survivor text, absorbed text, similarity double precision)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
BEGIN
    RETURN QUERY EXECUTE statements.plan USING pairs.lefts, pairs.rights, ids, greatest(1 - similarity_threshold, 1e-6), max_merges;
END $$;

COMMENT ON FUNCTION chrono_plan_merges IS 'internal: who is merged into whom';

-- Locks what a merge changes, without waiting: so it is never part of a deadlock. Returns the memories of
-- which all is locked, their links and the other ends of these included; for others there is a next run.
CREATE FUNCTION chrono_lock_duplicates(statements record, pairs record) RETURNS text[]
    LANGUAGE plpgsql VOLATILE SET search_path = pg_catalog, pg_temp SET enable_nestloop = off AS $$
DECLARE
    ids text[];
    taken text[];
BEGIN
    EXECUTE statements.lock INTO ids USING pairs.lefts || pairs.rights;
    IF statements.busy IS NOT NULL THEN
        EXECUTE statements.busy INTO taken USING ids;
    END IF;
    RETURN ARRAY(SELECT unnest(ids) EXCEPT SELECT unnest(taken));
END $$;

COMMENT ON FUNCTION chrono_lock_duplicates IS 'internal: locks duplicates';

-- A merge is done as a whole or not at all.
CREATE FUNCTION chrono_check_changed(rel regclass, changed bigint, expected bigint) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    IF changed <> expected THEN
        RAISE EXCEPTION USING ERRCODE = 'triggered_action_exception', MESSAGE = format('%s rows of %s were changed instead of %s', changed, rel, expected),
            DETAIL = 'A trigger kept rows as they were, or several have the same identifier.',
            HINT = 'Let the triggers pass what changes the end of a memory and the one that supersedes it.';
    END IF;
END $$;

COMMENT ON FUNCTION chrono_check_changed IS 'internal: fails where a statement did not change the rows that it should';

CREATE FUNCTION chrono_consolidate(
    rel regclass,
    similarity_threshold double precision DEFAULT 0.95,
    max_merges integer DEFAULT 1000,
    dry_run boolean DEFAULT false,
    across_contexts boolean DEFAULT false,
    id_column text DEFAULT NULL,
    embedding_column text DEFAULT NULL,
    context_column text DEFAULT NULL,
    created_at_column text DEFAULT NULL,
    importance_column text DEFAULT NULL,
    importance_at_column text DEFAULT NULL,
    decay_rate_column text DEFAULT NULL,
    valid_from_column text DEFAULT NULL,
    valid_to_column text DEFAULT NULL,
    superseded_by_column text DEFAULT NULL,
    pinned_column text DEFAULT NULL
) RETURNS TABLE (survivor text, absorbed text, similarity double precision)
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    statements record := @extschema@.chrono_consolidate_sql(rel, similarity_threshold, max_merges, across_contexts, pg_catalog.jsonb_build_object(
        'id', id_column, 'embedding', embedding_column, 'context', context_column, 'created_at', created_at_column,
        'importance', importance_column, 'importance_at', importance_at_column, 'decay_rate', decay_rate_column,
        'valid_from', valid_from_column, 'valid_to', valid_to_column, 'superseded_by', superseded_by_column, 'pinned', pinned_column));
    pairs record;
    survivors text[];
    gone text[];
    similarities double precision[];
    merge record;
    changed bigint;
BEGIN
    IF dry_run IS NOT TRUE THEN
        PERFORM @extschema@.chrono_merges(rel);
    END IF;
    pairs := @extschema@.chrono_duplicates(statements, similarity_threshold, max_merges);
    IF dry_run THEN
        RETURN QUERY SELECT * FROM @extschema@.chrono_plan_merges(statements, pairs, NULL, similarity_threshold, max_merges);
        RETURN;
    END IF;
    -- Once locked, the rows are looked at again: what was found may have changed since.
    SELECT pg_catalog.array_agg(p.survivor), pg_catalog.array_agg(p.absorbed), pg_catalog.array_agg(p.similarity)
    INTO survivors, gone, similarities FROM @extschema@.chrono_plan_merges(statements, pairs,
        @extschema@.chrono_lock_duplicates(statements, pairs), similarity_threshold, max_merges) AS p;
    EXECUTE statements.log USING survivors, gone, similarities;
    IF statements.pin IS NOT NULL THEN
        EXECUTE statements.pin USING survivors, gone;
    END IF;
    EXECUTE statements.supersede USING survivors, gone;
    GET DIAGNOSTICS changed = ROW_COUNT;
    PERFORM @extschema@.chrono_check_changed(rel, changed, coalesce(pg_catalog.cardinality(gone), 0));
    IF statements.linked IS NOT NULL THEN
        FOR merge IN EXECUTE statements.linked USING survivors, gone LOOP
            EXECUTE statements.move USING merge.survivor, merge.absorbed;
        END LOOP;
    END IF;
    RETURN QUERY SELECT * FROM ROWS FROM (pg_catalog.unnest(survivors), pg_catalog.unnest(gone), pg_catalog.unnest(similarities));
END $$;

COMMENT ON FUNCTION chrono_consolidate IS
    'merges near-duplicates: the most important one of each chain survives with the links of all, the others are superseded by it; returns who was merged into whom';

-- The statements of chrono_unconsolidate; identifiers are passed as texts. $1 is the number of a merge.
CREATE FUNCTION chrono_unconsolidate_sql(rel regclass, named jsonb,
        OUT find text, OUT lock text, OUT state text, OUT later text, OUT restore text, OUT revive text, OUT inherit text, OUT unpin text, OUT forget text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{id,valid_to,superseded_by}', '{pinned}', named);
    id text := quote_ident(columns ->> 'id');
    pinned text := quote_ident(columns ->> 'pinned');
    id_type text := @extschema@.chrono_type(rel, columns ->> 'id');
    qualified text := @extschema@.chrono_name(rel);
    links regclass := @extschema@.chrono_beside(rel, @extschema@.chrono_links_name(rel));
    merges text := @extschema@.chrono_name(@extschema@.chrono_merges(rel));
BEGIN
    -- $1: identifiers. The latest merge of each, the latest first.
    find := format('SELECT g.id AS absorbed, e.id, e.survivor::text FROM pg_catalog.unnest($1) AS g (id) LEFT JOIN LATERAL (
            SELECT e.id, e.survivor FROM %1$s AS e WHERE e.absorbed OPERATOR(pg_catalog.=) g.id::%2$s ORDER BY e.id DESC LIMIT 1
        ) AS e ON true GROUP BY g.id, e.id, e.survivor ORDER BY e.id DESC NULLS FIRST', merges, id_type);
    lock := format('SELECT pg_catalog.count(*) FROM (SELECT FROM ONLY %1$s AS m, %3$s AS e WHERE e.id OPERATOR(pg_catalog.=) $1
        AND m.%2$s OPERATOR(pg_catalog.=) ANY (ARRAY[e.survivor, e.absorbed]) ORDER BY m.%2$s FOR UPDATE OF m) AS l', qualified, id, merges);
    state := format('SELECT a.%2$s IS NOT NULL AS is_there, a.%4$s OPERATOR(pg_catalog.=) e.survivor AND a.%5$s OPERATOR(pg_catalog.=) e.merged_at AS is_as_merged,
            s.%4$s::text AS survivor_of_survivor
        FROM %3$s AS e LEFT JOIN ONLY %1$s AS a ON a.%2$s OPERATOR(pg_catalog.=) e.absorbed
            LEFT JOIN ONLY %1$s AS s ON s.%2$s OPERATOR(pg_catalog.=) e.survivor WHERE e.id OPERATOR(pg_catalog.=) $1',
        qualified, id, merges, quote_ident(columns ->> 'superseded_by'), quote_ident(columns ->> 'valid_to'));
    -- A later merge that moved a link which this one added, or for which it stands in.
    later := format('SELECT l.absorbed::text FROM %1$s AS e, %1$s AS l WHERE e.id OPERATOR(pg_catalog.=) $1 AND l.id OPERATOR(pg_catalog.>) e.id
        AND EXISTS (SELECT FROM pg_catalog.jsonb_array_elements(e.links_added) AS a (link), pg_catalog.jsonb_array_elements(l.links_removed) AS r (link)
            WHERE @extschema@.chrono_link_key(a.link) OPERATOR(pg_catalog.=) ANY (ARRAY[@extschema@.chrono_link_key(r.link),
                @extschema@.chrono_link_key(@extschema@.chrono_moved(r.link, l.survivor::text, l.absorbed::text))]))
        ORDER BY l.id DESC LIMIT 1', merges);
    revive := format('UPDATE ONLY %1$s AS m SET %4$s = NULL, %5$s = e.valid_to FROM %3$s AS e
        WHERE e.id OPERATOR(pg_catalog.=) $1 AND m.%2$s OPERATOR(pg_catalog.=) e.absorbed',
        qualified, id, merges, quote_ident(columns ->> 'superseded_by'), quote_ident(columns ->> 'valid_to'));
    forget := format('DELETE FROM %s AS e WHERE e.id OPERATOR(pg_catalog.=) $1', merges);
    IF pinned IS NOT NULL THEN
        -- The survivor stays pinned for the sake of another memory that it absorbed, if there is one.
        inherit := format('UPDATE %1$s AS h SET pins = true WHERE h.id OPERATOR(pg_catalog.=) (SELECT o.id FROM %1$s AS e, %1$s AS o, ONLY %2$s AS a
            WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.pins AND o.survivor OPERATOR(pg_catalog.=) e.survivor AND o.id OPERATOR(pg_catalog.<>) e.id
                AND a.%3$s OPERATOR(pg_catalog.=) o.absorbed AND a.%4$s ORDER BY o.id LIMIT 1)', merges, qualified, id, pinned);
        unpin := format('UPDATE ONLY %2$s AS m SET %4$s = false FROM %1$s AS e WHERE e.id OPERATOR(pg_catalog.=) $1 AND e.pins
            AND m.%3$s OPERATOR(pg_catalog.=) e.survivor
            AND NOT EXISTS (SELECT FROM %1$s AS o WHERE o.survivor OPERATOR(pg_catalog.=) e.survivor AND o.id OPERATOR(pg_catalog.<>) e.id AND o.pins)',
            merges, qualified, id, pinned);
    END IF;
    IF links IS NOT NULL THEN
        -- A link comes back unless what stood in for it, or its other end, was deleted meanwhile.
        restore := format('WITH merge AS (
                SELECT e.* FROM %2$s AS e WHERE e.id OPERATOR(pg_catalog.=) $1
            ), added AS (
                SELECT a.* FROM merge AS e CROSS JOIN LATERAL pg_catalog.jsonb_populate_recordset(NULL::%1$s, e.links_added) AS a
            ), deleted AS (
                DELETE FROM %1$s AS l USING added AS a WHERE l.source OPERATOR(pg_catalog.=) a.source AND l.target OPERATOR(pg_catalog.=) a.target
                    AND l.relation OPERATOR(pg_catalog.=) a.relation RETURNING @extschema@.chrono_link_key(pg_catalog.to_jsonb(l)) AS key
            )
            %5$s FROM merge AS e CROSS JOIN LATERAL pg_catalog.jsonb_populate_recordset(NULL::%1$s, e.links_removed) AS r
                JOIN ONLY %3$s AS s ON s.%4$s OPERATOR(pg_catalog.=) r.source JOIN ONLY %3$s AS t ON t.%4$s OPERATOR(pg_catalog.=) r.target
                CROSS JOIN LATERAL @extschema@.chrono_link_key(@extschema@.chrono_moved(pg_catalog.to_jsonb(r), e.survivor::text, e.absorbed::text)) AS moved (key)
            WHERE NOT EXISTS (SELECT FROM added AS a WHERE @extschema@.chrono_link_key(pg_catalog.to_jsonb(a)) OPERATOR(pg_catalog.=) moved.key)
                OR EXISTS (SELECT FROM deleted AS d WHERE d.key OPERATOR(pg_catalog.=) moved.key)
            ON CONFLICT DO NOTHING', @extschema@.chrono_name(links), merges, qualified, id, @extschema@.chrono_insert_sql(links));
    END IF;
END $$;

COMMENT ON FUNCTION chrono_unconsolidate_sql IS 'internal: the statements of chrono_unconsolidate';

CREATE FUNCTION chrono_link_key(link jsonb) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    RETURN ARRAY[link ->> 'source', link ->> 'target', link ->> 'relation']::text;

COMMENT ON FUNCTION chrono_link_key IS 'internal: what makes a link the same as another';

CREATE FUNCTION chrono_unconsolidate(
    rel regclass,
    ids anyarray,
    id_column text DEFAULT NULL,
    valid_to_column text DEFAULT NULL,
    superseded_by_column text DEFAULT NULL,
    pinned_column text DEFAULT NULL
) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
DECLARE
    statements record := @extschema@.chrono_unconsolidate_sql(rel, pg_catalog.jsonb_build_object('id', id_column,
        'valid_to', valid_to_column, 'superseded_by', superseded_by_column, 'pinned', pinned_column));
    restored bigint := 0;
    merge record;
    found record;
    later text;
    changed bigint;
BEGIN
    FOR merge IN EXECUTE statements.find USING ids::text[] LOOP
        IF merge.id IS NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('memory %s of %s was not merged', coalesce(merge.absorbed, 'NULL'), rel),
                HINT = 'Name memories that were absorbed, as chrono_consolidate returned them.';
        END IF;
        EXECUTE statements.lock USING merge.id;
        EXECUTE statements.state INTO found USING merge.id;
        EXECUTE statements.later INTO later USING merge.id;
        IF NOT found.is_there THEN
            RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('memory %s is not in %s any more', merge.absorbed, rel),
                DETAIL = 'It was deleted after it was merged.';
        ELSIF found.is_as_merged IS NOT TRUE THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = pg_catalog.format('memory %s was changed after it was merged', merge.absorbed),
                DETAIL = pg_catalog.format('It is not superseded by %s since the merge, or that memory was deleted.', merge.survivor),
                HINT = 'Change it by hand as it should be.';
        ELSIF found.survivor_of_survivor IS NOT NULL OR later IS NOT NULL THEN
            RAISE EXCEPTION USING ERRCODE = 'object_not_in_prerequisite_state', MESSAGE = pg_catalog.format('the merge of memory %s is part of a later one', merge.absorbed),
                DETAIL = pg_catalog.format('Memory %s was merged later, with links that this merge moved.', coalesce(later, merge.survivor)),
                HINT = pg_catalog.format('Undo both, the order is found: ARRAY[%s, %s].', merge.absorbed, coalesce(later, merge.survivor));
        END IF;
        IF statements.restore IS NOT NULL THEN
            EXECUTE statements.restore USING merge.id;
        END IF;
        EXECUTE statements.revive USING merge.id;
        GET DIAGNOSTICS changed = ROW_COUNT;
        PERFORM @extschema@.chrono_check_changed(rel, changed, 1);
        IF statements.inherit IS NOT NULL THEN
            EXECUTE statements.inherit USING merge.id;
            EXECUTE statements.unpin USING merge.id;
        END IF;
        EXECUTE statements.forget USING merge.id;
        restored := restored OPERATOR(pg_catalog.+) 1;
    END LOOP;
    RETURN restored;
END $$;

COMMENT ON FUNCTION chrono_unconsolidate IS
    'brings back memories that were absorbed, with their links and their validity; returns how many';

-- Schedules ----------------------------------------------------------------------------------------

-- The jobs of a table's upkeep, each with SQL that a person may run as well. A job whose schedule is NULL
-- is one that is not wanted.
CREATE FUNCTION chrono_jobs(rel regclass, decay text, consolidate text, forget_below double precision, similarity_threshold double precision)
RETURNS TABLE (job text, schedule text, command text)
    LANGUAGE sql STABLE PARALLEL SAFE ROWS 2
BEGIN ATOMIC
    -- The name of a job has 63 bytes.
    WITH named AS (
        SELECT name, CASE WHEN octet_length(name) <= 44 THEN name ELSE md5(name) END AS short FROM chrono_name($1) AS name
    )
    SELECT 'chrono_decay ' || short, $2,
        format('SELECT * FROM @extschema@.chrono_decay(%L%s)', name, ', forget_below => ' || $4)
    FROM named
    UNION ALL
    SELECT 'chrono_consolidate ' || short, $3,
        format('SELECT pg_catalog.count(*) FROM @extschema@.chrono_consolidate(%L, similarity_threshold => %s)', name, $5)
    FROM named;
END;

COMMENT ON FUNCTION chrono_jobs IS 'internal: the jobs of a table';

CREATE FUNCTION chrono_check_cron(instead text DEFAULT NULL) RETURNS void
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    -- NULL where pg_cron is not preloaded, and for those who may not see the setting.
    home text := (SELECT setting FROM pg_settings WHERE name = 'cron.database_name');
BEGIN
    IF EXISTS (SELECT FROM pg_extension WHERE extname = 'pg_cron') THEN
        RETURN;
    END IF;
    RAISE EXCEPTION USING ERRCODE = 'undefined_object', MESSAGE = format('pg_cron is not in database "%s"', current_database()),
        DETAIL = concat('Jobs are run by the extension pg_cron.', ' By hand or by another scheduler: ' || instead),
        HINT = CASE
            WHEN NOT EXISTS (SELECT FROM pg_available_extensions WHERE name = 'pg_cron') THEN
                'Install pg_cron (Debian: postgresql-NN-cron), add it to shared_preload_libraries, restart, and CREATE EXTENSION pg_cron.'
            WHEN home IS NULL THEN
                'Add pg_cron to shared_preload_libraries, restart, and CREATE EXTENSION pg_cron in the database that cron.database_name names.'
            WHEN home = current_database() THEN 'CREATE EXTENSION pg_cron.'
            ELSE format('pg_cron lives in database "%s"; there, cron.schedule_in_database(name, schedule, command, %L) takes the same commands.',
                home, current_database())
        END;
END $$;

COMMENT ON FUNCTION chrono_check_cron IS 'internal: fails, with a hint, where there is no pg_cron';

CREATE FUNCTION chrono_scheduled(rel regclass) RETURNS TABLE (jobid bigint, job text)
    LANGUAGE plpgsql STABLE SET search_path = pg_catalog, pg_temp AS $$
BEGIN
    RETURN QUERY SELECT c.jobid, j.job FROM cron.job c JOIN @extschema@.chrono_jobs(rel, NULL, NULL, NULL, NULL) j ON j.job = c.jobname::text
        WHERE c.username = CURRENT_USER::text AND c.database = current_database()::text;
END $$;

COMMENT ON FUNCTION chrono_scheduled IS 'internal: the jobs of a table that the caller has scheduled';

CREATE FUNCTION chrono_schedule(
    rel regclass,
    decay text DEFAULT '0 * * * *',
    consolidate text DEFAULT '30 3 * * *',
    forget_below double precision DEFAULT NULL,
    similarity_threshold double precision DEFAULT 0.95
) RETURNS TABLE (jobid bigint, job text, schedule text, command text)
    LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    -- What the jobs would complain about every time, they complain about now.
    PERFORM @extschema@.chrono_decay_sql(rel, 1, forget_below, '{}');
    IF consolidate IS NOT NULL THEN
        PERFORM @extschema@.chrono_consolidate_sql(rel, similarity_threshold, 1, false, '{}'), @extschema@.chrono_merges(rel);
    END IF;
    PERFORM @extschema@.chrono_check_cron((SELECT pg_catalog.string_agg(j.command, '; ')
        FROM @extschema@.chrono_jobs(rel, decay, consolidate, forget_below, similarity_threshold) AS j WHERE j.schedule IS NOT NULL));
    PERFORM cron.unschedule(c.jobid) FROM @extschema@.chrono_scheduled(rel) AS c
        JOIN @extschema@.chrono_jobs(rel, decay, consolidate, NULL, NULL) AS j ON j.job OPERATOR(pg_catalog.=) c.job WHERE j.schedule IS NULL;
    RETURN QUERY SELECT cron.schedule(j.job, j.schedule, j.command), j.job, j.schedule, j.command
        FROM @extschema@.chrono_jobs(rel, decay, consolidate, forget_below, similarity_threshold) AS j WHERE j.schedule IS NOT NULL;
END $$;

COMMENT ON FUNCTION chrono_schedule IS
    'has pg_cron decay and consolidate a table of memories, instead of what was scheduled for it before; a schedule that is NULL leaves the job out';

CREATE FUNCTION chrono_unschedule(rel regclass) RETURNS bigint
    LANGUAGE plpgsql VOLATILE AS $$
BEGIN
    PERFORM @extschema@.chrono_check_cron();
    RETURN (SELECT pg_catalog.count(cron.unschedule(c.jobid)) FROM @extschema@.chrono_scheduled(rel) AS c);
END $$;

COMMENT ON FUNCTION chrono_unschedule IS 'removes the jobs of a table of memories; returns how many there were';

-- What indexes are made of --------------------------------------------------------------------------

CREATE FUNCTION chrono_stats(index regclass)
RETURNS TABLE (
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
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'chrono_stats_wrapper';

COMMENT ON FUNCTION chrono_stats IS
    'whether an index is loaded, does not fit, is loading, not loaded or not built; what it holds in memory; its bytes in memory and on disk; how often it was scanned';

CREATE VIEW chrono_indexes AS
    SELECT i.indexrelid::pg_catalog.regclass AS index, i.indrelid::pg_catalog.regclass AS indexed_table, i.indisvalid AS is_valid, s.*
    FROM pg_catalog.pg_index i
        JOIN pg_catalog.pg_class c ON c.oid OPERATOR(pg_catalog.=) i.indexrelid
        JOIN pg_catalog.pg_am m ON m.oid OPERATOR(pg_catalog.=) c.relam
        CROSS JOIN LATERAL @extschema@.chrono_stats(i.indexrelid) s
    -- Of a partitioned index there are only the parts; pages of temporary ones are their sessions' own.
    WHERE m.amname OPERATOR(pg_catalog.=) 'chrono' AND c.relkind OPERATOR(pg_catalog.=) 'i'
        AND NOT pg_catalog.pg_is_other_temp_schema(c.relnamespace);

COMMENT ON VIEW chrono_indexes IS 'every chrono index of this database, with its chrono_stats';
GRANT SELECT ON chrono_indexes TO PUBLIC;
