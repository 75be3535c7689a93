"""The channels of a data folder's collections, opened: their encoders, their indexes, what can't be used and why."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from folioscope.errors import ChannelUnavailable
from folioscope.ports import Encoder, TextEncoder
from folioscope.settings import Settings
from ingest.catalog import Catalog, ChannelRecipe, Collection
from retrieval import Channel, open_encoder, open_index


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
        model = {"semantic": self._settings.semantic_model}.get(name, "auto")
        return name if model == "auto" else f"{name}:{model}"

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

    def _open(self, collection_id: str, recipe: ChannelRecipe) -> Channel | None:
        try:
            encoder = self._encoder(recipe.encoder)
            index = open_index(self._folder / collection_id / recipe.key, encoder.fingerprint)
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
        except ChannelUnavailable as error:
            self.unavailable["semantic"] = str(error)
            return None
        return encoder if isinstance(encoder, SemanticEncoder) else None

    def reopen(self, collection_id: str) -> None:
        """Its channels have changed: open them anew when they are next asked for."""
        with self._guard:
            for channel in self._opened.pop(collection_id, {}).values():
                channel.close()

    def erase(self, collection_id: str, keys: Sequence[str] | None = None) -> None:
        """Delete the indexes of some channels, or of all."""
        with self._guard:
            self.reopen(collection_id)
            for path in [self._folder / collection_id / key for key in keys or [""]]:
                shutil.rmtree(path, ignore_errors=True)

    def close(self) -> None:
        """Close every index."""
        for collection_id in list(self._opened):
            self.reopen(collection_id)
