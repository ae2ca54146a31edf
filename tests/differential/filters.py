"""Conditions of queries: on the index's columns, on the distance, and on what it does not have."""

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
    ),
    "other": (
        "i.remark = 'red'",
        "i.remark IS NULL",
        "i.id % 3 = 0",
        "(i.kind = 'fact' OR i.n = 3)",
        "(i.remark = 'red' OR i.kind = 'note')",
    ),
}


def draw(random):
    """No condition, or up to three of different kinds; SQL with the places of expressions."""
    count = random.choices((0, 1, 2, 3), (3, 4, 2, 1))[0]
    kinds = random.sample(sorted(CONDITIONS), count)
    return " AND ".join(random.choice(CONDITIONS[kind]) for kind in kinds) or "true"
