"""What works in the background of an opened library: jobs, started at first use and again when they had to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING

from folioscope.errors import FolioscopeError
from ingest.catalog import Catalog
from ingest.channels import NAMES, Channels
from ingest.pipeline import Event, Pipeline

if TYPE_CHECKING:
    from ingest.jobs import Jobs

RETRY_SECONDS = 60.0  # until a channel that could not be used is tried again; doubled while it can't
RETRY_MOST_SECONDS = 3600.0


class Work:
    """``url``: SQLAlchemy URL of DBOS's tables. ``readers``: documents read at a time; 0: what comes is only enqueued,
    for other processes. ``tidy``: called before jobs start.
    """

    def __init__(
        self,
        pipeline: Pipeline,
        catalog: Catalog,
        channels: Channels,
        *,
        url: str,
        readers: int,
        tidy: Callable[[], None],
    ) -> None:
        self._pipeline = pipeline
        self._catalog = catalog
        self._channels = channels
        self._url = url
        self.readers = readers
        self._tidy = tidy
        self._jobs: Jobs | None = None
        self._starting = threading.RLock()  # jobs are started and stopped by one thread at a time
        self._retry_pause = RETRY_SECONDS
        self._retry_due = time.monotonic() + RETRY_SECONDS

    @property
    def running(self) -> Jobs | None:
        """The jobs, where they were started."""
        return self._jobs

    @property
    def fault(self) -> FolioscopeError | None:
        """What stopped the work."""
        return None if self._jobs is None else self._jobs.fault

    def started(self) -> Jobs:
        """The jobs, started where they are not, and again where they had stopped. Raises `StorageError`."""
        with self._starting:
            if self._pipeline.stopping:
                self._leave_off()  # what was left off is taken up again by a fresh start
            if self._jobs is None:
                self._tidy()
                from ingest.jobs import Jobs

                jobs = Jobs(self._pipeline, self._catalog, self._url, self.readers, self._fills())
                jobs.start()
                self._jobs = jobs
            return self._jobs

    def tend(self) -> None:
        """To be called now and then by a process that lives long: take up what stopped, what processes that are gone
        have left, and channels that could not be used. Raises `StorageError`.
        """
        self._channels.follow()
        if time.monotonic() >= self._retry_due:
            self._retry()
        jobs = self._jobs
        if jobs is not None and self.readers and jobs.fills != self._fills() and jobs.idle:
            self.leave_off()  # it listens for other channels than it can fill
        self.started().reconcile()

    def _retry(self) -> None:
        unusable = self._channels.retry_all()
        self._retry_pause = min(2 * self._retry_pause, RETRY_MOST_SECONDS) if unusable else RETRY_SECONDS
        self._retry_due = time.monotonic() + self._retry_pause

    def _fills(self) -> frozenset[str]:
        """Names of the channels that can be filled here; others are left to the processes that can."""
        if not self._catalog.database.shared:
            return frozenset(NAMES)
        unusable = set()
        for collection in self._catalog.collections():
            with suppress(FolioscopeError):  # told by whoever needs it
                self._channels.of(collection.id)
            problems = self._channels.all_problems(collection)
            unusable |= {entry.name for entry in collection.channels if entry.key in problems}
        return frozenset(NAMES) - unusable

    def on_event(self, event: Event) -> None:
        """Tell the jobs, where they run."""
        if self._jobs is not None:
            self._jobs.on_event(event)

    @contextmanager
    def at_rest(self) -> Iterator[None]:
        """No job reads or writes meanwhile: none says that pages are in an index that was just erased."""
        with self._starting:  # who hands something in meanwhile waits
            working = self._jobs is not None
            self._leave_off()
            try:
                yield
            finally:
                if working:
                    self.started()

    def leave_off(self) -> None:
        """Stop after the current pages; what is outstanding stays so."""
        with self._starting:
            self._leave_off()

    def _leave_off(self) -> None:
        if self._jobs is not None:
            self._jobs.stop()
            self._jobs = None
