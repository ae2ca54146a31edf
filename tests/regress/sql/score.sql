-- chrono_score: (1-w-wi) * distance/2 + w * (1 - exp(-rate * age)) + wi * (1 - importance)
CREATE EXTENSION chronomind CASCADE;
CREATE FUNCTION is_near(a float8, b float8) RETURNS boolean RETURN abs(a - b) < 1e-12;

SELECT is_near(
    chrono_score(0.4, '2024-01-01 00:00+00', 0.25, 0.05, 0.3, 0.2, '2024-01-01 10:00+00'),
    0.5 * 0.4 / 2 + 0.3 * (1 - exp(-0.05 * 10)) + 0.2 * (1 - 0.25));

-- All but the first two have defaults: importance 1, weights and rate from the settings, now().
SELECT is_near(chrono_score(0.4, now()), 0.7 * 0.2);
SELECT is_near(chrono_score(0.4, now() - interval '1 hour'), 0.7 * 0.2 + 0.3 * (1 - exp(-0.1)));
SET chronomind.recency_weight = 0.5;
SET chronomind.importance_weight = 0.25;
SET chronomind.base_decay_rate = 1;
SELECT is_near(chrono_score(0.4, now() - interval '1 hour', 0.5),
    0.25 * 0.2 + 0.5 * (1 - exp(-1)) + 0.25 * 0.5);
SELECT is_near(chrono_score(0.4, now(), recency_weight => 0, importance_weight => 0), 0.2);
RESET ALL;

-- A row's own rate counts where it is positive; 0 and NULL stand for the base rate.
SELECT rate, is_near(chrono_score(0, now() - interval '2 hours', decay_rate => rate),
    0.3 * (1 - exp(-coalesce(nullif(rate, 0), 0.1) * 2)))
FROM (VALUES (0.5), (0), (NULL)) AS rates (rate);

-- What is missing: the distance and the time matter, the importance counts as 1.
SELECT chrono_score(NULL, now()), chrono_score(0.4, NULL),
    chrono_score(0.4, now(), NULL) = chrono_score(0.4, now(), 1) AS importance,
    chrono_score(0.4, now(), as_of => NULL) = chrono_score(0.4, now()) AS as_of;

-- The end and the beginning of time, and the future
SELECT chrono_score(0, '-infinity', recency_weight => 1) AS oldest,
    chrono_score(0, 'infinity', recency_weight => 1) AS newest,
    chrono_score(0, now() + interval '1 day', recency_weight => 1) AS future,
    chrono_score(0, now(), recency_weight => 1, as_of => 'infinity') AS at_the_end,
    chrono_score(0, '-infinity', recency_weight => 1, as_of => '-infinity') AS at_the_beginning;

-- A distance that is not a number is still ordered: last.
SELECT chrono_score('NaN', now()), chrono_score('Infinity', now());

-- Mistakes
SELECT chrono_score(0.4, now(), recency_weight => 1.5);
\echo :LAST_ERROR_SQLSTATE
SELECT chrono_score(0.4, now(), importance_weight => -0.5);
\echo :LAST_ERROR_SQLSTATE
SELECT chrono_score(0.4, now(), recency_weight => 'NaN');
\echo :LAST_ERROR_SQLSTATE
SELECT chrono_score(0.4, now(), recency_weight => 0.8, importance_weight => 0.3);
\echo :LAST_ERROR_SQLSTATE
SELECT chrono_score(0.4, now(), decay_rate => -0.1);
\echo :LAST_ERROR_SQLSTATE
