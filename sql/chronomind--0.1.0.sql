\echo Use "CREATE EXTENSION chronomind CASCADE" to load this file. \quit

-- The access method -------------------------------------------------------------------------------

CREATE FUNCTION chrono_handler(internal) RETURNS index_am_handler
    LANGUAGE c AS 'MODULE_PATHNAME', 'chrono_handler_wrapper';

CREATE ACCESS METHOD chrono TYPE INDEX HANDLER chrono_handler;

COMMENT ON ACCESS METHOD chrono IS
    'vector search with attributes such as time and importance in the same index';

-- What a vector operator class tells the index: support function 1 the metric, 2 the element type.
CREATE FUNCTION chrono_metric_l2() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_metric_l2_wrapper';
CREATE FUNCTION chrono_metric_ip() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_metric_ip_wrapper';
CREATE FUNCTION chrono_metric_cosine() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_metric_cosine_wrapper';
CREATE FUNCTION chrono_metric_l1() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_metric_l1_wrapper';
CREATE FUNCTION chrono_element_float4() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_element_float4_wrapper';
CREATE FUNCTION chrono_element_float2() RETURNS smallint
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_element_float2_wrapper';

-- A score for the index to order by: the program of a score expression, its query vector and its
-- constants. chrono_search and the planner make these values; nobody writes them.
CREATE TYPE chrono_query;
CREATE FUNCTION chrono_query_in(cstring) RETURNS chrono_query
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_query_in_wrapper';
CREATE FUNCTION chrono_query_out(chrono_query) RETURNS cstring
    LANGUAGE c IMMUTABLE STRICT PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_query_out_wrapper';
CREATE TYPE chrono_query (
    INPUT = chrono_query_in,
    OUTPUT = chrono_query_out,
    INTERNALLENGTH = VARIABLE,
    ALIGNMENT = double,
    STORAGE = plain
);
COMMENT ON TYPE chrono_query IS 'internal: a score for a chrono index to order by';

-- `ORDER BY embedding <~> chrono_query` exists only inside an index scan: the index answers it from
-- the vector and the attributes together, which an operator that sees the vector alone cannot do.
CREATE FUNCTION chrono_order(vector, chrono_query) RETURNS double precision
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_order_wrapper';
CREATE FUNCTION chrono_order(halfvec, chrono_query) RETURNS double precision
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_order_wrapper';
CREATE OPERATOR <~> (LEFTARG = vector, RIGHTARG = chrono_query, FUNCTION = chrono_order);
CREATE OPERATOR <~> (LEFTARG = halfvec, RIGHTARG = chrono_query, FUNCTION = chrono_order);

-- The same for a score that is a numeric, which Postgres sorts by another family.
CREATE FUNCTION chrono_order_numeric(vector, chrono_query) RETURNS numeric
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_order_numeric_wrapper';
CREATE FUNCTION chrono_order_numeric(halfvec, chrono_query) RETURNS numeric
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_order_numeric_wrapper';
CREATE OPERATOR <~~> (LEFTARG = vector, RIGHTARG = chrono_query, FUNCTION = chrono_order_numeric);
CREATE OPERATOR <~~> (LEFTARG = halfvec, RIGHTARG = chrono_query, FUNCTION = chrono_order_numeric);

-- What the planner puts into plans: the order as text, the query, and what $1 and so on stand for.
CREATE FUNCTION chrono_query(score text, query vector, parameters double precision[]) RETURNS chrono_query
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_query_wrapper';
CREATE FUNCTION chrono_query(score text, query halfvec, parameters double precision[]) RETURNS chrono_query
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_query_wrapper';
CREATE FUNCTION chrono_key(anyelement) RETURNS double precision
    LANGUAGE c IMMUTABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_key_wrapper';
COMMENT ON FUNCTION chrono_key IS 'internal: a value as the number that a chrono index knows it by';

-- Operator classes of the vector, named as pgvector names those of hnsw; like there, none is the
-- default, since a metric that does not match the query's operator would silently go unused.

CREATE OPERATOR CLASS vector_l2_ops FOR TYPE vector USING chrono AS
    OPERATOR 1 <-> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (vector, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (vector, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_l2(),
    FUNCTION 2 chrono_element_float4();

CREATE OPERATOR CLASS vector_ip_ops FOR TYPE vector USING chrono AS
    OPERATOR 1 <#> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (vector, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (vector, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_ip(),
    FUNCTION 2 chrono_element_float4();

CREATE OPERATOR CLASS vector_cosine_ops FOR TYPE vector USING chrono AS
    OPERATOR 1 <=> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (vector, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (vector, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_cosine(),
    FUNCTION 2 chrono_element_float4();

CREATE OPERATOR CLASS vector_l1_ops FOR TYPE vector USING chrono AS
    OPERATOR 1 <+> (vector, vector) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (vector, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (vector, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_l1(),
    FUNCTION 2 chrono_element_float4();

CREATE OPERATOR CLASS halfvec_l2_ops FOR TYPE halfvec USING chrono AS
    OPERATOR 1 <-> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (halfvec, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (halfvec, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_l2(),
    FUNCTION 2 chrono_element_float2();

CREATE OPERATOR CLASS halfvec_ip_ops FOR TYPE halfvec USING chrono AS
    OPERATOR 1 <#> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (halfvec, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (halfvec, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_ip(),
    FUNCTION 2 chrono_element_float2();

CREATE OPERATOR CLASS halfvec_cosine_ops FOR TYPE halfvec USING chrono AS
    OPERATOR 1 <=> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (halfvec, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (halfvec, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_cosine(),
    FUNCTION 2 chrono_element_float2();

CREATE OPERATOR CLASS halfvec_l1_ops FOR TYPE halfvec USING chrono AS
    OPERATOR 1 <+> (halfvec, halfvec) FOR ORDER BY float_ops,
    OPERATOR 2 <~> (halfvec, chrono_query) FOR ORDER BY float_ops,
    OPERATOR 3 <~~> (halfvec, chrono_query) FOR ORDER BY numeric_ops,
    FUNCTION 1 chrono_metric_l1(),
    FUNCTION 2 chrono_element_float2();

-- Operator classes of the attributes: ranges with btree's strategy numbers. Types of one family may
-- be compared with each other, so that a bigint parameter reaches an index on a smallint.

CREATE OPERATOR FAMILY integer_ops USING chrono;
CREATE OPERATOR CLASS int2_ops DEFAULT FOR TYPE smallint USING chrono FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS int4_ops DEFAULT FOR TYPE integer USING chrono FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS int8_ops DEFAULT FOR TYPE bigint USING chrono FAMILY integer_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
ALTER OPERATOR FAMILY integer_ops USING chrono ADD
    OPERATOR 1 < (smallint, integer),
    OPERATOR 2 <= (smallint, integer),
    OPERATOR 3 = (smallint, integer),
    OPERATOR 4 >= (smallint, integer),
    OPERATOR 5 > (smallint, integer),
    OPERATOR 1 < (smallint, bigint),
    OPERATOR 2 <= (smallint, bigint),
    OPERATOR 3 = (smallint, bigint),
    OPERATOR 4 >= (smallint, bigint),
    OPERATOR 5 > (smallint, bigint),
    OPERATOR 1 < (integer, smallint),
    OPERATOR 2 <= (integer, smallint),
    OPERATOR 3 = (integer, smallint),
    OPERATOR 4 >= (integer, smallint),
    OPERATOR 5 > (integer, smallint),
    OPERATOR 1 < (integer, bigint),
    OPERATOR 2 <= (integer, bigint),
    OPERATOR 3 = (integer, bigint),
    OPERATOR 4 >= (integer, bigint),
    OPERATOR 5 > (integer, bigint),
    OPERATOR 1 < (bigint, smallint),
    OPERATOR 2 <= (bigint, smallint),
    OPERATOR 3 = (bigint, smallint),
    OPERATOR 4 >= (bigint, smallint),
    OPERATOR 5 > (bigint, smallint),
    OPERATOR 1 < (bigint, integer),
    OPERATOR 2 <= (bigint, integer),
    OPERATOR 3 = (bigint, integer),
    OPERATOR 4 >= (bigint, integer),
    OPERATOR 5 > (bigint, integer);

CREATE OPERATOR FAMILY float_ops USING chrono;
CREATE OPERATOR CLASS float4_ops DEFAULT FOR TYPE real USING chrono FAMILY float_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS float8_ops DEFAULT FOR TYPE double precision USING chrono FAMILY float_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
ALTER OPERATOR FAMILY float_ops USING chrono ADD
    OPERATOR 1 < (real, double precision),
    OPERATOR 2 <= (real, double precision),
    OPERATOR 3 = (real, double precision),
    OPERATOR 4 >= (real, double precision),
    OPERATOR 5 > (real, double precision),
    OPERATOR 1 < (double precision, real),
    OPERATOR 2 <= (double precision, real),
    OPERATOR 3 = (double precision, real),
    OPERATOR 4 >= (double precision, real),
    OPERATOR 5 > (double precision, real);

CREATE OPERATOR FAMILY datetime_ops USING chrono;
CREATE OPERATOR CLASS timestamptz_ops DEFAULT FOR TYPE timestamp with time zone USING chrono FAMILY datetime_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS timestamp_ops DEFAULT FOR TYPE timestamp without time zone USING chrono FAMILY datetime_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
CREATE OPERATOR CLASS date_ops DEFAULT FOR TYPE date USING chrono FAMILY datetime_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;
-- A bound of another type is converted to the column's. Missing are the pairs in which SQL converts
-- the column's value instead: around a change of the clocks that is not the same.
ALTER OPERATOR FAMILY datetime_ops USING chrono ADD
    OPERATOR 1 < (timestamp with time zone, timestamp without time zone),
    OPERATOR 2 <= (timestamp with time zone, timestamp without time zone),
    OPERATOR 3 = (timestamp with time zone, timestamp without time zone),
    OPERATOR 4 >= (timestamp with time zone, timestamp without time zone),
    OPERATOR 5 > (timestamp with time zone, timestamp without time zone),
    OPERATOR 1 < (timestamp with time zone, date),
    OPERATOR 2 <= (timestamp with time zone, date),
    OPERATOR 3 = (timestamp with time zone, date),
    OPERATOR 4 >= (timestamp with time zone, date),
    OPERATOR 5 > (timestamp with time zone, date),
    OPERATOR 1 < (timestamp without time zone, date),
    OPERATOR 2 <= (timestamp without time zone, date),
    OPERATOR 3 = (timestamp without time zone, date),
    OPERATOR 4 >= (timestamp without time zone, date),
    OPERATOR 5 > (timestamp without time zone, date);

CREATE OPERATOR FAMILY bool_ops USING chrono;
CREATE OPERATOR CLASS bool_ops DEFAULT FOR TYPE boolean USING chrono FAMILY bool_ops AS
    OPERATOR 1 <, OPERATOR 2 <=, OPERATOR 3 =, OPERATOR 4 >=, OPERATOR 5 >;

-- Equality only: kept as a hash, and compared again with the row.
CREATE OPERATOR CLASS text_ops DEFAULT FOR TYPE text USING chrono AS OPERATOR 3 =;
CREATE OPERATOR CLASS uuid_ops DEFAULT FOR TYPE uuid USING chrono AS OPERATOR 3 =;
CREATE OPERATOR CLASS enum_ops DEFAULT FOR TYPE anyenum USING chrono AS OPERATOR 3 =;

-- Scores ------------------------------------------------------------------------------------------

CREATE FUNCTION chrono_score(
    distance double precision,
    created_at timestamp with time zone,
    importance double precision DEFAULT 1,
    decay_rate double precision DEFAULT NULL,
    recency_weight double precision DEFAULT NULL,
    importance_weight double precision DEFAULT NULL,
    as_of timestamp with time zone DEFAULT now()
) RETURNS double precision
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_score_wrapper';

COMMENT ON FUNCTION chrono_score IS
    'blend of distance, age and importance; lower is better. Weights and base rate default to the settings chronomind.recency_weight, importance_weight and base_decay_rate';

-- What chrono_score takes for the weight of 'recency' or 'importance' or as the rate of 'decay'.
CREATE FUNCTION chrono_blend(part text, recency_weight double precision, importance_weight double precision)
    RETURNS double precision
    LANGUAGE c STABLE PARALLEL SAFE AS 'MODULE_PATHNAME', 'chrono_blend_wrapper';
COMMENT ON FUNCTION chrono_blend IS 'internal: a weight or rate of chrono_score, from the call or from the settings';

-- Search -------------------------------------------------------------------------------------------

-- One declaration only: with another for halfvec, a query without a type would be ambiguous. An
-- index on a halfvec takes the query rounded, as the cast does.
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
    context_column text DEFAULT NULL
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

-- What a query's scans did --------------------------------------------------------------------------

-- Runs the query: as volatile and as unsafe in parallel as the query may be.
CREATE FUNCTION chrono_explain(query text)
RETURNS TABLE (
    index regclass,
    rows_near bigint,
    rows_in_zones bigint,
    zones_visited bigint,
    zones bigint,
    rows_given bigint,
    last_score double precision,
    bound double precision
)
    LANGUAGE c VOLATILE STRICT PARALLEL UNSAFE ROWS 1 AS 'MODULE_PATHNAME', 'chrono_explain_wrapper';

COMMENT ON FUNCTION chrono_explain IS
    'runs a SELECT and tells of each scan of a chrono index how many rows it looked at, and the bound of all that it did not: no row that is better than the last was missed';

-- Is an index whole -----------------------------------------------------------------------------------

CREATE FUNCTION chrono_check(index regclass)
RETURNS TABLE (table_rows bigint, index_rows bigint, dead_rows bigint, vectors bigint)
    LANGUAGE c VOLATILE STRICT PARALLEL RESTRICTED ROWS 1 AS 'MODULE_PATHNAME', 'chrono_check_wrapper';

COMMENT ON FUNCTION chrono_check IS
    'compares an index with its table, and with its pages where it is in memory; fails with what is wrong (XX002)';

-- It reads a whole table with whatever rights.
REVOKE ALL ON FUNCTION chrono_check FROM PUBLIC;
