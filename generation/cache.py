"""Replies of a model kept in a file, so that the same question about the same pages is paid once.

What is kept is the draft: its quotes are checked anew each time. Only whole replies are kept, the last `MOST` of them,
none of them for longer than the documents that it was written from: see `forget`.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sqlite3
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

from folioscope.domain import Draft, DraftSegment, GivenPage, Quote, Turn
from folioscope.errors import StorageError
from generation import running
from generation.prompt import VERSION
from generation.reader import Reader

MOST = 1000
"""Replies kept; the oldest go first."""


class Cached:
    """Implements `folioscope.ports.AnswerModel`: a reader that looks first whether it has been asked before.

    A reply belongs to the question, the conversation, the pages (which document and version, which words, whether they
    are given), the model and the version of the prompt. It stays in the file ``path`` until it is pushed out, one of
    its documents is forgotten or the file is removed.
    """

    def __init__(self, reader: Reader, path: Path) -> None:
        self.reader = reader
        self.path = path

    @property
    def name(self) -> str:
        """The model's."""
        return self.reader.name

    async def standing(self, question: str, history: Sequence[Turn]) -> str | None:
        """As the reader does; not kept."""
        return await self.reader.standing(question, history)

    async def draft(
        self, question: str, pages: Sequence[GivenPage], history: Sequence[Turn] = ()
    ) -> AsyncIterator[str | DraftSegment | Draft]:
        """As `AnswerModel.draft`; a kept one says so and has no usage. Raises `StorageError`, too."""
        key = _key(self.reader, question, pages, history)
        if kept := await asyncio.to_thread(self._get, key):
            for number, segment in enumerate(kept.segments):
                yield f" {segment.text}" if number and not segment.text.startswith("\n") else segment.text
                yield segment
            yield kept
            return
        async with running.closing(self.reader.draft(question, pages, history)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Draft) and not piece.refused and not piece.warnings:
                    try:
                        await asyncio.to_thread(self._put, key, piece, {page.document.id for page in pages})
                    except StorageError as error:  # the reply is here and paid for
                        piece = replace(piece, warnings=(f"It was not kept in the cache: {error}",))
                yield piece

    def _get(self, key: str) -> Draft | None:
        with _opened(self.path) as db:
            row = db.execute("SELECT draft FROM replies WHERE key = ?", (key,)).fetchone()
        return _read(row[0]) if row else None

    def _put(self, key: str, draft: Draft, documents: Iterable[str]) -> None:
        with _opened(self.path) as db:
            db.execute("INSERT OR REPLACE INTO replies VALUES (?, ?)", (key, _written(draft)))
            db.execute("DELETE FROM replies WHERE rowid <= (SELECT max(rowid) FROM replies) - ?", (MOST,))
            db.executemany("INSERT OR IGNORE INTO sources VALUES (?, ?)", [(key, each) for each in documents])
            db.execute("DELETE FROM sources WHERE key NOT IN (SELECT key FROM replies)")


def forget(path: Path, documents: Iterable[str]) -> None:
    """Erase the replies in the cache ``path`` that were written from pages of these documents, given by their ids.

    They quote them: who deletes a document wants its words gone. Raises `StorageError`.
    """
    if not path.exists():
        return
    with _opened(path) as db:
        for each in documents:
            db.execute("DELETE FROM replies WHERE key IN (SELECT key FROM sources WHERE document = ?)", (each,))
            db.execute("DELETE FROM sources WHERE document = ?", (each,))


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    """The cache, one transaction; what is deleted from it is overwritten in the file."""
    try:
        with closing(sqlite3.connect(path, timeout=10)) as db, db:
            db.execute("PRAGMA secure_delete = ON")
            db.execute("CREATE TABLE IF NOT EXISTS replies (key TEXT PRIMARY KEY, draft TEXT NOT NULL)")
            db.execute("CREATE TABLE IF NOT EXISTS sources (key TEXT, document TEXT, PRIMARY KEY (key, document))")
            yield db
    except sqlite3.Error as error:
        raise StorageError(
            f"The cache of answers {path} can't be used: {error}.", hint="Remove the file or ask without it."
        ) from error


def _key(reader: Reader, question: str, pages: Sequence[GivenPage], history: Sequence[Turn]) -> str:
    seen = [
        (
            page.document.id,
            page.document.version,
            page.page,
            hashlib.sha256(" ".join(page.words.texts).encode(errors="replace")).hexdigest(),
        )
        for page in pages
    ]
    said = [(turn.role, turn.text) for turn in history]
    return hashlib.sha256(
        json.dumps([VERSION, reader.name, reader.page_words, question, seen, said]).encode()
    ).hexdigest()


def _written(draft: Draft) -> str:
    return json.dumps(
        [[one.text, [[quote.text, quote.page, quote.figure] for quote in one.quotes]] for one in draft.segments]
    )


def _read(text: str) -> Draft:
    segments = tuple(DraftSegment(said, tuple(Quote(*quote) for quote in quotes)) for said, quotes in json.loads(text))
    return Draft(segments, warnings=("The model's reply was taken from the cache.",))
