"""Conditions of queries: on the index's columns, on the distance, and on what it does not have."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Optional:
    """A condition with a parameter, its type and its value."""

    condition: str
    type: str
    value: str


# Each a choice of conditions about one thing.
CONDITIONS = {
    "time": (
        "i.at > {now} - interval '60 days'",
        "i.at < {now} - interval '20 days'",
        "i.at BETWEEN {now} - interval '90 days' AND {now} - interval '3 days'",
        "i.at >= DATE '2026-05-01'",
        "i.day > DATE '2026-04-15'",
        "i.day = DATE '2026-05-30'",
        "i.at IS NULL",
        "i.day IS NOT NULL",
    ),
    "number": (
        "i.n = 7",
        "i.n = 7::bigint",
        "i.n > 30",
        "i.n BETWEEN 3 AND 12",
        "i.n IN (1, 2, 3, 5, 8)",
        "i.n = ANY (ARRAY[4, 5, NULL])",
        "i.n IS NULL",
        "i.n <> 7",
        "i.n IN (-1000)",
    ),
    "importance": (
        "i.importance > 0.3",
        "i.importance >= 0.5::real",
        "i.importance = 0.25",
        "i.importance IS NOT NULL",
        "i.rate < 0.05",
        "i.rate IN (0.1, 0.01)",
        "0.5 < i.importance",
    ),
    "label": (
        "i.kind = 'fact'",
        "i.kind = 'joke'",
        "i.kind IN ('task', 'joke')",
        "i.kind = 'unheard of'",
        "i.kind IS NULL",
        "i.kind IS NOT NULL",
        "i.active",
        "NOT i.active",
        "i.active IS NULL",
        "i.active = false",
    ),
    "distance": (
        "{d} < 0.9",
        "{d} <= 0.3",
        "1 - {d} >= 0.2",
        "1 - {d} > 0.7::real",
        "{d} > 0.5",
        "{d} BETWEEN 0.2 AND 1.1",
        "0.8 > {d}",
        "{d} IS NOT NULL",
        "({d} < 0.9 OR {q} IS NULL)",
    ),
    # What pgvector's users write to be sure, and its opposite.
    "vector": (
        "i.v IS NOT NULL",
        "i.v IS NOT NULL",
        "i.v IS NOT NULL",
        "i.v IS NULL",
        "(i.v IS NOT NULL OR i.n = 3)",
    ),
    "big": (
        "i.big - 9007199254740992 = 3",
        "i.big > 9007199254740992.5",
        "i.big > 9007199254740992.5 AND i.big < 9007199254740999",
        "i.big BETWEEN 9007199254740993 AND 9007199254741005",
        "i.big = 9007199254740995",
        "i.big IN (9007199254740993, 9007199254740997, -9007199254740999)",
        "i.big <> 9007199254740995::numeric",
        "i.big * 2 > 18014398509482001",
        "abs(i.big - 9007199254741003) <= 10",
        "i.big + 1 <= 9007199254741003",
        "i.big / 8 = 1125899906842625",
        "i.big % 4 = 1",
        "-i.big = 9007199254740999",
        "i.big::float8 > 9007199254741000",
        "i.big < 9007199254740993::float8",
    ),
    "numeric": (
        "i.n * 0.1 = 0.3",
        "(i.n * 0.1)::float8 = 0.3",
        "i.n / 3.0 > 1.5",
        "i.importance::numeric > 0.25",
        "(i.rate * 3)::numeric = 0.3",
        "i.n * 0.1 IN (0.3, 0.7)",
        "CASE (i.n * 0.1)::float8 WHEN 0.3 THEN true ELSE i.n > 20 END",
        "(i.n * 0.1)::real = 0.3::real",
    ),
    "step": (
        "floor({d} * 4) = 2",
        "({d} * 10)::int < 5",
        "nullif({d}, 0) < 0.7",
        "nullif({d}, 0) IS NOT NULL",
        "CASE WHEN {d} = 0 THEN i.n > 5 ELSE true END",
        "round({d}::numeric, 1) <> 0.7",
        "nullif(i.n, 7) > 3",
        "floor(i.n / 3.0) = 2",
        "(i.importance * 3)::int = 2",
        "CASE i.n WHEN 7 THEN true ELSE i.importance > 0.4 END",
        "coalesce(nullif(i.kind, 'fact'), 'task') = 'task'",
        "trunc(i.rate * 100) >= 1",
    ),
    "other": (
        "i.remark = 'red'",
        "i.remark IS NULL",
        "i.id % 3 = 0",
        "(i.kind = 'fact' OR i.n = 3)",
        "(i.remark = 'red' OR i.kind = 'note')",
        "length(i.remark) > 3",
        "i.remark || i.kind LIKE '%d%'",
    ),
}

# Those that an application leaves out by a parameter without a value: with its type, and values.
OPTIONAL = (
    ("(i.kind = {p} OR {p} IS NULL)", "text", ("'fact'", "NULL")),
    ("({p} IS NULL OR i.at > {p})", "timestamptz", ("'2026-04-01'", "NULL")),
    ("({d} < {p} OR {p} IS NULL)", "float8", ("0.9", "NULL")),
    ("(i.n = ANY ({p}) OR {p} IS NULL)", "integer[]", ("'{1,2,3,30}'", "NULL")),
    ("(i.importance >= coalesce({p}, 0.3) OR i.importance IS NULL)", "real", ("0.5", "NULL")),
    ("(i.remark = {p} OR {p} IS NULL)", "varchar", ("'red'", "NULL")),
    ("(i.big = {p} OR {p} IS NULL OR i.n < 20)", "numeric", ("9007199254740995", "NULL")),
)


def draw(random):
    """No condition, or up to three of different kinds; SQL with the places of expressions."""
    count = random.choices((0, 1, 2, 3), (3, 4, 2, 1))[0]
    kinds = random.sample(sorted(CONDITIONS), count)
    return " AND ".join(random.choice(CONDITIONS[kind]) for kind in kinds) or "true"


def draw_optional(random):
    """Perhaps a condition that a parameter may take away; with places, the parameter as `{p}`."""
    if random.random() < 0.7:
        return None
    condition, type, values = random.choice(OPTIONAL)
    return Optional(condition, type, random.choice(values))
