"""Pages that look alike, over the wire."""

from __future__ import annotations

from pydantic import BaseModel


class PageName(BaseModel):
    """Enough to show a page."""

    document: str
    filename: str
    page: int


class Pair(BaseModel):
    """A page and the one that it is most like."""

    a: PageName
    b: PageName
    cosine: float


class Group(BaseModel):
    """Pages linked by pairs; its ends may be less alike than the threshold says."""

    pages: list[PageName]
    pairs: list[Pair]


class DuplicatesOut(BaseModel):
    """``compared``: of the collection's ``pages``, those that the image channel has."""

    threshold: float
    compared: int
    pages: int
    groups: list[Group]
