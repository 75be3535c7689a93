"""Webhooks: who is told when a document is ready or failed, or a job is done.

The catalog says what has happened; what a hook has not been told becomes a row, whose key is the event itself, so that
nothing is told twice and nothing is lost by a kill between the two. One process at a time calls a hook: it takes a
lease on it (``due``), which passes if the process dies. A delivery that fails is tried again later and later; so a
receiver may get one twice and knows it by its id.
"""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

import sqlalchemy as sa

from api.fetch import Network, demand_allowed, post
from api.schemas.jobs import job_document, job_out
from folioscope.domain import Problem
from folioscope.errors import FolioscopeError, NotFoundError, Unfetchable
from ingest import Event, Library
from ingest import schema as t
from ingest.database import Database, new_id, now
from ingest.lookups import JobDocument, job

Happening = Literal["document.ready", "document.failed", "job.done"]

TIMEOUT_S = 10.0  # of a call
LEASE_S = 60.0
FIRST_RETRY_S, LAST_RETRY_S = 5.0, 3600.0  # thrice as long after each failure
GIVE_UP_DAYS = 3  # of failures, until a delivery is given up and a hook disabled
KEEP_DAYS = 30  # rows of what was delivered, and how far back one looks for what was not
TIDY_S = 3600.0  # between two times that old rows go
LOOK_S = 2.0  # at the longest, until the catalog is looked at again
PAUSE_S = 0.2  # at least
HOOKS_AT_ONCE = 4
BATCH = 200

STATUSES = {"document.ready": ("ready", "superseded", "gone"), "document.failed": ("failed",)}
"""Of versions, when it has happened."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Hook:
    """Without its secret. ``collection``: the id of the only one that it is told of; None: all."""

    id: str
    url: str
    events: tuple[Happening, ...]
    collection: str | None
    created: str
    failing_since: str | None
    error: str | None
    disabled: str | None
    waiting: int


class Hooks:
    """The table of webhooks. ``network``: where they may be."""

    def __init__(self, database: Database, network: Network) -> None:
        self._database = database
        self._network = network

    def create(self, url: str, events: Sequence[Happening], collection: str | None = None) -> tuple[Hook, str]:
        """A new hook and the secret that signs what it is told. Raises `Unfetchable` where it may not be called."""
        demand_allowed(url, self._network)
        secret = f"whs_{secrets.token_urlsafe(32)}"
        row = {"id": new_id("whk"), "url": url, "events": sorted(set(events)), "collection_id": collection}
        fresh = {"created": now(), "due": 0.0, "failures": 0, "secret": secret}
        with self._database.write() as db:
            db.execute(t.webhooks.insert().values(**row, **fresh))
        return next(hook for hook in self.all() if hook.id == row["id"]), secret

    def all(self) -> list[Hook]:
        """Oldest first."""
        w, d = t.webhooks.c, t.deliveries.c
        waiting = (
            sa.select(sa.func.count())
            .where(d.webhook_id == w.id, d.state == "waiting")
            .scalar_subquery()
            .label("waiting")
        )
        with self._database.read() as db:
            rows = db.execute(sa.select(t.webhooks, waiting).order_by(w.created, w.id)).all()
        return [
            Hook(
                row.id,
                row.url,
                tuple(row.events),
                row.collection_id,
                row.created,
                row.failing_since,
                row.error,
                row.disabled,
                row.waiting,
            )
            for row in rows
        ]

    def remove(self, hook_id: str) -> None:
        """It is told nothing from now on. Raises `NotFoundError`."""
        with self._database.write() as db:
            db.execute(t.deliveries.delete().where(t.deliveries.c.webhook_id == hook_id))
            gone = db.execute(t.webhooks.delete().where(t.webhooks.c.id == hook_id))
        if not gone.rowcount:
            raise NotFoundError(f"There is no webhook {hook_id!r}.")


class Caller:
    """Tells hooks what happened, from `run` to `stop`. ``clock``: Unix time. ``first_retry_s``: to the second try."""

    def __init__(
        self,
        library: Library,
        network: Network,
        *,
        clock: Callable[[], float] = time.time,
        first_retry_s: float = FIRST_RETRY_S,
    ) -> None:
        self._library = library
        self._database = library.catalog.database
        self._network = network
        self._clock = clock
        self._first_retry_s = first_retry_s
        self._tidied = 0.0
        self._stopping = threading.Event()
        self._woken = threading.Event()

    def run(self) -> None:
        """Until `stop`. What fails in a back end is logged and tried again."""
        self._library.listen(self._heard)
        with ThreadPoolExecutor(HOOKS_AT_ONCE, thread_name_prefix="webhook") as pool:
            while not self._stopping.is_set():
                self._woken.clear()
                try:
                    self.note()
                    for hook in self._taken():
                        pool.submit(self._serve, hook)
                except FolioscopeError as error:
                    log.warning("webhooks rest: %s", error)
                except Exception:
                    log.exception("a fault in telling webhooks")
                self._stopping.wait(PAUSE_S)
                self._woken.wait(LOOK_S)

    def _heard(self, event: Event) -> None:
        if event.kind in ("ready", "failed", "filled"):
            self._woken.set()

    def stop(self) -> None:
        """Begin no further call."""
        self._stopping.set()
        self._woken.set()

    # --- what is to be told -----------------------------------------------------------------------------------------

    def note(self) -> None:
        """Write down what has happened and is not written down yet, and forget what is long over."""
        hooks = self._rows(t.webhooks.c.disabled.is_(None))
        if not hooks:
            return
        with self._database.lock("webhooks"):
            for hook in hooks:
                if found := [*self._documents(hook), *self._jobs(hook)]:
                    with self._database.write() as db:
                        db.execute(t.deliveries.insert(), found)
        if self._tidied < self._clock() - TIDY_S:
            self._tidied = self._clock()
            d = t.deliveries.c
            with self._database.write() as db:
                db.execute(t.deliveries.delete().where(d.created < self._stamp(KEEP_DAYS), d.state != "waiting"))

    def _rows(self, condition: sa.ColumnElement[bool]) -> list[Any]:
        with self._database.read() as db:
            return list(db.execute(sa.select(t.webhooks).where(condition)).all())

    def _documents(self, hook: Any) -> Iterator[dict[str, Any]]:
        v, d = t.versions.c, t.documents.c
        statuses = [status for event in hook.events for status in STATUSES.get(event, ())]
        subject = v.document_id + "." + sa.cast(v.version, sa.String)
        event_ = sa.case((v.status == "failed", "document.failed"), else_="document.ready")
        query = (
            sa.select(t.versions, d.filename, d.collection_id)
            .join(t.documents, d.id == v.document_id)
            .where(v.status.in_(statuses), ~d.deleted, *self._concern(hook, v.created, d.collection_id))
            .where(self._untold(hook, subject, event_))
            .limit(BATCH)
        )
        with self._database.read() as db:
            rows = db.execute(query).all()
        for row in rows:
            problem = Problem(row.code, row.message) if row.code and row.status == "failed" else None
            found = JobDocument(row.document_id, row.version, row.filename, row.status, row.pages, problem)
            event = "document.failed" if row.status == "failed" else "document.ready"
            data = {"job": row.job_id, **job_document(found).model_dump()}
            yield self._row(hook, event, f"{row.document_id}.{row.version}", row.collection_id, data)

    def _jobs(self, hook: Any) -> Iterator[dict[str, Any]]:
        if "job.done" not in hook.events:
            return
        j, v = t.jobs.c, t.versions.c
        of_job = v.job_id == j.id
        query = (
            sa.select(j.id, j.collection_id, v.document_id, v.version)
            .join(t.versions, of_job)
            .where(*self._concern(hook, j.created, j.collection_id), self._untold(hook, j.id, sa.literal("job.done")))
            .where(~sa.exists().where(of_job, v.status.in_(t.OUTSTANDING)).correlate(t.jobs))
        )
        with self._database.read() as db:
            rows = db.execute(query).all()
        if not rows:
            return
        filling = {fill[:2] for fill in self._library.pipeline.pending_fills()}
        unfinished = {row.id for row in rows if (row.document_id, row.version) in filling}
        done = {row.id: row.collection_id for row in rows if row.id not in unfinished}
        for job_id, collection in list(done.items())[:BATCH]:
            data = job_out(job(self._library.catalog, job_id), filling=False).model_dump()
            yield self._row(hook, "job.done", job_id, collection, data)

    def _concern(
        self, hook: Any, created: sa.ColumnElement[str], collection: sa.ColumnElement[str]
    ) -> list[sa.ColumnElement[bool]]:
        """What was handed in since the hook was made, where it looks."""
        since = max(hook.created, self._stamp(KEEP_DAYS))
        return [created >= since] + ([collection == hook.collection_id] if hook.collection_id else [])

    def _untold(
        self, hook: Any, subject: sa.ColumnElement[str], event: sa.ColumnElement[str]
    ) -> sa.ColumnElement[bool]:
        d = t.deliveries.c
        return ~sa.exists().where(d.webhook_id == hook.id, d.event == event, d.subject == subject)

    def _row(self, hook: Any, event: str, subject: str, collection: str, data: dict[str, Any]) -> dict[str, Any]:
        delivery, at = new_id("dlv"), self._stamp()
        body = json.dumps({"id": delivery, "type": event, "created": at, "collection": collection, "data": data})
        names = {"webhook_id": hook.id, "event": event, "subject": subject, "id": delivery}
        return {**names, "body": body, "created": at, "due": 0.0, "attempts": 0, "state": "waiting"}

    # --- telling ----------------------------------------------------------------------------------------------------

    def _taken(self) -> list[Any]:
        """Hooks with something to be told now, on each of which this process has a lease."""
        w, d, at = t.webhooks.c, t.deliveries.c, self._clock()
        waits = sa.exists().where(d.webhook_id == w.id, d.state == "waiting", d.due <= at)
        taken = []
        for hook in self._rows(w.disabled.is_(None) & (w.due <= at) & waits)[:HOOKS_AT_ONCE]:
            with self._database.write() as db:
                lease = t.webhooks.update().where(w.id == hook.id, w.due <= at, w.disabled.is_(None))
                if db.execute(lease.values(due=at + LEASE_S)).rowcount:
                    taken.append(hook)
        return taken

    def _serve(self, hook: Any) -> None:
        """Tell a hook what waits, oldest first, until a call fails or the lease comes to its end."""
        try:
            ends = self._clock() + LEASE_S - 2 * TIMEOUT_S
            while self._clock() < ends and not self._stopping.is_set():
                delivery = self._next(hook)
                if delivery is None:
                    break
                if error := self._call(hook, delivery):
                    self._failed(hook, delivery, error)
                    return
                self._delivered(hook, delivery)
            self._change(hook, due=0.0)
        except FolioscopeError as error:
            log.warning("the webhook %s rests: %s", hook.id, error)  # its lease passes
        except Exception:
            log.exception("a fault in telling the webhook %s", hook.id)
        finally:
            self._woken.set()

    def _next(self, hook: Any) -> Any:
        d = t.deliveries.c
        ready = (d.webhook_id == hook.id) & (d.state == "waiting") & (d.due <= self._clock())
        with self._database.read() as db:
            return db.execute(sa.select(t.deliveries).where(ready).order_by(d.due, d.created, d.id).limit(1)).first()

    def _call(self, hook: Any, delivery: Any) -> str:
        """What went wrong; empty where nothing did."""
        body = delivery.body.encode()
        headers = {
            "content-type": "application/json",
            "folioscope-event": delivery.event,
            "folioscope-delivery": delivery.id,
            "folioscope-signature": signature(hook.secret, body, int(self._clock())),
        }
        try:
            status = post(hook.url, headers, body, seconds=TIMEOUT_S, network=self._network)
        except Unfetchable as error:
            return error.message
        return "" if 200 <= status < 300 else f"It answered with the status {status}."

    def _delivered(self, hook: Any, delivery: Any) -> None:
        self._settle(delivery, state="delivered", body="", attempts=delivery.attempts + 1)
        self._change(hook, failures=0, failing_since=None, error=None)

    def _failed(self, hook: Any, delivery: Any, error: str) -> None:
        attempts, at = delivery.attempts + 1, self._clock()
        over = self._stamp(GIVE_UP_DAYS)
        state = "given up" if delivery.created < over else "waiting"
        self._settle(delivery, state=state, attempts=attempts, due=at + self._pause(attempts))
        (now_,) = self._rows(t.webhooks.c.id == hook.id) or [hook]
        since = now_.failing_since or self._stamp()
        disabled = self._stamp() if since < over else None
        failures = now_.failures + 1
        self._change(
            hook, failures=failures, failing_since=since, error=error, disabled=disabled, due=at + self._pause(failures)
        )
        log.warning("the webhook %s failed, attempt %d: %s", hook.id, attempts, error)

    def _pause(self, failures: int) -> float:
        return float(min(self._first_retry_s * 3 ** min(failures - 1, 20), LAST_RETRY_S))

    def _settle(self, delivery: Any, **values: Any) -> None:
        with self._database.write() as db:
            db.execute(t.deliveries.update().where(t.deliveries.c.id == delivery.id).values(values))

    def _change(self, hook: Any, **values: Any) -> None:
        with self._database.write() as db:
            db.execute(t.webhooks.update().where(t.webhooks.c.id == hook.id).values(values))

    def _stamp(self, days: float = 0) -> str:
        return datetime.fromtimestamp(self._clock() - 86_400 * days, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def signature(secret: str, body: bytes, at: int) -> str:
    """``t=<Unix time>,v1=<hex HMAC-SHA256 of "t.body">``; who checks it also looks whether ``t`` is recent."""
    signed = hmac.new(secret.encode(), f"{at}.".encode() + body, hashlib.sha256).hexdigest()
    return f"t={at},v1={signed}"
