"""What the demo compares, as a table: build, similarity, and the blended top ten."""

from dataclasses import dataclass

from benches.db.contender import BOTH, CHRONO, HNSW
from benches.db.exact import K
from benches.db.measure import share_text
from scripts.host import say

POOLS = (40, 100, 500)
SCANS = 30  # questions; a scan of all rows takes its time


@dataclass
class Comparison:
    """Measured side by side, in one server and one run."""

    title: str
    blend: object
    builds: dict  # contender -> seconds
    beams: dict  # contender -> ef_search
    nearest: dict  # contender -> Answers
    blended: dict  # way to get the blended top ten -> Answers

    def table(self):
        """The comparison as lines of text."""
        lines = [
            f"{self.title}; medians over all questions, one client",
            "",
            f"{'':34}{CHRONO.name:>16}{HNSW.name:>16}",
            _line("build", "{:.2f} s", self.builds),
            _line(f"{K} nearest by similarity, p50", "{:.2f} ms", _each(self.nearest, "p50")),
            _line("  recall of the exact answer", "{}", self._recalls()),
            _line("  ef_search for that", "{}", self.beams),
            "",
            f"{f'top {K} by {self.blend}':50}{'p50':>12}{'found':>8}",
        ]
        for way, answers in self.blended.items():
            latency, share = f"{answers.p50():.2f} ms", share_text(answers.found())
            lines.append(f"  {way:48}{latency:>12}{share:>8}")
        return "\n".join(lines)

    def _recalls(self):
        return {contender: share_text(self.nearest[contender].found()) for contender in BOTH}


def _each(answers, measure):
    return {contender: getattr(answers[contender], measure)() for contender in BOTH}


def _line(title, form, values):
    return f"{title:34}" + "".join(f"{form.format(values[each]):>16}" for each in BOTH)


def compare(client, builds, blend):
    """Measures what is left to measure once the indexes are built."""
    beams, nearest = {}, {}
    for contender in BOTH:
        say(f"asking {contender.name} for the nearest")
        beams[contender], nearest[contender] = client.reach_recall(contender)
    client.set(CHRONO.ef_search, beams[CHRONO])
    say(f"asking for the top {K} by {blend}")
    blended = {"chrono_search": client.search(blend)}
    for pool in POOLS:
        blended[f"{HNSW.name}, nearest {pool} reranked"] = client.rerank(blend, pool)
    blended["sequential scan"] = client.scan(blend, SCANS)
    corpus = client.corpus
    return Comparison(
        title=f"{len(corpus.ids):,} memories x {corpus.vectors.shape[1]} of {corpus.name}",
        blend=blend,
        builds=builds,
        beams=beams,
        nearest=nearest,
        blended=blended,
    )
