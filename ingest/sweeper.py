"""What deleted documents and superseded versions leave is removed: vectors, rows, page images, originals."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext

from folioscope.errors import ChannelUnavailable, FolioscopeError, StorageError
from ingest.catalog import Catalog
from ingest.channels import Channels
from ingest.files import Files
from ingest.pipeline import Pipeline

AWAY_SECONDS = 10.0  # until vectors that could not be reached are tried again

log = logging.getLogger(__name__)


class Sweeper:
    """Any thread may call, and processes on one catalog side by side."""

    def __init__(self, catalog: Catalog, channels: Channels, files: Files, pipeline: Pipeline) -> None:
        self._catalog = catalog
        self._channels = channels
        self._files = files
        self._pipeline = pipeline
        self._waiting: dict[tuple[str, int | None], set[str]] = {}  # channels not open when it was removed from others
        self._away: dict[str, float] = {}  # collections whose vectors can't be reached: when it is tried again

    def sweep(self) -> None:
        """Remove what deleted documents and superseded versions left; also after a kill in its middle.

        Vectors in an index that can't be opened wait until it can: nothing finds them. While a server of vectors is
        away, what is left in it is not tried each time: who deletes or reads documents would wait for it.
        """
        for collection_id, document, version in self._catalog.stale():
            if time.monotonic() < self._away.get(collection_id, 0.0):
                continue
            try:
                opened = self._channels.of(collection_id)
                closed = {entry.key for entry in self._catalog.collection_by_id(collection_id).channels} - opened.keys()
                if closed and self._waiting.get((document, version)) == closed:
                    continue
                with self._pipeline.exclusive(document):
                    for channel in opened.values():
                        channel.delete(document, version)
                        channel.flush()
                    for sha256 in self._catalog.purge(document, version, forget=not closed):
                        with self._unwanted(sha256) as yes:
                            if yes:
                                self._files.remove(sha256)
                if closed:
                    self._waiting[document, version] = closed
                else:
                    self._waiting.pop((document, version), None)
            except FolioscopeError as error:
                if isinstance(error, ChannelUnavailable):
                    self._away[collection_id] = time.monotonic() + AWAY_SECONDS
                log.warning("%s could not be removed wholly: %s", document, error)

    def tidy(self) -> None:
        """Remove files that nothing refers to."""
        known = self._catalog.originals()
        try:
            self._files.tidy(lambda sha256: nullcontext(False) if sha256 in known else self._unwanted(sha256))
        except StorageError as error:
            log.warning("what nothing refers to could not be removed: %s", error)  # work goes on, or says so itself

    @contextmanager
    def _unwanted(self, sha256: str) -> Iterator[bool]:
        """Whether nothing refers to an original. Nobody stores or removes it meanwhile, on other hosts neither."""
        with self._catalog.database.lock(sha256):
            yield not self._catalog.refers(sha256)
