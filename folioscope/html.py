"""Results as HTML, for notebooks: a row of pages, an answer with its quotes. Everything that is said is escaped.

Tables rather than styles lay them out, so that they look alike wherever HTML is shown.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from html import escape

from folioscope.domain import Answer, Box, Citation, PageHit, Region, SearchResult

Draw = Callable[[PageHit | Citation, Sequence[Box | Region]], str]
"""(What names a page, what is marked on it) -> an element that shows the page."""


def result(found: SearchResult, draw: Draw | None = None) -> str:
    """The hits side by side, and what the search could not look at."""
    said = "".join(f"<p>{escape(line)}</p>" for line in found.reservations)
    if not found.hits:
        return f"<p>No page was found for {escape(found.query)!r}.</p>{said}"
    return row([hit(each, draw) for each in found.hits]) + said


def hit(found: PageHit, draw: Draw | None = None) -> str:
    """A page, its score, its rank in each channel, and the passage that was found."""
    ranks = ", ".join(f"{name} {score.rank}." for name, score in found.scores.items())
    return (
        (draw(found, found.regions) if draw else "")
        + f"<p><b>{found.rank}. {escape(found.document.filename)}, page {found.page}</b><br>"
        + f"{found.score:.3f} ({escape(ranks)})<br>{escape(found.snippet)}</p>"
    )


def answer(found: Answer, draw: Draw | None = None) -> str:
    """What is said with the numbers of its quotes, the quotes, and each page that is cited, once."""
    text = " ".join(escape(part.text) + "".join(f"<sup>[{n}]</sup>" for n in part.citations) for part in found.segments)
    sure = "" if found.confidence is None else f", confidence {found.confidence:.2f}"
    head = f"<p><b>{escape(found.question)}</b></p>" + (f"<p>{text}</p>" if text else "")
    told = f"<p><i>{found.status.replace('_', ' ')}, by {escape(found.model)}{sure}</i></p>"
    quotes = "".join(f"<li>{quote(each)}</li>" for each in found.citations)
    said = "".join(f"<p>{escape(line)}</p>" for line in found.warnings)
    pages = row([citation(cited, draw) for cited in _by_page(found.citations)]) if draw else ""
    return head + told + (f"<ol>{quotes}</ol>" if quotes else "") + pages + said


def quote(found: Citation) -> str:
    """The quote, what became of checking it, and where it stands."""
    place = f"{escape(found.document.filename)}, page {found.page}"
    return f"“{escape(found.quote)}” <i>({found.quote_status})</i> {place}"


def citation(cited: Sequence[Citation], draw: Draw | None = None) -> str:
    """One page with the boxes of all ``cited``, at least one, on it."""
    first = cited[0]
    numbers = "".join(f"[{each.index}]" for each in cited)
    page = draw(first, [box for each in cited for box in each.boxes]) if draw else ""
    return f"{page}<p>{numbers} {escape(first.document.filename)}, page {first.page}</p>"


def row(cells: Sequence[str]) -> str:
    """Elements side by side."""
    inner = "".join(f'<td valign="top" align="left" style="text-align: left">{cell}</td>' for cell in cells)
    return f"<table><tr>{inner}</tr></table>" if cells else ""


def _by_page(citations: Sequence[Citation]) -> list[list[Citation]]:
    pages: dict[object, list[Citation]] = {}
    for each in citations:
        pages.setdefault(each.key, []).append(each)
    return list(pages.values())
