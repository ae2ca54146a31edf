//! The engine of ChronoMind, without Postgres and without I/O.
