-- A condition inside the index drops a row only where Postgres certainly would, and a score takes a step only
-- where Postgres takes the same: integers beyond 2^53, numerics, distances.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int PRIMARY KEY, e vector(3), big bigint, uses int, importance float8, pinned boolean, at timestamptz);
INSERT INTO items SELECT i, ARRAY[sin(i), cos(i), sin(i * 2)]::vector, 9007199254740992 + i, i % 10, (i % 7) / 7.0, i % 2 = 0,
    CASE WHEN i % 3 = 0 THEN timestamptz '9999-12-31 00:00+00' - (i % 5) * interval '1 microsecond' ELSE now() - i * interval '1 minute' END
FROM generate_series(1, 1000) i;
CREATE INDEX items_idx ON items USING chrono (e vector_l2_ops, big, uses, importance, pinned, at);
ANALYZE items;
-- As exact as the walk over the graph can be.
SET chronomind.ef_search = 400;

-- The ids with the index and without, in their order, and what the index was asked besides the order.
CREATE FUNCTION check_exact(condition text, score text, OUT asked text, OUT rows int, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT id FROM items WHERE %s ORDER BY %s, id LIMIT 300', condition, score);
    line text;
    indexed int[];
    scanned int[];
BEGIN
    PERFORM set_config('enable_seqscan', 'off', true), set_config('enable_sort', 'off', true), set_config('enable_bitmapscan', 'off', true);
    asked := 'not by the index';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Order By' THEN asked := coalesce(substring(line FROM 'WHERE (.*) LIMIT'), 'the order'); END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(id) FROM (%s) q', query) INTO indexed;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true), set_config('enable_indexscan', 'off', true);
    EXECUTE format('SELECT array_agg(id) FROM (%s) q', query) INTO scanned;
    PERFORM set_config('enable_indexscan', 'on', true);
    rows := coalesce(cardinality(scanned), 0);
    same := indexed IS NOT DISTINCT FROM scanned;
END $$;

-- In WHERE
SELECT condition, checked.* FROM unnest(ARRAY[
    'big - 9007199254740992 = 3', 'big > 9007199254740992.5 AND big < 9007199254740994', 'abs(big - 9007199254741092) <= 1', 'big * 2 > 5',
    'big / 2 = 4503599627370546', 'big <> 9007199254740995::numeric', '-big < -9007199254741900', 'big::float8 = 9007199254741000',
    'big = 9007199254740995 OR uses = 3', 'NOT (big <> 9007199254740995 AND uses <> 3)', 'big > 9007199254741900 OR uses = 3', 'NOT (big <= 9007199254741900 AND uses <> 3)',
    'big <> 9007199254740995 OR uses < 0', 'NOT (big = 9007199254740995) OR uses < 0', '(big > 9007199254741900) IS TRUE OR uses = 3', '(big > 9007199254741900) IS NOT FALSE',
    'big IN (9007199254740995, 9007199254740997) OR uses < 0', 'big = uses + 9007199254740992', 'big > uses', 'big > 100.5', 'big::numeric / 1000 > 9007199254741',
    'uses * 1000000 * 1000000::bigint > 5000000000000', 'uses * 0.1 = 0.3', '(uses * 0.1)::float8 = 0.3', 'uses / 10.0 = 0.3', 'uses / 10.0 > importance::numeric', 'uses < 3.00000000000000000001',
    'CASE (uses * 0.1)::float8 WHEN 0.3 THEN true ELSE false END', 'CASE WHEN big - 9007199254740992 = 3 THEN true ELSE pinned END',
    'at < timestamptz ''9999-12-31 00:00+00'' OR uses < 0', 'at = timestamptz ''9999-12-31 00:00+00'' OR uses < 0', 'NOT (at >= timestamptz ''9999-12-31 00:00+00'' OR uses < 0)',
    'e <-> ''[1,2,3]'' < 2 AND big > 0', '(e <-> ''[1,2,3]'')::numeric < 2', '(1 / (1 + (e <-> ''[1,2,3]''))) * exp(-uses / 10.0) > 0.2', 'floor((e <-> ''[1,2,3]'') * 4) = 8',
    'nullif(e <-> ''[1,2,3]'', 2) IS NOT NULL', 'CASE WHEN e <-> ''[1,2,3]'' < 2 THEN pinned END'
]) AS condition, check_exact(condition, '(e <-> ''[1,2,3]'') * 2') AS checked;

-- In scores
SELECT score, checked.* FROM unnest(ARRAY[
    'CASE (uses * 0.1)::float8 WHEN 0.3 THEN 0 ELSE 100 END', 'CASE WHEN (uses * 0.1)::float8 = 0.3 THEN 0 ELSE 100 END', 'CASE uses / 10.0 WHEN 0.3 THEN 0 ELSE 100 END', 'CASE uses WHEN 3 THEN 0 ELSE 100 END',
    'CASE WHEN big = 9007199254740995 THEN 0 ELSE 100 END', 'CASE WHEN big > 9007199254740991 THEN 0 ELSE 100 END', 'CASE WHEN big - 9007199254740992 < 4 THEN 0 ELSE 100 END', 'big / 4194304', 'mod(big, 2)',
    'big / 4194304.0', 'uses / 4', 'uses::bigint * uses / 4', 'nullif(big, 9007199254740995)::float8 / 1e15',
    'floor(importance * 3)', 'floor((uses * 0.1)::float8 * 10)', 'floor((uses / 10.0)::float8)', 'floor((uses / 5.0 / 2)::float8)', '(uses * 0.7)::float8::int', 'round(exp(importance))', 'round(exp(-uses / 10.0)::float8 * 3)'
]) AS score, check_exact('true', format('(e <-> ''[1,2,3]'') + %s', score)) AS checked;

-- Steps of the distance itself
SELECT score, checked.* FROM unnest(ARRAY[
    'nullif(D, 0) + uses', 'D + CASE WHEN D = 0 THEN 100 ELSE 0 END', 'D + CASE WHEN D < 0.5 THEN 1 ELSE 0 END', 'floor(D * 10) + importance', '(D * 10)::int + importance', 'D + CASE WHEN D IS DISTINCT FROM 0 THEN 0 ELSE 1 END',
    'D + CASE nullif(D, 0.5) WHEN 0.25 THEN 0 ELSE 1 END', 'greatest(D, 0.5) + uses', 'coalesce(D, 7) + uses', 'CASE WHEN D IS NULL THEN 7 ELSE D END + uses', 'CASE WHEN uses < 5 THEN D ELSE D * 2 END', '(D * 10)::real::float8 + uses'
]) AS score, check_exact('true', regexp_replace(score, '\mD\M', '(e <-> ''[1,2,3]'')', 'g')) AS checked;
CREATE TABLE points (id int PRIMARY KEY, e vector(16), at timestamptz);
INSERT INTO points SELECT i, (SELECT array_agg(sin(i * j * 1.37)) FROM generate_series(1, 16) j)::vector, now() - i * interval '1 h' FROM generate_series(1, 500) i;
CREATE INDEX ON points USING chrono (e vector_cosine_ops, at);
ANALYZE points;
SET enable_seqscan = off;
SET enable_sort = off;
SELECT count(*) FROM points a, LATERAL (SELECT b.id FROM points b ORDER BY nullif(b.e <=> a.e, 0) LIMIT 1) n WHERE n.id = a.id;
SELECT count(*) FROM points a, LATERAL (SELECT b.id FROM points b ORDER BY (b.e <=> a.e) + CASE WHEN (b.e <=> a.e) = 0 THEN 1 ELSE 0 END LIMIT 1) n WHERE n.id = a.id;
RESET ALL;
SET chronomind.ef_search = 400;

-- A numeric has digits for what is nothing, or too much, to a float.
CREATE FUNCTION decayed(hours text) RETURNS TABLE (plan text, same boolean) LANGUAGE sql AS $$
    SELECT asked, same FROM check_exact('true', format('(2 - (e <-> ''[1,2,3]''))::numeric * exp(-%s)', hours))
$$;
SELECT hours, decayed.* FROM unnest(ARRAY['uses::numeric * 500', '(uses + 1000)::numeric', '0.5']) AS hours, decayed(hours);
SELECT score, asked, same FROM unnest(ARRAY['((e <-> ''[1,2,3]'')::numeric + exp(-uses::numeric * 500))', '(e <-> ''[1,2,3]'') * (exp(-uses::numeric) * 0.5)::float8', '-((e <-> ''[1,2,3]'')::numeric / power(2.0, uses * 400.0))']) AS score,
    check_exact('true', score);
