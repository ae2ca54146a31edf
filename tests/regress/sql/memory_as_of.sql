-- chrono_search takes the importance that is left at its moment and gives out what is valid then: exactly
-- the rows that a sort by the same formula gives, from an index with all columns and with some.
CREATE EXTENSION chronomind CASCADE;
SET chronomind.ef_search = 400;
SELECT chrono_create_memory('memories', 8);
INSERT INTO memories (content, context, embedding, created_at, importance, importance_at, decay_rate, valid_from, valid_to)
SELECT 'memory ' || i, 'context ' || i % 7,
    (SELECT array_agg(sin(i * j * 1.37) + cos(i * 0.31 * j) ORDER BY j)::vector FROM generate_series(1, 8) j),
    timestamptz '2024-06-01' - (i * 7919 % 3000) * interval '1 hour', (i * 31 % 101) / 100.0,
    timestamptz '2024-06-01' - (i * 5171 % 2000 - 100) * interval '1 hour',
    CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 0 ELSE (i % 50) / 5000.0 END,
    CASE WHEN i % 3 = 0 THEN timestamptz '2024-06-01' - (i * 3571 % 3000) * interval '1 hour' END,
    CASE WHEN i % 4 = 0 THEN timestamptz '2024-06-01' - (i * 3571 % 3000 - 900) * interval '1 hour' WHEN i % 31 = 0 THEN 'infinity' END
FROM generate_series(1, 4000) i;
UPDATE memories SET importance = 0.9, importance_at = '2024-05-30' WHERE id % 19 = 0;
DELETE FROM memories WHERE id % 17 = 0;
ANALYZE memories;

-- What is left of an importance, beside the formula in SQL; the rate is that of the row or the base rate.
SELECT count(*) FILTER (WHERE abs(chrono_importance(importance, importance_at, decay_rate, t) - importance * exp(greatest(-600,
    -coalesce(nullif(decay_rate, 0), 0.1) * greatest(0, extract(epoch FROM t - importance_at)) / 3600))) > 1e-12) AS wrong
FROM memories, unnest('{2024-01-01,2024-05-01,2024-06-05}'::timestamptz[]) t;
SELECT chrono_importance(0.8, '-infinity', 0, 'infinity'), chrono_importance(0.8, NULL, 1), chrono_importance(NULL, '2024-01-01', 1),
    chrono_importance(0.8, 'infinity'), chrono_importance(0.8, '1000-01-01', 100);
SELECT state, message, hint FROM mistake($$ SELECT chrono_importance(0.8, now(), -1) $$);

-- Whether a search gives the best rows in their order, all that are there.
CREATE FUNCTION check_search(chosen regclass, query vector, k int, context text, t timestamptz, w float8, wi float8)
RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found float8[];
    expected float8[];
    wrong bigint;
BEGIN
    SELECT array_agg(s.score), count(*) FILTER (WHERE m.id IS NULL OR s.memory IS DISTINCT FROM m
            OR abs(s.importance - m.importance * exp(greatest(-600, -coalesce(nullif(m.decay_rate, 0), 0.1)
                * greatest(0, extract(epoch FROM coalesce(t, now()) - m.importance_at)) / 3600))) > 1e-12
            OR NOT same_order(ARRAY[s.score], ARRAY[(1 - w - wi) * s.distance / 2 + w * (1 - s.recency) + wi * (1 - s.importance)])
            OR m.created_at > t OR m.valid_from > coalesce(t, now()) OR m.valid_to <= coalesce(t, now()))
        INTO found, wrong
    FROM chrono_search(NULL::memories, query, k, context, as_of => t, recency_weight => w, importance_weight => wi, index => chosen) s
        LEFT JOIN memories m ON m.id = (s.memory).id;
    SELECT array_agg(score) INTO expected FROM (
        SELECT chrono_score(embedding <=> query, created_at, chrono_importance(importance, importance_at, decay_rate, coalesce(t, now())),
            decay_rate, w, wi, coalesce(t, now())) AS score
        FROM memories m
        WHERE (check_search.context IS NULL OR m.context = check_search.context) AND (t IS NULL OR created_at <= t)
            AND (valid_from IS NULL OR valid_from <= coalesce(t, now())) AND (valid_to IS NULL OR coalesce(t, now()) < valid_to)
        ORDER BY score LIMIT k) best;
    RETURN CASE WHEN wrong > 0 THEN wrong || ' wrong rows' WHEN NOT same_order(found, expected) THEN 'wrong order' ELSE 'same' END;
END $$;
-- In this index validity is not: then the rows alone decide.
CREATE INDEX without_validity ON memories
    USING chrono (embedding vector_cosine_ops, created_at, importance, decay_rate, context, importance_at);
CREATE FUNCTION check_all(chosen regclass) RETURNS TABLE (result text, searches bigint) LANGUAGE sql AS $$
    SELECT result, count(*) FROM
        unnest(ARRAY['[1,-1,0.5,0,1,0.3,-0.7,1]', '[0,0,0,1,1,1,0,0]']::vector[]) query,
        unnest(ARRAY[1, 10, 5000]) k, unnest(ARRAY[NULL, 'context 3', 'nobody']) context,
        unnest('{2024-02-15,2024-04-01 12:00,2024-06-01,2024-08-01,NULL}'::timestamptz[]) t,
        (VALUES (0, 0), (0.3, 0), (0.1, 0.2), (0.5, 0.5), (0, 1), (0.2, 0.6)) weights (w, wi),
        check_search(chosen, query, k, context, t, w, wi) result
    GROUP BY result ORDER BY result
$$;
SELECT * FROM check_all((SELECT min(indexrelid) FROM pg_index WHERE indrelid = 'memories'::regclass AND indnatts = 8));
SELECT * FROM check_all('without_validity');

-- The bounds of zones hold through the index: of 4,000 rows few are looked at.
CREATE FUNCTION looked_at(query text) RETURNS text LANGUAGE sql AS $$
    SELECT CASE WHEN rows_near + rows_in_zones < 2000 THEN 'some' ELSE 'most' END FROM chrono_explain(query)
$$;
SELECT looked_at($$ SELECT 1 FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 5, as_of => '2024-06-01', importance_weight => 0.1) $$);

-- The formula in any order is answered by the index too.
SELECT q.* FROM unnest(ARRAY[
    'chrono_score(embedding <=> ''[1,-1,0.5,0,1,0.3,-0.7,1]'', created_at, chrono_importance(importance, importance_at, decay_rate, ''2024-05-01''), decay_rate, 0.2, 0.3, ''2024-05-01'')',
    '(embedding <=> ''[1,-1,0.5,0,1,0.3,-0.7,1]'') * (1.1 - chrono_importance(importance, importance_at, as_of => ''2024-05-20''))',
    '(embedding <=> ''[1,-1,0.5,0,1,0.3,-0.7,1]'') - chrono_importance(importance, importance_at, 0.0001)'
]) score, check_query(format('SELECT id, %s AS d FROM memories ORDER BY d', score), 20) q;

-- A belief holds from the first moment of its time and until the last before its end, to the microsecond.
CREATE TABLE beliefs (id int PRIMARY KEY, e vector(2), at timestamptz, started timestamptz, ended timestamptz, stated timestamptz, weight real);
CREATE INDEX beliefs_idx ON beliefs USING chrono (e vector_l2_ops, at, started, ended, stated, weight);
INSERT INTO beliefs VALUES
    (1, '[1,1]', '2024-01-01', '2024-01-02 00:00:00.000001', '2024-01-03 00:00:00.000001'), (2, '[1,2]', '2024-01-01', NULL, '2024-01-03'),
    (3, '[1,3]', '2024-01-01', '2024-01-03', NULL), (4, '[1,4]', '2024-01-03', '-infinity', 'infinity'),
    (5, '[1,5]', '2024-01-01', '280000-01-01 00:00:00.000001', '280000-01-01 00:00:00.000003');
SELECT t, (SELECT array_agg((memory).id ORDER BY distance) FROM chrono_search(NULL::beliefs, '[1,1]', as_of => t, recency_weight => 0,
        valid_from_column => 'started', valid_to_column => 'ended')) AS believed
FROM unnest('{2024-01-01,2024-01-02,2024-01-02 00:00:00.000001,2024-01-02 23:59:59.999999,2024-01-03,2024-01-03 00:00:00.000001,
    280000-01-01,280000-01-01 00:00:00.000001,280000-01-01 00:00:00.000002,280000-01-01 00:00:00.000003}'::timestamptz[]) t;
-- Where no column says when a row is valid, all are; an importance fades where the index has its time.
SELECT count(*) FROM chrono_search(NULL::beliefs, '[1,1]', recency_weight => 0);
UPDATE beliefs SET weight = 0.8, stated = '2024-01-01';
SELECT (memory).id, round(importance::numeric, 6) FROM chrono_search(NULL::beliefs, '[1,1]', 1, as_of => '2024-01-01 10:00', recency_weight => 0, importance_weight => 0.5);
SELECT (memory).id, round(importance::numeric, 6), round(0.8 * exp(-1)::numeric, 6) AS expected FROM chrono_search(NULL::beliefs, '[1,1]', 1,
    as_of => '2024-01-01 10:00', recency_weight => 0, importance_weight => 0.5, importance_at_column => 'stated');

\x
SELECT arguments, mistake.* FROM unnest(ARRAY[
    'importance_at_column => ''nowhere''', 'importance_at_column => ''weight''', 'valid_from_column => ''nowhere''', 'valid_to_column => ''weight'''
]) arguments, mistake(format('SELECT * FROM chrono_search(NULL::beliefs, ''[1,1]'', recency_weight => 0, %s)', arguments));
