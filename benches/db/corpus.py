"""Memories and questions with their vectors, read from a folder such as `scripts.texts` makes.

Where the folder has no vectors, the texts are embedded by latent semantic analysis (Deerwester et
al. 1990): TF-IDF weights of the words, reduced by a truncated singular value decomposition. It
needs no model, takes seconds, and texts about the same thing come out near each other.
"""

import gzip
import os
import re
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from scripts.host import say

DIMENSIONS = 192
# Norm of the noise that makes new memories out of old ones without leaving the neighbourhood.
NOISE = 0.35


@dataclass
class Corpus:
    """`count` memories in order, and questions; vectors have unit length, or none if zero."""

    name: str
    ids: np.ndarray  # int64
    times: np.ndarray  # Unix seconds, int64
    texts: list
    vectors: np.ndarray  # count x dimensions, float32
    questions: list
    question_vectors: np.ndarray

    @property
    def now(self):
        """The time of the newest memory: the moment from which ages are counted."""
        return int(self.times.max())

    def with_questions(self, count):
        """The same with the first questions alone."""
        return replace(
            self,
            questions=self.questions[:count],
            question_vectors=self.question_vectors[:count],
        )

    def grown(self, count):
        """So many memories: those there are and noised copies at other times, all in their order.

        Noise of this norm leaves a copy in its neighbourhood, yet makes it a vector of its own.
        """
        random = np.random.default_rng(0)
        sources = random.integers(len(self.ids), size=count - len(self.ids))
        copies = np.empty((len(sources), self.vectors.shape[1]), dtype=np.float32)
        for start in range(0, len(sources), 10_000):  # in portions, for noise is drawn in doubles
            part = slice(start, start + 10_000)
            noise = random.normal(size=copies[part].shape)
            noise *= NOISE / np.linalg.norm(noise, axis=1, keepdims=True)
            copies[part] = _unit(self.vectors[sources[part]] + noise)
        times = np.concatenate([self.times, random.integers(self.times.min(), self.now, len(sources))])
        order = np.argsort(times, kind="stable")
        return replace(
            self,
            ids=np.arange(count),
            times=times[order],
            texts=[],
            vectors=np.concatenate([self.vectors, copies])[order],
        )


def load(folder):
    """The corpus in `folder`."""
    folder = Path(folder)
    memories = list(_rows(gzip.open(folder / "memories.tsv.gz", "rt", encoding="utf-8")))
    questions = [text for _, _, text in _rows(open(folder / "queries.tsv", encoding="utf-8"))]
    texts = [text for _, _, text in memories]
    vectors, question_vectors = folder / "embeddings.f16.npy", folder / "queries.f16.npy"
    if not question_vectors.exists():
        say(f"embedding {len(texts):,} texts by latent semantic analysis")
        _save(vectors, question_vectors, *_embed(texts, questions))
    return Corpus(
        name=re.sub("^texts-(.*)-[0-9a-f]{12}$", r"\1", folder.name),
        ids=np.array([row[0] for row in memories]),
        times=np.array([row[1] for row in memories]),
        texts=texts,
        vectors=_unit(np.load(vectors)),
        questions=questions,
        question_vectors=_unit(np.load(question_vectors)),
    )


def _rows(file):
    with file:
        for line in file:
            number, when, text = line.rstrip("\n").split("\t", 2)
            yield int(number), int(when), text


def _embed(texts, questions):
    # Here, for it takes a second to import, and vectors are found made more often than not.
    from sklearn.decomposition import TruncatedSVD
    from sklearn.feature_extraction.text import TfidfVectorizer

    words = TfidfVectorizer(sublinear_tf=True, min_df=2, stop_words="english", dtype=np.float32)
    weights = words.fit_transform(texts)
    topics = TruncatedSVD(DIMENSIONS, n_iter=3, random_state=0)
    return topics.fit_transform(weights), topics.transform(words.transform(questions))


def _save(vectors, question_vectors, embedded, embedded_questions):
    """Saves both; the questions' file, renamed into place last, tells that both are whole."""
    np.save(vectors, _unit(embedded).astype(np.float16))
    partial = question_vectors.with_suffix(".partial.npy")
    np.save(partial, _unit(embedded_questions).astype(np.float16))
    os.replace(partial, question_vectors)


def _unit(vectors):
    vectors = vectors.astype(np.float32)
    lengths = np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors / np.where(lengths > 0, lengths, 1)
