"""Documents: handing them in, listing, tagging, deleting them."""

from __future__ import annotations

import contextlib
import hashlib
import json
import tempfile
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO, Literal

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import TypeAdapter, ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from api import etags
from api.answering import forget_answers
from api.fetch import checked, fetch
from api.idempotency import Made, OnlyOnce
from api.schemas.common import PRINTED, Listed, Metadata, failure
from api.schemas.documents import (
    Again,
    Changes,
    Deleted,
    DocumentOut,
    Doomed,
    Fetched,
    PageError,
    Resubmitted,
    Uploaded,
    document_out,
)
from api.security import Access, Reader, Writer
from folioscope.errors import CollectionNotFound, DocumentNotFound, Forbidden, QueryError, TooLarge
from ingest.catalog import Collection
from ingest.database import new_id
from ingest.folder import storage_errors
from ingest.intake import Origin
from ingest.lookups import documents, set_metadata
from ingest.sources import LONGEST_LOOK, detect

router = APIRouter(prefix="/v1/documents", tags=["documents"])
LONGEST_SOURCE = 4096
FORM: dict[str, Any] = {
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "metadata": {"type": "string", "description": "a JSON object of texts, numbers, true and false"},
        "source": {
            "type": "string",
            "maxLength": LONGEST_SOURCE,
            "description": "a name of the sender's own for where the file is from: another file under the same one is "
            "a new version of that document, without one each file is a document of its own; nobody is shown it",
        },
        "password": {"type": "string", "description": "opens an encrypted PDF; kept, to draw pages later"},
    },
}
BODY: dict[str, Any] = {
    "multipart/form-data": {"schema": {"type": "object", **FORM}},
    "application/json": {"schema": Fetched.model_json_schema()},
}
MOST_JSON = 1 << 16  # bytes
FIELDS = TypeAdapter(Metadata)
Name = Annotated[str | None, Query(max_length=64, description="name or id; else the setting's")]


@router.post(
    "",
    status_code=202,
    response_model=Uploaded,
    responses={200: {"model": Uploaded, "description": "these bytes are in the collection already"}},
    openapi_extra={"requestBody": {"required": True, "content": BODY}},
)
async def upload(request: Request, access: Writer, once: OnlyOnce, collection: Name = None) -> Response:
    """One file, or where the setting ``fetch_urls`` allows it the URL of one, read in the background by the job that
    `Location` names.
    """
    # The body is read here and not by a parameter, so that nobody without a key fills the disk.
    target = await run_in_threadpool(_target, access, collection)
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() == "application/json":
        named = await _named(request)
        async with access.service.fetching:
            return await once(access, named, partial(run_in_threadpool, _fetch, access, target, named))
    async with _form(request) as (file, filename, fields):
        asked = await run_in_threadpool(_asked, file, filename, fields) if once.key else ""
        origin, metadata = Origin(filename, _source(fields)), _metadata(fields.get("metadata"))
        take = partial(_take, access, target, file, origin, fields.get("password"), metadata)
        return await once(access, asked, partial(run_in_threadpool, take))


def _asked(file: BinaryIO, filename: str, fields: dict[str, str]) -> str:
    """What tells an upload from others: the hash of its file, read block by block, and what came with it."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    return json.dumps([digest.hexdigest(), filename, fields], sort_keys=True)


def _target(access: Access, name: str | None) -> Collection:
    """The collection, by whatever name it goes once the file has come; the setting's is made where it is missing and
    the key is not limited to others.
    """
    try:
        return access.collection(name)
    except CollectionNotFound:
        if name is not None or access.grants is not None:
            raise
        return access.library.create_collection()


@contextlib.asynccontextmanager
async def _form(request: Request) -> AsyncIterator[tuple[BinaryIO, str, dict[str, str]]]:
    """The file, which the system removes when it is closed, its name, the other fields."""
    async with request.form(max_files=1, max_fields=3, max_part_size=1 << 16) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise QueryError("There is no file in the form.", hint="Send it as the part `file`.")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if unknown := fields.keys() - {"metadata", "password", "source"}:
            raise QueryError(f"The form has an unknown field {min(unknown)!r}.")
        yield file.file, _readable(file.filename or ""), fields


def _readable(filename: str) -> str:
    """A file name as metadata: its last part, without what steers a terminal."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(ch for ch in last if ch.isprintable())[:255] or "unnamed"


def _source(fields: dict[str, str]) -> str:
    """Without a name of the sender's one of its own: a file of the same name from somebody else is no new version."""
    source = "".join(filter(str.isprintable, fields.get("source", "")))
    if len(source) > LONGEST_SOURCE:
        raise QueryError(f"The field `source` has more than {LONGEST_SOURCE} characters.")
    return source or new_id("upload")


async def _named(request: Request) -> Fetched:
    """Which URL. Raises `TooLarge`, ``RequestValidationError``."""
    body = b""
    async for piece in request.stream():
        body += piece
        if len(body) > MOST_JSON:
            raise TooLarge(f"The request has more than {MOST_JSON:,} bytes of JSON.")
    try:
        return Fetched.model_validate_json(body)
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("body", *each["loc"])} for each in error.errors()]) from None


def _fetch(access: Access, collection: Collection, asked: Fetched) -> Made:
    """Raises `Forbidden` where the settings don't allow it, `Unfetchable`, `TooLarge`."""
    settings = access.library.settings
    if not settings.fetch_urls:
        raise Forbidden("The server fetches nothing from URLs (the setting fetch_urls is off); upload the file.")
    with tempfile.TemporaryFile() as file:
        with storage_errors(Path(tempfile.gettempdir())):
            final = fetch(asked.url, file, most_bytes=settings.max_file_mb << 20, network=access.service.network)
        origin = Origin(_readable(final.path.rstrip("/") or final.host), str(checked(asked.url)))
        return _take(access, collection, file, origin, asked.password, asked.metadata)


def _take(
    access: Access,
    collection: Collection,
    file: BinaryIO,
    origin: Origin,
    password: str | None,
    metadata: dict[str, Any] | None,
) -> Made:
    """Refuse what can't be a document; else register it."""
    library = access.library
    size = file.seek(0, 2)
    if size > library.settings.max_file_mb << 20:
        raise TooLarge(f"The file has more than {library.settings.max_file_mb} MB.")
    file.seek(0)
    head = file.read(LONGEST_LOOK)
    file.seek(max(0, size - LONGEST_LOOK))
    detect(head, file.read())
    file.flush()
    # A second way to the open file; unlike a name on disk it is gone with this process, however that ends.
    path = Path(f"/proc/self/fd/{file.fileno()}")
    job, entry = library.submit(path, origin, collection=collection, password=password, metadata=metadata)
    done = Uploaded(
        document=document_out(access.document(entry.document_id)),
        duplicate=entry.duplicate,
        job=None if entry.duplicate else job,
    )
    if done.job is None:
        return Made(done, 200, f"/v1/documents/{entry.document_id}", [entry.document_id])
    return Made(done, 202, f"/v1/jobs/{job}", [entry.document_id])


def _metadata(text: str | None) -> dict[str, Any] | None:
    if not text:
        return None
    try:
        return FIELDS.validate_python(json.loads(text))
    except ValidationError as error:
        raise RequestValidationError([{**each, "loc": ("metadata", *each["loc"])} for each in error.errors()]) from None
    except (ValueError, RecursionError):
        raise QueryError("The field `metadata` is no JSON object.") from None


@router.get("")
def list_documents(
    access: Reader,
    collection: Name = None,
    limit: Annotated[int, Query(ge=1, le=100)] = 20,
    after: Annotated[str | None, Query(max_length=64)] = None,
    status: Annotated[Literal["queued", "processing", "ready", "failed"] | None, Query()] = None,
    q: Annotated[str, Query(max_length=255, pattern=PRINTED, description="a part of the file name")] = "",
    metadata: Annotated[
        str | None, Query(max_length=10_000, description="a JSON object, all of which they have")
    ] = None,
) -> Listed[DocumentOut]:
    """Oldest first."""
    chosen = access.collection(collection)
    found, more = documents(
        access.library.catalog, chosen, limit, after, status=status, name=q, metadata=_metadata(metadata)
    )
    return Listed(data=[document_out(each) for each in found], has_more=more, last_id=found[-1].id if found else None)


@router.get("/{document}", response_model=DocumentOut, responses=etags.NOT_MODIFIED)
def get_document(document: str, access: Reader, if_none_match: etags.IfNoneMatch = None) -> Response:
    """By id."""
    return etags.whole(document_out(access.document(document)), if_none_match)


@router.patch("/{document}", response_model=DocumentOut, responses=etags.PRECONDITION)
def change_document(document: str, body: Changes, access: Writer, if_match: etags.IfMatch = None) -> Response:
    """Other metadata; searches go by it at once."""
    found = access.document(document)
    catalog = access.library.catalog
    with catalog.database.lock(f"metadata {found.id}"):  # of two that have seen the same, one comes second
        etags.require(document_out(access.document(document)), if_match)
        set_metadata(catalog, found.id, body.metadata)
    return etags.whole(document_out(access.document(document)), None)


@router.delete("/{document}", status_code=204)
def delete_document(document: str, access: Writer) -> None:
    """Nothing finds it from now on."""
    found = access.document(document)
    access.library.forget(found.id)
    forget_answers(access.library, [found.id])


@router.post("/delete")
def delete_documents(body: Doomed, access: Writer) -> Deleted:
    """Several at once: all of them, or none where one of them is not there."""
    found = list(dict.fromkeys(access.document(each).id for each in body.documents))
    for each in found:
        access.library.forget(each)
    forget_answers(access.library, found)
    return Deleted(deleted=found)


@router.post("/{document}/reingest", status_code=202, response_model=Resubmitted)
async def reingest_document(document: str, access: Writer, once: OnlyOnce, body: Again | None = None) -> Response:
    """Read the stored original again; the new version takes the old one's place in one switch once it is ready."""
    again = body or Again(password=None)
    return await once(access, again, partial(run_in_threadpool, _reingest, access, document, again))


def _reingest(access: Access, document: str, again: Again) -> Made:
    job, entry = access.library.resubmit(access.document(document), again.password)
    made = Resubmitted(document=document_out(access.document(document)), version=entry.version, job=job)
    return Made(made, 202, f"/v1/jobs/{job}", [entry.document_id])


@router.get("/{document}/errors")
def list_errors(document: str, access: Reader) -> Listed[PageError]:
    """The pages that could not be read, in order; the others are searched."""
    found = access.document(document)
    notes = access.library.catalog.page_notes(found.id, found.version)
    data = [PageError(page=page.number, error=told) for page in notes if (told := failure(page.problem))]
    return Listed(data=data, last_id=str(data[-1].page) if data else None)


@router.get("/{document}/file", response_class=FileResponse)
def get_file(document: str, access: Reader) -> FileResponse:
    """The original, as an attachment that no browser shows in place."""
    found = access.document(document)
    if not found.sha256 or not access.library.files.originals.has(found.sha256):
        raise DocumentNotFound("The original of this document is not stored; it could not be read.")
    held = contextlib.ExitStack()  # a copy of what lies elsewhere stays until it is sent
    path = held.enter_context(access.library.original(found.sha256))
    sent = BackgroundTask(held.close)
    return FileResponse(path, filename=found.filename, media_type="application/octet-stream", background=sent)
