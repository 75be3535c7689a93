"""Progress on stderr: bars in a terminal, nothing elsewhere; and Ctrl-C.

The first Ctrl-C lets the current pages finish and says how to go on, the second leaves at once.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ingest import Event, Library

INTERRUPTED = 130


class Counter:
    """Adds events up: documents ready and failed, pages read, pages taken in by slower channels."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self.documents = 0
        self.ready = 0
        self.failed = 0
        self._pages: dict[str, int] = {}
        self._filled: dict[tuple[str, str], int] = {}
        self.started = time.monotonic()

    def __call__(self, event: Event) -> None:
        """Count an event; called from the threads that work."""
        with self._lock:
            self.documents += event.kind == "queued"
            self.ready += event.kind == "ready"
            self.failed += event.kind == "failed"
            if event.kind in ("pages", "ready"):
                self._pages[event.document_id] = event.done
            if event.kind == "filled":
                self._filled[event.document_id, event.channel] = event.done

    @property
    def pages(self) -> int:
        """Pages read so far."""
        with self._lock:
            return sum(self._pages.values())

    @property
    def filled(self) -> int:
        """Pages that slower channels took in so far."""
        with self._lock:
            return sum(self._filled.values())

    @property
    def seconds(self) -> float:
        """Since the start."""
        return time.monotonic() - self.started


@contextmanager
def watching(library: Library, quiet: bool) -> Iterator[Counter]:
    """Show what the library does until the block ends."""
    counter = Counter()
    library.listen(counter)
    with _stop_on_interrupt(library):
        if quiet or not sys.stderr.isatty():
            yield counter
            return
        done = threading.Event()
        painter = threading.Thread(target=_paint, args=(counter, library, done), daemon=True)
        painter.start()
        try:
            yield counter
        finally:
            done.set()
            painter.join()


def _paint(counter: Counter, library: Library, done: threading.Event) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading …") as status:
        while not done.wait(0.2):
            rate = counter.pages / counter.seconds if counter.seconds else 0.0
            parts = [f"{counter.ready + counter.failed} of {counter.documents} documents"]
            parts.append(f"{counter.pages} pages, {rate:.0f} pages/s")
            if counter.failed:
                parts.append(f"{counter.failed} failed")
            for name, coverage in library.channel_coverage().items():
                if coverage.done < coverage.total:
                    parts.append(f"{name} {coverage.share:.0%}")
            status.update(" · ".join(parts))


@contextmanager
def _stop_on_interrupt(library: Library) -> Iterator[None]:
    def on_signal(_number: int, _frame: FrameType | None) -> None:
        if library.pipeline.stopping:
            os._exit(INTERRUPTED)  # the children die with their pipe; what is durable stays
        print("\nfinishing the current pages (Ctrl-C again leaves at once) …", file=sys.stderr)
        library.stop()

    before = signal.signal(signal.SIGINT, on_signal)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
