-- Expressions and predicates of an index are its owner's code. chrono_check runs them with the owner's rights.
CREATE EXTENSION chronomind CASCADE;
CREATE ROLE check_mallory;
CREATE SCHEMA mallory AUTHORIZATION check_mallory;
SET ROLE check_mallory;
CREATE FUNCTION mallory.f(int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8';
CREATE FUNCTION mallory.p(int) RETURNS boolean IMMUTABLE LANGUAGE sql AS 'SELECT true';
CREATE TABLE mallory.t (id int, e vector(3));
INSERT INTO mallory.t VALUES (1, '[1,2,3]');
CREATE INDEX ti ON mallory.t USING chrono (e vector_cosine_ops, mallory.f(id));
CREATE INDEX tp ON mallory.t USING chrono (e vector_cosine_ops) WHERE mallory.p(id);
CREATE FUNCTION mallory.boom() RETURNS void VOLATILE LANGUAGE plpgsql AS $$
BEGIN
    RAISE NOTICE 'as %, row_security %', current_user, current_setting('row_security');
    PERFORM set_config('row_security', 'off', false);
    BEGIN
        EXECUTE 'ALTER ROLE check_mallory SUPERUSER';
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE;
    END;
    BEGIN
        EXECUTE 'SET ROLE NONE';
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE;
    END;
    BEGIN
        EXECUTE 'CREATE TEMP TABLE trap ()';
    EXCEPTION WHEN OTHERS THEN RAISE NOTICE '%', SQLSTATE;
    END;
END $$;
CREATE OR REPLACE FUNCTION mallory.f(int) RETURNS float8 IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.boom(); RETURN 1; END';
RESET ROLE;
SELECT * FROM chrono_check('mallory.ti');
SELECT rolsuper AS is_superuser FROM pg_roles WHERE rolname = 'check_mallory';
SELECT current_user = session_user AS back, current_setting('row_security') AS row_security;
CREATE OR REPLACE FUNCTION mallory.f(int) RETURNS float8 IMMUTABLE LANGUAGE sql AS 'SELECT 1.0::float8';
CREATE OR REPLACE FUNCTION mallory.p(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS 'BEGIN PERFORM mallory.boom(); RETURN true; END';
SELECT * FROM chrono_check('mallory.tp');
-- Also after an error one is who one was.
CREATE OR REPLACE FUNCTION mallory.p(int) RETURNS boolean IMMUTABLE LANGUAGE plpgsql AS $$
BEGIN
    PERFORM set_config('row_security', 'off', false);
    RAISE '% fails', current_user;
END $$;
BEGIN;
SAVEPOINT before;
SELECT * FROM chrono_check('mallory.tp');
ROLLBACK TO before;
SELECT current_user = session_user AS back, current_setting('row_security') AS row_security;
DO $$
BEGIN
    PERFORM chrono_check('mallory.tp');
EXCEPTION WHEN OTHERS THEN
    RAISE NOTICE '%: back %, row_security %', SQLERRM, current_user = session_user, current_setting('row_security');
END $$;
CREATE TEMP TABLE possible ();
COMMIT;
-- A search of the table looks whether an index is partial, and not at its predicate.
SELECT count(*) FROM chrono_search(NULL::mallory.t, '[1,2,3]', importance_weight => 0, recency_weight => 0);
DROP SCHEMA mallory CASCADE;
DROP ROLE check_mallory;
