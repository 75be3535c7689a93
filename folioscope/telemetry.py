"""What the rooms tell whoever measures: names, counts and seconds, never a word of a document or a question.

Nobody listens unless `listen` was called; then `tell` costs what the listeners cost, in the thread that tells.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Searched:
    """One search. ``timings``: milliseconds for each channel and each other stage, as in `SearchResult.timings`."""

    timings: Mapping[str, float]
    channels: tuple[str, ...]
    hits: int


@dataclass(frozen=True, slots=True)
class Answered:
    """One answer of a model. ``status``: the answer's, or ``failed`` with the ``error``'s code. ``seconds``: from the
    model's start to its end, ``first_s``: to its first text, None where it said nothing. ``quotes``: how many of each
    status. ``usage``: tokens, where the model counts them.
    """

    model: str
    status: str
    seconds: float
    first_s: float | None = None
    error: str = ""
    quotes: Mapping[str, int] = field(default_factory=dict)
    usage: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Worked:
    """A phase of taking pages in: ``text`` (waiting for what a child process reads, OCR included), ``render`` (for a
    page's image), ``encode``, ``index``. ``channel``: whose; empty for the first two.
    """

    phase: str
    seconds: float
    pages: int
    channel: str = ""


Told = Searched | Answered | Worked
Listener = Callable[[Told], None]
_listeners: tuple[Listener, ...] = ()


@contextmanager
def listen(listener: Listener) -> Iterator[None]:
    """Call ``listener`` with whatever is told meanwhile, in any thread."""
    global _listeners
    _listeners = (*_listeners, listener)
    try:
        yield
    finally:
        _listeners = tuple(each for each in _listeners if each is not listener)


@contextmanager
def working(phase: str, pages: int, channel: str = "") -> Iterator[None]:
    """Tell how long this took, where it did not fail."""
    started = time.perf_counter()
    yield
    tell(Worked(phase, time.perf_counter() - started, pages, channel))


def tell(what: Told) -> None:
    """To everyone who listens."""
    for listener in _listeners:
        listener(what)
