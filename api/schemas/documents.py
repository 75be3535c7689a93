"""Collections, documents and pages over the wire."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BaseModel, Field

from api.schemas.common import PRINTED, Box, Failure, Given, Metadata, Progress, failure, image_url, progress
from folioscope import domain
from folioscope.settings import ChannelName
from ingest.catalog import Collection

CollectionName = Annotated[str, Field(pattern=r"^[^\W_][\w.-]{0,63}$", max_length=64)]


class NewCollection(Given):
    """``channels``: else the setting's."""

    name: CollectionName
    channels: list[ChannelName] | None = Field(None, min_length=1, max_length=4)


class Rename(Given):
    """A collection's new name."""

    name: CollectionName


class CollectionOut(BaseModel):
    """``channels``: those that are searched."""

    object: Literal["collection"] = "collection"
    id: str
    name: str
    created: str
    channels: list[str]


class DocumentOut(BaseModel):
    """``version``: the one that is searched; where none is ready yet, the newest."""

    object: Literal["document"] = "document"
    id: str
    collection: str
    filename: str
    sha256: str | None
    version: int
    status: str
    pages: int
    page_problems: int
    created: str
    metadata: dict[str, Any]
    coverage: dict[str, Progress]
    error: Failure | None


class Uploaded(BaseModel):
    """``job``: what reads it; None for a duplicate, which is there already."""

    document: DocumentOut
    duplicate: bool
    job: str | None


class Changes(Given):
    """``metadata``: takes the place of what was there."""

    metadata: Metadata


class Fetched(Given):
    """A document on the public internet; of one from the same ``url`` it becomes a new version."""

    url: str = Field(min_length=1, max_length=2000, pattern=PRINTED)
    metadata: Metadata | None = None
    password: str | None = Field(None, max_length=1000)


class Again(Given):
    """``password``: opens an encrypted PDF; else the one that it was handed in with."""

    password: str | None = Field(None, max_length=1000)


class Doomed(Given):
    """Ids of documents."""

    documents: list[str] = Field(min_length=1, max_length=1000)


class Deleted(BaseModel):
    """Ids of documents that are no more."""

    deleted: list[str]


class Resubmitted(BaseModel):
    """``job``: what reads the new version; ``document`` stays in its old one until then."""

    document: DocumentOut
    version: int
    job: str


class PageError(BaseModel):
    """A page that could not be read."""

    page: int
    error: Failure


class PageOut(BaseModel):
    """``width``, ``height``: points (1/72 inch) or, of images, pixels."""

    object: Literal["page"] = "page"
    number: int
    width: float
    height: float
    words: int
    word_source: domain.WordSource
    flags: list[str]
    error: Failure | None
    image_url: str


class WordOut(BaseModel):
    """``line``, ``block``: numbers that change where a line or a paragraph ends."""

    text: str
    box: Box
    line: int
    block: int


class PageText(BaseModel):
    """``words``: only where asked for."""

    document: str
    version: int
    page: int
    word_source: domain.WordSource
    text: str
    words: list[WordOut] | None = None


def collection_out(found: Collection) -> CollectionOut:
    """Its channels without those that are being built."""
    channels = [entry.name for entry in found.channels if entry.active]
    return CollectionOut(id=found.id, name=found.name, created=found.created, channels=channels)


def document_out(found: domain.Document) -> DocumentOut:
    """Without its source, which may be a path."""
    return DocumentOut(
        id=found.id,
        collection=found.collection,
        filename=found.filename,
        sha256=found.sha256,
        version=found.version,
        status=found.status,
        pages=found.pages,
        page_problems=found.page_problems,
        created=found.created,
        metadata=dict(found.metadata),
        coverage={name: progress(share) for name, share in found.coverage.items()},
        error=failure(found.problem),
    )


def page_out(found: domain.Page, key: domain.PageKey) -> PageOut:
    """Words are counted only."""
    return PageOut(
        number=found.number,
        width=found.width,
        height=found.height,
        words=len(found.words),
        word_source=found.words.source,
        flags=list(found.flags),
        error=failure(found.problem),
        image_url=image_url(key),
    )


def page_text(key: domain.PageKey, words: domain.Words, with_words: bool) -> PageText:
    """The page's text, and its words with their boxes where wanted."""
    listed = None
    if with_words:
        rows = zip(words.texts, words.boxes.tolist(), words.lines.tolist(), words.blocks.tolist(), strict=True)
        listed = [WordOut(text=text, box=Box(*box), line=line, block=block) for text, box, line, block in rows]
    return PageText(
        document=key.document_id,
        version=key.version,
        page=key.number,
        word_source=words.source,
        text=words.text(),
        words=listed,
    )
