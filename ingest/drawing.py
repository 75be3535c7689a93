"""Page images for encoders, drawn when an encoder asks for them; a text encoder never does and opens nothing."""

from __future__ import annotations

import threading
from collections.abc import Callable
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

    Any thread may ask; one page is drawn at a time.
    """

    def __init__(self, sandbox: Sandbox) -> None:
        self._sandbox = sandbox
        self._opened: tuple[Path, OpenedDocument] | None = None
        self._refused: dict[Path, DocumentError] = {}
        self._lock = threading.Lock()

    def page(self, path: Path, password: str | None, number: int) -> Callable[[int], NDArray[np.uint8]]:
        """What draws page ``number``, as `PageInput.image` wants it. It raises the subclasses of `DocumentError`."""
        return partial(self._draw, path, password, number)

    def _draw(self, path: Path, password: str | None, number: int, long_edge: int) -> NDArray[np.uint8]:
        with self._lock:
            return self._document(path, password).render(number, long_edge)

    def _document(self, path: Path, password: str | None) -> OpenedDocument:
        if path in self._refused:
            raise self._refused[path]  # what can't be opened once can't be opened for each page
        if self._opened is not None and self._opened[0] == path:
            return self._opened[1]
        self._close()  # before the next is opened: there may be one child alone
        try:
            document = self._sandbox.open(path, password)
        except OSError as error:
            self._refused[path] = Unreadable(f"{path} can't be read: {error.strerror or error}.")
            raise self._refused[path] from error
        except DocumentError as error:
            self._refused[path] = error
            raise
        self._opened = (path, document)
        return document

    def _close(self) -> None:
        if self._opened is not None:
            self._opened[1].close()
        self._opened = None

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
