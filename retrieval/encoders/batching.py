"""Keeping a device busy: work done ahead in threads, results in order, batches that shrink when memory runs out.

Knows nothing of pages and models.
"""

from __future__ import annotations

import queue
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Sequence
from concurrent.futures import Executor, Future
from itertools import islice
from typing import Protocol, Self, TypeVar

T = TypeVar("T")
R = TypeVar("R")


class Batch(Protocol):
    """Some items that are worked on together and can be taken apart."""

    def __len__(self) -> int: ...

    def halves(self) -> Sequence[Self]:
        """Two parts, in order; asked of two items or more."""
        ...


B = TypeVar("B", bound=Batch)


def ordered_map(pool: Executor, work: Callable[[T], R], items: Iterable[T], ahead: int) -> Generator[R, None, None]:
    """``work(item)`` for each item, in order, done by the pool up to ``ahead`` items before they are asked for.

    An exception of ``work`` or of ``items`` is raised at its place. Items are drawn by the caller's thread.
    """
    pending: deque[Future[R]] = deque()
    try:
        for item in items:
            pending.append(pool.submit(work, item))
            if len(pending) > ahead:
                yield pending.popleft().result()
        while pending:
            yield pending.popleft().result()
    finally:
        for future in pending:
            future.cancel()


def in_background(items: Generator[T, None, None], ahead: int) -> Generator[T, None, None]:
    """The same items in order, drawn by a thread of their own up to ``ahead`` before they are asked for.

    Closing this closes ``items`` and ends the thread; an exception of ``items`` is raised at its place.
    """
    ready: queue.Queue[tuple[T | None, BaseException | None, bool]] = queue.Queue(ahead)
    stop = threading.Event()

    def put(entry: tuple[T | None, BaseException | None, bool]) -> bool:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=0.1)
            except queue.Full:
                continue
            return True
        return False

    def draw() -> None:
        try:
            for item in items:
                if not put((item, None, False)):
                    break
            else:
                put((None, None, True))
        except BaseException as error:  # noqa: BLE001 - handed to who asks for the items
            put((None, error, True))
        finally:
            items.close()

    thread = threading.Thread(target=draw, name="forward", daemon=True)
    thread.start()
    try:
        while True:
            item, error, done = ready.get()
            if error is not None:
                raise error
            if done:
                return
            yield item  # type: ignore[misc]
    finally:
        stop.set()
        thread.join()


class Batching:
    """Groups items into batches of at most ``size``; work on one that does not fit is halved, and it stays so."""

    def __init__(self, size: int, out_of_memory: Callable[[BaseException], bool], release: Callable[[], None]) -> None:
        self.size = size
        self._out_of_memory = out_of_memory
        self._release = release

    def group(self, items: Iterable[T]) -> Generator[list[T], None, None]:
        """Consecutive items, as many as ``size`` is when each group is begun."""
        rest = iter(items)
        while batch := list(islice(rest, self.size)):
            yield batch

    def run(self, work: Callable[[B], Sequence[R]], batch: B) -> Generator[R, None, None]:
        """The results of ``work`` for a batch, in order; for its halves where memory runs out."""
        try:
            results = work(batch)
        except Exception as error:
            if len(batch) == 1 or not self._out_of_memory(error):
                raise
            results = None  # leaving the handler drops the traceback, and with it the tensors it holds
        if results is not None:
            yield from results
            return
        self._release()
        self.size = min(self.size, len(batch) // 2)
        for half in batch.halves():
            yield from self.run(work, half)
