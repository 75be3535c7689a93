"""Results on stdout: JSON for programs, tables and text for people."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from folioscope.domain import Document, SearchResult


def json_document(value: Any) -> None:
    """One JSON document, indented."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def line(value: Any) -> None:
    """One line of NDJSON."""
    print(json.dumps(value, ensure_ascii=False), flush=True)


def text(value: str = "") -> None:
    """A line of text; control characters from documents never reach the terminal."""
    print("".join(ch for ch in value if ch in "\n\t" or ch.isprintable()))


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Aligned columns; in a pipe they are separated by tabs and not cut."""
    if not sys.stdout.isatty():
        for row in [head, *rows]:
            text("\t".join(row))
        return
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    grid = Table(*head, box=None, header_style="dim", pad_edge=False)
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
    shown["coverage"] = {
        name: {"done": coverage.done, "total": coverage.total} for name, coverage in value.coverage.items()
    }
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


def channel_notes(result: SearchResult) -> list[str]:
    """Which channels took part for only a share of the pages, and which not at all."""
    partial = [
        f"the {name} channel knew {coverage.done} of {coverage.total} pages"
        for name, coverage in result.coverage.items()
        if coverage.done < coverage.total
    ]
    return [*partial, *result.notes]
