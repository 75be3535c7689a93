"""What the HTTP application holds while it runs: the library, the answering model, and who waits for news of jobs."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
from collections.abc import Iterator

from anyio import CapacityLimiter

from api.answering import open_answer_model
from api.fetch import PUBLIC, Network
from api.pace import Pace
from folioscope.errors import FolioscopeError, VisionModelNeeded
from folioscope.ports import AnswerModel, VisionModel
from ingest import Event, Library

FETCHES = 4  # files fetched from URLs at a time: who sends slowly keeps a thread
READERS = 8  # of whole documents at a time; others wait
SEARCHERS = 4  # at a time, in the order they came: more would only take the interpreter from each other
RESUME_S = 15.0  # between two looks whether work stopped and can go on

log = logging.getLogger(__name__)


class Service:
    """``needs_key``: whether a request without a key is refused. ``secret``: opens everything, unless it is empty.
    ``network``: how URLs are fetched. ``readers``, ``searchers``: let so many read whole documents, or
    search.
    """

    def __init__(self, library: Library, *, needs_key: bool, secret: str = "", network: Network = PUBLIC) -> None:
        self.network = network
        self.hooks_network = Network(private=library.settings.webhooks_private)
        self.library = library
        self.needs_key = needs_key
        self.readers = CapacityLimiter(READERS)
        self.searchers = CapacityLimiter(SEARCHERS)
        self.secret = secret
        self.fetching = asyncio.Semaphore(FETCHES)
        self._model: AnswerModel | None = None
        self._opening = threading.Lock()
        self._waiting: set[asyncio.Event] = set()
        self._unstarted: FolioscopeError | None = None
        self.pace = Pace()
        self.leaving = False

    @property
    def fault(self) -> FolioscopeError | None:
        """Why the work in the background stands still."""
        return self.library.fault or self._unstarted

    def model(self) -> AnswerModel:
        """The answering model, opened at its first use. Raises `ModelUnavailable`."""
        with self._opening:
            if self._model is None:
                self._model = open_answer_model(self.library)
            return self._model

    def reading_model(self) -> VisionModel:
        """The vision-language model by which the answering model sees. Raises `VisionModelNeeded`, too."""
        from generation import Cached, Reader

        model = self.model()
        reader = model.reader if isinstance(model, Cached) else model
        if not isinstance(reader, Reader):
            raise VisionModelNeeded(f"This needs a vision-language model, and {model.name!r} is none.")
        return reader.model

    @contextlib.contextmanager
    def news(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something happened in the library."""
        woken = asyncio.Event()
        self._waiting.add(woken)
        try:
            yield woken
        finally:
            self._waiting.discard(woken)

    async def run(self, stopping: asyncio.Event) -> None:
        """Work in the background until ``stopping``, and take it up again where a back end had stopped it, or where a
        process that is gone has left it.
        """
        loop = asyncio.get_running_loop()

        def tell(_: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits
                loop.call_soon_threadsafe(self._wake)

        self.library.listen(tell)
        while not stopping.is_set():
            try:
                await asyncio.to_thread(self.library.tend)
                self._unstarted = None
            except FolioscopeError as error:
                self._unstarted = error
                log.warning("work in the background does not go on: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RESUME_S)

    def leave(self) -> None:
        """The server goes away: streams that only wait for news end, and their clients come back to another one."""
        self.leaving = True
        self._wake()

    def _wake(self) -> None:
        for woken in self._waiting:
            woken.set()
