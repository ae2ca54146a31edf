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
                    WHEN p.name = 'decay_rate' THEN (SELECT attname FROM indexed WHERE typname = ANY (p.types) AND nth = 2)
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
        ELSIF wanted.given IS NOT NULL OR wanted.is_required AND found.fits IS NOT NULL THEN
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
    RETURN (SELECT format_type(atttypid, NULL) FROM pg_attribute WHERE attrelid = rel AND attname = column_name);

COMMENT ON FUNCTION chrono_type IS 'internal: the type of a column';

-- Making a table of memories -----------------------------------------------------------------------

-- The name of a table under any search_path, or of one beside it; and that of the links between its rows.
CREATE FUNCTION chrono_name(rel regclass, suffix text DEFAULT '') RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN (SELECT format('%I.%I', n.nspname, c.relname || suffix)
        FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.oid = rel);

COMMENT ON FUNCTION chrono_name IS 'internal: the qualified name of a table, or of one beside it';

CREATE FUNCTION chrono_links_name(rel regclass) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN chrono_name(rel, '_links');

COMMENT ON FUNCTION chrono_links_name IS 'internal: the qualified name of the table of a table''s links';

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

-- The effective importance of a row m of a table at the moment $1, as SQL of the type of its column.
CREATE FUNCTION chrono_effective_sql(rel regclass, columns jsonb) RETURNS text
    LANGUAGE sql STABLE STRICT PARALLEL SAFE
    RETURN format('@extschema@.chrono_importance(m.%I, m.%I, %s, $1)::%s', columns ->> 'importance', columns ->> 'importance_at',
        coalesce('m.' || quote_ident(columns ->> 'decay_rate'), 'NULL'), chrono_type(rel, columns ->> 'importance'));

COMMENT ON FUNCTION chrono_effective_sql IS 'internal: the SQL of a row''s effective importance';

-- Of chrono_decay: $1 is the moment, $2 the floor, $3 the rows of a batch.
CREATE FUNCTION chrono_decay_sql(rel regclass, batch integer, forget_below double precision, named jsonb,
        OUT find text, OUT forget text, OUT fade text)
    LANGUAGE plpgsql STABLE PARALLEL SAFE SET search_path = pg_catalog, pg_temp AS $$
DECLARE
    columns jsonb := @extschema@.chrono_columns(rel, '{importance,importance_at}', '{decay_rate,pinned}', named);
    qualified text := @extschema@.chrono_name(rel);
    effective text := @extschema@.chrono_effective_sql(rel, columns);
    is_faded text := format('%s OPERATOR(pg_catalog.<>) m.%I', effective, columns ->> 'importance');
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
    links regclass := to_regclass(@extschema@.chrono_links_name(rel));
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
        OUT lock text, OUT find text, OUT known text, OUT number text, OUT make text)
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
    find := format('SELECT true FROM ONLY %s AS m WHERE m.%I OPERATOR(pg_catalog.=) $1::%s', @extschema@.chrono_name(rel), id, id_type);
    lock := find || ' FOR NO KEY UPDATE';
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
    is_there boolean;
    has_links bigint;
BEGIN
    -- The lock makes others wait who count the links of the same source.
    EXECUTE statements.lock INTO is_there USING source;
    IF is_there IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('there is no memory %s in %s', source, rel);
    END IF;
    EXECUTE statements.find INTO is_there USING target;
    IF is_there IS NULL THEN
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('there is no memory %s in %s', target, rel);
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
    -- A chain that leads nowhere or in a circle has no end.
    survivor text := format('WITH RECURSIVE chain (id, heir) AS (
            SELECT m.%2$I, %3$s FROM ONLY %1$s AS m WHERE m.%2$I OPERATOR(pg_catalog.=) %%s
            UNION SELECT m.%2$I, %3$s FROM chain AS c JOIN ONLY %1$s AS m ON m.%2$I OPERATOR(pg_catalog.=) c.heir
        ) SELECT chain.id FROM chain WHERE chain.heir IS NULL',
        @extschema@.chrono_name(rel), columns ->> 'id', coalesce('m.' || quote_ident(columns ->> 'superseded_by'), 'NULL::' || id_type));
BEGIN
    IF depth IS NULL OR depth < 1 THEN
        RAISE EXCEPTION USING ERRCODE = 'invalid_parameter_value', MESSAGE = 'depth must be at least 1',
            DETAIL = format('It is %s.', coalesce(depth::text, 'NULL')), HINT = 'It is the number of links to follow.';
    END IF;
    start := format('SELECT s.id::text FROM (%s) AS s', format(survivor, '$1::' || id_type));
    step := format('SELECT DISTINCT ON (n.id) n.id::text, f.place::integer, l.relation
        FROM pg_catalog.unnest($1) WITH ORDINALITY AS f (id, place)
            JOIN %s AS l ON l.source OPERATOR(pg_catalog.=) f.id::%s CROSS JOIN LATERAL (%s) AS n
        WHERE NOT EXISTS (SELECT FROM pg_catalog.unnest($2) AS seen (id) WHERE seen.id OPERATOR(pg_catalog.=) n.id::text)
        ORDER BY n.id, f.place, l.relation', @extschema@.chrono_name(@extschema@.chrono_links(rel)), id_type, format(survivor, 'l.target'));
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
        RAISE EXCEPTION USING ERRCODE = 'no_data_found', MESSAGE = pg_catalog.format('there is no memory %s in %s', coalesce(source, 'NULL'), rel);
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
    valid_to_column text DEFAULT NULL
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
        vectors, @extschema@.chrono_name(rel), columns ->> 'embedding', columns ->> 'created_at', named ->> 'created_at', named ->> 'importance',
        named ->> 'context', named ->> 'decay_rate', named ->> 'importance_at');
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
