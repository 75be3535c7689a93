"""Documents: handing them in, listing, tagging, deleting them."""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import AsyncIterator
from functools import partial
from pathlib import Path
from typing import Annotated, Any, BinaryIO

from fastapi import APIRouter, Query, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import FileResponse
from pydantic import TypeAdapter, ValidationError
from starlette.background import BackgroundTask
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import UploadFile

from api import etags
from api.answering import forget_answers
from api.idempotency import Made, OnlyOnce
from api.schemas.common import Listed, Metadata
from api.schemas.documents import Changes, DocumentOut, Uploaded, document_out
from api.security import Access, Reader, Writer
from folioscope.errors import CollectionNotFound, DocumentNotFound, QueryError, TooLarge
from ingest.database import new_id
from ingest.intake import Origin
from ingest.lookups import documents, set_metadata
from ingest.sources import LONGEST_LOOK, detect

router = APIRouter(prefix="/v1/documents", tags=["documents"])
FORM: dict[str, Any] = {
    "required": ["file"],
    "properties": {
        "file": {"type": "string", "format": "binary"},
        "metadata": {"type": "string", "description": "a JSON object of texts, numbers, true and false"},
        "password": {"type": "string", "description": "opens an encrypted PDF; kept, to draw pages later"},
    },
}
FIELDS = TypeAdapter(Metadata)
Name = Annotated[str | None, Query(max_length=64, description="name or id; else the setting's")]


@router.post(
    "",
    status_code=202,
    response_model=Uploaded,
    responses={200: {"model": Uploaded, "description": "these bytes are in the collection already"}},
    openapi_extra={"requestBody": {"required": True, "content": {"multipart/form-data": {"schema": FORM}}}},
)
async def upload(request: Request, access: Writer, once: OnlyOnce, collection: Name = None) -> Response:
    """One file, read in the background by the job that `Location` names."""
    # The form is read here and not by a parameter, so that nobody without a key fills the disk.
    target = await run_in_threadpool(_target, access, collection)
    async with _form(request) as (file, filename, fields):
        asked = await run_in_threadpool(_asked, file, filename, fields) if once.key else ""
        return await once(access, asked, partial(run_in_threadpool, _take, access, target, file, filename, fields))


def _asked(file: BinaryIO, filename: str, fields: dict[str, str]) -> str:
    """What tells an upload from others: the hash of its file, read block by block, and what came with it."""
    digest = hashlib.sha256()
    file.seek(0)
    while block := file.read(1 << 20):
        digest.update(block)
    return json.dumps([digest.hexdigest(), filename, fields], sort_keys=True)


def _target(access: Access, name: str | None) -> str:
    """The collection's name; the setting's is made where it is missing and the key is not limited to others."""
    try:
        return access.collection(name).name
    except CollectionNotFound:
        if name is not None or access.grants is not None:
            raise
        return access.library.create_collection().name


@contextlib.asynccontextmanager
async def _form(request: Request) -> AsyncIterator[tuple[BinaryIO, str, dict[str, str]]]:
    """The file, which the system removes when it is closed, its name, the other fields."""
    async with request.form(max_files=1, max_fields=2, max_part_size=1 << 16) as form:
        file = form.get("file")
        if not isinstance(file, UploadFile):
            raise QueryError("There is no file in the form.", hint="Send it as the part `file`.")
        fields = {name: value for name, value in form.items() if isinstance(value, str)}
        if unknown := fields.keys() - {"metadata", "password"}:
            raise QueryError(f"The form has an unknown field {min(unknown)!r}.")
        yield file.file, _readable(file.filename or ""), fields


def _readable(filename: str) -> str:
    """A file name as metadata: its last part, without what steers a terminal."""
    last = filename.replace("\\", "/").rpartition("/")[2]
    return "".join(ch for ch in last if ch.isprintable())[:255] or "unnamed"


def _take(access: Access, collection: str, file: BinaryIO, filename: str, fields: dict[str, str]) -> Made:
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
    # A source of its own: a file of the same name from somebody else is no new version of this one.
    job, entry = library.submit(
        path,
        Origin(filename, new_id("upload")),
        collection=collection,
        password=fields.get("password"),
        metadata=_metadata(fields.get("metadata")),
    )
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
) -> Listed[DocumentOut]:
    """Oldest first."""
    found, more = documents(access.library.catalog, access.collection(collection), limit, after)
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
