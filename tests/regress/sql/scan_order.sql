-- Rows of an index come in their order, at any LIMIT, and from a cursor to the last: none after one that
-- sorts behind it, and none is missing where all are wanted.
CREATE EXTENSION chronomind CASCADE;
CREATE FUNCTION vec(seed int, dims int DEFAULT 64) RETURNS vector LANGUAGE sql IMMUTABLE AS $$
    SELECT array_agg(sin(seed % 40 * 7.3 + i * (seed % 40 + 1)) + sin(seed * 0.37 * i + seed) * 0.7)::vector
    FROM generate_series(1, dims) i $$;
CREATE TABLE items (id int, at timestamptz, kind int, note text, v vector(64));
INSERT INTO items SELECT i, '2026-01-01'::timestamptz + i * interval '1 hour', i % 100, 'note ' || i, vec(i)
FROM generate_series(1, 6000) i;
CREATE INDEX items_idx ON items USING chrono (v vector_cosine_ops, at);
ANALYZE items;
-- What is found is not what this is about.
SET chronomind.ef_search = 200;
SET enable_seqscan = off;
SET enable_sort = off;

-- What a query gives, row by row: how many, how many after one that sorts behind, how many of the true
-- first ones, in percent, and whether the index gave them.
CREATE FUNCTION look(query text, OUT plan text, OUT rows int, OUT late int, OUT recall numeric)
LANGUAGE plpgsql AS $$
DECLARE
    line text;
    found float8[];
    truth float8[];
BEGIN
    plan := '';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        plan := plan || coalesce(substring(line FROM 'Limit|Incremental Sort|Merge Append|Index Scan|Nested Loop|Filter|Sort$') || ' ', '');
    END LOOP;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q', query) INTO found;
    SET LOCAL enable_indexscan = off; SET LOCAL enable_seqscan = on; SET LOCAL enable_sort = on;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q', query) INTO truth;
    SET LOCAL enable_indexscan = on; SET LOCAL enable_seqscan = off; SET LOCAL enable_sort = off;
    rows := cardinality(found);
    -- Single precision may tell two apart that double precision sorts the other way.
    late := (SELECT count(*) FROM (SELECT d, max(d) OVER (ORDER BY n ROWS UNBOUNDED PRECEDING) AS greatest
        FROM unnest(found) WITH ORDINALITY AS f (d, n)) f WHERE d < greatest - 1e-6);
    recall := round(100.0 * (SELECT count(*) FROM unnest(found) AS d
        WHERE d <= truth[cardinality(truth)] + 1e-6) / cardinality(truth));
END $$;

-- Any LIMIT and OFFSET.
SELECT wanted, skipped, bool_and(plan = 'Limit Index Scan ') AS by_index, min(rows) AS least, max(rows) AS most, sum(late) AS late, avg(recall) >= 90 AS good
FROM unnest(ARRAY[1, 10, 50, 100, 300, 1000]) wanted, unnest(ARRAY[0, 20, 500]) skipped, generate_series(1, 3) query,
    look(format('SELECT id, v <=> vec(%s) AS d FROM items ORDER BY v <=> vec(%1$s) LIMIT %s OFFSET %s', query * 7000, wanted, skipped))
GROUP BY wanted, skipped ORDER BY wanted, skipped;

-- A filter that the index knows nothing of: all its rows are found where there are no more than wanted.
SELECT filter, wanted, bool_and(plan = 'Limit Index Scan Filter ') AS by_index, min(rows) AS least, max(rows) AS most, sum(late) AS late, avg(recall) >= 90 AS good
FROM unnest(ARRAY['kind < 50', 'kind < 10', 'kind = 7', 'kind = 7 AND id < 2000', 'note = ''nothing''']) filter,
    unnest(ARRAY[10, 100, 1000]) wanted, generate_series(1, 3) query,
    look(format('SELECT id, v <=> vec(%1$s) AS d FROM items WHERE %2$s ORDER BY v <=> vec(%1$s) LIMIT %3$s', query * 7000, filter, wanted))
GROUP BY filter, wanted ORDER BY filter, wanted;

-- Blends of similarity and age.
SELECT weight, wanted, bool_and(plan = 'Limit Index Scan ') AS by_index, min(rows) AS least, max(rows) AS most, sum(late) AS late, avg(recall) >= 90 AS good
FROM unnest(ARRAY[0.1, 0.3, 0.7]) weight, unnest(ARRAY[10, 300, 1000]) wanted, generate_series(1, 3) query,
    look(format('SELECT id, chrono_score(v <=> vec(%s), at, NULL, NULL, %s, 0, ''2026-10-01'') AS d FROM items ORDER BY d LIMIT %s', query * 7000, weight, wanted))
GROUP BY weight, wanted ORDER BY weight, wanted;

-- A further sort key.
SELECT wanted, plan, rows, late, recall >= 95 AS good FROM unnest(ARRAY[10, 300]) wanted,
    look(format('SELECT id, v <=> vec(7000) AS d FROM items ORDER BY v <=> vec(7000), id LIMIT %s', wanted));

-- Cursors get every row, in order, with little memory too.
CREATE FUNCTION fetch_all(query text, OUT rows int, OUT ids int, OUT late int) LANGUAGE plpgsql AS $$
DECLARE
    c refcursor;
    r record;
    last float8 := '-Infinity';
    seen int[] := '{}';
BEGIN
    OPEN c FOR EXECUTE query;
    rows := 0; late := 0;
    LOOP
        FETCH c INTO r;
        EXIT WHEN NOT FOUND;
        rows := rows + 1;
        seen := seen || r.id;
        IF r.d < last - 1e-6 THEN late := late + 1; END IF;
        last := greatest(last, r.d);
    END LOOP;
    CLOSE c;
    ids := (SELECT count(DISTINCT id) FROM unnest(seen) id);
END $$;
SELECT * FROM fetch_all('SELECT id, v <=> vec(7000) AS d FROM items ORDER BY v <=> vec(7000)');
SET work_mem = '64kB';
SELECT * FROM fetch_all('SELECT id, v <=> vec(14000) AS d FROM items ORDER BY v <=> vec(14000)');
SELECT * FROM fetch_all('SELECT id, v <=> vec(14000) AS d FROM items WHERE kind < 50 ORDER BY v <=> vec(14000) LIMIT 10000');
RESET work_mem;
-- A LIMIT that is known when the statement runs.
SET plan_cache_mode = force_generic_plan;
PREPARE first_rows (int, int) AS SELECT count(*) FROM (SELECT id FROM items ORDER BY v <=> vec(7000) LIMIT $1 OFFSET $2) q;
EXECUTE first_rows (300, 0);
EXECUTE first_rows (NULL, 0);
EXECUTE first_rows (0, 0);
EXECUTE first_rows (10000, 100);
RESET plan_cache_mode;

-- For each of some rows, the nearest: the LIMIT is below a join.
SELECT a.id, count(*), bool_and(d >= 0) FROM (SELECT * FROM items WHERE id <= 3 ORDER BY id) a,
    LATERAL (SELECT b.v <=> a.v AS d FROM items b ORDER BY b.v <=> a.v LIMIT 60) b GROUP BY a.id ORDER BY a.id;

-- Partitions, merged.
CREATE TABLE parts (id int, v vector(64)) PARTITION BY RANGE (id);
CREATE TABLE parts_1 PARTITION OF parts FOR VALUES FROM (0) TO (3000);
CREATE TABLE parts_2 PARTITION OF parts FOR VALUES FROM (3000) TO (10000);
INSERT INTO parts SELECT id, v FROM items;
CREATE INDEX ON parts USING chrono (v vector_cosine_ops);
ANALYZE parts;
SELECT wanted, plan, rows, late, recall >= 95 AS good FROM unnest(ARRAY[10, 300, 1000]) wanted,
    look(format('SELECT id, v <=> vec(7000) AS d FROM parts ORDER BY v <=> vec(7000) LIMIT %s', wanted));
SELECT * FROM fetch_all('SELECT id, v <=> vec(7000) AS d FROM parts ORDER BY v <=> vec(7000)');

-- Whoever prefers it gets rows as they are found.
SET chronomind.scan_order = relaxed;
SELECT rows, ids FROM fetch_all('SELECT id, v <=> vec(7000) AS d FROM items ORDER BY v <=> vec(7000)');
SET chronomind.scan_order = none;
SHOW chronomind.scan_order;
