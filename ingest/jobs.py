"""Durable jobs on DBOS: every outstanding version and every outstanding fill is a workflow in a queue.

The catalog says what is outstanding; DBOS carries it out, bounded by each queue's concurrency, and takes it up again
after a kill. `Jobs.start` compares the two and puts right what a kill between them left: work without a workflow is
enqueued, work whose workflow ended without finishing it is enqueued anew.

DBOS is one per process, so one library at a time can run jobs in a process.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping

from dbos import DBOS, SetWorkflowID
from dbos import error as dbos_errors
from sqlalchemy.exc import SQLAlchemyError

from folioscope.domain import Problem
from folioscope.errors import FolioscopeError, StorageError
from ingest.catalog import Catalog
from ingest.fills import Fill
from ingest.pipeline import Event, Pipeline

READ_QUEUE = "read"
FILL_QUEUE = "fill"
POLL_SECONDS = 0.05
STOP_SECONDS = 120.0  # for the current pages; a page has a limit of its own
APPLICATION = "folioscope"
WORKFLOWS_VERSION = "1"  # of those below; a newer one would not take an older one's work up

DOCTOR = "`folioscope doctor` looks at it; what is outstanding goes on with `folioscope jobs watch`."

log = logging.getLogger(__name__)
_running: Jobs | None = None


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
    _current().guard(lambda: _current().pipeline.fill(document_id, version, channel))


def _current() -> Jobs:
    if _running is None:
        raise RuntimeError("a workflow ran outside of an opened library")
    return _running


class Jobs:
    """Runs what is outstanding in the catalog, from `start` to `stop`. ``url``: SQLAlchemy URL of DBOS's tables."""

    def __init__(self, pipeline: Pipeline, catalog: Catalog, url: str, readers: int) -> None:
        self.pipeline = pipeline
        self._catalog = catalog
        self._url = url
        self._readers = readers
        self._changed = threading.Condition()
        self._reconciling = threading.Lock()
        self._active = 0
        self.fault: FolioscopeError | None = None

    def start(self) -> None:
        """Launch and take up what is outstanding."""
        global _running
        if _running is not None:
            raise StorageError("Another library is running jobs in this process.", hint="Close it first.")
        _running = self
        self.fault = None
        self.pipeline.resume()
        DBOS(
            config={
                "name": APPLICATION,
                "system_database_url": self._url,
                "application_version": WORKFLOWS_VERSION,
                "executor_id": "local",
                "log_level": "CRITICAL",
            }
        )
        try:
            self._launch()
        except Exception as error:
            DBOS.destroy()
            _running = None
            if isinstance(error, FolioscopeError):
                raise
            raise StorageError(f"The jobs' database can't be used: {error}.", hint=DOCTOR) from error

    def _launch(self) -> None:
        DBOS.launch()
        # More readers than child processes: the next document waits with its workflow started, so that no child idles.
        DBOS.register_queue(READ_QUEUE, worker_concurrency=self._readers, polling_interval_sec=POLL_SECONDS)
        DBOS.register_queue(FILL_QUEUE, worker_concurrency=1, polling_interval_sec=POLL_SECONDS)
        self.reconcile()

    def reconcile(self) -> None:
        """Enqueue whatever is outstanding in the catalog and not on its way."""
        with self._reconciling:
            known = {
                status.workflow_id: status.status
                for status in DBOS.list_workflows(
                    queue_name=[READ_QUEUE, FILL_QUEUE], load_input=False, load_output=False
                )
            }
            for document, version in self._catalog.outstanding_versions():
                if _is_needed(f"{document}.{version}", known):
                    self.read(document, version)
            for fill in self.pipeline.pending_fills():
                if _is_needed(".".join(map(str, fill[:3])), known):
                    self.fill(fill)

    def read(self, document_id: str, version: int) -> None:
        """Enqueue a version to be read; again the same is the same."""
        with SetWorkflowID(f"{document_id}.{version}"):
            DBOS.enqueue_workflow(READ_QUEUE, _read_document, document_id, version)

    def fill(self, fill: Fill) -> None:
        """Enqueue a channel to take a version in; again the same is the same."""
        with SetWorkflowID(f"{fill.document_id}.{fill.version}.{fill.channel}"):
            DBOS.enqueue_workflow(FILL_QUEUE, _fill_channel, fill.document_id, fill.version, fill.channel)

    def fill_behind(self, document_id: str) -> None:
        """Enqueue whatever slower channels have to take in of a document."""
        for fill in self.pipeline.pending_fills(document_id):
            self.fill(fill)

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
        stopped the work.
        """
        while not done() and not self.pipeline.stopping:
            with self._changed:
                self._changed.wait(0.1)
        with self.pipeline.telling:
            pass
        if self.fault is not None:
            raise self.fault

    def stop(self) -> None:
        """Leave off after the current pages and let go of DBOS; what is outstanding stays so."""
        global _running
        self.pipeline.stop()
        with self._changed:
            self._changed.wait_for(lambda: not self._active, timeout=STOP_SECONDS)
        DBOS.destroy()
        _running = None


def _is_needed(workflow: str, known: Mapping[str, str]) -> bool:
    """Whether work that is outstanding must be enqueued; a workflow of its id that has ended is forgotten."""
    status = known.get(workflow)
    if status in ("PENDING", "ENQUEUED", "DELAYED"):
        return False
    if status is not None:
        DBOS.delete_workflow(workflow)
    return True


def sync_url(url: str) -> str:
    """A catalog URL as DBOS writes it (it picks its own Postgres driver)."""
    return url.replace("postgresql+psycopg://", "postgresql://", 1)
