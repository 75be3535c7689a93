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
from folioscope.errors import FolioscopeError, VisionModelNeeded
from folioscope.ports import AnswerModel, VisionModel
from ingest import Event, Library

FETCHES = 4  # files fetched from URLs at a time: who sends slowly keeps a thread
READERS = 8  # of whole documents at a time; others wait
RESUME_S = 15.0  # between two looks whether work stopped and can go on

log = logging.getLogger(__name__)


class Service:
    """``needs_key``: whether a request without a key is refused. ``network``: how URLs are fetched. ``readers``: lets
    so many read whole documents.
    """

    def __init__(self, library: Library, *, needs_key: bool, network: Network = PUBLIC) -> None:
        self.network = network
        self.hooks_network = Network(private=library.settings.webhooks_private)
        self.library = library
        self.needs_key = needs_key
        self.readers = CapacityLimiter(READERS)
        self.fetching = asyncio.Semaphore(FETCHES)
        self._model: AnswerModel | None = None
        self._opening = threading.Lock()
        self._waiting: set[asyncio.Event] = set()

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
        """Work in the background until ``stopping``, and take it up again where a back end had stopped it."""
        loop = asyncio.get_running_loop()

        def tell(_: Event) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has ended, nobody waits
                loop.call_soon_threadsafe(self._wake)

        self.library.listen(tell)
        while not stopping.is_set():
            try:
                await asyncio.to_thread(self.library.start)
            except FolioscopeError as error:
                log.warning("work in the background does not go on: %s", error)
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(stopping.wait(), RESUME_S)

    def _wake(self) -> None:
        for woken in self._waiting:
            woken.set()
