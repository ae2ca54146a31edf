"""What is asked by `orders_bench`: orders as people write them, and filters; in SQL and in numpy."""

from dataclasses import dataclass, field
from datetime import datetime, timezone
from typing import Callable

import numpy as np

# Days; recency falls by a half or to 1/e in them.
SCALE = 30
# The least that `exp` is asked for: where it is 0, Postgres raises an error.
LEAST = -700

DISTANCE = "(embedding <=> %(query)b)"
SIMILARITY = f"(1 - {DISTANCE})"
AGE = "extract(epoch FROM (%(as_of)s - created_at))::float8"
DAYS = f"({AGE} / 86400)"
RECENCY = f"exp(-{DAYS} / {SCALE})"


@dataclass(frozen=True)
class Order:
    """A score: in SQL, with its direction, and exactly. Lower is better in `scores`, as in SQL's ASC."""

    name: str
    sql: str
    # From the distances of all rows to a question, and the attributes of the rows.
    scores: Callable


def _blend(weight):
    return Order(
        f"{1 - weight:.1f} similarity + {weight} exp(-age)",
        f"{SIMILARITY} * {1 - weight:.1f} + {RECENCY} * {weight} DESC",
        lambda distances, rows: -((1 - distances) * (1 - weight) + _recency(rows) * weight),
    )


def _recency(rows):
    return np.exp(-rows.days / SCALE)


def _row_recency(rows):
    return np.exp(np.maximum(LEAST, -rows.rate * rows.days * 24))


ORDERS = (
    Order("1 - distance", f"{SIMILARITY} DESC", lambda distances, rows: distances),
    _blend(0.1),
    _blend(0.3),
    _blend(0.5),
    Order(
        "similarity x exp(-age)",
        f"{SIMILARITY} * {RECENCY} DESC",
        lambda distances, rows: -(1 - distances) * _recency(rows),
    ),
    Order(
        "similarity x power(0.5, age)",
        f"{SIMILARITY} * power(0.5, {DAYS} / {SCALE}) DESC",
        lambda distances, rows: -(1 - distances) * np.power(0.5, rows.days / SCALE),
    ),
    Order(
        "similarity / (1 + age)",
        f"{SIMILARITY} / (1 + {DAYS} / {SCALE}) DESC",
        lambda distances, rows: -(1 - distances) / (1 + rows.days / SCALE),
    ),
    Order(
        "similarity + boost of a kind",
        f"{SIMILARITY} + CASE WHEN kind = 'decision' THEN 0.05 ELSE 0 END DESC",
        lambda distances, rows: distances - 0.05 * rows.decision,
    ),
    Order(
        "0.6 similarity + 0.3 exp(-age) + 0.1 importance",
        f"0.6 * {SIMILARITY} + 0.3 * {RECENCY} + 0.1 * importance DESC",
        lambda distances, rows: -(
            0.6 * (1 - distances) + 0.3 * _recency(rows) + 0.1 * rows.importance
        ),
    ),
    Order(
        "0.7 similarity + 0.3 exp(-rate of the row x age)",
        f"0.7 * {SIMILARITY} + 0.3 * exp(greatest({LEAST}, -decay_rate * {AGE} / 3600)) DESC",
        lambda distances, rows: -(0.7 * (1 - distances) + 0.3 * _row_recency(rows)),
    ),
    Order(
        "chrono_score with rates of the rows",
        f"chrono_score({DISTANCE}, created_at, importance, decay_rate, 0.3, 0.1, %(as_of)s)",
        lambda distances, rows: _chrono_score(distances, rows),
    ),
)


def _chrono_score(distances, rows):
    return 0.6 * distances / 2 + 0.3 * (1 - _row_recency(rows)) + 0.1 * (1 - rows.importance)


def top(order, table, limit):
    """The best rows by an order."""
    return f"SELECT id FROM {table} ORDER BY {order.sql} LIMIT {limit}"


# The same as the last of the orders.
SEARCH = """
    SELECT (memory).id FROM chrono_search(NULL::memories, %(query)b, recency_weight => 0.3,
                                          importance_weight => 0.1, as_of => %(as_of)s)"""


def rerank(order, table, pool, limit):
    """The nearest `pool` ordered by the score, as is commonly done: another question."""
    near = f"SELECT * FROM {table} ORDER BY {DISTANCE} LIMIT {pool}"
    return f"SELECT id FROM ({near}) AS near ORDER BY {order.sql} LIMIT {limit}"


@dataclass(frozen=True)
class Filter:
    """A condition: in SQL, with what it takes beside the question, and as a mask of the rows."""

    name: str
    sql: str
    passing: np.ndarray
    parameters: dict = field(default_factory=dict)


def filters(rows, now):
    """Newest rows, rows drawn at random, and those with a rare label; `now` is Unix time."""
    for share in (0.5, 0.1, 0.01, 0.001):
        since = datetime.fromtimestamp(now - 86400 * np.quantile(rows.days, share), timezone.utc)
        passing = now - 86400 * rows.days >= since.timestamp()
        yield Filter(
            f"the newest {100 * share:g}%", "created_at >= %(since)s", passing, {"since": since}
        )
    for share in (0.5, 0.1, 0.01, 0.001):
        yield Filter(f"any {100 * share:g}%", f"draw < {share}::real", rows.draw < np.float32(share))
    yield Filter("a label that 1% have", "kind = 'decision'", rows.decision)


def filtered(condition, table, limit):
    """The nearest of the rows that pass."""
    return f"SELECT id FROM {table} WHERE {condition.sql} ORDER BY {DISTANCE} LIMIT {limit}"
