"""The one point of authorisation. A route gets at collections, documents and jobs through the `Access` that it is
handed and through nothing else; what a key was not granted does not exist for it.
"""

from __future__ import annotations

import contextlib
import secrets
import threading
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass
from typing import Annotated

from fastapi import Depends, Request
from starlette.concurrency import run_in_threadpool

from api.conversations import Conversation, Conversations
from api.feedback import Answered, Answers
from api.keys import LEVEL, Key, Keys, Scope
from api.service import Service
from folioscope.domain import Document
from folioscope.errors import (
    CollectionNotFound,
    DocumentNotFound,
    Forbidden,
    NotFoundError,
    TooManyRequests,
    Unauthorized,
)
from ingest import Library
from ingest.catalog import Collection
from ingest.lookups import JobState, document, job

MISSING = "Send it as `Authorization: Bearer <key>`."


@dataclass(frozen=True, slots=True)
class Access:
    """What one request may see. ``grants``: ids of collections; None: all. ``owner``: id of its key, to which its
    conversations and answers belong; empty without one. Every method may block.
    """

    service: Service
    grants: frozenset[str] | None
    owner: str = ""

    @property
    def library(self) -> Library:
        """The opened data folder."""
        return self.service.library

    def demand_all(self) -> None:
        """Raises `Forbidden` for a key that is limited to some collections: this is about more than those."""
        if self.grants is not None:
            raise Forbidden("This needs a key that is not limited to some collections.")

    def collections(self) -> list[Collection]:
        """Those that may be seen, by name."""
        return [each for each in self.library.catalog.collections() if self._sees(each.id)]

    def collection(self, name: str | None) -> Collection:
        """By id or name; None: the setting's. Raises `CollectionNotFound`, also for what may not be seen."""
        wanted = self.library.settings.collection if name is None else name
        visible = self.collections()
        for matches in (lambda each: each.id == wanted, lambda each: each.name == wanted):
            if found := next(filter(matches, visible), None):
                return found
        raise CollectionNotFound(f"There is no collection {wanted!r}.")

    def document(self, document_id: str) -> Document:
        """By id. Raises `DocumentNotFound`, also for what may not be seen."""
        collection, found = document(self.library.catalog, document_id)
        if not self._sees(collection.id):
            raise DocumentNotFound(f"There is no document {document_id!r}.")
        return found

    def job(self, job_id: str) -> JobState:
        """By id. Raises `NotFoundError`, also for what may not be seen."""
        found = job(self.library.catalog, job_id)
        if not self._sees(found.collection_id):
            raise NotFoundError(f"There is no job {job_id!r}.")
        return found

    def conversation(self, conversation_id: str) -> Conversation:
        """By id. Raises `NotFoundError`, also for that of another key."""
        found = Conversations(self.library.catalog.database).find(conversation_id)
        if found is None or found.owner != self.owner or not self._sees(found.collection_id):
            raise NotFoundError(f"There is no conversation {conversation_id!r}.")
        return found

    def answer(self, answer_id: str) -> Answered:
        """By id. Raises `NotFoundError`, also for that of another key, and one that is no longer known."""
        found = Answers(self.library.catalog.database).find(answer_id)
        if found is None or found.owner != self.owner or not self._sees(found.collection_id):
            raise NotFoundError(f"There is no answer {answer_id!r}, or not any more.")
        return found

    def _sees(self, collection_id: str) -> bool:
        return self.grants is None or collection_id in self.grants


class Crowd:
    """Counts the running requests of each key. ``most``: of one."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._running: Counter[str] = Counter()
        self._guard = threading.Lock()

    def enter(self, who: str) -> None:
        """One more. Raises `TooManyRequests`."""
        with self._guard:
            if self._running[who] >= self._most:
                raise TooManyRequests(f"{self._most} requests are running already.", hint="Try again in a second.")
            self._running[who] += 1

    def leave(self, who: str) -> None:
        """One less."""
        with self._guard:
            self._running[who] -= 1
            if not self._running[who]:
                del self._running[who]


def scope(wanted: Scope) -> Callable[[Request], AsyncIterator[Access]]:
    """A dependency that lets a request in whose key has this scope.

    Raises `Unauthorized`, `Forbidden`, `TooManyRequests`.
    """

    async def admit(request: Request) -> AsyncIterator[Access]:
        with contextlib.ExitStack() as door:
            key = await entered(door, request)
            if key is not None and LEVEL[key.scope] < LEVEL[wanted]:
                raise Forbidden(f"This needs the scope {wanted!r}; the key has {key.scope!r}.")
            service: Service = request.app.state.service
            yield Access(service, key.collections if key else None, key.id if key else "")

    return admit


async def entered(door: contextlib.ExitStack, request: Request) -> Key | None:
    """`known`, until ``door`` is closed; once for a request, and in a thread where a key is to be looked up.

    `api.guard` does this before a body is read, so that nobody without a key, and no key beyond its limit, fills the
    memory with bodies.
    """
    state = request.scope["state"]
    if "known" in state:  # from the guard
        key: Key | None = state["known"]
        return key
    if not _sent(request):
        return door.enter_context(known(request))
    return await run_in_threadpool(door.enter_context, known(request))


@contextlib.contextmanager
def known(request: Request) -> Iterator[Key | None]:
    """The request's key; as long as the context lasts the request is one of its running ones.

    Raises `Unauthorized`, `TooManyRequests`.
    """
    state = request.scope["state"]
    crowd: Crowd = request.app.state.crowd
    key = _key(request, request.app.state.service)
    who = state["key"] = key.id if key else ""
    crowd.enter(who)
    state["known"] = key
    try:
        yield key
    finally:
        crowd.leave(who)


def _key(request: Request, service: Service) -> Key | None:
    """The request's key; None where it has none and needs none, and for the data folder's owner."""
    secret = _sent(request)
    if service.secret and secrets.compare_digest(secret.encode(), service.secret.encode()):
        return None
    key = Keys(service.library.catalog.database).find(secret) if secret else None
    # Where none is needed an unknown one opens no more than none would; OpenAI's clients always send something.
    if key is None and service.needs_key:
        raise Unauthorized("The key is missing, unknown, expired or revoked.", hint=MISSING)
    return key


def _sent(request: Request) -> str:
    kind, _, bearer = request.headers.get("authorization", "").partition(" ")
    return bearer.strip() if kind.lower() == "bearer" else request.headers.get("x-api-key", "")


Reader = Annotated[Access, Depends(scope("read"))]
Writer = Annotated[Access, Depends(scope("write"))]
Admin = Annotated[Access, Depends(scope("admin"))]


def _whole(access: Admin) -> Access:
    access.demand_all()
    return access


Owner = Annotated[Access, Depends(_whole)]
"""For what concerns the whole server: a key of the scope admin that is not limited to some collections."""
