"""The channels of a data folder's collections, opened: their encoders, their indexes, what can't be used and why."""

from __future__ import annotations

import logging
import shutil
import threading
from collections.abc import Mapping
from pathlib import Path

from folioscope.errors import ChannelUnavailable
from folioscope.ports import Encoder, TextEncoder
from folioscope.settings import Settings
from ingest.catalog import Catalog, ChannelEntry, Collection
from retrieval import Channel, open_encoder, open_index

log = logging.getLogger(__name__)


class Channels:
    """``folder``: where the indexes lie, one folder for each collection and in it one for each channel's key."""

    def __init__(self, folder: Path, catalog: Catalog, settings: Settings) -> None:
        self._folder = folder
        self._catalog = catalog
        self._settings = settings
        self._opened: dict[str, dict[str, Channel]] = {}
        self._encoders: dict[str, Encoder] = {}
        self._guard = threading.RLock()
        self.unavailable: dict[str, str] = {}
        """Channels that a collection wants and that can't be used here, by name, with the reason and the cure."""

    def default_encoder(self, name: str) -> str:
        """What `open_encoder` is given for a new channel of this name."""
        return f"semantic:{self._settings.semantic_model}" if name == "semantic" else name

    def of(self, collection_id: str) -> Mapping[str, Channel]:
        """By key, those that can be used here. Raises `FingerprintMismatch`, `StorageError`."""
        with self._guard:
            if collection_id not in self._opened:
                collection = self._catalog.collection_by_id(collection_id)
                self._opened[collection_id] = {
                    recipe.key: channel
                    for recipe in collection.channels
                    if (channel := self._open(collection_id, recipe)) is not None
                }
            return self._opened[collection_id]

    def _open(self, collection_id: str, recipe: ChannelEntry) -> Channel | None:
        try:
            encoder = self._encoder(recipe.encoder)
            folder = self._folder / collection_id / recipe.key
            if not folder.exists() and self._catalog.fills.any(collection_id, recipe.key):
                log.warning("the index %s is gone; it fills anew", folder)
                self._catalog.fills.reset(collection_id, recipe.key)
            index = open_index(folder, encoder.fingerprint)
            return Channel(recipe.name, encoder, index)
        except ChannelUnavailable as error:
            self.unavailable[recipe.name] = str(error)
            return None

    def _encoder(self, spec: str) -> Encoder:
        if spec not in self._encoders:
            self._encoders[spec] = open_encoder(spec)
        return self._encoders[spec]

    def searchable(self, collection: Collection) -> dict[str, Channel]:
        """By name, those that are searched."""
        opened = self.of(collection.id)
        return {r.name: opened[r.key] for r in collection.channels if r.active and r.key in opened}

    def immediate(self, collection: Collection) -> list[Channel]:
        """Those that are written while a document is read."""
        opened = self.of(collection.id)
        return [opened[r.key] for r in collection.channels if r.immediate and r.key in opened]

    def text_encoder(self) -> TextEncoder | None:
        """The semantic channel's encoder, to compare sentences with; None where it can't be used."""
        from retrieval.encoders.semantic import SemanticEncoder

        try:
            encoder = self._encoder(self.default_encoder("semantic"))
        except ChannelUnavailable:
            return None
        return encoder if isinstance(encoder, SemanticEncoder) else None

    def close_collection(self, collection_id: str) -> None:
        """Close its indexes; they are opened anew when they are next asked for."""
        with self._guard:
            for channel in self._opened.pop(collection_id, {}).values():
                channel.close()

    def erase_collection(self, collection_id: str) -> None:
        """Delete its indexes."""
        with self._guard:
            self.close_collection(collection_id)
            shutil.rmtree(self._folder / collection_id, ignore_errors=True)

    def close(self) -> None:
        """Close every index."""
        for collection_id in list(self._opened):
            self.close_collection(collection_id)
