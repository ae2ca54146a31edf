-- Links: directed, typed, limited in number; a walk meets each memory once, by a shortest way, and follows
-- those that were merged to what they are now.
CREATE EXTENSION chronomind CASCADE;
SELECT chrono_create_memory('memories', 2);
INSERT INTO memories (content, embedding) SELECT 'memory ' || i, '[1,1]' FROM generate_series(1, 100) i;
SELECT source, target, chrono_link('memories', source, target, kind) FROM (VALUES
    (1, 2, 'cites'), (1, 3, 'cites'), (2, 4, 'related'), (3, 4, 'causes'), (4, 1, 'related'), (4, 5, 'related'), (5, 6, 'related'), (6, 6 + 1, 'related')
) links (source, target, kind);
SELECT chrono_link('memories', 1, 2, 'cites') AS again, chrono_link('memories', 1, 2) AS of_another_kind;
SELECT * FROM chrono_related('memories', 1);
SELECT * FROM chrono_related('memories', 1, depth => 3);
SELECT count(*), max(depth) FROM chrono_related('memories', 1, depth => 1000);
SELECT * FROM chrono_related('memories', 7);
-- The same with other types of the argument
SELECT pg_typeof(id), pg_typeof(path), path FROM chrono_related('memories', 4::smallint) WHERE id = 5;
SELECT pg_typeof(id), pg_typeof(path), path FROM chrono_related('memories', '4') WHERE id = '5';

-- 4 was merged into 8, which was merged into 9: who leads to 4 leads to 9.
SELECT chrono_link('memories', 9, 10);
UPDATE memories SET superseded_by = 8, valid_to = now() WHERE id = 4;
UPDATE memories SET superseded_by = 9, valid_to = now() WHERE id = 8;
SELECT * FROM chrono_related('memories', 1, depth => 5);
SELECT * FROM chrono_related('memories', 4);
-- A circle of merged ones, which no function makes, leads nowhere, and the walk ends.
UPDATE memories SET superseded_by = 4 WHERE id = 9;
SELECT * FROM chrono_related('memories', 1, depth => 5);
SELECT state, message, detail FROM mistake('SELECT chrono_related(''memories'', 4)');
UPDATE memories SET superseded_by = NULL WHERE id = 9;

-- At most so many from one; what is there already is no mistake even then.
SELECT count(*) FILTER (WHERE chrono_link('memories', 50, i)) FROM generate_series(1, 49) i;
SELECT chrono_link('memories', 50, 51);
SELECT chrono_link('memories', 50, 51), chrono_link('memories', 52, 50), chrono_link('memories', 50, 52, max_links => 51);

-- Unlinking, one kind or all; what is not there is no mistake, and told by the number.
SELECT chrono_unlink('memories', 1, 2, 'related'), chrono_unlink('memories', 1, 2), chrono_unlink('memories', 1, 2), chrono_unlink('memories', 2, 1);
DELETE FROM memories WHERE id = 3;
SELECT count(*) FROM memories_links WHERE 3 IN (source, target);

-- A table of one's own, with texts as identifiers
CREATE TABLE notes (key text PRIMARY KEY, body text);
INSERT INTO notes VALUES ('a'), ('b'), ('it''s "c"');
SELECT chrono_create_links('notes');
SELECT chrono_link('notes', 'a', 'b'), chrono_link('notes', 'b', 'it''s "c"');
SELECT * FROM chrono_related('notes', 'a', 2);
CREATE TABLE keyed (key uuid PRIMARY KEY, merged uuid);
INSERT INTO keyed VALUES (md5('1')::uuid, NULL), (md5('2')::uuid, NULL), (md5('3')::uuid, md5('2')::uuid);
SELECT chrono_create_links('keyed');
SELECT chrono_link('keyed', md5('1'), md5('3'));
SELECT id = md5('2')::uuid AS followed, path FROM chrono_related('keyed', md5('1')::uuid, superseded_by_column => 'merged');
SELECT chrono_unlink('keyed', md5('1')::uuid, md5('3')::uuid);

\x
CREATE TABLE alone (id int PRIMARY KEY);
CREATE TABLE keyless (name text);
SELECT call, mistake.* FROM unnest(ARRAY[
    'chrono_link(''memories'', 1, 1)', 'chrono_link(''memories'', 1, 1000)', 'chrono_link(''memories'', 1000, 1)', 'chrono_link(''memories'', 1, NULL)',
    'chrono_link(''memories'', 1, 2, NULL)', 'chrono_link(''memories'', 50, 99)', 'chrono_link(''memories'', 1, 2, max_links => 0)',
    'chrono_link(''alone'', 1, 2)', 'chrono_link(''keyless'', 1, 2)', 'chrono_create_links(''keyless'')', 'chrono_create_links(''notes'')',
    'chrono_unlink(''alone'', 1, 2)', 'chrono_related(''memories'', 1000)', 'chrono_related(''memories'', 1, 0)', 'chrono_related(''memories'', 1, NULL)',
    'chrono_related(''memories'', NULL::bigint)', 'chrono_related(''alone'', 1)', 'chrono_related(''memories'', ''one'')'
]) call, mistake('SELECT ' || call);
