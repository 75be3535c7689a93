"""Jobs over the wire."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal

from pydantic import BaseModel

from api.schemas.common import Failure, Progress, failure, progress

if TYPE_CHECKING:
    from ingest.lookups import JobDocument, JobState


class JobDocumentOut(BaseModel):
    """One document of a job."""

    document: str
    version: int
    filename: str
    status: str
    pages: int
    error: Failure | None


class JobProgress(BaseModel):
    """``pages``: read of those that are known so far. ``channels``: how far each has taken them in.

    ``eta_s``: seconds until all that is done, at the rates seen lately; null where they are unknown.
    """

    id: str
    state: Literal["running", "filling", "done", "cancelled"]
    ready: int
    failed: int
    outstanding: int
    pages: Progress
    channels: dict[str, Progress]
    eta_s: float | None = None


class JobSummary(JobProgress):
    """A job in a list."""

    object: Literal["job"] = "job"
    kind: str
    collection: str
    created: str


class JobOut(JobSummary):
    """A job with its documents."""

    documents: list[JobDocumentOut]


def job_document(found: JobDocument) -> JobDocumentOut:
    """``superseded`` and ``gone`` mean that it was ready and a newer version took its place."""
    status = "ready" if found.status in ("superseded", "gone") else found.status
    return JobDocumentOut(
        document=found.document_id,
        version=found.version,
        filename=found.filename,
        status=status,
        pages=found.pages,
        error=failure(found.problem),
    )


def job_summary(found: JobState, filling: bool, eta_s: float | None) -> JobSummary:
    """``filling``: whether a channel has not taken all in yet."""
    counts = found.counts
    outstanding = sum(counts.get(status, 0) for status in ("queued", "processing"))
    state: Literal["running", "filling", "done", "cancelled"] = "filling" if filling else "done"
    if outstanding:
        state = "running"
    elif found.cancelled:
        state = "cancelled"
    return JobSummary(
        id=found.id,
        kind=found.kind,
        collection=found.collection_id,
        created=found.created,
        state=state,
        ready=sum(counts.get(status, 0) for status in ("ready", "superseded", "gone")),
        failed=counts.get("failed", 0),
        outstanding=outstanding,
        pages=progress(found.pages),
        channels={name: progress(share) for name, share in found.channels.items()},
        eta_s=eta_s if state in ("running", "filling") else 0.0,
    )


def job_out(found: JobState, filling: bool, eta_s: float | None = None) -> JobOut:
    """As `job_summary`, with the documents."""
    summary = job_summary(found, filling, eta_s)
    return JobOut(**dict(summary), documents=[job_document(each) for each in found.documents])
