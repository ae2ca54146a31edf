-- Every row of a search tells how alike it is, higher for more alike, whatever the metric: the score is lower for better.
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE notes (id int PRIMARY KEY, embedding vector(2));
INSERT INTO notes VALUES (1, '[1,0]'), (2, '[3,4]'), (3, '[-2,0]'), (4, '[0,0]'), (5, NULL);
CREATE INDEX notes_cosine ON notes USING chrono (embedding vector_cosine_ops);
CREATE INDEX notes_product ON notes USING chrono (embedding vector_ip_ops);
CREATE INDEX notes_l2 ON notes USING chrono (embedding vector_l2_ops);
CREATE INDEX notes_l1 ON notes USING chrono (embedding vector_l1_ops);
SELECT index, (memory).id, distance, round(similarity::numeric, 6) AS similarity,
    similarity IS NOT DISTINCT FROM CASE index WHEN 'notes_cosine' THEN 1 - distance WHEN 'notes_product' THEN 0 - distance ELSE 1 / (1 + distance) END AS as_told
FROM unnest(ARRAY['notes_cosine', 'notes_product', 'notes_l2', 'notes_l1']) index,
    chrono_search(NULL::notes, '[1,0]', 5, recency_weight => 0, importance_weight => 0, index => index::regclass);
-- The best is the most alike, where nothing but the distance counts.
SELECT index, bool_and(later <= similarity) FROM (
    SELECT index, similarity, lead(similarity) OVER (PARTITION BY index ORDER BY score) AS later
    FROM unnest(ARRAY['notes_cosine', 'notes_product', 'notes_l2', 'notes_l1']) index,
        chrono_search(NULL::notes, '[1,0]', 5, recency_weight => 0, importance_weight => 0, index => index::regclass)
) ordered WHERE later <> 'NaN' GROUP BY 1 ORDER BY 1;
SELECT (memory).id, similarity FROM chrono_search(NULL::notes, NULL, 1, recency_weight => 0, index => 'notes_l2');
SELECT (memory).id, similarity FROM chrono_search(NULL::notes, '[1,0]', 2, recency_weight => 0, index => 'notes_cosine', diversity => 0);
SELECT obj_description('chrono_search'::regproc, 'pg_proc') ~ 'lower is better.*higher is better' AS search_tells,
    obj_description('chrono_score'::regproc, 'pg_proc') ~ 'lower is better' AS score_tells;
