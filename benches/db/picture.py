"""The demo's comparison as one picture."""

import os

import matplotlib

from benches.db.contender import BOTH

matplotlib.use("Agg")
from matplotlib import pyplot  # noqa: E402  (the backend comes first)

OURS, THEIRS = "#2a6f97", "#c9ada7"


def draw(comparison, path):
    """Draws the comparison into the PNG file `path`."""
    figure, (build, nearest, blended) = pyplot.subplots(
        1, 3, figsize=(13, 4.2), width_ratios=(1, 1, 2.6), layout="constrained"
    )
    names = [contender.name.replace(" ", "\n") for contender in BOTH]
    colours = (OURS, THEIRS)

    build.set_title("build, s")
    _label(build, build.bar(names, [comparison.builds[each] for each in BOTH], color=colours))

    nearest.set_title("ten nearest, p50 in ms")
    medians = [comparison.nearest[each].p50() for each in BOTH]
    recalls = [f"{comparison.nearest[each].found():.3f}" for each in BOTH]
    bars = nearest.bar(names, medians, color=colours)
    texts = [f"{p50:.2f}\nrecall {recall}" for p50, recall in zip(medians, recalls)]
    _label(nearest, bars, texts)

    ways = list(comparison.blended)[::-1]
    blended.set_title("of the true blended top ten, found")
    blended.set_xlabel(str(comparison.blend))
    found = [100 * comparison.blended[way].found() for way in ways]
    colours = [OURS if way == "chrono_search" else THEIRS for way in ways]
    texts = [
        f"{share:.1f}% in {comparison.blended[way].p50():.2f} ms" for way, share in zip(ways, found)
    ]
    blended.bar_label(blended.barh(ways, found, color=colours), texts, padding=4)
    blended.set_xlim(0, 128)
    blended.set_xticks([0, 50, 100], ["0", "50", "100%"])

    for axes in (build, nearest, blended):
        axes.spines[["top", "right"]].set_visible(False)
    figure.suptitle(comparison.title)
    os.makedirs(os.path.dirname(path), exist_ok=True)
    figure.savefig(path, dpi=110)


def _label(axes, bars, texts=None):
    axes.bar_label(bars, texts, fmt="%.2f", padding=3)
    axes.margins(y=0.22)
    axes.set_yticks([])
    axes.spines["left"].set_visible(False)
