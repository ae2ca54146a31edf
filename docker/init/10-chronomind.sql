-- A table of memories to start from, and one question.
CREATE EXTENSION chronomind CASCADE;

CREATE TABLE memories (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
    content text NOT NULL,
    embedding vector(3),
    created_at timestamptz NOT NULL DEFAULT now(),
    importance real NOT NULL DEFAULT 1
);
CREATE INDEX ON memories USING chrono (embedding vector_cosine_ops, created_at, importance);

INSERT INTO memories (content, embedding, created_at) VALUES
    ('the cat sleeps on the sofa', '[0.9, 0.1, 0]', now() - interval '30 days'),
    ('the cat was let out tonight', '[0.8, 0.2, 0]', now() - interval '1 hour'),
    ('the invoice is due in March', '[0, 0.1, 0.9]', now() - interval '2 hours');

SELECT (memory).content, score, distance, recency
FROM chrono_search(NULL::memories, '[1, 0, 0]'::vector, k => 2);
