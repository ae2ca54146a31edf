"""The ways in which one question reaches the planner.

Each shape says what to run before, what tells the plan, and what gives the ids in order. All of it
happens in one transaction that is rolled back.
"""

from dataclasses import dataclass

from tests.differential.data import AS_OF, as_text
from tests.differential.expressions import Expression

WEIGHT = "0.3"
# What the join of a shape leaves over.
JOINED = "i.kind IN ('note', 'fact', 'task')"


@dataclass(frozen=True)
class Question:
    """What is asked, apart from the shape."""

    table: object
    query: int  # number of the vector
    expression: Expression
    direction: str
    where: str
    limit: int
    offset: int
    optional: object = None  # of `filters`, or nothing
    ef_search: int = 1000

    @property
    def finds_all(self):
        """Whether the graph is searched in full; else it may miss rows, and nothing else."""
        return self.table.exact and self.ef_search >= len(self.table.rows)

    def conditions(self, parameter=None):
        """After WHERE, with places; with the optional condition's value, or a parameter that stands for it."""
        if self.optional is None:
            return self.where
        value = parameter or f"{self.optional.value}::{self.optional.type}"
        return f"{self.where} AND {self.optional.condition.replace('{p}', value)}"

    def order(self):
        """After ORDER BY, with places."""
        return f"{self.expression.sql} {self.direction}"

    def literal(self, sql, distance=None):
        """SQL with literals in the places; `distance` stands for another way to write it."""
        vector = f"'{as_text(self.table.queries[self.query])}'::{self.table.element}"
        return self.fill(sql, vector, f"TIMESTAMPTZ '{AS_OF}'", f"{WEIGHT}::float8", distance)

    def fill(self, sql, vector, now, weight, distance=None):
        """SQL with the given in its places."""
        distance = distance or f"(i.v {self.table.operator} {{q}})"
        places = {"{d}": distance, "{q}": vector, "{now}": now, "{w}": weight}
        for place, what in places.items():
            sql = sql.replace(place, what)
        return sql


@dataclass(frozen=True)
class Statements:
    """How a shape asks."""

    fetches: list
    explain: str = ""  # else EXPLAIN of the first fetch
    before: tuple = ()

    def plan(self):
        """The statement that tells the plan."""
        return self.explain or f"EXPLAIN (COSTS OFF) {self.fetches[0]}"


def _select(question, relation=None, more="", limit=None, last="", where=None):
    if limit is None:
        limit = f"LIMIT {question.limit} OFFSET {question.offset}"
    return (
        f"SELECT i.id FROM {relation or question.table.name} i {more} "
        f"WHERE {where or question.conditions()} ORDER BY {question.order()}{last} {limit}"
    )


def plain(question):
    """Everything is a literal."""
    return Statements([question.literal(_select(question))])


def commuted(question):
    """The distance from the query's side."""
    distance = f"({{q}} {question.table.operator} i.v)"
    return Statements([question.literal(_select(question), distance)])


def by_output(question):
    """The expression is in the select list, and ORDER BY names it."""
    sql = (
        f"SELECT id FROM (SELECT i.id, {question.expression.sql} AS score "
        f"FROM {question.table.name} i WHERE {question.conditions()} "
        f"ORDER BY score {question.direction} LIMIT {question.limit} OFFSET {question.offset}) best"
    )
    return Statements([question.literal(sql)])


def prepared(question, mode="force_generic_plan", twice=False):
    """Vector, time, weight, limit and offset are parameters of one plan for all.

    With `twice`, conditions have the vector from another parameter than the order.
    """
    table = question.table
    where = question.conditions("$7")
    if twice:
        where = question.fill(where, "$6", "$2", "$3")
    sql = question.fill(_select(question, limit="LIMIT $4 OFFSET $5", where=where), "$1", "$2", "$3")
    types = f"{table.element}, timestamptz, float8, bigint, bigint, {table.element}"
    vector = f"'{as_text(table.queries[question.query])}'"
    values = f"{vector}, '{AS_OF}', {WEIGHT}, {question.limit}, {question.offset}, {vector}"
    other = f"'{as_text(table.queries[0])}', '{AS_OF}', 0.5, 2, 0, '{as_text(table.queries[0])}'"
    if question.optional:
        types += f", {question.optional.type}"
        values += f", {question.optional.value}"
        other += ", NULL"
    before = (
        f"SET LOCAL plan_cache_mode = {mode}",
        f"PREPARE asked({types}) AS {sql}",
        f"EXECUTE asked({other})",
    )
    return Statements([f"EXECUTE asked({values})"], before=before)


def prepared_custom(question):
    """Parameters, and a plan for each."""
    return prepared(question, "force_custom_plan")


def prepared_twice(question):
    """As drivers do that know no names: what stands at two places is two parameters."""
    return prepared(question, twice=True)


def cursor(question):
    """In portions, with another statement between."""
    select = question.literal(_select(question))
    before = (f"DECLARE asked CURSOR FOR {select}",)
    fetches = ["FETCH 3 FROM asked", "FETCH 1 FROM asked", "FETCH ALL FROM asked"]
    return Statements(fetches, f"EXPLAIN (COSTS OFF) {select}", before)


def cte(question):
    """The vector from one CTE, the rows in another."""
    select = question.fill(_select(question, more=", asked"), "asked.q", "asked.now", "asked.w")
    asked = question.literal("SELECT {q} AS q, {now} AS now, {w} AS w")
    sql = f"WITH asked AS ({asked}), best AS MATERIALIZED ({select}) SELECT id FROM best"
    return Statements([sql])


def subquery(question):
    """The vector from a table. Written twice, it would be two vectors to the planner."""
    vector = f"(SELECT v FROM {question.table.name}_queries WHERE number = {question.query})"
    return Statements([question.literal(question.fill(_select(question), vector, "{now}", "{w}"))])


def view(question):
    """The table behind a view."""
    return Statements([question.literal(_select(question, f"{question.table.name}_view"))])


def lateral(question):
    """Everything from another table's row."""
    inner = question.fill(_select(question), "q.v", "q.as_of", "q.weight")
    sql = (
        f"SELECT best.id FROM {question.table.name}_queries q, LATERAL ({inner}) best "
        f"WHERE q.number = {question.query}"
    )
    return Statements([sql])


def partitioned(question):
    """The index of each partition, merged."""
    return Statements([question.literal(_select(question, f"{question.table.name}_parted"))])


def join(question):
    """A join that keeps the order of its outer side."""
    before = ("SET LOCAL enable_hashjoin = off", "SET LOCAL enable_mergejoin = off")
    more = "JOIN (VALUES ('note'), ('fact'), ('task')) k (kind) ON k.kind = i.kind"
    return Statements([question.literal(_select(question, more=more))], before=before)


def for_update(question):
    """Rows are locked on their way."""
    sql = _select(question) + " FOR UPDATE OF i"
    return Statements([question.literal(sql)])


def second_key(question):
    """Rows that tie are sorted by another column."""
    return Statements([question.literal(_select(question, last=", i.id DESC"))])


def plpgsql(question):
    """Variables of a function."""
    select = question.fill(_select(question), "asked", "moment", "weight")
    head = f"(asked {question.table.element}, moment timestamptz, weight float8)"
    before = (
        f"CREATE FUNCTION pg_temp.best{head} RETURNS SETOF integer LANGUAGE plpgsql "
        f"AS $$ BEGIN RETURN QUERY {select}; END $$",
        f"CREATE FUNCTION pg_temp.plan{head} RETURNS SETOF text LANGUAGE plpgsql AS $$ DECLARE line text; "
        f"BEGIN FOR line IN EXPLAIN (COSTS OFF) {select} LOOP RETURN NEXT line; END LOOP; END $$",
    )
    vector = f"'{as_text(question.table.queries[question.query])}'"
    call = f"({vector}, '{AS_OF}', {WEIGHT})"
    return Statements([f"SELECT * FROM pg_temp.best{call}"], f"SELECT pg_temp.plan{call}", before)


def sql_function(question):
    """A function in SQL, whose body the planner takes into the query."""
    select = question.fill(_select(question), "asked", "moment", "weight")
    before = (
        f"CREATE FUNCTION pg_temp.best(asked {question.table.element}, moment timestamptz, "
        f"weight float8) RETURNS SETOF integer STABLE LANGUAGE sql AS $$ {select} $$",
    )
    vector = f"'{as_text(question.table.queries[question.query])}'"
    call = f"SELECT * FROM pg_temp.best({vector}, '{AS_OF}', {WEIGHT})"
    return Statements([call], before=before)


def no_limit(question):
    """All rows: nothing approximate may order them."""
    return Statements([question.literal(_select(question, limit=""))])


def limit_all(question):
    """The same, said."""
    return Statements([question.literal(_select(question, limit="LIMIT ALL"))])


SHAPES = (
    plain,
    plain,
    commuted,
    by_output,
    prepared,
    prepared_custom,
    prepared_twice,
    cursor,
    cte,
    subquery,
    view,
    lateral,
    partitioned,
    join,
    for_update,
    second_key,
    plpgsql,
    sql_function,
    no_limit,
    limit_all,
)
# Those that want all rows.
WITHOUT_LIMIT = (no_limit, limit_all)


def suits(shape, question):
    """Whether a question can be asked like that."""
    if shape is partitioned:
        return question.table.exact
    if shape is subquery:
        return question.expression.sql.count("{d}") == 1
    return True
