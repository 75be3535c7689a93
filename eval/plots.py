"""Pictures of runs as SVG, drawn with matplotlib: small, sharp, part of the page that shows them."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from eval import metrics
from eval.records import TITLES, Run, Scope
from folioscope.errors import EvaluationError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

SIZE = (6.4, 3.6)  # inches
MARKERS = "osD^vP*X"


class Picture(str):
    """SVG, an element of a page, that shows itself in a notebook."""

    __slots__ = ()

    def _repr_html_(self) -> str:
        return self


def recall_curves(runs: Sequence[Run], scope: Scope = "whole") -> Picture:
    """Share of the relevant pages among the first k, k from 1 to the runs' depth."""
    figure, axes = _new(f"Recall, {TITLES[scope]}", "pages looked at", "share of the relevant pages found")
    for run in runs:
        curve = run.recall_curve(scope)
        if curve:
            axes.plot(range(1, len(curve) + 1), curve, label=run.name)
    axes.set_xscale("log")
    axes.set_xticks([1, 3, 5, 10, 30, 100], labels=["1", "3", "5", "10", "30", "100"])
    axes.set_ylim(0, 1)
    return _svg(figure, axes)


def against_cost(runs: Sequence[Run], measure: str, scope: Scope = "whole") -> tuple[Picture, Picture]:
    """Quality against KiB a page, and against the median milliseconds of a search; one point a run."""
    pictures = []
    for title in ("KiB a page", "milliseconds a search (median)"):
        figure, axes = _new(f"{measure}, {TITLES[scope]}", title, measure)
        for run, marker in zip(runs, MARKERS * len(runs), strict=False):
            value = run.retrieval(scope).get(measure)
            cost = run.bytes_per_page / 1024 if title.startswith("KiB") else _median_ms(run, scope)
            if value is not None:
                axes.plot([cost], [value], marker, label=run.name)
        axes.margins(0.15)
        axes.set_xlim(left=0)
        axes.set_ylim(0, 1)  # small differences look small
        pictures.append(_svg(figure, axes))
    return pictures[0], pictures[1]


def by_label(runs: Sequence[Run], measure: str, scope: Scope = "whole") -> Picture:
    """A bar a run for each value of the label that tells groups apart; empty where none does."""
    parts = {value: count for run in runs for value, (_, count) in run.by_label(scope, measure).items()}
    if not parts:
        return Picture()
    figure, axes = _new(f"{measure} by group, {TITLES[scope]}", "", measure)
    width = 0.8 / len(runs)
    for number, run in enumerate(runs):
        found = run.by_label(scope, measure)
        heights = [found.get(value, (None, 0))[0] or 0.0 for value in parts]
        axes.bar(np.arange(len(parts)) + number * width, heights, width, label=run.name)
    names = [f"{value or 'none'} ({count})" for value, count in parts.items()]
    axes.set_xticks(np.arange(len(parts)) + 0.4 - width / 2, labels=names, rotation=20, ha="right", fontsize=7)
    return _svg(figure, axes)


def threshold(run: Run) -> Picture:
    """Precision and recall of refusing, and the share of answerable questions answered, by the confidence under which a
    question is refused; empty without answers to questions of both kinds.
    """
    sure = run.confidences()
    if len({none for _, none in sure}) < 2:
        return Picture()
    confidences, none = [c for c, _ in sure], [n for _, n in sure]
    at = np.unique([0.0, *confidences, 1.0])
    rows = [metrics.not_found(confidences, none, float(value)) for value in at]
    figure, axes = _new(f"When to say that there is no answer: {run.name}", "threshold of the confidence", "share")
    for name, label in (("precision", "precision"), ("recall", "recall"), ("kept", "answerable answered")):
        shares = [np.nan if (share := row[name]) is None else share for row in rows]
        axes.step(at, shares, where="post", label=label)
    axes.set_ylim(0, 1.02)
    return _svg(figure, axes)


def _median_ms(run: Run, scope: Scope) -> float:
    return run.milliseconds(scope).get("total", (0.0, 0.0))[0]


def _new(title: str, x: str, y: str) -> tuple[Figure, Axes]:
    try:
        from matplotlib.figure import Figure
    except ImportError:
        raise EvaluationError(
            "Reports need matplotlib, which is not installed.", hint="Install it: pip install 'folioscope[eval]'."
        ) from None
    figure = Figure(figsize=SIZE, layout="constrained")
    axes = figure.subplots()
    axes.set_title(title, fontsize=10)
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.grid(alpha=0.3)
    return figure, axes


def _svg(figure: Figure, axes: Axes) -> Picture:
    """The picture as an element of a page; the same bytes for the same figure."""
    from matplotlib import rc_context

    if axes.get_legend_handles_labels()[0]:
        axes.legend(fontsize=8)
    file = io.StringIO()
    with rc_context({"svg.fonttype": "none", "svg.hashsalt": "folioscope"}):
        figure.savefig(file, format="svg", metadata={"Date": None, "Creator": None})
    text = file.getvalue()
    return Picture(text[text.index("<svg") :])
