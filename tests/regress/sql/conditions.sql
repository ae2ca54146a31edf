-- Conditions on attributes: the index finds what a sequential scan finds, for every type and
-- operator, with NULLs, infinities and bounds of other types.
CREATE EXTENSION chronomind CASCADE;
SET TimeZone = 'Europe/Berlin';
CREATE TYPE mood AS ENUM ('calm', 'tense', 'glad');
CREATE TABLE memories (
    id int PRIMARY KEY,
    embedding vector(2),
    at timestamptz, moment timestamp, day date,
    i2 smallint, i4 int, i8 bigint, f4 real, f8 float8, flag boolean,
    label text, name varchar(20), key uuid, mood mood
);
INSERT INTO memories
SELECT i, CASE WHEN i % 50 = 7 THEN NULL ELSE ARRAY[cos(i), sin(i)]::vector END,
    timestamptz '2024-03-30 00:00+00' + i * interval '15 minutes',
    timestamp '2024-03-30 00:00' + i * interval '15 minutes',
    date '2024-03-01' + i % 60,
    i % 11 - 5, i % 101 - 50, (i % 7 - 3) * 3000000000, (i % 10) / 10.0, (i % 10) / 10.0, i % 2 = 0,
    'label ' || i % 13, 'name ' || i % 17, md5((i % 19)::text)::uuid,
    (enum_range(NULL::mood))[1 + i % 3]
FROM generate_series(1, 400) i;
-- What is special in each type
INSERT INTO memories VALUES (401, '[1,1]');
INSERT INTO memories VALUES (402, '[1,1]', 'infinity', 'infinity', 'infinity', 32767, 2147483647,
    9223372036854775807, 'infinity', 'infinity', true, '', '');
INSERT INTO memories VALUES (403, '[1,1]', '-infinity', '-infinity', '-infinity', -32768, -2147483648,
    -9223372036854775808, '-infinity', '-infinity', false, ' ', ' ');
INSERT INTO memories (id, embedding, f4, f8, mood) VALUES
    (404, '[1,1]', 'NaN', 'NaN', 'glad'), (405, '[1,1]', '-0', '-0', 'calm');

CREATE INDEX memories_idx ON memories USING chrono (
    embedding vector_l2_ops, at, moment, day, i2, i4, i8, f4, f8, flag, label, name, key, mood);
ANALYZE memories;

-- The ids in the order of the distance, once through the index and once without.
CREATE FUNCTION check_condition(condition text) RETURNS TABLE (plan text, rows bigint, same boolean)
LANGUAGE plpgsql AS $$
DECLARE
    query text := format(
        'SELECT id, embedding <-> ''[0.3,0.4]'' AS d FROM memories WHERE %s ORDER BY embedding <-> ''[0.3,0.4]''',
        condition);
    line text;
    found text;
    expected text;
BEGIN
    SET LOCAL enable_seqscan = off;
    SET LOCAL enable_sort = off;
    SET LOCAL enable_bitmapscan = off;
    SET LOCAL enable_indexscan = on;
    plan := 'no index';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Index Scan using memories_idx' THEN plan := 'index'; END IF;
        IF line ~ 'Filter' THEN plan := plan || ', filter'; END IF;
    END LOOP;
    EXECUTE format('SELECT count(*), string_agg(id || '' '' || (d IS NULL), '','' ORDER BY id) FROM (%s) q', query)
        INTO rows, found;
    SET LOCAL enable_seqscan = on;
    SET LOCAL enable_sort = on;
    SET LOCAL enable_indexscan = off;
    EXECUTE format('SELECT string_agg(id || '' '' || (d IS NULL), '','' ORDER BY id) FROM (%s) q', query)
        INTO expected;
    same := found IS NOT DISTINCT FROM expected;
    RETURN NEXT;
END $$;

SELECT condition, checked.* FROM unnest(ARRAY[
    'true', 'embedding IS NULL', 'embedding IS NOT NULL',
    'at < ''2024-03-31''', 'at <= ''2024-03-31 01:00+00''', 'at = ''2024-03-31 01:00+00''',
    'at >= ''2024-04-01''', 'at > ''2024-04-02''', 'at IS NULL', 'at IS NOT NULL',
    'at < ''infinity''', 'at > ''-infinity''', 'at = ''infinity''', 'at <= ''-infinity''',
    -- the clocks were changed on the 31st
    'at > date ''2024-03-31''', 'at < date ''2024-04-01''', 'at >= timestamp ''2024-03-31 02:30''',
    'at < date ''infinity''', 'at > date ''5000000-01-01''', 'at < date ''5000000-01-01''',
    'at < timestamp ''294276-12-31 23:59:59''', 'at > timestamp ''-infinity''',
    'moment < ''2024-03-31''', 'moment >= date ''2024-04-01''', 'moment = ''2024-03-31 01:00''',
    'moment > date ''5000000-01-01''', 'moment BETWEEN ''2024-03-31'' AND ''2024-04-01''',
    'day = ''2024-03-05''', 'day > ''2024-04-20''', 'day < ''infinity''', 'day <= ''-infinity''',
    'i2 = 3', 'i2 < -3', 'i2 >= 4::bigint', 'i2 > 100000', 'i2 < -5000000000',
    'i4 = -50', 'i4 > 45', 'i4 <= -45::smallint', 'i4 < 5000000000', 'i4 > 2147483646',
    'i8 = 9000000000', 'i8 < 0', 'i8 >= 6000000000', 'i8 > 9223372036854775806',
    'i8 < -9223372036854775807', 'i8 < -9223372036854775808',
    'f4 = 0.5', 'f4 = 0.5::real', 'f4 > 0.1', 'f4 > 0.1::real', 'f4 = ''NaN''', 'f4 >= ''infinity''',
    'f4 = 0', 'f8 < 0.3', 'f8 >= 0.3', 'f8 = 0.5::real', 'f8 > ''infinity''', 'f8 = 0', 'f8 < ''NaN''',
    'flag IS NULL', 'flag > false',
    'label = ''label 5''', 'label = ''no such label''', 'label = ''''', 'label IS NULL',
    'name = ''name 3''', 'name = '' ''', 'key = md5(''3'')::uuid', 'mood = ''glad''', 'mood IS NULL',
    'label = NULL', 'i4 < NULL',
    'i4 > 5 AND i4 < 2', 'f8 > 0.25 AND mood = ''calm'' AND label = ''label 4'' AND at < ''2024-04-01'''
]) AS condition, check_condition(condition) AS checked;

-- A bare boolean: from PostgreSQL 16 on the index takes it, before it a filter above the scan does.
SELECT condition, rows, same FROM unnest(ARRAY['flag', 'NOT flag', 'flag = true AND i2 > 0']) AS condition,
    check_condition(condition) AS checked;

-- Lists: from PostgreSQL 17 on the index takes them, before it a filter above the scan does.
SELECT condition, rows, same FROM unnest(ARRAY[
    'i4 IN (1, 2, -50)', 'i4 IN (NULL, 3)', 'label IN (''label 1'', ''label 2'', ''none'')',
    'mood = ANY (''{calm,tense}'')', 'i2 < ANY (ARRAY[-4, -3])', 'f8 >= ANY (ARRAY[0.8, 0.9])',
    'i4 = ANY (''{}'')', 'at IN (''2024-03-31 01:00+00'', ''infinity'')', 'i2 IN (1, 5000000000)'
]) AS condition, check_condition(condition) AS checked;

-- Index conditions are compared with what a statement computes once, too.
PREPARE recent(timestamptz, text) AS
    SELECT count(*) FROM (SELECT FROM memories WHERE at > $1 AND label = $2
        ORDER BY embedding <-> '[0.3,0.4]') q;
SET plan_cache_mode = force_generic_plan;
SET enable_seqscan = off;
SET enable_sort = off;
EXECUTE recent('2024-04-01', 'label 3');
EXECUTE recent(NULL, 'label 3');
EXECUTE recent('-infinity', 'label 3');
