"""Runs as one page: HTML that needs nothing besides itself, and Markdown without the pictures."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from eval import plots
from eval.comparisons import Comparison, Flip, compare
from eval.pictures import element
from eval.records import SCOPES, Run
from eval.tables import Table, html_table, markdown_table
from folioscope.errors import EvaluationError, FolioscopeError

Draw = Callable[[str, int], NDArray[np.uint8]]
"""(Document's name, page) -> its image, uint8 [height, width, 3] RGB."""

MEASURE = "nDCG@5"
FLIPS = 24
"""Questions that flipped are shown up to so many, with their pages; the tables have all."""

THUMBNAIL = 220  # pixels, the longer side

_STYLE = """
body { font: 15px/1.5 system-ui, sans-serif; max-width: 70rem; margin: 2rem auto; padding: 0 1rem; color: #222; }
table { border-collapse: collapse; margin: 1rem 0; font-size: 13px; }
td, th { border-bottom: 1px solid #ddd; padding: .2rem .6rem; text-align: left; vertical-align: top; }
svg { max-width: 100%; height: auto; } .row { display: flex; flex-wrap: wrap; gap: 1rem; }
.row > div { flex: 1 1 30rem; } figure { margin: 0; } figcaption { font-size: 12px; color: #555; max-width: 220px; }
.won { border-left: 4px solid #2a7; padding-left: .8rem; } .lost { border-left: 4px solid #c33; padding-left: .8rem; }
img { border: 1px solid #ccc; }
"""


def html(runs: Sequence[Run], draw: Draw | None = None) -> str:
    """The first run is the base with which each other is compared.

    ``draw``: draws pages of questions that flipped; without it there are none. Raises `EvaluationError` for no run and
    for runs of different questions.
    """
    parts = [f"<h1>Evaluation: {escape(_title(runs))}</h1>", _conditions(runs)]
    parts.append("<h2>Figures</h2>" + html_table(*side_by_side(runs)))
    parts.append('<h2>Plots</h2><div class="row">' + "".join(f"<div>{plot}</div>" for plot in _plots(runs)) + "</div>")
    for found in _comparisons(runs):
        parts.append(f"<h2>{escape(found.after.name)} against {escape(found.before.name)}</h2>{found._repr_html_()}")
        parts.append(_shown(found, draw))
    head = f'<meta charset="utf-8"><title>{escape(_title(runs))}</title><style>{_STYLE}</style>'
    return f"<!doctype html><html lang=en><head>{head}</head><body>{''.join(parts)}</body></html>\n"


def markdown(runs: Sequence[Run]) -> str:
    """The same without pictures."""
    parts = [
        f"# Evaluation: {_title(runs)}",
        _plain_conditions(runs),
        "## Figures",
        markdown_table(*side_by_side(runs)),
    ]
    for run in runs:
        if groups := run.by_label("whole", MEASURE):
            rows = [[value or "none", mean, count] for value, (mean, count) in groups.items()]
            parts += [f"### {MEASURE} by group: {run.name}", markdown_table(["", MEASURE, "questions"], rows)]
    for found in _comparisons(runs):
        parts += [f"## {found.after.name} against {found.before.name}", found.markdown()]
    return "\n\n".join(parts) + "\n"


def write(path: str | Path, runs: Sequence[Run], draw: Draw | None = None) -> list[Path]:
    """Write the page at ``path`` and its Markdown beside it; returns both paths."""
    page = Path(path).with_suffix(".html")
    plain = page.with_suffix(".md")
    page.write_text(html(runs, draw), encoding="utf-8")
    plain.write_text(markdown(runs), encoding="utf-8")
    return [page, plain]


def side_by_side(runs: Sequence[Run]) -> Table:
    """Each figure in each run."""
    figures: dict[str, dict[int, float | None]] = {}
    for number, run in enumerate(runs):
        for scope in SCOPES:
            for name, value in run.retrieval(scope).items():
                figures.setdefault(f"{name}, {'whole' if scope == 'whole' else 'inside'}", {})[number] = value
        for name, value in run.answers().items():
            figures.setdefault(name, {})[number] = value
        for stage, (median, late) in run.milliseconds().items():
            figures.setdefault(f"ms, {stage}, median", {})[number] = median
            figures.setdefault(f"ms, {stage}, 95 %", {})[number] = late
        figures.setdefault("KiB a page", {})[number] = run.bytes_per_page / 1024
        for channel in run.collection.channels:
            if channel.encode_ms is not None:
                figures.setdefault(f"ms to encode a page, {channel.name}", {})[number] = channel.encode_ms
    rows: list[list[object]] = [[name, *(of.get(n) for n in range(len(runs)))] for name, of in figures.items()]
    return Table(["", *(run.name for run in runs)], rows)


def _title(runs: Sequence[Run]) -> str:
    if not runs:
        raise EvaluationError("A report needs a run.", hint="`folioscope eval run` writes one.")
    return f"{runs[0].dataset.name}, {', '.join(run.name for run in runs)}"


def _comparisons(runs: Sequence[Run]) -> list[Comparison]:
    return [compare(runs[0], run) for run in runs[1:]]


def _plots(runs: Sequence[Run]) -> list[str]:
    scopes = [scope for scope in SCOPES if any(run.recall_curve(scope) for run in runs)]
    drawn = [plots.recall_curves(runs, scope) for scope in scopes]
    drawn += [picture for scope in scopes for picture in plots.against_cost(runs, MEASURE, scope)]
    drawn += [plots.by_label(runs, MEASURE, scope) for scope in scopes]
    drawn += [plots.threshold(run) for run in runs]
    return [picture for picture in drawn if picture]


def _conditions_of(run: Run) -> list[str]:
    where = run.collection
    lines = [
        f"{run.dataset.questions} questions of {run.dataset.name} ({run.dataset.hash[:12]})",
        f"{where.documents} documents, {where.pages} pages ({where.hash[:12]})",
        *(f"{channel.name}: {channel.fingerprint}, {channel.done}/{channel.total} pages" for channel in where.channels),
        *((f"answered by {run.model}",) if run.model else ()),
        *((f"judged by {run.judge}",) if run.judge else ()),
        f"code {run.code}, {run.created}, {', '.join(f'{name} {value}' for name, value in run.machine.items())}",
    ]
    return [*lines, *run.notes]


def _conditions(runs: Sequence[Run]) -> str:
    return "".join(
        f"<h3>{escape(run.name)}</h3><ul>{''.join(f'<li>{escape(line)}</li>' for line in _conditions_of(run))}</ul>"
        for run in runs
    )


def _plain_conditions(runs: Sequence[Run]) -> str:
    return "\n\n".join(f"**{run.name}**\n\n" + "\n".join(f"- {line}" for line in _conditions_of(run)) for run in runs)


# --- pages of questions that flipped ----------------------------------------------------------------------------------


def _shown(found: Comparison, draw: Draw | None) -> str:
    if draw is None or not found.flips:
        return ""
    left = f"<p>{len(found.flips) - FLIPS} more are in the table.</p>" if len(found.flips) > FLIPS else ""
    return "".join(_flip(flip, found, draw) for flip in found.flips[:FLIPS]) + left


def _flip(flip: Flip, found: Comparison, draw: Draw) -> str:
    """The answering page and what stood first in either run."""
    document, page, _ = flip.after.pages[0]
    pictures = [_page("answers it", document, page, draw)]
    for run, asked in ((found.before, flip.before), (found.after, flip.after)):
        ranked = asked.ranked(flip.scope)
        if ranked and ranked.hits and ranked.hits[0] not in asked.relevant:
            pictures.append(_page(f"first in {run.name}", *ranked.hits[0], draw))
    kind = "won" if flip.won else "lost"
    ranks = f"rank {flip.rank_before or '-'} → {flip.rank_after or '-'}"
    return (
        f'<div class="{kind}"><h4>{kind}: {escape(flip.after.text)}</h4><p>{ranks}</p>'
        f'<div class="row">{"".join(pictures)}</div></div>'
    )


def _page(role: str, document: str, page: int, draw: Draw) -> str:
    caption = f"<figcaption>{escape(role)}: {escape(document)}, page {page}</figcaption>"
    try:
        return f"<figure>{element(draw(document, page), THUMBNAIL)}{caption}</figure>"
    except FolioscopeError as error:  # deleted since, or it can't be drawn
        return f"<figure><p>{escape(str(error))}</p>{caption}</figure>"
