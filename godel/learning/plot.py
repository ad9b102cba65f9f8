"""A plot of what was learned: the effort on each machine kept apart, and the measured gain beside the promised one."""

from __future__ import annotations

from pathlib import Path

import matplotlib
from matplotlib.figure import Figure

from godel.learning.learn import Learned

BEFORE, AFTER = "#8a8f98", "#1f6fb4"


def plot_learned(found: Learned, path: Path) -> None:
    """Write the plot as SVG; the same run gives the same bytes with the same version of the library."""
    if found.promise is None:
        raise ValueError("nothing was measured")
    with matplotlib.rc_context({"svg.hashsalt": "godel", "svg.fonttype": "none"}):
        figure = Figure(figsize=(9, 3.6), layout="constrained")
        left, right = figure.subplots(1, 2, width_ratios=(3, 2))
        pairs = sorted(zip(found.before, found.after, strict=True), key=lambda p: p[0].ticks)
        places = range(len(pairs))
        left.vlines(
            places,
            [float(old.ticks) for old, _ in pairs],
            [float(new.ticks) for _, new in pairs],
            color=BEFORE,
            linewidth=0.6,
        )
        for side, (words, colour) in enumerate(
            (("first searcher", BEFORE), ("learned searcher", AFTER))
        ):
            ticks = [float(pair[side].ticks) for pair in pairs]
            left.plot(places, ticks, "o", color=colour, markersize=4, label=words)
        left.legend(frameon=False)
        left.set_xlabel("machines kept apart")
        left.set_ylabel("ticks until nothing more is found")
        left.set_xticks([])
        gains = [float(new.worth - old.worth) for old, new in pairs]
        low, high = float(found.promise.low), float(found.promise.high)
        right.axvspan(low, high, color=AFTER, alpha=0.15, label="promised for the mean")
        right.axvline(float(found.measured), color=AFTER, label="measured mean")
        right.hist(gains, bins=20, color=BEFORE, label="machines")
        right.set_xlabel("gain of an episode")
        right.set_ylabel("machines")
        right.yaxis.get_major_locator().set_params(integer=True)
        right.legend(frameon=False)
        for axes in (left, right):
            axes.spines[["top", "right"]].set_visible(False)
        figure.savefig(path, format="svg", metadata={"Date": None})
