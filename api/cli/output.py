"""What is printed: results on stdout, JSON for programs, tables and text for people; what is said besides on stderr."""

from __future__ import annotations

import dataclasses
import json
import re
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from folioscope.domain import Document, SearchResult


_RISKY = re.compile("[\x7f-\x9f\ud800-\udfff]")
"""Control characters that JSON leaves as they are, and halves of characters (from file names) that can't be printed."""


def clean(value: str) -> str:
    """One line that a terminal can be given: what steers it is left out, white space becomes spaces.

    File names, messages and the words of documents are written by others.
    """
    return "".join(" " if ch.isspace() else ch for ch in value if ch.isspace() or ch.isprintable())


def text(value: str = "") -> None:
    """A line on stdout."""
    print(clean(value))


def piece(value: str) -> None:
    """A part of a text on stdout as soon as it comes; its line feeds are kept."""
    print("\n".join(map(clean, value.split("\n"))), end="", flush=True)


def say(value: str) -> None:
    """A line on stderr: what is not the result."""
    print(clean(value), file=sys.stderr)


def json_document(value: Any) -> None:
    """One JSON document, indented."""
    print(_json(value, indent=2))


def line(value: Any) -> None:
    """One line of NDJSON."""
    print(_json(value), flush=True)


def _json(value: Any, indent: int | None = None) -> str:
    shown = json.dumps(value, ensure_ascii=False, indent=indent)
    return _RISKY.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns, of which the first is never cut; in a pipe they are separated by tabs."""
    rows = [[clean(cell) for cell in row] for row in rows]
    if not sys.stdout.isatty():
        for row in [head, *rows]:
            print("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(box=None, header_style="dim", pad_edge=False)
    for number, name in enumerate(head):
        grid.add_column(name, no_wrap=number == 0, overflow="fold")
    for row in rows:
        grid.add_row(*(Text(cell) for cell in row))
    Console().print(grid)


def fields(values: Mapping[str, str]) -> None:
    """Name and value, one a line; empty values left out."""
    width = max(map(len, values))
    for name, value in values.items():
        if value:
            text(f"{name:<{width}}  {value}")


def document_json(value: Document) -> dict[str, Any]:
    """A document as the HTTP interface will show it."""
    shown = dataclasses.asdict(value)
    shown["error"] = shown.pop("problem")
    return shown


def search_json(result: SearchResult) -> dict[str, Any]:
    """A search's result, in the shape that the HTTP interface will have."""
    return {
        "query": result.query,
        "hits": [
            {
                "rank": hit.rank,
                "document": {"id": hit.document.id, "filename": hit.document.filename},
                "page": hit.page,
                "score": hit.score,
                "scores": {name: {"rank": score.rank, "score": score.score} for name, score in hit.scores.items()},
                "snippet": hit.snippet,
                "regions": [
                    {"box": list(region.box), "score": region.score, "kind": region.kind} for region in hit.regions
                ],
            }
            for hit in result.hits
        ],
        "timings": dict(result.timings),
        "coverage": {
            name: {"done": coverage.done, "total": coverage.total} for name, coverage in result.coverage.items()
        },
        "notes": list(result.notes),
    }
