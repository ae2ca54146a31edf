"""Whether an answer is right, when distances are only known to single precision.

The index and the server compute a distance with the same formula, but add its terms in another order.
So each row has an interval of scores: what the server gives for the distance and for the distance a
little smaller and a little larger. Whatever the true scores are inside their intervals, the one at
position `p` of the true order lies between the `p`-th smallest lower end and the `p`-th smallest upper
end. A row may stand at position `p` if its interval meets that one. Where distances do not differ,
that means: if it ties with the row that the server has there.
"""

import math
from dataclasses import dataclass

# Beside the distance: expressions in numeric are computed in float8 by the index.
RELATIVE = 1e-9
ABSOLUTE = 1e-15

# Kinds of places in an order.
_NULLS_FIRST, _NAN_FIRST, _NUMBER, _NAN_LAST, _NULLS_LAST = range(5)


class Truth:
    """The scores of all rows that pass the filter, by a sequential scan."""

    def __init__(self, rows, direction):
        """`rows` of id and three scores: as it is, for a smaller and for a larger distance."""
        descending = direction.startswith("DESC")
        nulls_first = "NULLS FIRST" in direction or (descending and "NULLS" not in direction)
        self._ends = {
            row[0]: _interval([_place(score, descending, nulls_first) for score in row[1:]])
            for row in rows
        }
        self._lows = sorted(low for low, _ in self._ends.values())
        self._highs = sorted(high for _, high in self._ends.values())

    def __len__(self):
        return len(self._ends)

    def judge(self, ids, limit, offset):
        """What `ids` have right and wrong, asked for with this limit and offset."""
        wanted = max(0, len(self._ends) - offset)
        if limit is not None:
            wanted = min(wanted, limit)
        if len(ids) != wanted:
            return Verdict(f"{len(ids)} rows instead of {wanted}", wanted)
        if len(set(ids)) != len(ids):
            return Verdict("a row came twice", wanted)
        if strangers := [row for row in ids if row not in self._ends]:
            return Verdict(f"rows that do not pass the filter: {strangers[:5]}", wanted)
        if disorder := self._disorder(ids):
            return Verdict(disorder, wanted, self._found(ids, offset + wanted))
        misplaced = [
            f"row {row} at position {place} has a score in {self._ends[row]}, due is one in "
            f"{(self._lows[place], self._highs[place])}"
            for place, row in enumerate(ids, offset)
            if self._ends[row][0] > self._highs[place] or self._ends[row][1] < self._lows[place]
        ]
        if not misplaced:
            return Verdict("", wanted, wanted)
        return Verdict(misplaced[0], wanted, self._found(ids, offset + wanted), excusable=True)

    def _disorder(self, ids):
        """What is wrong with the order of the rows among each other, or nothing. No graph excuses that."""
        latest, before = (_NULLS_FIRST, -math.inf), None
        for row in ids:
            low, high = self._ends[row]
            if high < latest:
                return f"row {row} with a score in {self._ends[row]} comes after row {before} in {self._ends[before]}"
            if low > latest:
                latest, before = low, row
        return ""

    def _found(self, ids, depth):
        """How many of the rows belong to the first `depth`."""
        worst = self._highs[depth - 1]
        return sum(self._ends[row][0] <= worst for row in ids)


@dataclass(frozen=True)
class Verdict:
    """Nothing wrong, or what."""

    wrong: str = ""
    wanted: int = 0
    found: int = 0  # rows that are right
    # A graph that did not find a row in time may be the reason.
    excusable: bool = False


def _place(score, descending, nulls_first):
    """A score as a pair that compares as the order does."""
    if score is None:
        return (_NULLS_FIRST if nulls_first else _NULLS_LAST, 0.0)
    if math.isnan(score):
        # Greater than every number, to Postgres.
        return (_NAN_FIRST if descending else _NAN_LAST, 0.0)
    return (_NUMBER, -score if descending else score)


def _interval(places):
    low, high = min(places), max(places)
    width = 0.0
    if low[0] == high[0] == _NUMBER and math.isfinite(low[1]) and math.isfinite(high[1]):
        width = high[1] - low[1]
    return _moved(low, -1, width), _moved(high, 1, width)


def _moved(place, sign, width):
    if place[0] != _NUMBER or not math.isfinite(place[1]):
        return place
    by = width + RELATIVE * abs(place[1]) + ABSOLUTE
    return (_NUMBER, place[1] + sign * by)
