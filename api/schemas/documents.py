"""Collections, documents and pages over the wire."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated, Any, Literal, cast

import numpy as np
from pydantic import AfterValidator, BaseModel, Field

from api.schemas.common import (
    PRINTED,
    Box,
    Failure,
    Given,
    Metadata,
    Progress,
    coverage_in,
    failure,
    image_url,
    problem_in,
    progress,
)
from folioscope import domain
from folioscope.settings import ChannelName

if TYPE_CHECKING:
    from ingest.catalog import Collection

NAME = r"^[^\W_][\w.-]{0,63}$"


def _plain(name: str) -> str:
    """Pydantic's idea of a letter is wider than that of the library, and has accents that stand by themselves."""
    if not re.fullmatch(NAME, name):
        raise ValueError("use letters, digits, dots, dashes and underscores, a letter or digit first")
    return name


CollectionName = Annotated[str, Field(pattern=NAME, max_length=64), AfterValidator(_plain)]


class NewCollection(Given):
    """``channels``: else the setting's."""

    name: CollectionName
    channels: list[ChannelName] | None = Field(None, min_length=1, max_length=4)


class Rename(Given):
    """A collection's new name."""

    name: CollectionName


class CollectionOut(BaseModel):
    """``channels``: those that are searched. ``documents``: how many there are."""

    object: Literal["collection"] = "collection"
    id: str
    name: str
    created: str
    channels: list[str]
    documents: int


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


def collection_out(found: Collection, documents: int) -> CollectionOut:
    """Its channels without those that are being built."""
    channels = [entry.name for entry in found.channels if entry.active]
    return CollectionOut(id=found.id, name=found.name, created=found.created, channels=channels, documents=documents)


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


def document_in(given: DocumentOut) -> domain.Document:
    """From the wire; ``source`` stays empty."""
    return domain.Document(
        id=given.id,
        collection=given.collection,
        filename=given.filename,
        source="",
        sha256=given.sha256 or "",
        version=given.version,
        status=cast("domain.DocumentStatus", given.status),
        pages=given.pages,
        page_problems=given.page_problems,
        created=given.created,
        problem=problem_in(given.error),
        metadata=given.metadata,
        coverage=coverage_in(given.coverage),
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


def page_in(given: PageOut) -> domain.Page:
    """From the wire; of its words only where they came from: the words themselves are in `PageText`."""
    nothing = domain.Words.empty()
    return domain.Page(
        number=given.number,
        width=given.width,
        height=given.height,
        words=domain.Words((), nothing.boxes, nothing.lines, nothing.blocks, given.word_source),
        flags=tuple(cast("list[domain.PageFlag]", given.flags)),
        problem=problem_in(given.error),
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


def words_in(given: PageText) -> domain.Words:
    """From the wire, where they were asked for with ``include=words``."""
    listed = given.words or []
    return domain.Words(
        tuple(each.text for each in listed),
        np.array([each.box for each in listed], np.float32).reshape(-1, 4),
        np.array([each.line for each in listed], np.int32),
        np.array([each.block for each in listed], np.int32),
        given.word_source,
    )
