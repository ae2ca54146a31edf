-- What cannot be indexed says why.
CREATE EXTENSION chronomind CASCADE;
CREATE TYPE mood AS ENUM ('calm', 'tense');
CREATE TABLE memories (
    embedding vector(3),
    half halfvec(3),
    unbounded vector,
    created_at timestamptz,
    importance real,
    label text,
    tags text[]
);

CREATE INDEX ON memories USING chrono (embedding);
CREATE INDEX ON memories USING chrono (created_at);
CREATE INDEX ON memories USING chrono (created_at, embedding vector_l2_ops);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops, half halfvec_l2_ops);
CREATE INDEX ON memories USING chrono (unbounded vector_l2_ops);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops, tags);
CREATE UNIQUE INDEX ON memories USING chrono (embedding vector_l2_ops);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) INCLUDE (label);

-- Equal strings of a nondeterministic collation have different hashes.
CREATE TABLE collated (embedding vector(3), label text COLLATE "POSIX");
UPDATE pg_collation SET collisdeterministic = false WHERE collname = 'POSIX';
CREATE INDEX ON collated USING chrono (embedding vector_l2_ops, label);
UPDATE pg_collation SET collisdeterministic = true WHERE collname = 'POSIX';

-- Storage parameters
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (m = 1);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (ef_construction = 1001);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (m = 32, ef_construction = 63);
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (storage = 'tape');
CREATE INDEX ON memories USING chrono (embedding vector_l2_ops) WITH (lists = 1);
