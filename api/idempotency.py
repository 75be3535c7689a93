"""``Idempotency-Key``: a creating request that is sent again, as clients do that heard nothing, is carried out once.

While it is carried out its key is held as a lock that goes with the process, so nothing is left to clear up after a
kill. What it made is then stored with its response, which is given again for 24 hours. A request that fails leaves
nothing: sent again, it is tried again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
from collections.abc import Awaitable, Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

import anyio
import sqlalchemy as sa
from fastapi import Depends, Header, Request
from pydantic import BaseModel
from starlette.concurrency import run_in_threadpool
from starlette.responses import Response

from api.security import Access
from folioscope.errors import KeyReused, NotFoundError, StillRunning, StorageError
from ingest import schema as t
from ingest import traces
from ingest.database import Database, new_id, now

KEPT = timedelta(hours=24)

log = logging.getLogger(__name__)


class Made(NamedTuple):
    """What a request brought about. ``sources``: ids of the documents and conversations that the response tells of."""

    body: BaseModel
    status: int = 200
    location: str | None = None
    sources: Collection[str] = ()


class Once:
    """A dependency. ``key``: the header; without it a request is carried out each time."""

    def __init__(
        self,
        request: Request,
        key: Annotated[
            str | None,
            Header(
                alias="Idempotency-Key",
                min_length=1,
                max_length=255,
                pattern="^[!-~]+$",
                description="the same for each attempt at one request; its response is given again for 24 hours",
            ),
        ] = None,
    ) -> None:
        self.key = key
        self._place = f"{request.method} {request.url.path}?{request.url.query}"

    async def __call__(self, access: Access, asked: BaseModel | str, make: Callable[[], Awaitable[Made]]) -> Response:
        """The response to what ``make`` makes, or the one from before. ``asked``: what tells this request from others.

        Raises `KeyReused`, `StillRunning`, `NotFoundError` where what was made is deleted, and what ``make`` raises.
        """
        if self.key is None:
            return _response(await make())
        text = asked if isinstance(asked, str) else asked.model_dump_json()
        fingerprint = hashlib.sha256(json.dumps([self._place, text]).encode()).hexdigest()
        stored = _Replay(access.library.catalog.database, access.owner, self.key, fingerprint)
        held = contextlib.ExitStack()
        try:
            if again := await run_in_threadpool(stored.begin, held):
                return again
            made = await make()
            await run_in_threadpool(stored.keep, made)
            return _response(made)
        finally:
            with anyio.CancelScope(shield=True):
                await run_in_threadpool(held.close)


OnlyOnce = Annotated[Once, Depends(Once)]


class _Replay(NamedTuple):
    """A row of the table of replays."""

    database: Database
    owner: str
    key: str
    fingerprint: str

    def begin(self, held: contextlib.ExitStack) -> Response | None:
        """The response from before. Where there is none, the key is held until ``held`` is closed."""
        if not held.enter_context(self.database.attempt(f"idempotency {self.owner} {self.key}")):
            raise StillRunning("A request with this Idempotency-Key is being carried out.")
        r = t.replays.c
        with self.database.read() as db:
            row = db.execute(sa.select(t.replays).where(self._mine(), r.created >= _oldest())).first()
        if row is None:
            return None
        if row.fingerprint != self.fingerprint:
            raise KeyReused("Another request was sent with this Idempotency-Key.", hint="Take a new one.")
        if row.body is None:
            raise NotFoundError("What was made under this Idempotency-Key has been deleted.")
        return _respond(row.body, row.status, row.location, {"Idempotency-Replayed": "true"})

    def keep(self, made: Made) -> None:
        """Store the response. That this fails is logged: what was asked for is done."""
        row: dict[str, Any] = {"owner": self.owner, "key": self.key, "id": new_id("rpl"), "created": now()}
        row |= {"fingerprint": self.fingerprint, "status": made.status, "location": None, "body": None}
        try:
            with self.database.write() as db:
                r = t.replays.c
                old = sa.select(r.id).where(sa.or_(r.created < _oldest(), self._mine())).scalar_subquery()
                db.execute(t.traces.delete().where(t.traces.c.holder.in_(old)))
                db.execute(t.replays.delete().where(sa.or_(r.created < _oldest(), self._mine())))
                if traces.leave(db, row["id"], made.sources):
                    row |= {"location": made.location, "body": made.body.model_dump_json()}
                db.execute(t.replays.insert().values(row))
        except StorageError as error:
            log.warning("a response could not be kept for its Idempotency-Key: %s", error)

    def _mine(self) -> sa.ColumnElement[bool]:
        return sa.and_(t.replays.c.owner == self.owner, t.replays.c.key == self.key)


def _oldest() -> str:
    return (datetime.now(UTC) - KEPT).strftime("%Y-%m-%dT%H:%M:%SZ")


def _response(made: Made) -> Response:
    return _respond(made.body.model_dump_json(), made.status, made.location, {})


def _respond(body: str, status: int, location: str | None, headers: dict[str, str]) -> Response:
    if location is not None:
        headers["location"] = location
    return Response(body, status, headers, media_type="application/json")
