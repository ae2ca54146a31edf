-- A database of any encoding: names and texts are what its bytes are.
CREATE DATABASE regress_latin1 ENCODING 'LATIN1' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_latin1
SET client_encoding = 'UTF8';
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE "tür" (id int PRIMARY KEY, e vector(2), "größe" float8, context text, "wärme" float8, "gültig" timestamptz);
INSERT INTO "tür" VALUES (1, '[1,2]', 1, 'Köln'), (2, '[1,3]', 0.5, 'Kaln'), (3, '[1,4]', 0.2, NULL);
CREATE INDEX "tür_i" ON "tür" USING chrono (e vector_l2_ops, "größe");
CREATE INDEX "tür_j" ON "tür" USING chrono (e vector_cosine_ops, context, "größe", "gültig");
INSERT INTO "tür" VALUES (4, '[1,2.5]', 1, 'Köln');
SET enable_seqscan = off;
SELECT (memory).id FROM chrono_search(NULL::"tür", '[1,2]', recency_weight => 0);
SELECT (memory).id FROM chrono_search(NULL::"tür", '[1,2]', context => 'Köln', recency_weight => 0, importance_weight => 0.2,
    index => '"tür_j"', importance_column => 'größe', valid_to_column => 'gültig');
SELECT (memory).id FROM chrono_search(NULL::"tür", '[1,2]', context => 'Käln', recency_weight => 0, index => '"tür_j"');
EXPLAIN (COSTS OFF) SELECT id FROM "tür" WHERE context = 'Köln' ORDER BY (1 - (e <=> '[1,2]')) + "größe" DESC LIMIT 3;
SELECT id FROM "tür" WHERE context = 'Köln' ORDER BY (1 - (e <=> '[1,2]')) + "größe" DESC LIMIT 3;
SELECT id FROM "tür" ORDER BY (1 - (e <=> '[1,2]')) + CASE WHEN context = 'Köln' THEN 0 ELSE 2 END DESC LIMIT 3;
SELECT * FROM chrono_check('"tür_i"');
SELECT index, table_rows FROM chrono_indexes(), chrono_check(index) ORDER BY index::text COLLATE "C";
SELECT rows_given FROM chrono_explain('SELECT id FROM "tür" WHERE context = ''Köln'' ORDER BY "größe" - (e <=> ''[1,2]'') DESC LIMIT 1');
-- Messages have escapes.
SELECT (memory).id FROM chrono_search(NULL::"tür", '[1,2]', importance_column => 'übel');
SELECT (memory).id FROM chrono_search(NULL::"tür", '[1,2]', importance_column => 'wärme', recency_weight => 0);
SELECT chronomind_internal.chrono_blend('schön', 0, 0);
SELECT chrono_create_memory('gedächtnis', 2);
INSERT INTO "gedächtnis" (content, context, embedding) VALUES ('öl', 'äpfel', '[1,0]'), ('öle', 'äpfel', '[1,0.01]');
SELECT count, centroid FROM chrono_context_summary('gedächtnis', 'äpfel');
SELECT survivor, absorbed FROM chrono_consolidate('gedächtnis');
VACUUM "tür";
REINDEX TABLE "tür";
\c regress_encodings
DROP DATABASE regress_latin1;
-- One without an encoding takes any bytes, also those that are no UTF-8.
CREATE DATABASE regress_ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LC_COLLATE 'C' LC_CTYPE 'C';
\c regress_ascii
CREATE EXTENSION chronomind CASCADE;
CREATE TABLE t (id int, e vector(2), "größe" float8, context text);
INSERT INTO t VALUES (1, '[1,2]', 1, E'K\xf6ln'), (2, '[1,2]', 1, 'Köln');
CREATE INDEX ON t USING chrono (e vector_cosine_ops, context, "größe");
SELECT (memory).id FROM chrono_search(NULL::t, '[1,2]', context => E'K\xf6ln', recency_weight => 0);
SELECT (memory).id FROM chrono_search(NULL::t, '[1,2]', context => 'Köln', recency_weight => 0);
SET enable_seqscan = off;
SELECT id FROM t ORDER BY (1 - (e <=> '[1,2]')) * "größe" DESC, id LIMIT 1;
\c regress_encodings
DROP DATABASE regress_ascii;
