-- Vectors longer than a page, up to the most elements that are promised.
CREATE EXTENSION chronomind CASCADE;
CREATE FUNCTION long_vector(seed int, dimensions int) RETURNS vector IMMUTABLE LANGUAGE sql AS $$
    SELECT array_agg(sin(seed * 1.3 + i * (0.7 + seed % 5)) ORDER BY i)::vector FROM generate_series(1, dimensions) i
$$;
CREATE TABLE full_precision (id int, v vector(4000));
CREATE INDEX ON full_precision USING chrono (v vector_cosine_ops);
INSERT INTO full_precision SELECT i, long_vector(i, 4000) FROM generate_series(1, 40) i;
SELECT * FROM check_query('SELECT id, v <=> long_vector(7, 4000) AS d FROM full_precision ORDER BY d');
REINDEX TABLE full_precision;
INSERT INTO full_precision SELECT i, long_vector(i, 4000) FROM generate_series(41, 60) i;
SELECT * FROM check_query('SELECT id, v <=> long_vector(7, 4000) AS d FROM full_precision ORDER BY d');
DELETE FROM full_precision WHERE id % 2 = 0;
VACUUM full_precision;
SELECT * FROM check_query('SELECT id, v <=> long_vector(7, 4000) AS d FROM full_precision ORDER BY d');

CREATE TABLE half_precision (id int, v halfvec(8000));
INSERT INTO half_precision SELECT i, long_vector(i, 8000)::halfvec FROM generate_series(1, 40) i;
CREATE INDEX ON half_precision USING chrono (v halfvec_l2_ops);
INSERT INTO half_precision SELECT i, long_vector(i, 8000)::halfvec FROM generate_series(41, 60) i;
SELECT * FROM check_query('SELECT id, v <-> long_vector(7, 8000)::halfvec AS d FROM half_precision ORDER BY d');

-- One element, sizes around that of a page, and the most that pgvector has
CREATE FUNCTION check_size(dimensions int) RETURNS TABLE (plan text, rows int, same boolean) LANGUAGE plpgsql AS $$
BEGIN
    EXECUTE format('CREATE TABLE sized (id int, v vector(%s))', dimensions);
    INSERT INTO sized SELECT i, long_vector(i, dimensions) FROM generate_series(1, 12) i;
    CREATE INDEX ON sized USING chrono (v vector_l2_ops);
    INSERT INTO sized SELECT i, long_vector(i, dimensions) FROM generate_series(13, 24) i;
    RETURN QUERY SELECT * FROM check_query(format('SELECT id, v <-> long_vector(3, %s) AS d FROM sized ORDER BY d', dimensions));
    DROP TABLE sized;
END $$;
SELECT dimensions, checked.* FROM unnest(ARRAY[1, 2, 2037, 2038, 2039, 4075, 4076, 4077, 16000]) dimensions,
    check_size(dimensions) checked;
