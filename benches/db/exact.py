"""The answers that are right by definition: every row scored, and the best taken."""

import numpy as np

# Slack of a tie: the servers compute in float32, in another order of additions than here.
TIE = 1e-6

K = 10  # rows in an answer


class Exact:
    """Scores of all rows for all questions. Lower is better, as in SQL."""

    def __init__(self, corpus):
        self.row_of = {int(number): row for row, number in enumerate(corpus.ids)}
        self.distances = 1 - corpus.question_vectors @ corpus.vectors.T
        # Postgres sorts the distance of a vector without a direction, NaN, last.
        self.distances[:, ~corpus.vectors.any(axis=1)] = np.inf
        self.ages = (corpus.now - corpus.times) / 3600  # hours

    def blend(self, blend):
        """`chrono_score` of every row for every question."""
        recency = np.exp(-blend.rate * self.ages)
        return (1 - blend.weight) * self.distances / 2 + blend.weight * (1 - recency)

    def share_found(self, scores, ids):
        """How much of the true top ten is in `ids`; a row that ties with the tenth is as good."""
        tenth = np.partition(scores, K - 1)[K - 1]
        return sum(scores[self.row_of[number]] <= tenth + TIE for number in set(ids[:K])) / K
