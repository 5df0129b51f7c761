"""Plots of the last run's figures: ``benches/results/last.json`` to ``docs/performance-*.svg``.

Run by ``make bench``; for it alone: ``python benches/plot.py``. Needs matplotlib.
"""

from __future__ import annotations

import json
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
