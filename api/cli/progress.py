"""Work that a command waits for: progress on stderr (a line that moves in a terminal, nothing elsewhere) and Ctrl-C.

The first Ctrl-C lets the current pages finish and says how to go on; the second leaves at once, also while the data
folder is being closed.
"""

from __future__ import annotations

import os
import signal
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

import typer

from api.cli.exits import INTERRUPTED
from api.cli.output import say
from api.cli.places import Place, open_place

if TYPE_CHECKING:
    from ingest import Event


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


class Work:
    """A place that works for a command. ``stopped``: Ctrl-C was pressed."""

    def __init__(self, place: Place) -> None:
        self.place = place
        self.counter = Counter()
        self.stopped = False
        place.listen(self._on_event)

    def _on_event(self, event: Event) -> None:
        self.counter(event)
        if self.stopped:  # one that was just about to start its jobs forgets that it was stopped
            self.place.stop()

    def on_interrupt(self, _number: int, _frame: FrameType | None) -> None:
        """The signal's handler; it writes past Python's buffers, which the interrupted code may be in the middle of."""
        if self.stopped:
            if sys.stderr.isatty():
                os.write(2, b"\x1b[?25h\n")  # the moving line hides the cursor
            os._exit(INTERRUPTED)  # the children die with this process; what is durable stays
        self.stopped = True
        os.write(2, "\nfinishing the current pages (Ctrl-C again leaves at once) …\n".encode())
        self.place.stop()

    @contextmanager
    def shown(self, quiet: bool) -> Iterator[None]:
        """Show how it comes along until the block ends."""
        if quiet or not sys.stderr.isatty():
            yield
            return
        done = threading.Event()
        painter = threading.Thread(target=_paint, args=(self.counter, self.place, done), daemon=True)
        painter.start()
        try:
            yield
        finally:
            done.set()
            painter.join()


@contextmanager
def working(
    data_dir: Path | None, *, go_on: str = "the same command", quiet: bool = False, **flags: object
) -> Iterator[Work]:
    """Open the place and close it; a command that was stopped ends here, with what to do to ``go_on``."""
    place = open_place(data_dir, quiet=quiet, **flags)
    work = Work(place)
    before = signal.signal(signal.SIGINT, work.on_interrupt)
    try:
        with place:
            yield work
    finally:
        if not work.stopped:
            signal.signal(signal.SIGINT, before)
    if work.stopped:
        say(f"stopped; {place.left(go_on)}")
        raise typer.Exit(INTERRUPTED)


def _paint(counter: Counter, place: Place, done: threading.Event) -> None:
    from rich.console import Console

    console = Console(stderr=True)
    with console.status("reading …") as status:
        while not done.wait(0.2):
            rate = counter.pages / counter.seconds if counter.seconds else 0.0
            parts = []
            if counter.documents:
                parts.append(f"{counter.ready + counter.failed} of {counter.documents} documents")
            if counter.pages:
                parts.append(f"{counter.pages} pages, {rate:.0f} pages/s")
            if counter.failed:
                parts.append(f"{counter.failed} failed")
            for name, coverage in place.channel_coverage().items():
                if coverage.done < coverage.total:
                    parts.append(f"{name} {coverage.share:.0%}")
            status.update(" · ".join(parts) or "reading …")
