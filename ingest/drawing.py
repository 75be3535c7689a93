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
    """One document whose pages are drawn: opened once, in a child process, when the first image is asked for.

    Any thread may ask; one page is drawn at a time.
    """

    def __init__(self, sandbox: Sandbox, path: Path, password: str | None) -> None:
        self._sandbox = sandbox
        self._path = path
        self._password = password
        self._opened: OpenedDocument | None = None
        self._refused: DocumentError | None = None
        self._lock = threading.Lock()

    def page(self, number: int) -> Callable[[int], NDArray[np.uint8]]:
        """What draws page ``number``, as `PageInput.image` wants it. It raises the subclasses of `DocumentError`."""
        return partial(self._draw, number)

    def _draw(self, number: int, long_edge: int) -> NDArray[np.uint8]:
        with self._lock:
            return self._document().render(number, long_edge)

    def _document(self) -> OpenedDocument:
        if self._refused:
            raise self._refused  # what can't be opened once can't be opened for each page
        if self._opened is None:
            try:
                self._opened = self._sandbox.open(self._path, self._password)
            except OSError as error:
                self._refused = Unreadable(f"{self._path} can't be read: {error.strerror or error}.")
                raise self._refused from error
            except DocumentError as error:
                self._refused = error
                raise
        return self._opened

    def close(self) -> None:
        """Let go of the child process."""
        with self._lock:
            if self._opened is not None:
                self._opened.close()
            self._opened = None

    def __enter__(self) -> Drawing:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
