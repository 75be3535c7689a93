"""Durable jobs on DBOS: every outstanding version and every outstanding fill is a workflow in a queue.

The catalog says what is outstanding; DBOS carries it out, in any process that shares the queues, bounded by each
process's concurrency. `Jobs.reconcile` compares the two and puts right what a kill between them left: work without a
workflow is enqueued; work whose workflow ended without finishing it, or ran in a process that is gone, is enqueued
anew. A process lives as long as it holds its own name as a lock of the catalog's database.

What is read goes before what fills in behind, by `Pipeline.fill`. Within the queue of what is read a single document
goes before many that were handed in together, and each collection has its turn whatever others have waiting: DBOS takes
the next workflow from a partition chosen at random, and a collection is a partition.

DBOS is one per process, so one library at a time can run jobs in a process.
"""

from __future__ import annotations

import asyncio
import logging
import threading
import time
from collections.abc import Callable, Collection
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from functools import wraps
from typing import ParamSpec, TypeVar, get_args

from dbos import DBOS, SetEnqueueOptions, SetWorkflowID
from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError

from folioscope.domain import Problem
from folioscope.errors import FolioscopeError, StorageError
from folioscope.settings import ChannelName
from ingest.catalog import Catalog
from ingest.database import Hold, new_id
from ingest.fills import Fill
from ingest.pipeline import Event, Pipeline

READ_QUEUE = "read-documents"
FILL_QUEUES = {name: f"fill-{name}" for name in get_args(ChannelName)}
SINGLE, BULK = 1, 2  # priorities: the smaller goes first
POLL_SECONDS = 0.1  # who hands in a document waits for it
FILL_POLL_SECONDS = 0.4  # of each channel's queue; nobody waits, and a look at a queue takes 2 ms of CPU
STOP_SECONDS = 120.0  # for the current pages; a page has a limit of its own
RECONCILE_SECONDS = 15.0  # while somebody waits
KEPT = timedelta(hours=1)  # what DBOS knows of work that has ended; nothing of ours asks for it
FORGOTTEN = 1000  # at most, at each look
ENDED = ["SUCCESS", "ERROR", "CANCELLED", "MAX_RECOVERY_ATTEMPTS_EXCEEDED"]
APPLICATION = "folioscope"
WORKFLOWS_VERSION = "1"  # of those below; a newer one would not take an older one's work up

DOCTOR = "`folioscope doctor` looks at it; what is outstanding goes on with `folioscope jobs watch`."

P = ParamSpec("P")
T = TypeVar("T")

log = logging.getLogger(__name__)
_running: Jobs | None = None


def off_the_loop(function: Callable[P, T]) -> Callable[P, T]:
    """The function, called in a thread of its own where this one runs an event loop, as a notebook's does: DBOS
    refuses to be called there.
    """

    @wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> T:
        try:
            asyncio.get_running_loop()
        except RuntimeError:
            return function(*args, **kwargs)
        with ThreadPoolExecutor(1) as thread:
            return thread.submit(function, *args, **kwargs).result()

    return call


@DBOS.workflow(name="read_document")  # type: ignore[untyped-decorator]
def _read_document(document_id: str, version: int) -> None:
    _read_step(document_id, version)
    _current().fill_behind(document_id)


@DBOS.step(name="read")  # type: ignore[untyped-decorator]
def _read_step(document_id: str, version: int) -> None:
    _current().guard(lambda: _current().pipeline.read(document_id, version), document_id, version)


@DBOS.workflow(name="fill_channel")  # type: ignore[untyped-decorator]
def _fill_channel(document_id: str, version: int, channel: str) -> None:
    _fill_step(document_id, version, channel)


@DBOS.step(name="fill")  # type: ignore[untyped-decorator]
def _fill_step(document_id: str, version: int, channel: str) -> None:
    _current().fill_one(document_id, version, channel)


def _current() -> Jobs:
    if _running is None:
        raise RuntimeError("a workflow ran outside of an opened library")
    return _running


class Jobs:
    """Runs what is outstanding in the catalog, from `start` to `stop`. ``url``: SQLAlchemy URL of DBOS's tables.

    ``readers``: documents at a time; 0: this process works on nothing, it only enqueues. ``fills``: names of the
    channels that it fills.
    """

    def __init__(self, pipeline: Pipeline, catalog: Catalog, url: str, readers: int, fills: Collection[str]) -> None:
        self.pipeline = pipeline
        self.executor = new_id("exe")
        self.fills = frozenset(fills) if readers else frozenset()
        self._catalog = catalog
        self._url = url
        self._readers = readers
        self._alive: Hold | None = None
        self._changed = threading.Condition()
        self._reconciling = threading.Lock()
        self._filling = threading.Lock()  # one encoder at a time, whatever the channel
        self._active = 0
        self.fault: FolioscopeError | None = None

    @off_the_loop
    def start(self) -> None:
        """Launch and take up what is outstanding."""
        global _running
        if _running is not None:
            raise StorageError("Another library is running jobs in this process.", hint="Close it first.")
        _running = self
        self.fault = None
        self.pipeline.resume()
        try:
            self._alive = self._catalog.database.hold(self.executor)
            self._launch()
        except Exception as error:
            self._leave()
            if isinstance(error, FolioscopeError):
                raise
            raise StorageError(f"The jobs' database can't be used: {error}.", hint=DOCTOR) from error

    def _launch(self) -> None:
        _log_to_stderr()
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._url,
                "application_version": WORKFLOWS_VERSION,
                "executor_id": self.executor,
                "log_level": "CRITICAL",
            }
        )
        reading = [READ_QUEUE] if self._readers else []
        DBOS.listen_queues([*reading, *(FILL_QUEUES[name] for name in self.fills)])
        DBOS.launch()
        # More readers than child processes: the next document waits with its workflow started, so that no child idles.
        readers = self._readers or 1
        DBOS.register_queue(
            READ_QUEUE,
            worker_concurrency=readers,
            partition_worker_concurrency=readers,
            polling_interval_sec=POLL_SECONDS,
        )
        for queue in FILL_QUEUES.values():
            DBOS.register_queue(
                queue,
                worker_concurrency=1,
                partition_worker_concurrency=1,
                polling_interval_sec=FILL_POLL_SECONDS,
            )
        self.reconcile()

    # --- what is to be done -----------------------------------------------------------------------------------------

    @off_the_loop
    def reconcile(self) -> None:
        """Enqueue whatever is outstanding in the catalog and not on its way; one process at a time does so.

        Raises `StorageError`, also where the database has forgotten that this process lives.
        """
        assert self._alive is not None
        if not self._alive.lasts:
            error = StorageError("The database was restarted or could not be reached for a while.", hint=DOCTOR)
            self._give_up(error)
            raise error
        try:
            self._reconcile()
        except (SQLAlchemyError, dbos_errors.DBOSException) as error:
            raise StorageError(f"The jobs' database failed: {error}.", hint=DOCTOR) from error

    def _reconcile(self) -> None:
        with self._reconciling, self._catalog.database.lock("reconcile"):
            # What is outstanding first: work that is enqueued in the meantime is then seen as on its way.
            versions = self._catalog.outstanding_versions()
            fills = self.pipeline.pending_fills()
            on_its_way = self._on_its_way()
            lost = [each for each in versions if f"{each[0]}.{each[1]}" not in on_its_way]
            unfilled = [fill for fill in fills if _name(fill) not in on_its_way]
            _forget_ended([*(f"{document}.{version}" for document, version in lost), *map(_name, unfilled)])
            for document, version in lost:
                self.read(document, version)
            for fill in unfilled:
                self.fill(fill)
            _forget_old()

    def _on_its_way(self) -> set[str]:
        """Workflows that wait or run; those that ran in processes which are gone are forgotten."""
        found = DBOS.list_workflows(status=["PENDING", "ENQUEUED", "DELAYED"], load_input=False, load_output=False)
        others = {each.executor_id for each in found if each.status == "PENDING"} - {self.executor}
        gone = {executor for executor in others if not self._lives(executor)}
        queues = {READ_QUEUE, *FILL_QUEUES.values()}  # older versions had others, to which nobody listens
        lost = {
            each.workflow_id
            for each in found
            if each.queue_name not in queues or (each.status == "PENDING" and each.executor_id in gone)
        }
        if lost:
            log.info("%d pieces of work are taken over from processes that are gone", len(lost))
            DBOS.delete_workflows(sorted(lost))
        return {each.workflow_id for each in found} - lost

    def _lives(self, executor: str | None) -> bool:
        if executor is None or not self._catalog.database.shared:
            return False
        hold = self._catalog.database.hold(executor)
        if hold is None:
            return True
        hold.release()
        return False

    def read(self, document_id: str, version: int) -> None:
        """Enqueue a version to be read; again the same is the same."""
        found = self._catalog.place_of(document_id, version)
        if found is None:
            return
        collection_id, several = found
        options = SetEnqueueOptions(priority=BULK if several else SINGLE, queue_partition_key=collection_id)
        with SetWorkflowID(f"{document_id}.{version}"), options:
            DBOS.enqueue_workflow(READ_QUEUE, _read_document, document_id, version)

    def fill(self, fill: Fill) -> None:
        """Enqueue a channel to take a version in; again the same is the same."""
        name = fill.channel.partition("-")[0]  # of a key such as visual-2
        with SetWorkflowID(_name(fill)), SetEnqueueOptions(queue_partition_key=fill.collection_id):
            DBOS.enqueue_workflow(FILL_QUEUES[name], _fill_channel, fill.document_id, fill.version, fill.channel)

    def fill_behind(self, document_id: str) -> None:
        """Enqueue whatever slower channels have to take in of a document, here or elsewhere."""
        for fill in self._catalog.fills.outstanding(document_id):
            self.fill(fill)

    # --- doing it ---------------------------------------------------------------------------------------------------

    def fill_one(self, document_id: str, version: int, channel: str) -> None:
        """Run one fill, as `guard` does."""
        with self._filling:
            self.guard(lambda: self.pipeline.fill(document_id, version, channel))

    def guard(self, work: Callable[[], None], document_id: str = "", version: int = 0) -> None:
        """Run one unit. What goes wrong with a document is settled in the pipeline; what arrives here is a back end
        that failed (the job stops, the work stays outstanding) or a fault of ours (that version fails, the others
        go on).
        """
        with self._changed:
            self._active += 1
        try:
            work()
        except FolioscopeError as error:
            self._give_up(error)
            raise
        except (OSError, SQLAlchemyError, dbos_errors.DBOSException) as error:
            self._give_up(StorageError(f"A back end failed: {error!r}.", hint=DOCTOR))
            raise
        except Exception as error:
            log.exception("a fault in %s.%s", document_id, version)
            row = self._catalog.version(document_id, version) if document_id else None
            if row is None or not row.outstanding:
                self._give_up(StorageError(f"A fault of Folioscope: {error!r}."))
                raise
            self.pipeline.fail(row, Problem("internal_error", f"A fault of Folioscope: {error!r}."))
        finally:
            with self._changed:
                self._active -= 1
                self._changed.notify_all()

    @property
    def idle(self) -> bool:
        """Whether this process works on nothing at the moment."""
        return not self._active

    def _give_up(self, error: FolioscopeError) -> None:
        self.fault = self.fault or error
        self.pipeline.stop()

    def on_event(self, event: Event) -> None:
        """Publish progress with the workflow that makes it; wake whoever waits."""
        if DBOS.workflow_id:
            try:
                DBOS.set_event("progress", {"kind": event.kind, "done": event.done, "total": event.total})
            except (SQLAlchemyError, dbos_errors.DBOSException):  # who only watches must not stop who works
                log.warning("progress of %s could not be published", event.document_id, exc_info=True)
        with self._changed:
            self._changed.notify_all()

    def wait(self, done: Callable[[], bool]) -> None:
        """Return when ``done()``, and listeners have heard of it, or when asked to stop; raises the fault that
        stopped the work. Meanwhile work is taken over from processes that are gone.
        """
        due = time.monotonic() + RECONCILE_SECONDS
        while not done() and not self.pipeline.stopping:
            with self._changed:
                self._changed.wait(0.1)
            if time.monotonic() >= due:
                self.reconcile()
                due = time.monotonic() + RECONCILE_SECONDS
        with self.pipeline.telling:
            pass
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        """Leave off after the current pages and let go of DBOS; what is outstanding stays so."""
        self.pipeline.stop()
        with self._changed:
            self._changed.wait_for(lambda: not self._active, timeout=STOP_SECONDS)
        self._leave()

    def _leave(self) -> None:
        global _running
        DBOS.destroy()
        if self._alive is not None:
            self._alive.release()
        _running = None


def _log_to_stderr() -> None:
    """DBOS would hold on to the stderr that it finds when it is first launched, and fail once that is closed."""
    dbos_log = logging.getLogger("dbos")
    if not dbos_log.handlers and logging.lastResort:
        dbos_log.addHandler(logging.lastResort)  # looks up what stderr is at each message
        dbos_log.propagate = False


def _name(fill: Fill) -> str:
    """The id of its workflow."""
    return f"{fill.document_id}.{fill.version}.{fill.channel}"


def _forget_old() -> None:
    """Else the jobs' database would grow with each document that ever was."""
    before = (datetime.now(UTC) - KEPT).isoformat()
    found = DBOS.list_workflows(
        status=ENDED, completed_before=before, limit=FORGOTTEN, load_input=False, load_output=False
    )
    if found:
        DBOS.delete_workflows([each.workflow_id for each in found])


def _forget_ended(workflows: list[str]) -> None:
    """So that they can be enqueued again; one that was enqueued in the meantime stays."""
    some = 500
    for start in range(0, len(workflows), some):
        found = DBOS.list_workflows(workflow_ids=workflows[start : start + some], load_input=False, load_output=False)
        if ended := [each.workflow_id for each in found if each.status not in ("PENDING", "ENQUEUED", "DELAYED")]:
            DBOS.delete_workflows(ended)
