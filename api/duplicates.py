"""Pages of a collection that look alike, by the image channel's stored vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from folioscope.domain import Document, PageKey
from folioscope.ports import PageIndex
from retrieval.images import near_duplicates

KEYS_AT_ONCE = 1000


def duplicate_pages(
    index: PageIndex, documents: Sequence[Document], threshold: float
) -> tuple[list[dict[str, Any]], int]:
    """Groups of pages that look alike, as shown in JSON, and how many pages had a vector to compare."""
    wanted = [PageKey(each.id, each.version, number) for each in documents for number in range(1, each.pages + 1)]
    keys, rows = _stored(index, wanted)
    if not keys:
        return [], 0
    names = {document.id: document.filename for document in documents}

    def shown(position: int) -> dict[str, Any]:
        key = keys[position]
        return {"document": key.document_id, "filename": names[key.document_id], "page": key.number}

    groups = [
        {
            "pages": [shown(member) for member in group.members],
            "pairs": [{"a": shown(one), "b": shown(two), "cosine": round(score, 4)} for one, two, score in group.pairs],
        }
        for group in near_duplicates(np.stack(rows), threshold)
    ]
    return groups, len(keys)


def _stored(index: PageIndex, wanted: Sequence[PageKey]) -> tuple[list[PageKey], list[NDArray[np.float32]]]:
    found: dict[PageKey, NDArray[np.float32]] = {}
    for start in range(0, len(wanted), KEYS_AT_ONCE):
        read = index.vectors(wanted[start : start + KEYS_AT_ONCE])
        found |= {key: vector for key, vector in read.items() if isinstance(vector, np.ndarray)}
    keys = [key for key in wanted if key in found]
    return keys, [found[key] for key in keys]
