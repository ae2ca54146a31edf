"""A differential test: what an index answers, beside what a sequential scan and a sort answer.

Queries are generated from a seed: an expression to order by, a direction, filters, a limit, and a
shape of the plan. Each runs twice in one transaction, and the two answers must be the same, where
rows that tie may stand for each other (`judge.py`). The plan is looked at as well, so that nothing
passes because the index was not used.

`scripts/differential.py` starts it.
"""
