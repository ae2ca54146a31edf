-- For chronomind's scheduled upkeep.
CREATE EXTENSION pg_cron;
