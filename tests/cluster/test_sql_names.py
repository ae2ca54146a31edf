"""The lint of names in SQL finds what a search path decides about, and nothing else."""

import pytest

from scripts import sql_names


@pytest.mark.parametrize(
    "text, found",
    [
        ("SELECT 1 FROM ONLY {table} WHERE ctid = $1", ["="]),
        ("SELECT 1 FROM ONLY {table} WHERE ctid OPERATOR(pg_catalog.=) $1", []),
        ("SELECT count(*) FROM t", ["count("]),
        ("SELECT pg_catalog.count(*), -1, t.* FROM t", []),
        ("SELECT a::text, a::integer, a::pg_catalog.text, CAST(a AS name), CAST(a AS double precision)", ["::text", "CAST AS name"]),
        ("UPDATE t SET a = b, c = DEFAULT WHERE a = b", ["="]),
        ("SELECT a FROM t WHERE a IN (1) AND b BETWEEN 1 AND 2", ["IN", "BETWEEN"]),
        ("SELECT CASE a WHEN 1 THEN 2 END, CASE WHEN a THEN b END", ["CASE"]),
        ("SELECT * FROM a JOIN b USING (c)", ["JOIN b USING ("]),
        ("WITH x (a) AS (SELECT 1), y (b) AS (SELECT 2) SELECT g.i FROM pg_catalog.unnest($1) AS g (i)", []),
        ("INSERT INTO %1$s (a, b) SELECT 'a = b' -- a = b", []),
        ("SELECT coalesce(a, greatest(b, c)) FROM t WHERE a IS NULL", []),
        ("SELECT a IS DISTINCT FROM b, nullif(a, b), a LIKE b", ["IS DISTINCT FROM", "nullif", "LIKE"]),
    ],
)
def test_piece(text, found):
    assert sorted(sql_names.unqualified(text)) == sorted(found)


def test_function():
    body = "BEGIN EXECUTE pg_catalog.format('SELECT a FROM %s WHERE a = 1', x); END"
    free = f"CREATE FUNCTION f(a int) RETURNS int LANGUAGE plpgsql AS $$ {body} $$"
    assert sql_names.in_function(free) == ["="]
    locked = free.replace("AS $$", "SET search_path = pg_catalog, pg_temp AS $$")
    # It runs the statement itself.
    assert sql_names.in_function(locked.replace("pg_catalog.format", "format")) == []
    made = locked.replace("EXECUTE pg_catalog.format(", "RETURN format(")
    assert sql_names.in_function(made) == ["="]
    assert sql_names.in_function("CREATE FUNCTION f() RETURNS int LANGUAGE c AS 'a = b', 'c'") == []
    assert sql_names.in_function("CREATE FUNCTION f() RETURNS int LANGUAGE sql AS 'SELECT 1 + 2'") == ["+"]
    assert sql_names.in_function("CREATE FUNCTION f() RETURNS int LANGUAGE sql\n    RETURN 1 + 2") == []


def test_the_last_definition_counts():
    first = "CREATE FUNCTION f(a int) RETURNS int LANGUAGE sql AS 'SELECT 1 + 2';"
    second = first.replace("CREATE", "CREATE OR REPLACE").replace("1 + 2", "3")
    assert [len(sql_names.in_function(text)) for text in sql_names.functions([first, second]).values()] == [0]
    assert sql_names.functions([first, "DROP FUNCTION f(int);"]) == {}


def test_rust():
    old = 'statement: format!("SELECT 1 FROM ONLY {table} WHERE ctid = $1"),'
    assert list(sql_names.in_rust(f"// \"SELECT 1 = 2\"\n{old}")) == [(2, "=")]
    assert list(sql_names.in_rust(old.replace("=", "OPERATOR(pg_catalog.=)"))) == []
    piece = 'use crate::pg::cursor::Parameters;\nformat!("{column} >= {value}")'
    assert list(sql_names.in_rust(piece)) == [(2, ">=")]
    assert list(sql_names.in_rust('hint("Pass one SELECT; a = b is SQL.")')) == []


def test_the_extension():
    assert sql_names.check() == []
