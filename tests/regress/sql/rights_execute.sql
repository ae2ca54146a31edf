-- Who may not run a function that only plans call gets another plan, never an error.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE m (id int, e vector(3), h halfvec(3), importance float8, at timestamptz);
INSERT INTO m SELECT i, ARRAY[sin(i), cos(i), 1]::vector, ARRAY[sin(i), cos(i), 1]::vector, 0.5, '2026-01-01' FROM generate_series(1, 5000) i;
CREATE INDEX ON m USING chrono (e vector_cosine_ops, importance, at);
ANALYZE m;
CREATE ROLE execute_reader;
GRANT SELECT ON m TO execute_reader;
CREATE FUNCTION uses_index(query text) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'chrono_query' THEN RETURN true; END IF;
    END LOOP;
    EXECUTE query;
    RETURN false;
END $$;
\set query 'SELECT id FROM m ORDER BY (e <=> ''[1,2,3]'') - importance LIMIT 3'
SET ROLE execute_reader;
SELECT uses_index(:'query');
PREPARE kept AS SELECT id FROM m ORDER BY (e <=> '[1,2,3]') - importance LIMIT 3;
EXECUTE kept;
SELECT uses_index('EXECUTE kept');
RESET ROLE;
-- One function after the other.
SELECT oid::regprocedure AS function FROM pg_proc WHERE proname ~ '^chrono_(query|key|blend|order|order_numeric)$' ORDER BY 1;
SELECT format('REVOKE EXECUTE ON FUNCTION %1$s FROM PUBLIC; SET ROLE execute_reader; SELECT %1$L AS revoked, uses_index(%2$L), uses_index(''EXECUTE kept''); RESET ROLE; GRANT EXECUTE ON FUNCTION %1$s TO PUBLIC;',
    oid::regprocedure, :'query') FROM pg_proc WHERE proname ~ '^chrono_(query|key|blend|order|order_numeric)$' ORDER BY oid::regprocedure::text \gexec
-- What a plan was kept for one role is not run by another who may not.
SET plan_cache_mode = force_generic_plan;
SELECT format('REVOKE EXECUTE ON FUNCTION %s FROM PUBLIC', oid::regprocedure) FROM pg_proc WHERE proname = 'chrono_query' \gexec
SELECT uses_index('EXECUTE kept');
SET ROLE execute_reader;
SELECT uses_index('EXECUTE kept');
EXECUTE kept;
RESET ROLE;
SELECT uses_index('EXECUTE kept');
DROP OWNED BY execute_reader;
DROP ROLE execute_reader;
