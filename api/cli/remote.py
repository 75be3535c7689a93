"""A server that a command goes through."""

from __future__ import annotations

import difflib
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Collection, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, NoReturn

from api.cli.places import Asker, Finder, Shelf
from api.cli.uploads import Uploads, pauses
from api.client import Client
from api.schemas.documents import CollectionOut
from folioscope.domain import Coverage, Document, Fingerprint, Metadata, Page, PageKey, SearchResult, Turn, Where, Words
from folioscope.errors import CollectionNotFound, ConfigError, DocumentNotFound, NotFoundError
from folioscope.settings import Settings, origin

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from api.schemas.channels import ChannelOut
    from generation import Event as Told
    from ingest import Event, Report
    from ingest.catalog import Job
    from ingest.channels import ChannelStatus
    from ingest.intake import Origin
    from ingest.recipes import ChannelEntry

CLIENTS_OWN = {"top_k", "model"}
"""Settings that a command may choose for itself; the others are the server's."""


def _missing(what: str, why: str) -> Callable[..., NoReturn]:
    """Stands in for what a server does not offer. Raises `ConfigError`."""

    def refuse(*_: object, **__: object) -> NoReturn:
        raise ConfigError(
            f"{what} can't be had over HTTP: {why}.",
            hint="Where the data folder is, and no server has it open, the same command does it.",
        )

    return refuse


class Remote:
    """The server at ``url``. Implements `api.cli.places.Place`.

    ``chosen``: names of settings that the command was given. ``local``: it has the data folder that was meant.
    """

    def __init__(
        self, url: str, api_key: str, settings: Settings, chosen: Collection[str], *, local: bool = False
    ) -> None:
        if others := sorted(set(chosen) - CLIENTS_OWN):
            option = "cache" if others[0] == "cache_answers" else others[0].replace("_", "-")
            raise ConfigError(
                f"--{option} can't be chosen over HTTP: it is a setting of the server.",
                hint=f"Leave it out, or start the server at {url} with that setting.",
            )
        self.settings = settings
        self._client = Client(url, api_key or None)
        self._chosen = chosen
        self._local = local
        self._stopping = False
        self._listeners: list[Callable[[Event], None]] = []

    @cached_property
    def last_image(self) -> Path:  # noqa: D102
        return Path(tempfile.mkdtemp(prefix="folioscope-")) / "last.png"

    def _named(self, collection: str | None) -> str | None:
        """The collection to ask for; None: the server's setting, where this user's says nothing."""
        own = origin("collection") != "default"
        return collection if collection is not None or not own else self.settings.collection

    def _name(self, collection: str | None) -> str:
        """For what has a collection in its path."""
        return self._named(collection) or self.settings.collection

    @property
    def _top_k(self) -> int | None:
        return self.settings.top_k if "top_k" in self._chosen or origin("top_k") != "default" else None

    # --- collections and documents ----------------------------------------------------------------------------------

    def collections(self) -> list[Shelf]:  # noqa: D102
        return [_shelf(each) for each in self._client.collections()]

    def create_collection(self, name: str, channels: Sequence[str] | None) -> Shelf:  # noqa: D102
        try:
            return _shelf(self._client.collection(name))
        except CollectionNotFound:
            return _shelf(self._client.create_collection(name, channels))

    def remove_collection(self, name: str) -> None:  # noqa: D102
        self._client.remove_collection(name)

    def documents(self, collection: str | None) -> list[Document]:  # noqa: D102
        return list(self._client.documents(self._named(collection)))

    def document(self, name: str, collection: str | None) -> Document:  # noqa: D102
        found = [each for each in self.documents(collection) if name in (each.id, each.filename)]
        if len(found) == 1:
            return found[0]
        if found:
            ids = ", ".join(each.id for each in found)
            raise DocumentNotFound(f"{len(found)} documents are called {name!r}.", hint=f"Name one by its id: {ids}.")
        near = difflib.get_close_matches(name, [each.filename for each in self.documents(collection)], n=1, cutoff=0.5)
        raise DocumentNotFound(
            f"There is no document {name!r} in the collection.",
            hint=f"Did you mean {near[0]!r}?" if near else "`folioscope docs ls` lists them.",
        )

    def page_notes(self, document: Document) -> list[Page]:  # noqa: D102
        return [page for page in self._client.pages(document.id) if page.problem or page.flags]

    def remove(self, document: Document) -> None:  # noqa: D102
        self._client.remove(document.id)

    def image(self, key: PageKey, long_edge: int = 1400) -> NDArray[np.uint8]:  # noqa: D102
        return self._client.image(key, long_edge)

    def words(self, keys: Sequence[PageKey]) -> Mapping[PageKey, Words]:  # noqa: D102
        return self._client.words(keys)

    # --- questions --------------------------------------------------------------------------------------------------

    def duplicates(self, collection: str | None, threshold: float) -> dict[str, Any]:  # noqa: D102
        return self._client.duplicates(self._name(collection), threshold).model_dump(mode="json")

    def finder(self, collection: str | None) -> Finder:  # noqa: D102
        return _Finder(self._client, self._named(collection), self._top_k)

    def asker(self, collection: str | None, quiet: bool, *, dry: bool = False) -> Asker:  # noqa: D102
        if "model" not in self._chosen:
            return _There(self._client, self._named(collection), self._top_k)
        from api.cli.answering import announce
        from api.cli.local import Here
        from generation import open_model
        from retrieval import analyzer

        announce(self.settings, quiet)
        model = open_model(self.settings.model, self.settings, analyzer=analyzer(), dry=dry)
        return Here(self._client.retriever(self._named(collection)), model, self._client, self.settings.top_k)

    # --- work -------------------------------------------------------------------------------------------------------

    def listen(self, listener: Callable[[Event], None]) -> None:  # noqa: D102
        self._listeners.append(listener)

    def stop(self) -> None:  # noqa: D102
        self._stopping = True

    def left(self, go_on: str) -> str:  # noqa: D102, ARG002
        return "the server reads what it has; the same command hands in the rest"

    def channel_coverage(self) -> Mapping[str, Coverage]:  # noqa: D102
        return {}

    def outlook(self) -> list[str]:  # noqa: D102
        return []

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
        """File by file; the server reads what it has while the next is sent."""
        from ingest.discover import discover
        from ingest.intake import Report

        found = discover([Path(path) for path in paths])
        target = self._target(collection, channels)
        files = {path: (origins or {}).get(path) for path in found.files}
        outcomes = self._uploads().all(files, target, password, metadata, wait)
        return Report("", outcomes, found.skipped)

    def reingest(  # noqa: D102
        self, names: Sequence[str], *, collection: str | None, password: str | None = None, wait: bool = False
    ) -> Report:
        from ingest.intake import Report

        documents = [self.document(name, collection) for name in names]
        return Report("", self._uploads().again(documents, password, wait))

    def _uploads(self) -> Uploads:
        return Uploads(self._client, self._local, lambda: self._stopping, self._tell)

    def _target(self, collection: str | None, channels: Sequence[str] | None) -> str | None:
        """The collection's name; the server makes by itself only the one of its setting."""
        name = self._named(collection)
        if name is None and not channels:
            return None
        made = self.create_collection(name or self.settings.collection, channels)
        if absent := set(channels or ()) - set(made.channels):
            raise ConfigError(
                f"The collection {made.name!r} is there already, without the channel {', '.join(sorted(absent))}.",
                hint=f"Add it with `folioscope channels add {min(absent)} -c {made.name}`.",
            )
        return made.name

    def _tell(self, event: Event) -> None:
        for listener in self._listeners:
            listener(event)

    def jobs(self) -> list[Job]:  # noqa: D102
        from ingest.catalog import Job

        names = {each.id: each.name for each in self._client.collections()}
        return [
            Job(
                each.id,
                each.kind,
                names.get(each.collection, each.collection),
                each.created,
                each.state,
                each.ready,
                each.failed,
                each.outstanding,
            )
            for each in self._client.jobs()
        ]

    def retry(self, job: str) -> int:  # noqa: D102
        failed, state = self._client.job(job).failed, self._client.retry(job)
        for pause in pauses(lambda: self._stopping):
            if not state.outstanding:
                break
            time.sleep(pause)
            state = self._client.job(job)
        return failed

    def cancel(self, job: str) -> int:  # noqa: D102
        before = self._client.job(job).outstanding
        return before - self._client.cancel(job).outstanding

    run_outstanding = _missing("Going on with what is outstanding", "the server does so by itself")
    rebuild = _missing("Rebuilding indexes", "it erases them, and the server is searching in them")
    backfill = _missing("Filling channels", "the server does so by itself")

    def add_channel(self, collection: str | None, name: str, encoder: str | None) -> ChannelEntry:  # noqa: D102
        return _status(self._client.add_channel(self._name(collection), name, encoder)).entry

    def remove_channel(self, collection: str | None, name: str) -> list[ChannelEntry]:  # noqa: D102
        before = {each.entry.key: each.entry for each in self.channel_status(collection)}
        self._client.remove_channel(self._name(collection), name)
        left = {each.entry.key for each in self.channel_status(collection)}
        return [entry for key, entry in before.items() if key not in left]

    def channel_status(self, collection: str | None) -> list[ChannelStatus]:  # noqa: D102
        return [_status(each) for each in self._client.channels(self._name(collection))]

    def __enter__(self) -> Remote:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._client.close()


class _Finder:
    def __init__(self, client: Client, collection: str | None, k: int | None) -> None:
        self._client = client
        self._collection = collection
        self._k = k

    def search(
        self,
        query: str,
        k: int,  # noqa: ARG002  the command's setting; of the server's where the user has chosen none
        where: Where | None,
        channels: Sequence[str] | None,
        *,
        image: Path | None,
        similarity: bool,
    ) -> SearchResult:
        try:
            return self._client.search(
                query, self._k, where, channels, collection=self._collection, image=image, similarity=similarity
            )
        except OSError as error:
            raise NotFoundError(f"{image} can't be read: {error.strerror or error}.", hint="Name an image.") from None

    def painted(self, page: NDArray[np.uint8], key: PageKey, query: str, word: str | None) -> NDArray[np.uint8]:
        import io

        import numpy as np
        from PIL import Image

        told = self._client.similarity_image(key, query, word, page.shape[1])
        return np.asarray(Image.open(io.BytesIO(told)).convert("RGB"))


class _There:
    """The server's model answers."""

    def __init__(self, client: Client, collection: str | None, k: int | None) -> None:
        self._client = client
        self._collection = collection
        self._k = k

    async def stream(self, question: str, where: Where | None, history: Sequence[Turn] = ()) -> AsyncIterator[Told]:
        """Waits in the loop, in which nothing else runs."""
        for event in self._client.stream(question, self._k, where, history, collection=self._collection):
            yield event

    preview = _missing("--dry-run", "what goes to the server's model is not told; with --model it is asked here")


def _status(found: ChannelOut) -> ChannelStatus:
    """What a key may not know is empty."""
    from ingest.channels import ChannelStatus
    from ingest.recipes import ChannelEntry

    return ChannelStatus(
        ChannelEntry(found.key, found.name, found.encoder or "", found.active),
        Fingerprint(**found.fingerprint) if found.fingerprint else None,
        Coverage(found.coverage.done, found.coverage.total),
        found.bytes,
        "" if found.usable else found.problem or "it can't be used on the server",
    )


def _shelf(found: CollectionOut) -> Shelf:
    return Shelf(found.id, found.name, found.created, tuple(found.channels), found.documents)
