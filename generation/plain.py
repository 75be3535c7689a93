"""Results as plain JSON values: what a model read, with its citations, as the interfaces show it."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from folioscope.domain import Box, Citation


def plain(value: Any) -> Any:
    """Dataclasses as objects of their fields, citations as `plain_citation` has them, tuples as lists."""
    if isinstance(value, Citation):
        return plain_citation(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {entry.name: plain(getattr(value, entry.name)) for entry in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {key: plain(each) for key, each in value.items()}
    return [plain(each) for each in value] if isinstance(value, tuple | list) else value


def plain_citation(citation: Citation) -> dict[str, Any]:
    """Boxes as [x0, y0, x1, y1]."""
    return {
        "index": citation.index,
        "document": {"id": citation.document.id, "filename": citation.document.filename},
        "page": citation.page,
        "quote": citation.quote,
        "quote_status": citation.quote_status,
        "moved": citation.moved,
        "boxes": [_rounded(box) for box in citation.boxes],
        "union_box": _rounded(citation.union_box) if citation.union_box else None,
    }


def _rounded(box: Box) -> list[float]:
    """Six decimals: a hundredth of a pixel on the largest page image."""
    return [round(side, 6) for side in box]
