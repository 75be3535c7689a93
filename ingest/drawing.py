"""Page images for encoders, drawn when an encoder asks for them; a text encoder never does and opens nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, ExitStack
from functools import partial
from pathlib import Path
from types import TracebackType

import numpy as np
from numpy.typing import NDArray

from folioscope.errors import DocumentError, Unreadable
from ingest.sandbox import OpenedDocument, Sandbox


class Drawing:
    """Draws pages of documents in a child process. A document is opened when its first image is asked for and stays
    open until one of another document is: however many take part, one child is enough.

    ``original``: a path to the document of that hash, which holds as long as the context.
    Any thread may ask; one page is drawn at a time.
    """

    def __init__(self, sandbox: Sandbox, original: Callable[[str], AbstractContextManager[Path]]) -> None:
        self._sandbox = sandbox
        self._original = original
        self._held = ExitStack()  # the opened document's path
        self._opened: tuple[str, OpenedDocument] | None = None
        self._refused: dict[str, DocumentError] = {}
        self._lock = threading.Lock()

    def page(self, sha256: str, password: str | None, number: int) -> Callable[[int], NDArray[np.uint8]]:
        """What draws page ``number``, as `PageInput.image` wants it.

        It raises the subclasses of `DocumentError`, and `StorageError` where the originals can't be reached.
        """
        return partial(self._draw, sha256, password, number)

    def _draw(self, sha256: str, password: str | None, number: int, long_edge: int) -> NDArray[np.uint8]:
        with self._lock:
            return self._document(sha256, password).render(number, long_edge)

    def _document(self, sha256: str, password: str | None) -> OpenedDocument:
        if sha256 in self._refused:
            raise self._refused[sha256]  # what can't be opened once can't be opened for each page
        if self._opened is not None and self._opened[0] == sha256:
            return self._opened[1]
        self._close()  # before the next is opened: there may be one child alone
        path = self._held.enter_context(self._original(sha256))
        try:
            document = self._sandbox.open(path, password)
        except OSError as error:
            self._refused[sha256] = Unreadable(f"{path} can't be read: {error.strerror or error}.")
            raise self._refused[sha256] from error
        except DocumentError as error:
            self._refused[sha256] = error
            raise
        self._opened = (sha256, document)
        return document

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
        self._opened = None
        self._held.close()

    def close(self) -> None:
        """Let go of the child process."""
        with self._lock:
            self._close()

    def __enter__(self) -> Drawing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
