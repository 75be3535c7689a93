"""Results as plain JSON values: answers and what was read of whole documents, in one shape for every interface."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

from folioscope.domain import Answer, Box, Citation, DocumentRef, PageHit


def to_json(result: Any) -> Any:
    """A result of this package, such as an `Answer` or a `Summary`, as plain JSON values.

    Dataclasses become objects of their fields, documents their id and name, boxes [x0, y0, x1, y1]; an answer has its
    whole ``text`` as well.
    """
    if isinstance(result, Citation):
        return _citation(result)
    if isinstance(result, PageHit):
        return {"rank": result.rank, "document": to_json(result.document), "page": result.page, "score": result.score}
    if isinstance(result, DocumentRef):
        return {"id": result.id, "filename": result.filename}
    if isinstance(result, Answer):
        return {**_fields(result), "text": result.text, "took_ms": round(result.took_ms, 1)}
    if dataclasses.is_dataclass(result):
        return _fields(result)
    if isinstance(result, Mapping):
        return {key: to_json(each) for key, each in result.items()}
    return [to_json(each) for each in result] if isinstance(result, tuple | list) else result


def _fields(result: Any) -> dict[str, Any]:
    return {entry.name: to_json(getattr(result, entry.name)) for entry in dataclasses.fields(result)}


def _citation(citation: Citation) -> dict[str, Any]:
    return {
        "index": citation.index,
        "document": to_json(citation.document),
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
