"""Where commands work: in a data folder that they open themselves, or on a server. They ask a `Place` either way."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from api.cli.output import say

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from folioscope.domain import (
        Coverage,
        Document,
        Metadata,
        Page,
        PageKey,
        SearchResult,
        Turn,
        Where,
        Words,
    )
    from folioscope.settings import Settings
    from generation import Event as Told
    from generation import Preview
    from ingest import Event, Report
    from ingest.catalog import Job
    from ingest.channels import ChannelStatus
    from ingest.intake import Origin
    from ingest.recipes import ChannelEntry

_said: dict[str, str | None] = {}
"""What --url and --api-key said."""

_spoken_of: set[str] = set()
"""Servers that have been mentioned."""


@dataclass(frozen=True, slots=True)
class Shelf:
    """A collection as it is listed. ``channels``: those that are searched."""

    id: str
    name: str
    created: str
    channels: tuple[str, ...]
    documents: int


class Finder(Protocol):
    """Searches one collection."""

    def search(
        self,
        query: str,
        k: int,
        where: Where | None,
        channels: Sequence[str] | None,
        *,
        image: Path | None,
        similarity: bool,
    ) -> SearchResult:
        """The ``k`` best pages."""
        ...

    def painted(self, page: NDArray[np.uint8], key: PageKey, query: str, word: str | None) -> NDArray[np.uint8]:
        """The page's image with where the visual channel sees the question, or one word of it."""
        ...


class Asker(Protocol):
    """Answers questions from one collection."""

    def stream(self, question: str, where: Where | None, history: Sequence[Turn] = ()) -> AsyncIterator[Told]:
        """As `generation.stream`."""
        ...

    def preview(self, question: str, where: Where | None) -> Preview:
        """As `generation.preview`."""
        ...


class Place(AbstractContextManager["Place"], Protocol):
    """What commands ask for. A name of a collection that is None is the setting's.

    What a server does not offer raises `ConfigError` with the reason.
    """

    settings: Settings

    @property
    def last_image(self) -> Path:
        """Where a page image goes that is shown and not saved."""
        ...

    def collections(self) -> list[Shelf]:
        """All, by name."""
        ...

    def create_collection(self, name: str, channels: Sequence[str] | None) -> Shelf:
        """The one of that name, made now if there was none."""
        ...

    def remove_collection(self, name: str) -> None:
        """With everything in it."""
        ...

    def documents(self, collection: str | None) -> list[Document]:
        """All of a collection, oldest first."""
        ...

    def document(self, name: str, collection: str | None) -> Document:
        """By id or file name."""
        ...

    def page_notes(self, document: Document) -> list[Page]:
        """Its pages that have a problem or a flag."""
        ...

    def remove(self, document: Document) -> None:
        """Delete it, with the replies that were given from it."""
        ...

    def duplicates(self, collection: str | None, threshold: float) -> dict[str, Any]:
        """Groups of pages that look alike, as shown in JSON."""
        ...

    def finder(self, collection: str | None) -> Finder:
        """What searches it."""
        ...

    def asker(self, collection: str | None, quiet: bool, *, dry: bool = False) -> Asker:
        """What answers from it."""
        ...

    def image(self, key: PageKey, long_edge: int = 1400) -> NDArray[np.uint8]:
        """uint8 [height, width, 3] RGB, upright."""
        ...

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:
        """The words of these pages."""
        ...

    def jobs(self) -> list[Job]:
        """Newest first."""
        ...

    def cancel(self, job: str) -> int:
        """Give up what it has not read; how many documents."""
        ...

    def retry(self, job: str) -> int:
        """Read its failed documents again; returns once they are read, and how many."""
        ...

    # Work that goes on while a command waits for it.

    def listen(self, listener: Callable[[Event], None]) -> None:
        """Have ``listener`` called with each event, from any thread."""
        ...

    def stop(self) -> None:
        """Leave off soon. Safe in a signal handler."""
        ...

    def left(self, go_on: str) -> str:
        """What becomes of work that a command was stopped in; ``go_on``: the commands that take it up here."""
        ...

    def channel_coverage(self) -> Mapping[str, Coverage]:
        """Per channel, over all collections; nothing where that would cost a request."""
        ...

    def outlook(self) -> list[str]:
        """What a person should know of channels that lack pages, in sentences."""
        ...

    def ingest(
        self,
        paths: Sequence[Path],
        *,
        collection: str | None,
        channels: Sequence[str] | None = None,
        password: str | None = None,
        metadata: Metadata | None = None,
        wait: bool = False,
        origins: Mapping[Path, Origin] | None = None,
    ) -> Report:
        """Take files and folders in; ``origins``: of files that only pass through their paths."""
        ...

    def reingest(
        self, names: Sequence[str], *, collection: str | None, password: str | None = None, wait: bool = False
    ) -> Report:
        """Read documents again."""
        ...

    def run_outstanding(self) -> None:
        """Go on with everything, and return when nothing is left."""
        ...

    def rebuild(self, collection: str | None) -> None:
        """Make its indexes anew."""
        ...

    def add_channel(self, collection: str | None, name: str, encoder: str | None) -> ChannelEntry:
        """A channel joins a collection."""
        ...

    def remove_channel(self, collection: str | None, name: str) -> list[ChannelEntry]:
        """It goes, with its index."""
        ...

    def backfill(self, collection: str | None, name: str | None) -> None:
        """Until the channels have every page that they can have."""
        ...

    def channel_status(self, collection: str | None) -> list[ChannelStatus]:
        """Each channel, those being built included."""
        ...


def remember(url: str | None, api_key: str | None) -> None:
    """What the options before the command say, for `open_place`."""
    _spoken_of.clear()
    _said.update(url=url, api_key=api_key)


def settings_of(data_dir: Path | None, **flags: object) -> Settings:
    """The settings in force, with a ``url`` only where the place is a server: --data-dir is stronger than a setting."""
    from folioscope.errors import ConfigError
    from folioscope.settings import load_settings

    if data_dir is not None and _said.get("url"):
        raise ConfigError("--data-dir and --url name two places.", hint="Leave one of them out.")
    settings = load_settings({"data_dir": data_dir, **_said, **flags})
    return settings if data_dir is None else settings.model_copy(update={"url": ""})


def open_place(data_dir: Path | None, *, quiet: bool = False, **flags: object) -> Place:
    """The server that --url or a setting names, else the data folder, or the server on this machine that has it open.

    ``flags``: settings; those that are None are as if not given. ``quiet``: don't say that there is such a server.
    """
    from folioscope.errors import DataFolderBusy

    settings = settings_of(data_dir, **flags)
    chosen = {name for name, value in flags.items() if value is not None}
    if settings.url:
        from api.cli.remote import Remote

        return Remote(settings.url, settings.api_key.get_secret_value(), settings, chosen)
    from api.cli.local import Local
    from ingest import Library

    try:
        return Local(Library(settings=settings))
    except DataFolderBusy as busy:
        if not busy.url:
            raise
        from api.cli.remote import Remote

        if not quiet and busy.url not in _spoken_of:
            _spoken_of.add(busy.url)
            say(f"a server has the data folder open: going through {busy.url}")
        return Remote(busy.url, busy.secret, settings, chosen, local=True)
