-- Loaded into the database of every SQL test: what an index answers, beside what the table says.

-- The rows of a query as the index gives them. The query has columns `id` and `d`, its order.
CREATE FUNCTION by_index(query text, OUT ids int[], OUT ds float8[], OUT plan text)
LANGUAGE plpgsql
SET enable_seqscan = off SET enable_sort = off SET enable_bitmapscan = off
SET enable_incremental_sort = off AS $$
DECLARE
    line text;
BEGIN
    plan := '';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Index Scan' THEN plan := 'index'; END IF;
        IF line ~ 'Seq Scan' THEN plan := plan || ' seqscan'; END IF;
        IF line ~ '(^| )Sort$|Incremental Sort' THEN plan := plan || ' sort'; END IF;
        IF line ~ 'Filter' THEN plan := plan || ' filter'; END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(id), array_agg(d) FROM (%s) q', query) INTO ids, ds;
END $$;

-- The same rows without any index.
CREATE FUNCTION by_scan(query text, OUT ids int[], OUT ds float8[])
LANGUAGE plpgsql
SET enable_indexscan = off SET enable_bitmapscan = off AS $$
BEGIN
    EXECUTE format('SELECT array_agg(id), array_agg(d) FROM (%s) q', query) INTO ids, ds;
END $$;

-- Whether two distances are equal, but for the rounding of single precision.
CREATE FUNCTION same_distance(a float8, b float8) RETURNS boolean
RETURN a IS NOT DISTINCT FROM b OR (abs(a - b) <= 1e-6 * greatest(1, abs(b))) IS TRUE;

-- Whether two lists of distances are.
CREATE FUNCTION same_order(a float8[], b float8[]) RETURNS boolean
RETURN coalesce(cardinality(a), 0) = coalesce(cardinality(b), 0)
    AND NOT EXISTS (SELECT FROM unnest(a, b) AS pair (x, y) WHERE NOT same_distance(x, y));

-- Whether the index finds all that a sequential scan finds, in its order; equals may change places.
-- With `wanted`, only so many rows are asked for: then equals may stand for each other.
--
-- The order is compared for the first twenty and for what comes after all numbers. Two rows may come
-- late: a walk of the graph can meet a node after some that are farther.
CREATE FUNCTION check_query(query text, wanted int DEFAULT NULL)
RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE plpgsql AS $$
DECLARE
    found record;
    expected record := by_scan(query);
    ds float8[] := expected.ds[:coalesce(wanted, cardinality(expected.ds))];
    numbers int := (SELECT count(*) FROM unnest(ds) AS d WHERE d < 'NaN');
BEGIN
    found := by_index(query || coalesce(' LIMIT ' || wanted, ''));
    plan := found.plan;
    rows := coalesce(cardinality(found.ids), 0);
    same := rows = coalesce(cardinality(ds), 0)
        AND rows = (SELECT count(DISTINCT id) FROM unnest(found.ids) AS id)
        AND NOT EXISTS (
            SELECT FROM unnest(found.ds[:least(20, numbers)], expected.ds, expected.ds[3:]) AS at (d, least, most)
            WHERE d < least AND NOT same_distance(d, least) OR d > most AND NOT same_distance(d, most))
        AND same_order(found.ds[numbers + 1:], ds[numbers + 1:])
        AND NOT EXISTS (
            SELECT * FROM unnest(found.ids, found.ds)
            EXCEPT SELECT * FROM unnest(expected.ids, expected.ds));
    RETURN NEXT;
END $$;

-- What a statement that is a mistake is told; nothing for one that is none.
CREATE FUNCTION mistake(statement text, OUT state text, OUT message text, OUT detail text, OUT hint text)
LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE statement;
EXCEPTION WHEN OTHERS THEN
    GET STACKED DIAGNOSTICS state = RETURNED_SQLSTATE, message = MESSAGE_TEXT,
        detail = PG_EXCEPTION_DETAIL, hint = PG_EXCEPTION_HINT;
END $$;
