"""The judge of the differential test: what it lets pass, and what it does not."""

import math

from tests.differential.judge import Truth


def truth(scores, direction="ASC", blur=0.0):
    """Rows 0, 1, 2, ... with these scores."""
    rows = [
        (row, score, score and score - blur, score and score + blur)
        for row, score in enumerate(scores)
    ]
    return Truth(rows, direction)


def accepts(scores, ids, limit=None, offset=0, **options):
    return not truth(scores, **options).judge(ids, limit, offset).wrong


def test_the_order_and_nothing_else_is_right():
    assert accepts([3.0, 1.0, 2.0], [1, 2, 0])
    assert accepts([3.0, 1.0, 2.0], [0, 2, 1], direction="DESC")
    assert not accepts([3.0, 1.0, 2.0], [1, 0, 2])
    assert not accepts([3.0, 1.0, 2.0], [1, 2])
    assert not accepts([3.0, 1.0, 2.0], [1, 2, 2])
    assert not accepts([3.0, 1.0, 2.0], [1, 2, 7])


def test_limit_and_offset():
    assert accepts([3.0, 1.0, 2.0], [2], limit=1, offset=1)
    assert not accepts([3.0, 1.0, 2.0], [1], limit=1, offset=1)
    assert accepts([3.0, 1.0, 2.0], [], limit=5, offset=3)


def test_nulls_and_nan_where_postgres_has_them():
    scores = [None, math.nan, math.inf, 0.0]
    assert accepts(scores, [3, 2, 1, 0])
    assert accepts(scores, [0, 1, 2, 3], direction="DESC")
    assert accepts(scores, [1, 2, 3, 0], direction="DESC NULLS LAST")
    assert accepts(scores, [0, 3, 2, 1], direction="ASC NULLS FIRST")
    assert not accepts(scores, [3, 1, 2, 0])


def test_ties_may_stand_for_each_other():
    assert accepts([1.0, 1.0, 2.0], [1], limit=1)
    assert accepts([1.0, 1.0, 2.0], [1, 0, 2])
    assert not accepts([1.0, 1.0, 2.0], [0, 2], limit=2)


def test_scores_are_as_sharp_as_distances():
    near = [1.0, 1.05, 2.0]
    assert not accepts(near, [1, 0, 2])
    assert accepts(near, [1, 0, 2], blur=0.03)
    assert not accepts(near, [2, 0, 1], blur=0.03)


def test_rows_are_in_order_also_where_others_are_missing():
    missed = truth([1.0, 2.0, 3.0, 4.0, 5.0])
    assert missed.judge([0, 2, 4], 3, 0).excusable
    assert not missed.judge([0, 4, 2], 3, 0).excusable
    assert not truth([None, 1.0, math.nan, 2.0]).judge([1, 0, 2], 3, 0).excusable


def test_what_a_graph_excuses():
    missed = truth([1.0, 2.0, 3.0, 4.0]).judge([0, 2, 3], 3, 0)
    assert missed.wrong and missed.excusable and missed.found == 2
    late = truth([1.0, 2.0, 3.0, 4.0]).judge([1, 0, 2], 3, 0)
    assert late.wrong and not late.excusable
    both = truth([1.0, 2.0, 3.0, 4.0, 6.0], blur=0.2).judge([1, 0, 4], 3, 0)
    assert both.wrong and both.excusable and both.found == 2
    assert not truth([1.0, 2.0]).judge([0], 2, 0).excusable
