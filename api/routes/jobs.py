"""Jobs: how far the reading of what was handed in has come, its news, giving it up, trying again what failed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from typing import Annotated

from fastapi import APIRouter, Query, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.schemas.common import Listed
from api.schemas.jobs import JobOut, JobProgress, JobSummary, job_out, job_summary
from api.security import Access, Reader, Writer
from api.sse import Sent, respond
from ingest.lookups import JobState, jobs

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
LOOK_S = 2.0  # at the longest, until the catalog is looked at again; what fills in behind tells seldom


@router.get("")
def list_jobs(
    access: Reader,
    collection: Annotated[str | None, Query(max_length=64)] = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64)] = None,
) -> Listed[JobSummary]:
    """Newest first, without their documents; of one collection or of all."""
    visible = access.collections() if collection is None else [access.collection(collection)]
    found, more = jobs(access.library.catalog, [each.id for each in visible], limit, after)
    listed = [job_summary(each, *_prospects(access, each)) for each in found]
    return Listed(data=listed, has_more=more, last_id=found[-1].id if found else None)


@router.get("/{job}")
def get_job(job: str, access: Reader) -> JobOut:
    """With its documents."""
    return _state(access, job)


@router.post("/{job}/cancel")
def cancel_job(job: str, access: Writer) -> JobOut:
    """Give up what has not been read yet; what is ready stays."""
    access.library.cancel(access.job(job).id)
    return _state(access, job)


@router.post("/{job}/retry")
def retry_job(job: str, access: Writer) -> JobOut:
    """Read its failed documents again, those that were given up, too; nothing happens where none has failed."""
    access.library.retry(access.job(job).id)
    return _state(access, job)


@router.get("/{job}/events", response_class=StreamingResponse, responses={200: {"content": {"text/event-stream": {}}}})
async def get_events(job: str, request: Request, access: Reader) -> StreamingResponse:
    """``job.progress, document.ready, document.failed``, at the end ``job.done``. An id says which documents of the job
    have been told, so that a client that comes back with it hears of the others, also from another process.
    """
    await run_in_threadpool(access.job, job)
    events = _events(access, job, request.headers.get("last-event-id", ""))
    return respond(events, request.url.path, request.state.request_id)


def _state(access: Access, job: str) -> JobOut:
    found = access.job(job)
    return job_out(found, *_prospects(access, found))


def _prospects(access: Access, job: JobState) -> tuple[bool, float | None]:
    """Whether channels have not taken all in yet, and the seconds until all is done.

    A channel that can't be used here is not waited for, unless other processes may fill it.
    """
    library = access.library
    shared = library.catalog.database.shared
    channels = [key for key in job.channels if shared or library.channels.fills(job.collection_id, key)]
    filling = any(job.channels[key].done < job.channels[key].total for key in channels)
    return filling, access.service.pace.eta_s(job, channels)


async def _events(access: Access, job: str, last_id: str) -> AsyncGenerator[Sent]:
    told = int(last_id, 16) if last_id and set(last_id) <= set("0123456789abcdef") else 0  # bit n: document n
    shown: JobProgress | None = None
    with access.service.news() as woken:
        while not access.service.leaving:
            woken.clear()
            state = await run_in_threadpool(_state, access, job)
            for place, document in enumerate(state.documents):
                if document.status in ("ready", "failed") and not told >> place & 1:
                    told |= 1 << place
                    yield Sent(f"document.{document.status}", document, f"{told:x}")
            progress = JobProgress.model_validate(state.model_dump())
            if shown is None or progress.model_copy(update={"eta_s": shown.eta_s}) != shown:
                shown = progress
                yield Sent("job.progress", progress)
            if state.state in ("done", "cancelled"):
                yield Sent("job.done", state)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), LOOK_S)
