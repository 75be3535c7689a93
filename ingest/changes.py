"""Channels that join a collection that is there, switch their encoder and leave."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from folioscope.domain import Fingerprint
from folioscope.errors import ConfigError, NotFoundError
from ingest.catalog import Catalog, Collection
from ingest.channels import Channels
from ingest.recipes import ChannelEntry


class ChannelChanges:
    """Writes each change into the catalog, then has `Channels` follow. One thread at a time changes channels."""

    def __init__(self, catalog: Catalog, channels: Channels) -> None:
        self._catalog = catalog
        self._channels = channels
        self._guard = threading.RLock()

    def add(self, collection_id: str, name: str, encoder: str | None = None) -> ChannelEntry:
        """See `Library.add_channel`."""
        spec = self._channels.encoder_for(name, encoder)
        fingerprint = self._channels.proven(spec).fingerprint
        with self._guard:
            target = self._catalog.collection_by_id(collection_id)
            same = [entry for entry in target.channels if entry.name == name]
            self._check_switch(target, same, spec, fingerprint)
            entry = ChannelEntry(self._channels.free_key(target, name), name, spec, active=not same)
            self._catalog.recipes.add(target.id, entry)
            self._channels.join(target.id, entry)
        self.switch()  # at once where there is no page to take in
        return entry

    def _check_switch(
        self, target: Collection, same: Sequence[ChannelEntry], spec: str, fingerprint: Fingerprint
    ) -> None:
        opened = self._channels.of(target.id)
        for entry in same:
            if entry.encoder == spec or (entry.key in opened and opened[entry.key].encoder.fingerprint == fingerprint):
                raise ConfigError(
                    f"The collection {target.name!r} has the {entry.name} channel with {entry.encoder} already.",
                    hint="`folioscope channels status` shows how far it is.",
                )
        for entry in same:
            if not entry.active:
                raise ConfigError(
                    f"The {entry.name} channel of {target.name!r} is being switched to {entry.encoder} already.",
                    hint=f"Wait for it, or cancel it with `folioscope channels rm {entry.key}`.",
                )

    def remove(self, collection_id: str, name: str) -> list[ChannelEntry]:
        """See `Library.remove_channel`."""
        with self._guard:
            target = self._catalog.collection_by_id(collection_id)
            going = named_entries(target, name)
            if not any(entry.active for entry in target.channels if entry not in going):
                raise ConfigError(
                    f"{name} is the last channel of the collection {target.name!r}.", hint="Add another one first."
                )
            keys = [entry.key for entry in going]
            self._catalog.recipes.remove(target.id, keys)
            self._channels.retire(target.id, keys)
        return going

    def switch(self) -> None:
        """Search what has every page now in place of what it was built to replace."""
        with self._guard:
            for collection in self._catalog.collections():
                for entry in collection.channels:
                    if entry.active or entry.key not in self._channels.of(collection.id):
                        continue
                    replaced = self._catalog.recipes.activate(collection.id, entry)
                    if replaced is not None:
                        self._channels.retire(collection.id, replaced)


def named_entries(target: Collection, name: str) -> list[ChannelEntry]:
    """The channel that is being built with that key; else all of that channel. Raises `NotFoundError`."""
    named = [entry for entry in target.channels if name in (entry.key, entry.name)]
    if not named:
        keys = ", ".join(entry.key for entry in target.channels)
        raise NotFoundError(f"The collection {target.name!r} has no channel {name!r}.", hint=f"Its channels: {keys}.")
    built = [entry for entry in named if entry.key == name and not entry.active]
    return built or [entry for entry in target.channels if entry.name in {found.name for found in named}]
