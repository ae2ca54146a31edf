-- The extension installs with all it requires, and goes without a trace.
CREATE EXTENSION chronomind CASCADE;
SELECT extname FROM pg_extension WHERE extname IN ('chronomind', 'vector') ORDER BY 1;
SELECT amname, amtype FROM pg_am WHERE amname = 'chrono';
DROP EXTENSION chronomind;
SELECT count(*) FROM pg_am WHERE amname = 'chrono';
