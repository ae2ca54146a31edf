-- Every metric and both types: the index returns every row, the nearest first, vectors that have no
-- distance after all others, and NULL vectors last.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE items (id int PRIMARY KEY, embedding vector(3), half halfvec(3));
INSERT INTO items (id, embedding)
SELECT i, ARRAY[sin(i), cos(i * 3), sin(i * 7) * 2]::vector FROM generate_series(1, 300) i;
-- twins of other rows, zeros, NULLs
INSERT INTO items (id, embedding) SELECT 300 + id, embedding FROM items WHERE id % 10 = 0;
INSERT INTO items (id, embedding) SELECT i, '[0,0,0]' FROM generate_series(701, 703) i;
INSERT INTO items (id, embedding) SELECT i, NULL FROM generate_series(801, 804) i;
UPDATE items SET half = embedding;

CREATE INDEX ON items USING chrono (embedding vector_l2_ops);
CREATE INDEX ON items USING chrono (embedding vector_ip_ops);
CREATE INDEX ON items USING chrono (embedding vector_cosine_ops);
CREATE INDEX ON items USING chrono (embedding vector_l1_ops);
CREATE INDEX ON items USING chrono (half halfvec_l2_ops);
CREATE INDEX ON items USING chrono (half halfvec_ip_ops);
CREATE INDEX ON items USING chrono (half halfvec_cosine_ops);
CREATE INDEX ON items USING chrono (half halfvec_l1_ops);
SET enable_seqscan = off;
SET enable_sort = off;

-- `nearest`: the first twenty are as near as the twenty nearest rows, give or take the last bits of
-- single precision. `others`: the rows whose distance is NaN or NULL; `behind`: they come in this
-- order after all numbers.
CREATE FUNCTION scan(col text, operator text, query text)
RETURNS TABLE (index text, rows bigint, nearest boolean, behind boolean, others int[])
LANGUAGE plpgsql AS $$
DECLARE
    sorted text := format('SELECT id, %1$I %2$s %3$L AS d FROM items ORDER BY %1$I %2$s %3$L',
        col, operator, query);
    line text;
BEGIN
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || sorted LOOP
        index := coalesce(index, substring(line FROM 'Index Scan using (\S+)'));
    END LOOP;
    RETURN QUERY EXECUTE format($q$
        WITH found AS MATERIALIZED (%s),
        placed AS (SELECT *, row_number() OVER () AS place FROM found),
        ranked AS (SELECT *, row_number() OVER (ORDER BY d, place) AS rank FROM placed)
        SELECT %L, (SELECT count(DISTINCT id) FROM ranked),
            (SELECT coalesce(bool_and(abs(a.d - b.d) < 1e-6), true)
                FROM ranked a JOIN ranked b ON a.place = b.rank AND b.d < 'NaN' WHERE a.place <= 20),
            (SELECT bool_and(place = rank) FROM ranked WHERE d IS NULL OR d = 'NaN'),
            (SELECT array_agg(id ORDER BY id) FROM ranked WHERE d IS NULL OR d = 'NaN')
        $q$, sorted, index);
END $$;

SELECT operator, scan.* FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) AS operator,
    scan('embedding', operator, '[0.5,-0.25,1]');
SELECT operator, scan.* FROM unnest(ARRAY['<->', '<#>', '<=>', '<+>']) AS operator,
    scan('half', operator, '[0.5,-0.25,1]');

-- From a vector that has no distance to anything, and from none at all
SELECT operator, index, rows, nearest, behind, cardinality(others)
FROM unnest(ARRAY['<->', '<=>']) AS operator, scan('embedding', operator, '[0,0,0]');
SELECT count(*) FROM (SELECT FROM items ORDER BY embedding <=> (SELECT NULL::vector)) q;

-- The query's vector must be of the column's dimensions.
SELECT id FROM items ORDER BY embedding <=> '[1,2]' LIMIT 1;
\echo :LAST_ERROR_SQLSTATE
INSERT INTO items VALUES (900, '[1,2]');
\echo :LAST_ERROR_SQLSTATE

-- What is inserted, changed and deleted after the build
DELETE FROM items WHERE id <= 100;
INSERT INTO items SELECT i, ARRAY[sin(i), cos(i * 3), sin(i * 7) * 2]::vector,
    ARRAY[sin(i), cos(i * 3), sin(i * 7) * 2]::real[]::halfvec FROM generate_series(901, 1000) i;
UPDATE items SET embedding = NULL WHERE id = 200;
UPDATE items SET embedding = '[0,0,0]' WHERE id = 201;
SELECT operator, scan.* FROM unnest(ARRAY['<->', '<=>']) AS operator,
    scan('embedding', operator, '[0.5,-0.25,1]');
VACUUM items;
SELECT operator, scan.* FROM unnest(ARRAY['<->', '<=>']) AS operator,
    scan('embedding', operator, '[0.5,-0.25,1]');
REINDEX TABLE items;
SELECT operator, scan.* FROM unnest(ARRAY['<->', '<=>']) AS operator,
    scan('embedding', operator, '[0.5,-0.25,1]');
