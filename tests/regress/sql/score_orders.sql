-- Orders by expressions of the distance and indexed columns come from the index, and are what a
-- sequential scan and a sort would give: every operator and function, type, direction and NULL.
CREATE EXTENSION chronomind CASCADE;
CREATE TYPE mood AS ENUM ('calm', 'glad', 'sad');
CREATE DOMAIN share AS double precision CHECK (VALUE BETWEEN 0 AND 1);
CREATE TABLE memories (
    id int PRIMARY KEY, e vector(8), at timestamptz, seen timestamp, day date, importance double precision, rate real,
    kind text, label varchar(9), owner uuid, feels mood, uses int, small smallint, big bigint, pinned boolean, part share
);
INSERT INTO memories SELECT i,
    CASE WHEN i % 97 = 0 THEN NULL WHEN i % 101 = 0 THEN array_fill(0, ARRAY[8])::vector
        ELSE ARRAY(SELECT hashint4(i * 8 + j) / 2e9 FROM generate_series(1, 8) j)::vector END,
    CASE WHEN i % 89 <> 0 THEN '2026-01-01 00:00+00'::timestamptz - i * i * interval '1 second' END,
    CASE WHEN i % 83 <> 0 THEN '2026-01-01 00:00'::timestamp - i * interval '47 minutes' END,
    CASE WHEN i % 79 <> 0 THEN '2026-01-01'::date - i / 10 END,
    CASE WHEN i % 73 <> 0 THEN (i * 37 % 100) / 100.0 END,
    CASE WHEN i % 3 = 0 THEN (i % 7) / 50.0 WHEN i % 5 = 0 THEN 0 END,
    CASE WHEN i % 71 <> 0 THEN 'k' || i % 6 END, 'l' || i % 4, md5((i % 10)::text)::uuid,
    (ARRAY['calm', 'glad', 'sad', NULL])[1 + i % 4]::mood,
    CASE WHEN i % 67 <> 0 THEN i * 13 % 50 END, i % 30, i * 1000000007::bigint, i % 3 = 0, (i % 11) / 10.0
FROM generate_series(1, 2500) i;
CREATE INDEX ON memories USING chrono (e vector_cosine_ops, at, seen, day, importance, rate, kind, label, owner, feels,
    uses, small, big, pinned, part);
ANALYZE memories;
-- As exact as the walk over the graph can be.
SET chronomind.ef_search = 400;

-- The first rows with the index and without, which must have the same scores.
CREATE FUNCTION first_scores(score text, direction text, wanted int, condition text, by_index boolean,
    OUT ds float8[], OUT plan text) LANGUAGE plpgsql AS $$
DECLARE
    query text := format('SELECT (%s)::float8 AS d FROM memories WHERE %s ORDER BY %s %s LIMIT %s',
        score, condition, score, direction, wanted);
    line text;
BEGIN
    PERFORM set_config('enable_seqscan', (NOT by_index)::text, true), set_config('enable_sort', (NOT by_index)::text, true),
        set_config('enable_indexscan', by_index::text, true), set_config('enable_bitmapscan', 'off', true);
    plan := 'index';
    FOR line IN EXECUTE 'EXPLAIN (COSTS OFF) ' || query LOOP
        IF line ~ 'Sort Key' THEN plan := 'sort'; END IF;
    END LOOP;
    EXECUTE format('SELECT array_agg(d) FROM (%s) q', query) INTO ds;
    PERFORM set_config('enable_seqscan', 'on', true), set_config('enable_sort', 'on', true),
        set_config('enable_indexscan', 'on', true);
END $$;

CREATE FUNCTION check_score(score text, condition text DEFAULT 'true', OUT plan text, OUT same boolean) LANGUAGE plpgsql AS $$
DECLARE
    direction text;
    wanted int;
    indexed record;
    scanned record;
BEGIN
    same := true;
    FOREACH direction IN ARRAY ARRAY['ASC', 'DESC', 'ASC NULLS FIRST', 'DESC NULLS LAST'] LOOP
        FOREACH wanted IN ARRAY ARRAY[1, 10, 100] LOOP
            indexed := first_scores(score, direction, wanted, condition, true);
            scanned := first_scores(score, direction, wanted, condition, false);
            plan := CASE WHEN coalesce(plan, indexed.plan) = indexed.plan THEN indexed.plan ELSE 'both' END;
            IF NOT same_order(indexed.ds, scanned.ds) THEN
                same := false;
                RAISE NOTICE '% % %: % is not %', score, direction, wanted, indexed.ds[:12], scanned.ds[:12];
            END IF;
        END LOOP;
    END LOOP;
END $$;

CREATE FUNCTION d() RETURNS text RETURN '(e <=> ''[1,-2,0.5,1,0.25,-1,2,0.125]'')';
-- As people write them
SELECT score, checked.* FROM unnest(ARRAY[
    'D', '+D', 'cosine_distance(e, ''[1,2,3,4,5,6,7,8]'')', '''[1,2,3,4,5,6,7,8]'' <=> e', '1 - D', '-D', '(1 - D) * 0.7 + importance * 0.3', '0.5 * (1 - D) + 0.3 * coalesce(importance, 0.5) + 0.2 * part',
    '(1 - D) * exp(-0.01 * extract(epoch from ''2026-01-02'' - at)::float8 / 3600)',
    '0.7 * (1 - D) + 0.3 * exp(-extract(epoch from ''2026-01-02'' - at)::float8 / 86400)',
    '0.7 * (1 - D) + 0.3 * power(0.5, extract(epoch from ''2026-01-02'' - at) / 864000)',
    '0.7 * (1 - D) + 0.3 * 2 ^ (-date_part(''epoch'', ''2026-01-02'' - at) / 864000)',
    '(1 - D) / (1 + extract(epoch from ''2026-01-02'' - at) / 86400)', '(1 - D) + 1 / (1 + (date ''2026-01-02'' - day))',
    '1 - D + CASE WHEN kind = ''k1'' THEN 0.05 ELSE 0 END', '1 - D + CASE kind WHEN ''k1'' THEN 0.05 WHEN ''k2'' THEN 0.02 END',
    '1 - D + CASE WHEN kind IN (''k1'', ''k2'') THEN 0.1 ELSE 0 END', '1 - D + (pinned::int) * 0.1',
    '1 - D + CASE WHEN pinned THEN 0.1 ELSE 0 END', '1 - D + 0.01 * ln(1 + uses)', 'D * exp(coalesce(rate, 0.05) * -1)',
    '(1 - D) * exp(-coalesce(rate, 0.05) * extract(epoch from ''2026-01-02'' - at)::float8 / 36000)',
    'greatest(1 - D, importance)', 'least(D, importance, 0.5)', 'D - greatest(importance, rate)',
    '(1 - D) * 0.9 + 0.1 * sqrt(importance)', 'abs(D - 0.5)', 'D * D - D', '(1 - D) * (1 - D) * importance'
]) AS score, check_score(regexp_replace(score, '\mD\M', d(), 'g')) AS checked;

-- Every type of column, and the operators of each type
SELECT score, checked.* FROM unnest(ARRAY[
    'D + uses', 'D + small', 'D + big', 'D + rate', 'D + importance', 'D + part', 'D + uses / 7', 'D + small / 4::smallint', 'D + big / 10',
    'D + (uses + small) * 2 - big / 1000000007', 'D + small * uses', 'D + abs(uses - 20)', 'D + -uses', 'D + (rate + 0.1::real) * 3',
    'D + rate * rate', 'D + rate / 3::real', 'D + (-rate)', 'D + rate::float8', 'D + importance::real', 'D::real', '(D * 100)::real + uses::real',
    'D + (uses = 5)::int', 'D + (importance * 10)::int', 'D + round(importance * 10)', 'D + floor(importance * 5)', 'D + ceil(importance * 5)', 'D + trunc(importance * 5)',
    'D + cbrt(importance)', 'D + log(1 + importance)', 'D + log10(1 + importance)', 'D + ln(importance)', 'D + exp(importance)', 'D + power(importance, 2)',
    'D + importance ^ 0.5', 'D + sqrt(importance)', '|/ importance + D', '@ (importance - 0.5) + D', 'D + extract(epoch from at)::float8 / 1e9',
    'D + date_part(''epoch'', seen) / 1e9', 'D + extract(epoch from day) / 1e9', 'D + (day - date ''2025-01-01'') / 100.0',
    'D + extract(epoch from timestamp ''2026-01-02'' - seen) / 1e6', 'D + extract(day from ''2026-01-02'' - at)', 'D + extract(epoch from age(at)) / 1e6',
    'D + CASE WHEN at > ''2025-12-20 00:00+00'' THEN 0 ELSE 1 END', 'D + CASE WHEN ''2026-01-01'' - at < interval ''3 days'' THEN 0 ELSE 1 END',
    'D + CASE WHEN seen >= ''2025-12-20'' THEN 0 ELSE 1 END', 'D + CASE WHEN day = ''2025-12-20'' THEN 0 ELSE 1 END', 'D + CASE WHEN day > at THEN 0 ELSE 1 END',
    'D + CASE WHEN importance > 0.5 AND uses < 20 OR pinned THEN 0 ELSE 1 END', 'D + CASE WHEN NOT pinned THEN 0 ELSE 1 END',
    'D + CASE WHEN (importance > 0.5) IS NOT TRUE THEN 0 ELSE 1 END', 'D + CASE WHEN importance IS NULL THEN 0 ELSE 1 END',
    'D + CASE WHEN kind IS NOT NULL THEN 0 ELSE 1 END', 'D + CASE WHEN label = ''l2'' THEN 0 ELSE 1 END', 'D + CASE WHEN kind <> ''k2'' THEN 0 ELSE 1 END',
    'D + CASE WHEN owner = md5(''3'')::uuid THEN 0 ELSE 1 END', 'D + CASE WHEN feels = ''glad'' THEN 0 ELSE 1 END', 'D + CASE WHEN feels > ''calm'' THEN 0 ELSE 1 END',
    'D + CASE WHEN kind < ''k3'' THEN 0 ELSE 1 END', 'D + CASE WHEN kind NOT IN (''k1'', ''k3'') THEN 0 ELSE 1 END', 'D + CASE WHEN kind NOT IN (''k1'', NULL) THEN 0 ELSE 1 END',
    'D + CASE uses WHEN 3 THEN 0 WHEN 4 THEN 1 END', 'D + CASE WHEN kind IS DISTINCT FROM ''k1'' THEN 0 ELSE 1 END',
    'D + CASE WHEN rate IS NOT DISTINCT FROM 0 THEN 0 ELSE 1 END', 'D + CASE WHEN rate IS NOT DISTINCT FROM importance::real THEN 0 ELSE 1 END', 'D + nullif(uses, 13)', 'D + coalesce(nullif(importance, 0.37), rate, 0)', 'D + CASE WHEN D < 0.5 THEN 0 ELSE importance END',
    'coalesce(D, 0)', 'greatest(D, 0.5)', 'D / importance', 'D + uses % 3', 'D + length(kind)', 'D + CASE WHEN big > 70000000490 THEN 0 ELSE 1 END',
    'D + CASE WHEN big = (small * 2)::bigint THEN 0 ELSE 1 END', 'D + CASE WHEN big < 9007199254740993 THEN 0 ELSE 1 END', 'D + CASE WHEN big > uses THEN 0 ELSE 1 END', 'D + random() * 0', 'D + sin(importance)', 'D + id'
]) AS score, check_score(regexp_replace(score, '\mD\M', d(), 'g'), 'importance > 0 AND uses IS DISTINCT FROM 0') AS checked;

-- As numeric
SELECT score, checked.* FROM unnest(ARRAY[
    '(1 - D)::numeric', 'D::numeric * 0.7 + importance::numeric * 0.3', 'D::numeric + extract(epoch from ''2026-01-02'' - at) / 86400',
    'D::numeric + ln(1 + extract(epoch from ''2026-01-02'' - at)) / 100', 'greatest(D::numeric, 0.3) + sqrt(uses::numeric) / 10',
    'D + CASE WHEN extract(epoch from ''2026-01-02'' - at) < 86400 * 3 THEN 0 ELSE 1 END', 'D + CASE WHEN uses < 10.5 THEN 0 ELSE 1 END',
    'D + CASE WHEN extract(epoch from ''2026-01-02'' - at) / 3600 / 24 < 3 THEN 0 ELSE 1 END', 'D + CASE WHEN uses / 10.0 < 0.7 THEN 0 ELSE 1 END',
    'D + CASE WHEN uses * 0.1 <= 0.7 THEN 0 ELSE 1 END', 'D + CASE WHEN (uses * 0.1)::float8 <= 0.7 THEN 0 ELSE 1 END', 'D + floor((uses * 0.1)::float8 * 10)',
    'D + CASE WHEN uses / 3600.0 / 24 < 0.0001 THEN 0 ELSE 1 END', 'D + CASE WHEN uses / 10::numeric = 0.3 THEN 0 ELSE 1 END',
    'D + CASE WHEN exp(-extract(epoch from ''2026-01-02'' - at)::float8 / 86400) > 0.5 THEN 0 ELSE 1 END',
    'D + CASE WHEN importance::numeric * 0.1 < 0.03 THEN 0 ELSE 1 END', 'D + rate::numeric', 'round(D::numeric, 2)', 'D::numeric + mod(uses, 3)'
]) AS score, check_score(regexp_replace(score, '\mD\M', d(), 'g')) AS checked;

-- chrono_score, however it is called
SELECT score, checked.* FROM unnest(ARRAY[
    'chrono_score(D, at)', 'chrono_score(D, at, importance)', 'chrono_score(D, at, importance, rate)', 'chrono_score(D, at, importance, rate, 0.5, 0.2)',
    'chrono_score(D, at, as_of => ''2026-01-02'')', 'chrono_score(D, at, importance_weight => 0.4, importance => importance)',
    'chrono_score(D, at, recency_weight => 0)', 'chrono_score(D, at, recency_weight => 1, as_of => ''2025-12-01'')', 'chrono_score(D, at, as_of => NULL)',
    'chrono_score(D, at, decay_rate => abs(rate) * 2, as_of => ''infinity'')', 'chrono_score(created_at => at, distance => D / 2)',
    'chrono_score(D, ''2026-01-01'')', 'chrono_score(D, at, as_of => at)', '1 - chrono_score(D, at, importance, rate, as_of => ''2026-01-02'') * 0.5',
    'chrono_score(D, at, recency_weight => importance)'
]) AS score, check_score(regexp_replace(score, '\mD\M', d(), 'g')) AS checked;
SET chronomind.recency_weight = 0.6;
SET chronomind.importance_weight = 0.3;
SET chronomind.base_decay_rate = 0.002;
SELECT * FROM check_score(replace('chrono_score(D, at, importance, rate, as_of => ''2026-01-02'')', 'D', d()));
RESET chronomind.recency_weight;
RESET chronomind.importance_weight;
RESET chronomind.base_decay_rate;

-- Conditions, in the index and above it
SELECT condition, checked.* FROM unnest(ARRAY[
    'uses = 7', 'uses < 3', 'uses BETWEEN 10 AND 12', '20 > uses', 'uses = ANY (ARRAY[1, 2, 3])', 'uses IN (4, 5)', 'kind = ''k3''', 'kind IN (''k3'', ''k4'')', 'importance > 0.9',
    'pinned', 'NOT pinned', 'pinned IS TRUE', 'rate IS NULL', 'importance IS NOT NULL AND importance < 0.2', 'at > ''2025-12-31''', 'day = ''2025-12-20''', 'seen >= date ''2025-12-20''',
    'feels = ''sad''', 'owner = md5(''3'')::uuid', 'label = ''l1'' AND small < 4', 'id < 100', 'kind LIKE ''k%2''', 'D < 0.3', '1 - D >= 0.7', 'D < 0.3 AND uses = 3', 'D > 1.2', 'D BETWEEN 0.2 AND 0.4',
    '(1 - D) * importance > 0.5', 'D < 0.2 OR importance > 0.95', 'D IS NULL', 'uses = 1000', 'kind = ''k1'' OR kind = ''k2''',
    'kind = ''k1'' OR importance > 0.9', 'coalesce(importance, 1) > 0.95', '''2026-01-01'' - at < interval ''2 days''', 'uses > small', 'uses IS DISTINCT FROM 3', '(importance > 0.5) IS NOT FALSE', 'false', 'D < 0'
]) AS condition, check_score(regexp_replace('0.7 * (1 - D) + 0.3 * importance', '\mD\M', d(), 'g'), regexp_replace(condition, '\mD\M', d(), 'g')) AS checked;
SELECT condition, checked.* FROM unnest(ARRAY['D < 0.3', '1 - D >= 0.7', 'D < 0.3 AND uses IN (3, 4)', 'uses IN (3, 4)', 'D > 1', 'D < 0.5 AND id % 2 = 0']) AS condition,
    check_score(d(), regexp_replace(condition, '\mD\M', d(), 'g')) AS checked;
