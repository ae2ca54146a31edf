"""Chrono indexes of every kind, for tests of what moves a whole database."""

from checks import SCHEMA

ROWS = 400
TABLES = f"""
{SCHEMA}
CREATE TYPE mood AS ENUM ('calm', 'tense');
CREATE TABLE plain (id int PRIMARY KEY, v vector(16), half halfvec(16), at timestamptz, n int, mood mood, label text);
INSERT INTO plain SELECT i, some_vector(i), some_vector(i)::halfvec, timestamptz '2026-01-01' + i * interval '1 hour',
    mod(i, 10), (enum_range(NULL::mood))[1 + mod(i, 2)], 'l' || mod(i, 7) FROM generate_series(1, {ROWS}) i;
INSERT INTO plain (id) VALUES ({ROWS} + 1);
CREATE INDEX plain_cosine ON plain USING chrono (v vector_cosine_ops, at, n, mood, label);
CREATE INDEX plain_half ON plain USING chrono (half halfvec_l2_ops, n) WITH (m = 8, ef_construction = 32);
CREATE INDEX plain_partial ON plain USING chrono (v vector_l1_ops) WHERE n > 4;
CREATE INDEX plain_expression ON plain USING chrono ((v::halfvec(16)) halfvec_ip_ops, lower(label));
CREATE UNLOGGED TABLE unlogged (id int, v vector(16));
INSERT INTO unlogged SELECT id, v FROM plain;
CREATE INDEX unlogged_v ON unlogged USING chrono (v vector_l2_ops);
CREATE TABLE parts (id int, v vector(16)) PARTITION BY HASH (id);
CREATE TABLE part_0 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 0);
CREATE TABLE part_1 PARTITION OF parts FOR VALUES WITH (MODULUS 2, REMAINDER 1);
CREATE INDEX parts_v ON parts USING chrono (v vector_cosine_ops);
INSERT INTO parts SELECT id, v FROM plain;
CREATE MATERIALIZED VIEW seen AS SELECT id, v FROM plain WHERE n < 5;
CREATE INDEX seen_v ON seen USING chrono (v vector_l2_ops);
CREATE TABLE long_vectors (id int, v vector(4000));
INSERT INTO long_vectors SELECT i, (SELECT array_agg(sin(i * j)) FROM generate_series(1, 4000) j)::vector FROM generate_series(1, 30) i;
CREATE INDEX long_vectors_v ON long_vectors USING chrono (v vector_cosine_ops);
SELECT chrono_create_memory('memories', 16);
INSERT INTO memories (content, embedding) SELECT 'memory ' || id, v FROM plain WHERE v IS NOT NULL;
-- Some that came, changed and went after the builds
UPDATE plain SET v = some_vector(id + 5000) WHERE mod(id, 5) = 0;
UPDATE plain SET n = n + 1 WHERE mod(id, 3) = 0;
DELETE FROM plain WHERE mod(id, 11) = 0;
REFRESH MATERIALIZED VIEW seen;
"""
# By the index that answers them.
QUERIES = {
    "plain_cosine": "SELECT id, v <=> some_vector(-1) FROM plain WHERE mood = 'calm' AND n < 8 ORDER BY 2",
    "plain_half": "SELECT id, half <-> some_vector(-1)::halfvec FROM plain WHERE n = 3 ORDER BY 2",
    "plain_partial": "SELECT id, v <+> some_vector(-1) FROM plain WHERE n > 4 ORDER BY 2",
    "plain_expression": "SELECT id, v::halfvec(16) <#> some_vector(-1)::halfvec FROM plain WHERE lower(label) = 'l2' ORDER BY 2",
    "unlogged_v": "SELECT id, v <-> some_vector(-1) FROM unlogged ORDER BY 2",
    "part_0_v_idx": "SELECT id, v <=> some_vector(-1) FROM parts ORDER BY 2",
    "seen_v": "SELECT id, v <-> some_vector(-1) FROM seen ORDER BY 2",
    "long_vectors_v": "SELECT id, v <=> (SELECT v FROM long_vectors WHERE id = 3) FROM long_vectors ORDER BY 2",
    "memories_embedding_": "SELECT id, embedding <=> some_vector(-1) FROM memories ORDER BY 2",
}
DEFINITIONS = "SELECT pg_get_indexdef(index) FROM chrono_indexes() ORDER BY 1"


def definitions(cluster, database="postgres"):
    """How all of the database's indexes are defined."""
    return cluster.query(DEFINITIONS, database)


def assert_sound(cluster, database="postgres"):
    """All indexes are whole, and give what a sequential scan gives; returns the ids, since
    versions of pgvector differ in the last digits of distances.
    """
    cluster.psql("SELECT chrono_check(index) FROM chrono_indexes()", database)
    answers = {}
    for index, query in QUERIES.items():
        by_index = f"SET enable_seqscan = off; SET enable_bitmapscan = off; SET enable_sort = off; {{}}{query}"
        plan = cluster.query(by_index.format("EXPLAIN "), database)
        assert index in str(plan), plan
        rows = sorted(cluster.query(by_index.format(""), database))
        assert rows == sorted(cluster.query(f"SET enable_indexscan = off; {query}", database)), index
        answers[index] = [id for id, _ in rows]
    return answers
