-- Mistakes are told with a code for programs, and with a hint for people; and nothing is half-done.
CREATE EXTENSION chronomind CASCADE;
CREATE DOMAIN share AS real CHECK (VALUE BETWEEN 0 AND 1);
CREATE TABLE memories (
    embedding vector(3), half halfvec(3), unbounded vector, sparse sparsevec(3), bits bit(3), largest vector(16000),
    at timestamptz, importance share, label text, tags text[], doc jsonb, amount numeric, clock time, blob bytea
);
INSERT INTO memories (embedding, half, unbounded) VALUES ('[1,2,3]', '[1,2,3]', '[1,2,3]');
\x
SELECT columns, mistake.* FROM unnest(ARRAY[
    'embedding', 'embedding vector_l2_ops, half halfvec_l2_ops', 'at', 'at, embedding vector_l2_ops', 'label',
    'half vector_l2_ops', 'embedding halfvec_l2_ops', 'embedding hnsw_l2_ops', 'unbounded vector_l2_ops',
    'sparse sparsevec_l2_ops', 'bits bit_hamming_ops', 'embedding vector_l2_ops, tags', 'embedding vector_l2_ops, doc',
    'embedding vector_l2_ops, amount', 'embedding vector_l2_ops, clock', 'embedding vector_l2_ops, blob',
    'embedding vector_l2_ops, label text_pattern_ops', 'embedding vector_l2_ops DESC', 'embedding vector_l2_ops, at NULLS FIRST'
]) AS columns, mistake(format('CREATE INDEX ON memories USING chrono (%s)', columns));
SELECT options, mistake.* FROM unnest(ARRAY[
    'm = 1', 'm = 101', 'm = ''many''', 'ef_construction = 3', 'ef_construction = 1001', 'm = 40, ef_construction = 64',
    'storage = ''tape''', 'lists = 100', 'fillfactor = 70', 'm = 8, m = 9'
]) AS options, mistake(format('CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (%s)', options));
SELECT statement, mistake.* FROM unnest(ARRAY[
    'CREATE UNIQUE INDEX ON memories USING chrono (embedding vector_l2_ops)',
    'CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) INCLUDE (at)',
    'CREATE INDEX ON memories USING chrono ((unbounded::vector(2)) vector_l2_ops)'
]) AS statement, mistake(statement);
\x
-- Nothing of all that stays behind.
SELECT count(*) FROM pg_index WHERE indrelid = 'memories'::regclass;

-- What is no mistake: domains, the largest vectors, all the columns that an index can have
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops, importance, at);
CREATE INDEX ON memories USING chrono (largest vector_l2_ops);
INSERT INTO memories (embedding, importance, largest) VALUES ('[3,2,1]', 0.5, array_fill(0.5, ARRAY[16000])::vector);
SELECT mistake.* FROM mistake('INSERT INTO memories (embedding, importance) VALUES (''[3,2,1]'', 1.5)');
SELECT mistake.* FROM mistake('INSERT INTO memories (embedding) VALUES (''[3,2,NaN]'')');
SELECT mistake.* FROM mistake('INSERT INTO memories (half) VALUES (''[3,2,1e9]'')');
SELECT format('CREATE TABLE wide (id int, v vector(2), %s)', string_agg(format('a%s int', i), ', ' ORDER BY i))
FROM generate_series(1, 32) i \gexec
SELECT format('CREATE INDEX ON wide USING chrono (v vector_l2_ops, %s)', string_agg(format('a%s', i), ', ' ORDER BY i))
FROM generate_series(1, 32) i \gexec
SELECT format('CREATE INDEX ON wide USING chrono (v vector_l2_ops, %s)', string_agg(format('a%s', i), ', ' ORDER BY i))
FROM generate_series(1, 31) i \gexec
INSERT INTO wide (id, v, a1, a31) SELECT i, ARRAY[i, 1]::vector, i % 3, NULLIF(i % 5, 0) FROM generate_series(1, 200) i;
SELECT * FROM check_query('SELECT id, v <-> ''[50.2,1]'' AS d FROM wide WHERE a1 = 1 AND a31 IS NULL AND a30 IS NULL ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[50.2,1]'' AS d FROM wide WHERE a31 > 3 ORDER BY d');
SELECT * FROM check_query('SELECT id, v <-> ''[50.2,1]'' AS d FROM wide WHERE a2 = 1 ORDER BY d');
