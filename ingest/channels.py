"""The channels of a data folder's collections, opened: their encoders, their indexes, what can't be used and why."""

from __future__ import annotations

import logging
import secrets
import shutil
import threading
import weakref
from collections.abc import Iterable, Mapping
from contextlib import nullcontext, suppress
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, get_args

from folioscope.domain import Coverage, Fingerprint
from folioscope.errors import ChannelUnavailable, CollectionNotFound, ConfigError, FolioscopeError
from folioscope.ports import Encoder, PageIndex, TextEncoder
from folioscope.settings import ChannelName, Settings
from ingest.catalog import Catalog, Collection
from ingest.recipes import ChannelEntry
from retrieval import Channel, erase_index, index_exists, open_encoder, open_index, reads_images
from retrieval.encoders import channel_of, settled

log = logging.getLogger(__name__)

NAMES: tuple[str, ...] = get_args(ChannelName)


@dataclass(frozen=True, slots=True)
class ChannelStatus:
    """How a channel of a collection stands.

    ``entry``: key, name, encoder, whether it is searched. ``bytes``: of its index on disk. ``problem``: why it can't
    be used here, else empty; ``fingerprint`` is None then.
    """

    entry: ChannelEntry
    fingerprint: Fingerprint | None
    coverage: Coverage
    bytes: int
    problem: str


class Channels:
    """``folder``: where the indexes lie, one folder for each collection and in it one for each channel's key."""

    def __init__(self, folder: Path, catalog: Catalog, settings: Settings) -> None:
        self._folder = folder
        self._catalog = catalog
        self._settings = settings
        # By collection, then by key; the inner ones are replaced, never changed: readers hold them.
        self._opened: dict[str, dict[str, Channel]] = {}
        self._retired: dict[tuple[str, str], weakref.finalize[..., Channel]] = {}
        self._encoders: dict[str, Encoder] = {}
        self._problems: dict[tuple[str, str], str] = {}  # (collection, key) -> the reason and the cure
        self._searched: dict[str, tuple[object, Mapping[str, Channel], dict[str, Channel]]] = {}
        self._guard = threading.RLock()

    def encoder_for(self, name: str, encoder: str | None = None) -> str:
        """What `open_encoder` is given for a new channel of this name: ``encoder``, else what the settings say.

        Raises `ConfigError` for an unknown name and for an encoder of another channel.
        """
        if name not in NAMES:
            raise ConfigError(f"There is no channel {name!r}.", hint=f"There are: {', '.join(NAMES)}.")
        chosen = {
            "semantic": f"semantic:{self._settings.semantic_model}",
            "visual": self._settings.visual_model,
            "image": self._settings.image_model,
        }
        spec = settled(encoder or chosen.get(name, name))
        if (other := channel_of(spec)) != name:
            raise ConfigError(
                f"{spec} is an encoder of the {other} channel, not of the {name} one.",
                hint="`folioscope models ls` shows which model is for which channel.",
            )
        return spec

    # --- opening ----------------------------------------------------------------------------------------------------

    def of(self, collection_id: str) -> Mapping[str, Channel]:
        """By key, those that can be used here. Raises `FingerprintMismatch`, `StorageError`."""
        with self._guard:
            if collection_id not in self._opened:
                collection = self._catalog.collection_by_id(collection_id)
                self._opened[collection_id] = {
                    entry.key: channel
                    for entry in collection.channels
                    if (channel := self._open(collection_id, entry)) is not None
                }
            return self._opened[collection_id]

    def follow(self) -> None:
        """Open what other processes have added to collections that are open here, let go of what they have removed."""
        if not self._catalog.database.shared:
            return
        with self._guard:
            there = {collection.id: collection for collection in self._catalog.collections()}
            for collection_id, opened in list(self._opened.items()):
                entries = (
                    {entry.key: entry for entry in there[collection_id].channels} if collection_id in there else {}
                )
                for gone in [one for one in self._problems if one[0] == collection_id and one[1] not in entries]:
                    del self._problems[gone]
                if opened.keys() - entries.keys():  # whoever removed them erases their indexes
                    kept = {key: channel for key, channel in opened.items() if key in entries}
                    self._opened[collection_id] = kept
                for key in entries.keys() - opened.keys():
                    if (collection_id, key) not in self._problems:
                        self.join(collection_id, entries[key])
                if collection_id not in there:
                    del self._opened[collection_id]

    def join(self, collection_id: str, entry: ChannelEntry) -> None:
        """Open a channel that was added, beside those that are open."""
        with self._guard:
            opened = self.of(collection_id)
            if entry.key not in opened and (channel := self._open(collection_id, entry)) is not None:
                self._opened[collection_id] = {**opened, entry.key: channel}

    def _open(self, collection_id: str, entry: ChannelEntry) -> Channel | None:
        try:
            encoder = self._encoder(entry.encoder)
            index = self._index(collection_id, entry, encoder.fingerprint)
            self._problems.pop((collection_id, entry.key), None)
            return Channel(entry.name, encoder, index)
        except (ChannelUnavailable, ConfigError) as error:  # a model's folder that was moved stops no other channel
            self._problems[collection_id, entry.key] = str(error)
            return None

    def _index(self, collection_id: str, entry: ChannelEntry, fingerprint: Fingerprint) -> PageIndex:
        folder = self._folder / collection_id / entry.key
        database = self._catalog.database
        # Sparse vectors of a catalog with one process stay here: while the server is away, the lexical channel answers
        # and takes documents in.
        server = None if fingerprint.kind == "sparse" and not database.shared else self._server
        home = "folder" if server is None else "server"
        with database.lock(f"{collection_id}/{entry.key}") if database.shared else nullcontext():
            known = self._catalog.recipes.home(collection_id, entry.key) if database.shared else None
            current = None if known is None else known == home
            if not index_exists(folder, server, current) and self._catalog.fills.any(collection_id, entry.key):
                log.warning("the index %s is gone; it fills anew", folder)
                self._catalog.fills.reset(collection_id, entry.key, immediate=entry.immediate)
            index = open_index(
                folder,
                fingerprint,
                pooled=fingerprint.kind == "multi" and reads_images(entry.encoder),
                vectors=self._settings.vectors,
                datatype=self._settings.vector_type,
                server=server,
                current=current,
            )
            if database.shared and known != home:
                self._catalog.recipes.settle(collection_id, entry.key, home)
        return index

    @cached_property
    def _server(self) -> Any:
        """A client for the Qdrant server of the settings; None where there is none."""
        if not self._settings.qdrant_url:
            return None
        from retrieval.indexes.server import connect

        return connect(self._settings.qdrant_url, self._settings.qdrant_api_key.get_secret_value())

    def _encoder(self, spec: str) -> Encoder:
        if spec not in self._encoders:
            self._encoders[spec] = open_encoder(spec, trust_remote_code=self._settings.trust_remote_code)
        return self._encoders[spec]

    def proven(self, spec: str) -> Encoder:
        """The encoder, after it has encoded a word: its weights are there and load.

        Raises `ConfigError`, `ChannelUnavailable`.
        """
        encoder = self._encoder(spec)
        encoder.encode_query("page")
        return encoder

    def text_encoder(self) -> TextEncoder | None:
        """The semantic channel's encoder, to compare sentences with; None where it can't be used."""
        from retrieval.encoders.semantic import SemanticEncoder

        try:
            encoder = self._encoder(self.encoder_for("semantic"))
        except ChannelUnavailable:
            return None
        return encoder if isinstance(encoder, SemanticEncoder) else None

    # --- what can't be used -----------------------------------------------------------------------------------------

    def give_up(self, collection_id: str, key: str, reason: str) -> None:
        """The channel's encoder failed while it filled: it takes in nothing more until `retry`."""
        self._problems[collection_id, key] = reason

    def retry_all(self) -> bool:
        """Try again what could not be used, in any collection that is open here; whether some still can't be."""
        for collection_id in {collection_id for collection_id, _ in list(self._problems)}:
            with suppress(CollectionNotFound):
                self.retry(collection_id)
        return bool(self._problems)

    def retry(self, collection_id: str) -> None:
        """Try again what could not be used."""
        with self._guard:
            entries = self._catalog.collection_by_id(collection_id).channels
            for entry in entries:
                if self._problems.pop((collection_id, entry.key), None) is not None:
                    self.join(collection_id, entry)

    def fills(self, collection_id: str, key: str) -> bool:
        """Whether the channel can take pages in here."""
        return key in self.of(collection_id) and (collection_id, key) not in self._problems

    def all_problems(self, collection: Collection) -> dict[str, str]:
        """As `problems`, by key, those that are not searched included."""
        found = {entry.key: self._problems.get((collection.id, entry.key)) for entry in collection.channels}
        return {key: problem for key, problem in found.items() if problem}

    def problems(self, collection: Collection) -> dict[str, str]:
        """Why channels that should be searched can't be used here, by name, with the cure."""
        return {
            entry.name: problem
            for entry in collection.channels
            if entry.active and (problem := self._problems.get((collection.id, entry.key)))
        }

    # --- searching --------------------------------------------------------------------------------------------------

    def searchable(self, collection_id: str) -> dict[str, Channel]:
        """By name, those that are searched now. Hold it for one search: who holds a channel keeps its index alive."""
        opened = self.of(collection_id)  # before the rows: whatever they call active has been opened by then
        state = self._catalog.database.state()
        seen = self._searched.get(collection_id)
        if seen is None or seen[0] != state or seen[1] is not opened:
            self.follow()
            opened = self.of(collection_id)
            entries = self._catalog.collection_by_id(collection_id).channels
            named = {entry.name: opened[entry.key] for entry in entries if entry.active and entry.key in opened}
            seen = self._searched[collection_id] = (state, opened, named)
        return seen[2]

    def immediate(self, collection: Collection) -> list[Channel]:
        """Those that are written while a document is read; a document is not ready without them.

        Raises `ChannelUnavailable` where one can't be used now.
        """
        wanted = [entry for entry in collection.channels if entry.immediate]
        for attempt in (self.follow, lambda: self.retry(collection.id), lambda: None):
            opened = self.of(collection.id)
            if all(entry.key in opened for entry in wanted):
                return [opened[entry.key] for entry in wanted]
            attempt()
        problems = [self._problems.get((collection.id, entry.key), "") for entry in wanted]
        raise ChannelUnavailable(" ".join(filter(None, problems)) or f"{collection.name!r} has lost a channel.")

    # --- going ------------------------------------------------------------------------------------------------------

    def free_key(self, collection: Collection, name: str) -> str:
        """A key for a new channel: its name, else name-2, name-3 …; never one whose index still lies or works.

        Where other processes may still work with an index that was removed, a key is never used again.
        """
        if self._catalog.database.shared:
            return f"{name}-{secrets.token_hex(4)}"
        taken = {entry.key for entry in collection.channels}
        number = 1
        while True:
            key = name if number == 1 else f"{name}-{number}"
            gone = self._retired.get((collection.id, key))
            if key not in taken and not (gone and gone.alive) and not (self._folder / collection.id / key).exists():
                return key
            number += 1

    def retire(self, collection_id: str, keys: Iterable[str]) -> None:
        """Forget channels; their indexes are closed and erased when the last search or fill has let go of them."""
        with self._guard:
            opened = dict(self._opened.get(collection_id, {}))
            for key in keys:
                folder = self._folder / collection_id / key
                self._problems.pop((collection_id, key), None)
                if key not in opened:
                    self._erase(folder)
                    continue
                channel = opened.pop(key)
                last = weakref.finalize(channel, self._close_and_erase, channel.index, folder)
                last.atexit = False  # another process may have the folder open by then
                self._retired[collection_id, key] = last
            if collection_id in self._opened:
                self._opened[collection_id] = opened
            self._searched.pop(collection_id, None)

    def tidy(self) -> None:
        """Erase indexes of channels that are no more: a kill came between the catalog and the disk."""
        for collection in self._catalog.collections():
            keys = {entry.key for entry in collection.channels}
            folder = self._folder / collection.id
            for stray in [path for path in folder.glob("*") if path.name not in keys]:
                log.warning("%s belongs to no channel and is erased", stray)
                self._erase(stray)

    def status(self, collection: Collection) -> list[ChannelStatus]:
        """Each channel of the collection, those that are being built included."""
        damaged = ""
        try:
            self.of(collection.id)
        except FolioscopeError as error:
            damaged = str(error)
        opened = self._opened.get(collection.id, {})
        coverage = self._catalog.fills.by_key(collection.id)
        return [
            ChannelStatus(
                entry,
                opened[entry.key].encoder.fingerprint if entry.key in opened else None,
                coverage.get(entry.key, Coverage(0, 0)),
                _bytes(self._folder / collection.id / entry.key),
                self._problems.get((collection.id, entry.key), damaged),
            )
            for entry in collection.channels
        ]

    def close_collection(self, collection_id: str) -> None:
        """Close its indexes; they are opened anew when they are next asked for."""
        with self._guard:
            self._searched.pop(collection_id, None)
            for channel in self._opened.pop(collection_id, {}).values():
                channel.close()

    def erase_collection(self, collection_id: str) -> None:
        """Delete its indexes, those that only other processes have opened, too."""
        folder = self._folder / collection_id
        with self._guard:
            self.close_collection(collection_id)
            keys = {path.name for path in folder.glob("*")}
            with suppress(CollectionNotFound):
                keys |= {entry.key for entry in self._catalog.collection_by_id(collection_id).channels}
            for key in keys:
                erase_index(folder / key, self._server)
            shutil.rmtree(folder, ignore_errors=True)

    def close(self) -> None:
        """Close every index, erase those that were waiting for it."""
        for collection_id in list(self._opened):
            self.close_collection(collection_id)
        for last in self._retired.values():
            last()  # nothing where it has happened already
        if self.__dict__.get("_server") is not None:
            self._server.close()

    def _close_and_erase(self, index: PageIndex, folder: Path) -> None:
        try:
            index.close()
        except FolioscopeError as error:
            log.warning("%s", error)
        self._erase(folder)

    def _erase(self, folder: Path) -> None:
        """Erase an index; what can't be erased now is found by `tidy` when the library is opened again."""
        try:
            erase_index(folder, self._server)
        except FolioscopeError as error:
            log.warning("%s could not be erased: %s", folder, error)


def _bytes(folder: Path) -> int:
    """Space taken on disk; less than the files' lengths where these have holes, as write-ahead logs do."""
    return sum(path.stat().st_blocks * 512 for path in folder.rglob("*") if path.is_file())
