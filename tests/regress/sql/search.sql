-- chrono_search gives exactly the rows that a sort by chrono_score gives, for every mix of weights
-- and filters, with NULLs, ties and rows without a distance; and none that the caller may not see.
CREATE EXTENSION chronomind CASCADE;
SET chronomind.ef_search = 400;
CREATE TABLE memories (
    id int PRIMARY KEY, embedding vector(8), created_at timestamptz, importance real, decay_rate float8,
    context text, seen_at timestamptz
);
INSERT INTO memories SELECT i,
    CASE WHEN i % 211 = 0 THEN NULL WHEN i % 223 = 0 THEN array_fill(0, ARRAY[8])::vector
        ELSE (SELECT array_agg(sin(i * j * 1.37) + cos(i * 0.31 * j) ORDER BY j)::vector FROM generate_series(1, 8) j) END,
    CASE i % 97 WHEN 0 THEN NULL WHEN 1 THEN '-infinity' ELSE timestamptz '2024-06-01' - (i * 7919 % 3000) * interval '1 hour' END,
    CASE WHEN i % 13 <> 0 THEN (i * 31 % 100) / 100.0 END,
    CASE i % 5 WHEN 0 THEN NULL WHEN 1 THEN 0 ELSE (i % 50) / 1000.0 END,
    CASE WHEN i % 11 <> 0 THEN 'context ' || i % 7 END,
    timestamptz '2024-01-01' + i * interval '1 hour'
FROM generate_series(1, 3000) i;
CREATE INDEX memories_idx ON memories
    USING chrono (embedding vector_cosine_ops, created_at, importance, decay_rate, context, seen_at);
-- Also rows that came later, and some that are gone
INSERT INTO memories SELECT id + 10000, embedding, created_at + interval '30 minutes', importance, decay_rate, context, seen_at
FROM memories WHERE id % 3 = 0;
DELETE FROM memories WHERE id % 17 = 0;
UPDATE memories SET importance = 0.5 WHERE id % 19 = 0;
ANALYZE memories;

-- The terms of each row are right, the rows are of the table and pass the filters, and the scores are
-- those of the best rows in their order. Without an answer the row says what is wrong.
CREATE FUNCTION check_search(query vector, k int, context text, since timestamptz, until timestamptz,
    as_of timestamptz, w float8, wi float8) RETURNS text LANGUAGE plpgsql AS $$
DECLARE
    found float8[];
    expected float8[];
    wrong bigint;
BEGIN
    SELECT array_agg(s.score), count(*) FILTER (WHERE
            m.id IS NULL OR s.memory IS DISTINCT FROM m
            OR NOT same_order(ARRAY[s.distance], ARRAY[m.embedding <=> query])
            OR NOT same_order(ARRAY[s.score], ARRAY[chrono_score(m.embedding <=> query, m.created_at, m.importance,
                m.decay_rate, w, wi, as_of)])
            OR NOT same_order(ARRAY[s.score], ARRAY[(1 - w - wi) * s.distance / 2 + w * (1 - s.recency) + wi * (1 - s.importance)])
            OR (m.context = check_search.context) IS FALSE OR m.created_at < since OR m.created_at >= until
            OR m.created_at > check_search.as_of)
        INTO found, wrong
    FROM chrono_search(NULL::memories, query, k, context, since, until, as_of, w, wi) s
        LEFT JOIN memories m ON m.id = (s.memory).id;
    SELECT array_agg(score) INTO expected FROM (
        SELECT chrono_score(embedding <=> query, created_at, m.importance, decay_rate, w, wi, as_of) AS score
        FROM memories m
        WHERE (check_search.context IS NULL OR m.context = check_search.context)
            AND (since IS NULL OR created_at >= since) AND (until IS NULL OR created_at < until)
            AND (check_search.as_of IS NULL OR created_at <= check_search.as_of)
        ORDER BY score LIMIT k) best;
    RETURN CASE WHEN wrong > 0 THEN wrong || ' wrong rows' WHEN NOT same_order(found, expected) THEN 'wrong order' ELSE 'same' END;
END $$;

SELECT result, count(*) FROM
    unnest(ARRAY['[1,-1,0.5,0,1,0.3,-0.7,1]', '[0,0,0,1,1,1,0,0]']::vector[]) query,
    unnest(ARRAY[1, 10, 200]) k,
    (VALUES (NULL, NULL::timestamptz, NULL::timestamptz, NULL::timestamptz),
        ('context 3', NULL, NULL, NULL), ('nobody', NULL, NULL, NULL),
        (NULL, '2024-05-20', NULL, NULL), (NULL, NULL, '2024-03-01', NULL), (NULL, '2024-04-01', '2024-04-03', NULL),
        (NULL, NULL, NULL, '2024-05-01'), ('context 5', '2024-02-01', '2024-05-15', '2024-05-10'),
        (NULL, '2024-05-01', '2024-04-01', NULL), (NULL, '-infinity', 'infinity', NULL), (NULL, NULL, NULL, 'infinity')
    ) filters (context, since, until, as_of),
    (VALUES (0, 0), (0.3, 0), (0.1, 0.2), (0.5, 0.5), (1, 0), (0, 1), (0.01, 0.01), (0.6, 0.3)) weights (w, wi),
    check_search(query, k, context, since, until, as_of, w, wi) result
GROUP BY result ORDER BY result;

-- All rows, in the order of the score: rows without a distance behind, those without a score last
SELECT check_search('[1,-1,0.5,0,1,0.3,-0.7,1]', 100000, NULL, NULL, NULL, '2024-06-01', 0.3, 0.1);
SELECT check_search('[1,-1,0.5,0,1,0.3,-0.7,1]', 100000, 'context 2', NULL, NULL, NULL, 0.3, 0.1);
-- Queries without a distance to anything
SELECT check_search('[0,0,0,0,0,0,0,0]', 20, NULL, NULL, NULL, '2024-06-01', 0.3, 0.1);
SELECT check_search(NULL, 20, NULL, NULL, NULL, '2024-06-01', 0.3, 0.1);
SELECT check_search('[0,0,0,0,0,0,0,0]', 20, NULL, NULL, NULL, '2024-06-01', 1, 0);
SELECT check_search(NULL, 20, NULL, NULL, NULL, '2024-06-01', 1, 0);

-- Defaults come from the settings.
CREATE FUNCTION best(weight float8 DEFAULT NULL) RETURNS int[] LANGUAGE sql AS $$
    SELECT array_agg((memory).id ORDER BY score, (memory).id)
    FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 7, as_of => '2024-06-01', recency_weight => weight)
$$;
SELECT best() = best(0.3), best(0.6) <> best(0.3);
SET chronomind.recency_weight = 0.6;
SELECT best() = best(0.6);
RESET chronomind.recency_weight;
SELECT count(*) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]');

-- Columns and index may be named.
SELECT (memory).id, round(recency::numeric, 4) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 3,
    as_of => '2024-06-01', created_at_column => 'seen_at', recency_weight => 1);
SELECT id, round(exp(-coalesce(nullif(decay_rate, 0), 0.1) * extract(epoch from '2024-06-01' - seen_at) / 3600)::numeric, 4)
FROM memories WHERE seen_at <= '2024-06-01'
ORDER BY chrono_score(embedding <=> '[1,-1,0.5,0,1,0.3,-0.7,1]', seen_at, importance, decay_rate, 1, 0, '2024-06-01') LIMIT 3;
CREATE INDEX plain_idx ON memories USING chrono (embedding vector_l2_ops);
SELECT (memory).id, round(score::numeric, 4) AS score, round(distance::numeric, 4) AS distance, recency, importance
FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 2, index => 'plain_idx', recency_weight => 0);
SELECT id, round((embedding <-> '[1,-1,0.5,0,1,0.3,-0.7,1]')::numeric, 4) FROM memories
ORDER BY embedding <-> '[1,-1,0.5,0,1,0.3,-0.7,1]' LIMIT 2;

-- In joins, with other order and limits, in a cursor, in a prepared statement, in a function's SELECT list
SELECT q, array_agg((memory).id ORDER BY score) FROM generate_series(1, 3) q,
    chrono_search(NULL::memories, array_fill(q, ARRAY[7])::real[]::vector || '[1]'::vector, 3, as_of => '2024-06-01', importance_weight => 0.2)
GROUP BY q ORDER BY q;
SELECT count(*) FROM (SELECT FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 50) LIMIT 5) five;
PREPARE search(vector, int) AS SELECT count(*) FROM chrono_search(NULL::memories, $1, $2);
SET plan_cache_mode = force_generic_plan;
EXECUTE search('[1,-1,0.5,0,1,0.3,-0.7,1]', 4);
EXECUTE search('[1,-1,0.5,0,1,0.3,-0.7,1]', 6);
-- It sees what its own transaction did, and not what was taken back.
BEGIN;
INSERT INTO memories VALUES (50000, '[1,-1,0.5,0,1,0.3,-0.7,1]', '2024-06-01', 1, NULL, 'new');
SELECT (memory).id FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 1, as_of => '2024-06-01');
ROLLBACK;
SELECT (memory).id = 50000 FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 1, as_of => '2024-06-01');

-- Other types: halfvec, uuid as context, real as rate, varchar
CREATE TABLE halves (id int, v halfvec(3), at timestamptz, context uuid, i float8, r real);
CREATE INDEX ON halves USING chrono (v halfvec_l2_ops, at, context, i, r);
INSERT INTO halves SELECT i, ARRAY[sin(i), cos(i), i / 100.0]::vector, timestamptz '2024-01-01' + i * interval '1 day',
    md5((i % 3)::text)::uuid, i % 10 / 10.0, 0.001 FROM generate_series(1, 300) i;
SELECT array_agg((memory).id) FROM chrono_search(NULL::halves, '[1,0,2]', 5, md5('1'), as_of => '2024-12-01', importance_weight => 0.2);
SELECT array_agg(id) FROM (SELECT id FROM halves WHERE context = md5('1')::uuid
    ORDER BY chrono_score(v <-> '[1,0,2]', at, i, r, 0.3, 0.2, '2024-12-01') LIMIT 5) best;

-- Privileges and policies
CREATE ROLE regress_chrono_reader;
SET ROLE regress_chrono_reader;
SELECT count(*) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]');
\echo :LAST_ERROR_SQLSTATE
RESET ROLE;
GRANT SELECT (id, embedding) ON memories TO regress_chrono_reader;
SET ROLE regress_chrono_reader;
SELECT count(*) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]');
RESET ROLE;
GRANT SELECT ON memories TO regress_chrono_reader;
CREATE POLICY own ON memories FOR SELECT TO regress_chrono_reader USING (context = 'context 4');
ALTER TABLE memories ENABLE ROW LEVEL SECURITY;
SET ROLE regress_chrono_reader;
SELECT count(*), min((memory).context), max((memory).context) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 30);
SELECT count(*) FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 30, 'context 3');
SELECT check_search('[1,-1,0.5,0,1,0.3,-0.7,1]', 20, NULL, NULL, NULL, '2024-06-01', 0.3, 0.1);
RESET ROLE;
SELECT check_search('[1,-1,0.5,0,1,0.3,-0.7,1]', 20, NULL, NULL, NULL, '2024-06-01', 0.3, 0.1);
ALTER TABLE memories DISABLE ROW LEVEL SECURITY;
REVOKE ALL ON memories FROM regress_chrono_reader;
DROP POLICY own ON memories;
DROP ROLE regress_chrono_reader;

-- Mistakes: what is wrong, why, and what to do
CREATE TABLE bare (id int, v vector(3));
CREATE TABLE unindexed (id int, v vector(3));
CREATE INDEX ON bare USING chrono (v vector_l2_ops);
CREATE INDEX ON unindexed USING chrono (v vector_l2_ops) WHERE id > 0;
CREATE VIEW a_view AS SELECT * FROM bare;
CREATE TABLE parts (id int, v vector(3)) PARTITION BY RANGE (id);
\x
SELECT arguments, mistake.* FROM unnest(ARRAY[
    'NULL::memories, ''[1,2,3]''', 'NULL::memories, ''[1,2,3,4,5,6,7,8]'', 0', 'NULL::memories, ''[1,2,3,4,5,6,7,8]'', -1',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', NULL', 'NULL::memories, ''[1,2,3,4,5,6,7,NaN]''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', recency_weight => 1.5', 'NULL::memories, ''[1,2,3,4,5,6,7,8]'', recency_weight => -0.1',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', recency_weight => 0.7, importance_weight => 0.7',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', importance_weight => ''NaN''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', created_at_column => ''nowhere''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', created_at_column => ''context''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', context_column => ''importance''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', importance_column => ''id''',
    'NULL::memories, ''[1,2,3,4,5,6,7,8]'', index => ''memories_pkey''',
    'NULL::unindexed, ''[1,2,3]''', 'NULL::bare, ''[1,2,3]''', 'NULL::bare, ''[1,2,3]'', context => ''a'', recency_weight => 0',
    'NULL::bare, ''[1,2,3]'', since => now(), recency_weight => 0', 'NULL::bare, ''[1,2,3]'', importance_weight => 0.1, recency_weight => 0',
    'NULL::a_view, ''[1,2,3]''', 'NULL::parts, ''[1,2,3]''', 'NULL::int, ''[1,2,3]''', 'NULL, ''[1,2,3]''',
    'NULL::halves, ''[1,2,3]'', context => ''no uuid''', 'NULL::halves, ''[1e6,2,3]'''
]) arguments, mistake(format('SELECT * FROM chrono_search(%s)', arguments));
\x
-- A row's own rate counts only where it is positive.
UPDATE memories SET decay_rate = -1 WHERE id = 2;
SELECT round(recency::numeric, 4) = round(exp(-0.1 * extract(epoch from '2024-06-01' - (memory).created_at) / 3600)::numeric, 4)
FROM chrono_search(NULL::memories, '[1,-1,0.5,0,1,0.3,-0.7,1]', 10000, as_of => '2024-06-01') WHERE (memory).id = 2;
