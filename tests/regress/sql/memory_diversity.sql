-- chrono_search with diversity is maximal marginal relevance, exactly, over the best candidates by score.
CREATE EXTENSION chronomind CASCADE;
SET chronomind.ef_search = 400;
CREATE TABLE memories (id int PRIMARY KEY, embedding vector(6), half halfvec(6), created_at timestamptz, importance real, context text);
-- Eight topics, each said in many ways
INSERT INTO memories SELECT i, v, v::halfvec, timestamptz '2024-06-01' - (i * 7919 % 900) * interval '1 hour', (i * 31 % 100) / 100.0, 'c' || i % 3
FROM generate_series(1, 600) i, LATERAL (
    SELECT array_agg(sin((i % 8 + 1) * j * 1.7) + 0.2 * sin(i * j * 12.9898) ORDER BY j)::vector AS v FROM generate_series(1, 6) j) made;
UPDATE memories SET embedding = NULL, half = NULL WHERE id % 50 = 0;
UPDATE memories SET embedding = '[0,0,0,0,0,0]', half = '[0,0,0,0,0,0]' WHERE id % 50 = 1;
CREATE INDEX ON memories USING chrono (embedding vector_cosine_ops, created_at, importance, context);
CREATE INDEX half_idx ON memories USING chrono (half halfvec_cosine_ops, created_at, importance);
CREATE INDEX l2_idx ON memories USING chrono (embedding vector_l2_ops, created_at, importance);

-- The definition: Carbonell and Goldstein 1998, one row after the other, over the candidates.
CREATE FUNCTION mmr(query vector, k int, diversity float8, distance text DEFAULT '<=>', w float8 DEFAULT 0.3) RETURNS int[] LANGUAGE plpgsql AS $$
DECLARE
    chosen int[] := '{}';
    next int;
BEGIN
    CREATE TEMP TABLE candidate ON COMMIT DROP AS SELECT (memory).id, (memory).embedding, 1 - score AS relevance
    FROM chrono_search(NULL::memories, query, greatest(100, 20 * k), as_of => '2024-06-02', recency_weight => w,
        index => CASE distance WHEN '<->' THEN 'l2_idx'::regclass END);
    FOR i IN 1 .. k LOOP
        EXECUTE format('SELECT c.id FROM candidate c WHERE NOT c.id = ANY ($1)
            ORDER BY (1 - $2) * c.relevance - $2 * coalesce((SELECT max(1 - (c.embedding %s s.embedding) / 2) FROM candidate s WHERE s.id = ANY ($1)), 0)
                DESC NULLS LAST LIMIT 1', distance) INTO next USING chosen, diversity;
        chosen := chosen || next;
    END LOOP;
    DROP TABLE candidate;
    RETURN chosen;
END $$;
CREATE FUNCTION found(query vector, k int, diversity float8, index regclass DEFAULT NULL, w float8 DEFAULT 0.3) RETURNS int[] LANGUAGE sql AS $$
    SELECT array_agg((memory).id ORDER BY place) FROM chrono_search(NULL::memories, query, k, as_of => '2024-06-02', recency_weight => w,
        diversity => diversity, index => found.index) WITH ORDINALITY AS s (memory, score, distance, recency, importance, similarity, place)
$$;
SELECT k, diversity, count(*), count(*) FILTER (WHERE found(query, k, diversity) = mmr(query, k, diversity)) AS same,
    count(*) FILTER (WHERE found(query, k, diversity, 'l2_idx') = mmr(query, k, diversity, '<->')) AS same_in_l2
FROM unnest(ARRAY['[1,-1,0.5,0.2,1,0.3]', '[0,0,0,1,1,1]', '[-1,2,0,0.3,0,1]']::vector[]) query,
    unnest(ARRAY[1, 3, 10]) k, unnest(ARRAY[0.05, 0.3, 0.7]) diversity
GROUP BY 1, 2 ORDER BY 1, 2;

-- Ten of one topic become ten of many.
SELECT diversity, count(DISTINCT (memory).id % 8) AS topics
FROM unnest(ARRAY[NULL, 0, 0.3, 0.5]) diversity, chrono_search(NULL::memories, '[1,-1,0.5,0.2,1,0.3]', 10, as_of => '2024-06-02', recency_weight => 0, diversity => diversity)
GROUP BY 1 ORDER BY 1 NULLS FIRST;
SELECT found('[0,0,0,1,1,1]', 10, 0) = found('[0,0,0,1,1,1]', 10, NULL) AS without_it_is_the_search;
SELECT found('[0,0,0,1,1,1]', 10, 0.3, 'half_idx') = found('[0,0,0,1,1,1]', 10, 0.3) AS same_in_half;
-- The scores are those of the search, each row's own.
SELECT count(*), count(*) FILTER (WHERE s.score = p.score AND s.distance = p.distance) AS same
FROM chrono_search(NULL::memories, '[0,0,0,1,1,1]', 10, as_of => '2024-06-02', diversity => 0.5) s
JOIN chrono_search(NULL::memories, '[0,0,0,1,1,1]', 600, as_of => '2024-06-02') p ON (s.memory).id = (p.memory).id;
-- All rows, those without a distance at the end; within a context; fewer than are asked for
SELECT count(DISTINCT id), array_agg(id % 50 IN (0, 1)) FILTER (WHERE place > 576) AS last
FROM unnest(found('[0,0,0,1,1,1]', 1000, 0.3)) WITH ORDINALITY AS f (id, place);
SELECT count(*), count(DISTINCT (memory).context) FROM chrono_search(NULL::memories, '[0,0,0,1,1,1]', 20, context => 'c1', diversity => 0.3);
SELECT count(*) FROM chrono_search(NULL::memories, '[0,0,0,1,1,1]', 20, context => 'nobody', diversity => 0.3);
SELECT count(*) FROM chrono_search(NULL::memories, NULL, 5, diversity => 0.3);
SELECT count(*) FROM chrono_search(NULL::memories, '[0,0,0,0,0,0]', 5, diversity => 0.3);
CREATE TABLE cast_memories (id int, v vector(6), created_at timestamptz);
CREATE INDEX ON cast_memories USING chrono ((v::halfvec(6)) halfvec_cosine_ops, created_at);
\x
SELECT arguments, mistake.* FROM unnest(ARRAY['10, diversity => -0.1', '10, diversity => 1.1', '10, diversity => ''NaN''', '1001, diversity => 0.3']) arguments,
    mistake(format('SELECT chrono_search(NULL::memories, ''[0,0,0,1,1,1]'', %s)', arguments));
SELECT * FROM mistake('SELECT chrono_search(NULL::cast_memories, ''[0,0,0,1,1,1]'', diversity => 0.3)');
\x
