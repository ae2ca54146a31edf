-- The memory layer in plain SQL: psql -f examples/plain.sql, in a database of which you may create tables.
CREATE EXTENSION IF NOT EXISTS chronomind CASCADE;
SELECT chrono_create_memory('notes', 3);

-- Remember: the vectors are those of your model, with as many dimensions as were named.
INSERT INTO notes (content, context, embedding, importance) VALUES
    ('The deploy key is in the vault', 'ops', '[1, 0.1, 0]', 0.9),
    ('Deploys are on Tuesdays', 'ops', '[0.8, 0.6, 0]', 0.5),
    ('Every Tuesday is a deploy', 'ops', '[0.8, 0.61, 0]', 0.4),
    ('Lunch is at noon', 'office', '[0, 0.2, 1]', 0.3);

-- Recall, as a search with every term of the score, or by any ORDER BY of one's own
SELECT (memory).content, score, distance, recency, importance
FROM chrono_search(NULL::notes, '[0.9, 0.4, 0]', k => 2, context => 'ops', importance_weight => 0.2, diversity => 0.3);
SELECT content FROM notes WHERE valid_to IS NULL
ORDER BY (1 - (embedding <=> '[0.9, 0.4, 0]')) * 0.8 + importance * 0.2 DESC LIMIT 2;

-- Reinforce what was of use, relate, merge what says the same, let the rest fade
SELECT chrono_touch('notes', ARRAY[1]);
SELECT chrono_link('notes', 1, 2, 'used for');
SELECT * FROM chrono_related('notes', 1);
SELECT * FROM chrono_consolidate('notes');
SELECT * FROM chrono_decay('notes', forget_below => 0.05);
SELECT * FROM chrono_context_summary('notes', 'ops');
