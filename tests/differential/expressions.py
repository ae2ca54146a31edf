"""What queries order by: the shapes that people write, and trees drawn at random.

An expression is SQL with places: `{d}` for the distance, `{now}` for the time that ages are counted
from, `{w}` for a weight. What stands there is up to the shape of the query: literals, parameters,
columns of another table. The row's own columns are those of `i`.
"""

from dataclasses import dataclass
from itertools import product

# A comment in the SQL beside each step that is taken on what the index knows less exactly than the server: the
# distance, numerics, whole numbers beyond 2^53. The planner may leave such an order to a sort; given by
# whichever plan, it is the server's.
STEP = "/*step*/"

DISTANCE = "{d}"
# Of the cosine distance, a similarity; of the others, something that falls as they grow.
SIMILARITY = "(1 - {d})"
# Ages as they are written: numeric, float8, from dates.
HOURS = (
    "(extract(epoch FROM ({now} - i.at)) / 3600)",
    "(extract(epoch FROM ({now} - i.at))::float8 / 3600)",
    "(extract(epoch FROM {now} - i.at)::double precision / 3600.0)",
    "(date_part('epoch', {now} - i.at) / 3600)",
    "((extract(epoch FROM {now}) - extract(epoch FROM i.at)) / 3600)",
)
DAYS = ("(extract(epoch FROM ({now} - i.at)) / 86400.0)", "(DATE '2026-06-01' - i.day)")
IMPORTANCE = ("i.importance", "coalesce(i.importance, 0.5)", "coalesce(i.importance, 1)::float8")
BOOSTS = (
    "CASE WHEN i.kind = 'fact' THEN 0.05 ELSE 0 END",
    "CASE i.kind WHEN 'note' THEN 0.1 WHEN 'joke' THEN -0.1 END",
    "CASE WHEN i.kind = 'task' AND i.active THEN 0.2 WHEN i.active IS NULL THEN 0.1 ELSE 0.0 END",
    "CASE WHEN i.active THEN 0.1 ELSE 0 END",
    "CASE WHEN i.at > {now} - interval '30 days' THEN 0.2 ELSE 0 END",
    "CASE WHEN i.n >= 10 AND NOT i.n > 20 THEN 1 ELSE 0.5 END",
    f"CASE WHEN {{d}} <{STEP} 0.5 OR i.importance > 1 THEN 0.25 ELSE 0 END",
)


@dataclass(frozen=True)
class Expression:
    """Something to order by, and the class of shapes that it belongs to."""

    kind: str
    sql: str
    # By how much it changes at most with a small change of the distance, its steps apart; unknown of those
    # that are drawn at random.
    slope: float | None = None

    @property
    def may_sort(self):
        """Whether another plan than the index's is right, too."""
        return STEP in self.sql


def named(random):
    """One of the shapes that people write."""
    return random.choice(NAMED)(random)


def _distance(random):
    return Expression("distance", DISTANCE)


def _similarity(random):
    return Expression("similarity", random.choice((SIMILARITY, "-{d}", "1 - {d} / 2", "2.0 - {d}")))


def _recency(random):
    scale = random.choice((24, 720, 4320))
    hours = random.choice(HOURS)
    return random.choice(
        (
            f"exp(-{hours} / {scale})",
            f"power(0.5, {hours} / {scale})",
            f"(0.5 ^ ({hours} / {scale}.0))",
            f"1 / (1 + {hours} / {scale})",
            f"1.0 / (1.0 + abs({hours}) / {scale}.0)",
            f"exp(-0.05 * {random.choice(DAYS)})",
            f"exp(-ln(2.0) * greatest({hours}, 0) / {scale})",
        )
    )


def _blend(random):
    weight = random.choice((0.1, 0.3, 0.5, 0.9))
    recency = _recency(random)
    return Expression(
        "blend",
        random.choice(
            (
                f"{1 - weight:.1f} * {SIMILARITY} + {weight} * {recency}",
                f"{SIMILARITY} * {1 - weight:.1f} + {recency} * {weight}",
                f"(1 - {{w}}) * {SIMILARITY} + {{w}} * {recency}",
                f"{1 - weight:.1f} * {DISTANCE} - {weight} * {recency}",
                f"-({1 - weight:.1f} * {SIMILARITY} + {weight} * {recency})",
            )
        ),
    )


def _decay(random):
    return Expression("decay", f"{SIMILARITY} * {_recency(random)}")


def _row_rate(random):
    hours = random.choice(HOURS[1:4])
    return Expression(
        "row rate", f"{SIMILARITY} * exp(-least(coalesce(i.rate, 0.01) * {hours}, 300::float8))"
    )


def _boost(random):
    return Expression("boost", f"{SIMILARITY} + {random.choice(BOOSTS)}")


def _importance(random):
    importance = random.choice(IMPORTANCE)
    return Expression(
        "importance",
        random.choice(
            (
                f"0.6 * {SIMILARITY} + 0.3 * {_recency(random)} + 0.1 * {importance}",
                f"{SIMILARITY} * (1 + {importance})",
                f"{SIMILARITY} + 0.01 * i.n + 0.1 * ln(1 + abs({importance}))",
                f"{DISTANCE} / (0.1 + abs({importance}))",
                f"{SIMILARITY} * sqrt(abs({importance})) + i.n / 10",
            )
        ),
    )


def _chrono_score(random):
    arguments = random.choice(
        (
            "{d}, i.at, as_of => {now}",
            "{d}, i.at, i.importance, as_of => {now}",
            "{d}, i.at, i.importance, i.rate, 0.4, 0.2, {now}",
            "{d}, i.at, recency_weight => {w}, as_of => {now}",
        )
    )
    return Expression("chrono_score", f"chrono_score({arguments})")


# With their slopes.
STEPS = (
    (f"floor{STEP}({{d}} * 10)", 0),
    (f"floor{STEP}({{d}} * 4) + i.n::float8 / 64", 0),
    (f"({{d}} * 10)::int{STEP} + coalesce(i.importance, 0)::float8", 0),
    (f"CASE WHEN {{d}} <{STEP} 1 THEN 1 ELSE 2 END + {{d}} / 16", 0.0625),
    (f"CASE WHEN {{d}} ={STEP} 0 THEN 1 ELSE 0 END + {{d}}", 1),
    (f"nullif{STEP}({{d}}, 0)", 1),
    (f"coalesce(nullif{STEP}({{d}}, 0), 100)", 1),
    (f"CASE nullif{STEP}({{d}}, 0) IS NULL WHEN true THEN 9 ELSE {{d}} END", 1),
    (f"round{STEP}(({{d}})::numeric, 1)", 0),
    (f"ceil{STEP}(1 - {{d}}) + 0.5 * i.importance::float8", 0),
)
NUMERICS = (
    (f"{{d}} + floor{STEP}(i.n * 0.3)", 1),
    (f"{{d}} + CASE (i.n * 0.1)::float8 WHEN{STEP} 0.3 THEN 0 ELSE 100 END", 1),
    (f"{{d}} + CASE WHEN (i.n * 0.1)::float8 ={STEP} 0.3 THEN 1 ELSE 0 END", 1),
    (f"{{d}} + CASE WHEN i.n * 0.1 ={STEP} 0.3 THEN 1 ELSE 0 END", 1),
    (f"{{d}} + coalesce(nullif{STEP}(i.n * 0.1, 0.3), 50)::float8", 1),
    (f"{{d}} + round{STEP}(i.importance::numeric * 3)::float8", 1),
    ("(1 - {d})::numeric * 0.7 + (i.n / 7.0) * 0.3", 0.7),
    ("{d} + (i.importance * 10)::int", 1),
    ("{d} + floor(i.n / 3::float8)", 1),
    ("{d} + CASE i.n WHEN 7 THEN 1 WHEN 8 THEN 0.5 ELSE 0 END", 1),
    ("{d} + coalesce(nullif(i.n, 7), 100)", 1),
)
WHOLE = (
    # A score takes the float nearest to a whole number, before it calculates with it (docs/scoring.md).
    (f"{{d}} + (i.big::float8 - 9007199254740992){STEP} / 128", 1),
    (f"{{d}} + CASE WHEN i.big - 9007199254740992 ={STEP} 3 THEN 0 ELSE 1 END", 1),
    (f"{{d}} + CASE WHEN i.big >{STEP} 9007199254740992.5 THEN 1 ELSE 0 END", 1),
    (f"{{d}} + CASE i.big WHEN{STEP} 9007199254740995 THEN 0 ELSE 1 END", 1),
    (f"{{d}} + (i.big %{STEP} 5)", 1),
    (f"{{d}} + abs(i.big / 4194304 - 2147483648){STEP}::float8 / 4294967296", 1),
    (f"{{d}} + coalesce(nullif(i.big,{STEP} 9007199254740995) - i.big, 1)", 1),
)


def _steps(random):
    return Expression("steps", *random.choice(STEPS))


def _numerics(random):
    return Expression("numerics", *random.choice(NUMERICS))


def _whole(random):
    return Expression("whole numbers", *random.choice(WHOLE))


NAMED = (
    _steps,
    _numerics,
    _whole,
    _distance,
    _similarity,
    _blend,
    _blend,
    _decay,
    _row_rate,
    _boost,
    _importance,
    _chrono_score,
)


def tree(random):
    """An expression drawn at random: a term with the distance, and others."""
    while True:
        sql = _number(random, 3)
        if DISTANCE in sql:
            return Expression("tree", sql)


LEAVES = (
    DISTANCE,
    DISTANCE,
    SIMILARITY,
    *HOURS[1:3],
    "i.importance",
    "i.rate",
    "i.n",
    "{w}",
    "0.5",
    "2",
    "1e3",
    "(-0.25)",
    *BOOSTS,
)
FLOOR = "floor(({})::float8)"
UNARY = ("-({})", "abs({})", "sqrt(abs({}))", "ln(1 + abs({}))", FLOOR, "({})::float8", "+({})")
BINARY = ("({} + {})", "({} - {})", "({} * {})", "({} / {})", "least({}, {})", "greatest({}, {})")
# Not of two numerics, which the index leaves alone where they were rounded.
COMPARISONS = tuple(f"({{}})::float8 {sign} {{}}" for sign in ("<", "<=", ">", ">=", "=", "<>"))


def _number(random, depth):
    if depth == 0 or random.random() < 0.15:
        return random.choice(LEAVES)
    below = lambda: _number(random, depth - 1)  # noqa: E731
    fall = random.random()
    if fall < 0.55:
        return _place(random.choice(BINARY), below(), below())
    if fall < 0.8:
        pattern, part = random.choice(UNARY), below()
        return _step(pattern, part) if pattern is FLOOR else _place(pattern, part)
    if fall < 0.88:
        return f"coalesce({below()}, {random.choice(('0', '0.5', '{w}'))})"
    if fall < 0.92:
        return f"exp(least({below()}, 20))"
    return f"CASE WHEN {_truth(random, depth - 1)} THEN {below()} ELSE {below()} END"


def _truth(random, depth):
    fall = random.random()
    if fall < 0.2:
        return f"({_number(random, depth)}) IS {random.choice(('', 'NOT '))}NULL"
    if fall < 0.35:
        return f"NOT ({_truth(random, max(0, depth - 1))})"
    if fall < 0.5 and depth > 0:
        sign = random.choice(("AND", "OR"))
        return f"({_truth(random, depth - 1)} {sign} {_truth(random, depth - 1)})"
    return _step(random.choice(COMPARISONS), _number(random, depth), _number(random, depth))


def _step(pattern, *parts):
    """A pattern in whose value its parts make a step."""
    return _place(pattern, *parts) + STEP * any(DISTANCE in part for part in parts)


def _place(pattern, *parts):
    """`str.format` for parts that have places of their own."""
    head, *tail = pattern.split("{}")
    return head + "".join(part + piece for part, piece in zip(parts, tail, strict=True))


# Direction, and what SQL takes for granted about NULLs, said or unsaid.
DIRECTIONS = tuple(
    f"{direction}{nulls}"
    for direction, nulls in product(("ASC", "DESC"), ("", " NULLS FIRST", " NULLS LAST"))
)
