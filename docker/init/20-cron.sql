-- For scheduled upkeep. pg_cron lives in one database of a server, by default this one.
\connect postgres
CREATE EXTENSION pg_cron;
