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
    """``pages``: read of those that are known so far. ``channels``: how far each has taken them in."""

    id: str
    state: Literal["running", "filling", "done", "cancelled"]
    ready: int
    failed: int
    outstanding: int
    pages: Progress
    channels: dict[str, Progress]


class JobOut(JobProgress):
    """A job with its documents."""

    object: Literal["job"] = "job"
    kind: str
    created: str
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


def job_out(found: JobState, filling: bool) -> JobOut:
    """``filling``: whether a channel that can be used here has not taken all in yet."""
    listed = [job_document(each) for each in found.documents]
    counts = [each.status for each in listed]
    outstanding = counts.count("queued") + counts.count("processing")
    state: Literal["running", "filling", "done", "cancelled"] = "filling" if filling else "done"
    if outstanding:
        state = "running"
    elif found.cancelled:
        state = "cancelled"
    return JobOut(
        id=found.id,
        kind=found.kind,
        created=found.created,
        state=state,
        ready=counts.count("ready"),
        failed=counts.count("failed"),
        outstanding=outstanding,
        pages=progress(found.pages),
        channels={name: progress(share) for name, share in found.channels.items()},
        documents=listed,
    )
