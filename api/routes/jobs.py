"""Jobs: how far the reading of what was handed in has come, its news, giving it up."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator

from fastapi import APIRouter, Request
from starlette.concurrency import run_in_threadpool
from starlette.responses import StreamingResponse

from api.schemas.jobs import JobOut, JobProgress, job_out
from api.security import Access, Reader, Writer
from api.sse import Sent, respond

router = APIRouter(prefix="/v1/jobs", tags=["jobs"])
LOOK_S = 2.0  # at the longest, until the catalog is looked at again; what fills in behind tells seldom


@router.get("/{job}")
def get_job(job: str, access: Reader) -> JobOut:
    """With its documents."""
    return _state(access, job)


@router.post("/{job}/cancel")
def cancel_job(job: str, access: Writer) -> JobOut:
    """Give up what has not been read yet; what is ready stays."""
    access.library.cancel(access.job(job).id)
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
    versions = {(each.document_id, each.version) for each in found.documents}
    filling = any(fill[:2] in versions for fill in access.library.pipeline.pending_fills())
    return job_out(found, filling)


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
            if progress != shown:
                shown = progress
                yield Sent("job.progress", progress)
            if state.state in ("done", "cancelled"):
                yield Sent("job.done", state)
                return
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(woken.wait(), LOOK_S)
