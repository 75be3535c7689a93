"""Similarity maps over the wire."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel

from api.schemas.answers import RegionOut
from folioscope import domain
from retrieval.similarity import SimilarityMap, regions


class Token(BaseModel):
    """A piece of the question as the model reads it. ``asked``: false for what the model puts around a question."""

    text: str
    asked: bool


class SimilarityOut(BaseModel):
    """Where the model saw the question on a page; a hint, no evidence.

    ``heat``: ``rows`` rows of ``cols`` equal cells that cover the upright page, 0 (the page's lowest similarity,
    ``low``, a cosine) to 1 (its highest, ``high``); all 0 where it is even.
    """

    object: Literal["similarity_map"] = "similarity_map"
    kind: Literal["similarity"] = "similarity"
    document: str
    version: int
    page: int
    channel: str
    query: str
    word: str | None
    tokens: list[Token]
    rows: int
    cols: int
    low: float
    high: float
    heat: list[list[float]]
    regions: list[RegionOut]


def similarity_out(
    found: SimilarityMap, key: domain.PageKey, channel: str, query: str, word: str | None
) -> SimilarityOut:
    """Heat with four digits."""
    rows, cols = found.heat.shape
    return SimilarityOut(
        document=key.document_id,
        version=key.version,
        page=key.number,
        channel=channel,
        query=query,
        word=word,
        tokens=[Token(text=text, asked=bool(asked)) for text, asked in zip(found.tokens, found.asked, strict=True)],
        rows=rows,
        cols=cols,
        low=float(found.strongest.min()),
        high=float(found.strongest.max()),
        heat=[[round(cell, 4) for cell in row] for row in found.heat.tolist()],
        regions=[RegionOut(box=each.box, score=each.score, kind=each.kind) for each in regions(found)],
    )
