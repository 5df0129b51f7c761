"""Plots of the last run's figures: ``benches/results/last.json`` to ``docs/performance-*.svg``.

Run by ``make bench``; for it alone: ``python benches/plot.py``. ``python benches/plot.py soak`` draws
what `make soak` has left. Needs matplotlib.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import matplotlib as mpl
from matplotlib import pyplot

HERE = Path(__file__).parent
DOCS = HERE.parent / "docs"
OURS, FLOOR, THEIRS = "#1b6ca8", "#888888", "#d9a441"

Rows = dict[str, dict[str, float]]


def main() -> None:
    """Draw each."""
    mpl.rcParams.update({"svg.hashsalt": "netyard", "font.size": 9, "axes.spines.right": False})
    if sys.argv[1:] == ["soak"]:
        soak()
        return
    results: dict[str, Rows] = json.loads((HERE / "results" / "last.json").read_text())
    steps = ["create network", "attach", "attach 10 ports", "detach", "remove network"]
    figure, axes = pyplot.subplots(1, len(steps), figsize=(13, 4.2), sharey=True)
    for axis, step in zip(axes, steps, strict=True):
        bars(axis, results["lifecycle"], step)
        axis.set_title(f"{step}, ms")
        axis.set_xscale("log")
    save(figure, "lifecycle")
    kinds = ["local", "forwarded, repeated", "forwarded, unique"]
    figure, axes = pyplot.subplots(1, len(kinds), figsize=(11, 2.4), sharey=True)
    for axis, kind in zip(axes, kinds, strict=True):
        bars(axis, results["dns"], f"{kind}/s")
        axis.set_title(f"{kind}: answers/s")
    save(figure, "names")


def soak() -> None:
    """What agent and kernel hold over time, each as it was sampled."""
    found = json.loads((HERE / "results" / "soak.json").read_text())
    samples = found["samples"]
    names = [name for name in samples[0] if name != "second"]
    figure, axes = pyplot.subplots(3, 3, figsize=(11, 6), sharex=True)
    for axis, name in zip(axes.flat, names, strict=True):
        minutes = [each["second"] / 60 for each in samples]
        axis.plot(minutes, [each[name] for each in samples], color=OURS, linewidth=1)
        axis.set_title(name)
        axis.set_ylim(bottom=0)
    figure.supxlabel(f"minutes; {found['changes']} changes, {found['visits']} visits, none failed")
    figure.tight_layout()
    figure.savefig(DOCS / "reliability-soak.svg", metadata={"Date": None})


def bars(axis: pyplot.Axes, rows: Rows, column: str) -> None:
    """One bar for each row that has the column."""
    names = list(reversed(rows))
    values = [rows[name].get(column, 0.0) for name in names]
    drawn = axis.barh(names, values, color=[colour(name) for name in names])
    shown = [f"{value:.3g}" if value else "" for value in values]
    axis.bar_label(drawn, labels=shown, padding=2, fontsize=7)


def colour(name: str) -> str:
    """Grey for what cannot be beaten, blue for netyard."""
    if name.startswith("netyard"):
        return OURS
    return FLOOR if name.startswith(("kernel floor", "limit")) else THEIRS


def save(figure: pyplot.Figure, name: str) -> None:
    """As SVG, the same for the same figures."""
    figure.tight_layout()
    figure.savefig(DOCS / f"performance-{name}.svg", metadata={"Date": None})


if __name__ == "__main__":
    main()
